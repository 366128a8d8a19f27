"""One process does the work; another takes over when it has died, and what the first still writes is refused."""

import os
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from reconciler.core.times import HOUR, MINUTE, SECOND
from reconciler.errors import ConfigError, OutOfReach
from reconciler.ports import Horizon, LeaseLost, Run
from reconciler.store import SqlStore, open_store
from reconciler.store.database import Database
from tests.integration.store_parts import BATCH, count, minute, pipelines, raw
from tests.until import until

pytestmark = pytest.mark.postgres


@pytest.fixture
def first(postgres_ledger: str) -> Iterator[SqlStore]:
    opened = open_store(postgres_ledger)
    yield opened
    opened.close()


@pytest.fixture
def second(postgres_ledger: str) -> Iterator[SqlStore]:
    opened = open_store(postgres_ledger)
    yield opened
    opened.close()


def test_the_lease_is_held_by_one_until_it_is_given_back(first: SqlStore, second: SqlStore) -> None:
    lease = first.take_lease("first", HOUR)
    assert lease is not None
    assert second.take_lease("second", HOUR) is None
    assert first.renew_lease(lease, HOUR)
    tenure = second.tenure()
    assert tenure is not None
    assert (tenure.lease, tenure.left > 59 * MINUTE) == (lease, True)
    first.release_lease(lease)
    other = second.take_lease("second", HOUR)
    assert other is not None
    assert (other.holder, other.epoch) == ("second", lease.epoch + 1)


def test_a_lease_that_has_run_out_is_taken_and_cannot_be_renewed_then(first: SqlStore, second: SqlStore) -> None:
    lease = first.take_lease("first", 1)
    assert lease is not None
    until(lambda: second.take_lease("second", HOUR))
    assert not first.renew_lease(lease, HOUR)
    assert first.take_lease("first", HOUR) is None


def test_a_lease_that_has_run_out_is_still_its_holders_while_nobody_takes_it(first: SqlStore) -> None:
    lease = first.take_lease("first", 1)
    assert lease is not None
    first.leased(lease).record([count(0, 5, at=minute(1))], pipelines())
    assert first.renew_lease(lease, HOUR)


def _judge(store: SqlStore) -> None:
    with store.judging(BATCH, minute(2)) as work:
        work.save(minute(2), [], [], [], [], {"a": 1})


WRITES: dict[str, Callable[[SqlStore], object]] = {
    "counts": lambda store: store.record([count(0, 5, at=minute(1))], pipelines()),
    "a judgement": _judge,
    "a day of looks": lambda store: store.make_days(BATCH, minute(0)),
    "a removal": lambda store: store.prune(BATCH, Horizon(minute(0), 0), 10),
    "a note": lambda store: store.note_runs([Run("look", "", minute(1), 1)]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_has_lost_the_lease_can_write_nothing(
    first: SqlStore, second: SqlStore, write: Callable[[SqlStore], object]
) -> None:
    lease = first.take_lease("first", 1)
    assert lease is not None
    working = first.leased(lease)
    until(lambda: second.take_lease("second", HOUR))
    before = raw(second)
    with pytest.raises(LeaseLost, match="another process has taken over"):
        write(working)
    assert raw(second) == before
    second.record([count(0, 5, at=minute(1))], pipelines())  # what is pushed needs no lease


def test_nobody_takes_over_in_the_middle_of_a_judgement(postgres_ledger: str, first: SqlStore) -> None:
    lease = first.take_lease("first", 1)
    assert lease is not None
    hasty = open_store(postgres_ledger, busy_seconds=0.05)
    with first.leased(lease).judging(BATCH, minute(2)) as work:
        with pytest.raises(OutOfReach, match="is locked by another writer"):
            until(lambda: hasty.take_lease("second", HOUR))
        assert first.renew_lease(lease, HOUR), "to renew it needs no turn"
        work.save(minute(2), [], [], [], [], {"a": 1})
    assert hasty.take_lease("second", HOUR) is None
    hasty.close()


def test_a_process_that_is_stopped_in_the_middle_of_its_turn_is_cut_off(postgres_ledger: str, first: SqlStore) -> None:
    slow = SqlStore(Database(postgres_ledger, idle_seconds=2))
    lease = slow.take_lease("slow", 1)
    assert lease is not None
    before = raw(first)
    with pytest.raises(OutOfReach, match="was cut off"), slow.leased(lease).judging(BATCH, minute(2)) as work:  # noqa: PT012  the others go on in between
        taken = until(lambda: first.take_lease("first", HOUR))
        assert taken.epoch == lease.epoch + 1
        work.save(minute(2), [], [], [], [], {"a": 1})
    after = raw(first)
    assert {name for name in after if after[name] != before[name]} == {"lease"}
    slow.close()


def test_who_takes_over_by_the_database_s_clock_needs_none_of_its_own(first: SqlStore) -> None:
    lease = first.take_lease("first", 10 * SECOND)
    assert lease is not None
    with first.database.reading() as connection:
        now = connection.execute(text("SELECT extract(epoch FROM now()) * 1000000")).scalar_one()
    tenure = first.tenure()
    assert tenure is not None
    assert abs(tenure.since - int(now)) < MINUTE
    assert 0 < tenure.left <= 10 * SECOND


def test_an_embedded_ledger_is_served_by_one_process_and_says_which(sqlite_ledger: str) -> None:
    first, second = open_store(sqlite_ledger), open_store(sqlite_ledger)
    lease = first.take_lease(f"process {os.getpid()}", HOUR)
    assert lease is not None
    with pytest.raises(ConfigError, match=rf"served by another process already \(process {os.getpid()}\).*PostgreSQL"):
        second.take_lease("second", HOUR)
    first.release_lease(lease)
    other = second.take_lease("second", HOUR)
    assert other is not None
    assert other.epoch == lease.epoch + 1
    with pytest.raises(LeaseLost):
        first.leased(lease).record([count(0, 5, at=minute(1))], pipelines())
    second.release_lease(other)
    first.close()
    second.close()
