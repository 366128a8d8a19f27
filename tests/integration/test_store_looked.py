"""What many looks at queues have come to is kept, and judged from as if all of them had been gone through again."""

from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.core import engine
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Observation, Progress, QueueSample
from reconciler.core.pipelines import Policy, Queue
from reconciler.core.times import DAY, HOUR, MINUTE, Micros
from reconciler.service import judge
from reconciler.store import SqlStore, open_store
from tests.integration.store_parts import BATCH, count, minute, pipelines

QUEUES = {name: Queue(name, BATCH.hops[0], Policy(7 * DAY, 3)) for name in ("slow", "quick")}
PIPELINE = replace(BATCH, queues=QUEUES, alert=True)
PARTITIONS = 3
STOOD, DELETED, CAUGHT_UP = 20, 55, 100
"""Minutes: the consumer stands still, half of what it has not read is deleted, it goes on behind that."""


def arrivals(number: int) -> list[Observation]:
    """What is told in a minute: sixty events were accepted in the one before, twenty a partition; half of the looks are
    at a queue that nobody writes to."""
    at = minute(number, 10)
    read = min(number, STOOD) if number < CAUGHT_UP else number
    start = 20 * (DELETED - STOOD) // 2 + 20 * STOOD if number >= DELETED else 0
    looks: list[Observation] = [
        QueueSample(
            at, "batch", queue, partition, start if written else 0, written, min(max(start, 20 * read), written),
            oldest_at=at, committed_at=minute(max(0, read - 1)), retention=HOUR, epoch="a",
        )
        for partition in range(PARTITIONS)
        for queue, written in (("slow", 20 * number), ("quick", 0))
    ]  # fmt: skip
    return [*looks, *counts(number, 60 if read == number and number != CAUGHT_UP else 0)]


def counts(number: int, done: int) -> list[Observation]:
    """What is told in a minute of the events of the one before."""
    at, told = minute(number, 10), minute(number)
    return [
        count(number - 1, 60, at=at),
        count(number - 1, done, at=at, stage="processed"),
        *(Progress(at, "batch", stage, told) for stage in BATCH.stages),
    ]


def lived(store: SqlStore, minutes: int = 115) -> list[dict[str, Any]]:
    """All that is said of them, judged minute by minute."""
    said = []
    for number in range(1, minutes):
        store.record(arrivals(number), pipelines(PIPELINE))
        said += judge(store, PIPELINE, minute(number, 20))
    return said


def loaded(store: SqlStore, now: Micros) -> Ledger:
    with store.judging(PIPELINE, now) as work:
        return work.ledger


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few looks are many."""
    monkeypatch.setattr(engine, "WORTH", 40)


def test_the_same_is_said_as_where_nothing_is_kept(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'plain.db'}")) as other:
        plain = lived(other)
        assert loaded(other, minute(115)).looked is None
    monkeypatch.setattr(engine, "WORTH", 40)
    assert lived(store) == plain
    assert {line["verdict"] for line in plain if line["type"] == "verdict"} >= {"delayed", "lost"}


@pytest.mark.usefixtures("often")
def test_only_the_looks_since_are_read(store: SqlStore) -> None:
    lived(store, 60)
    ledger = loaded(store, minute(60))
    assert ledger.looked is not None
    assert set(ledger.looked.queues) == set(QUEUES)
    assert len(ledger.samples) <= 40 + 4 * 2 * PARTITIONS
    assert min(sample.at for sample in ledger.samples) > ledger.looked.at


@pytest.mark.usefixtures("often")
def test_a_look_that_is_told_late_makes_it_be_done_anew(store: SqlStore) -> None:
    lived(store, 60)
    known = [one for one in arrivals(50) if isinstance(one, QueueSample)]
    store.record(known, pipelines(PIPELINE))
    assert loaded(store, minute(60)).looked is not None  # nothing that was not known
    late = replace(known[0], at=known[0].at + MINUTE // 2)
    store.record([late], pipelines(PIPELINE))
    ledger = loaded(store, minute(60))
    assert ledger.looked is None
    assert late in ledger.samples


@pytest.mark.usefixtures("often")
def test_of_a_judgement_that_breaks_off_nothing_is_kept(store: SqlStore) -> None:
    lived(store, 30)
    before = loaded(store, minute(30)).looked
    assert before is not None
    with suppress(RuntimeError), store.judging(PIPELINE, minute(30, 20)) as work:
        work.keep_looked(replace(before, at=minute(30)))
        raise RuntimeError
    after = loaded(store, minute(31)).looked
    assert after is not None
    assert after.at == before.at


@pytest.mark.usefixtures("often")
def test_what_another_version_made_of_looks_is_not_read(store: SqlStore) -> None:
    lived(store, 30)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE model SET name = REPLACE(name, 'looked.', 'looked.0.0.0-'), payload = 'x'")
    assert loaded(store, minute(30)).looked is None
    store.record(arrivals(30), pipelines(PIPELINE))
    judge(store, PIPELINE, minute(30, 20))
    assert loaded(store, minute(31)).looked is not None


@pytest.mark.usefixtures("often")
def test_a_partition_that_is_there_no_more_is_not_remembered_for_ever(store: SqlStore) -> None:
    lived(store, 19)
    gone = QueueSample(minute(19), "batch", "quick", 99, 0, 0, 0, epoch="a")
    store.record([gone], pipelines(PIPELINE))
    said_of = []
    for number in range(19, 95):
        looks = [QueueSample(minute(number, 10), "batch", "slow", n, 0, 9, 9, epoch="a") for n in range(PARTITIONS)]
        store.record([*counts(number, 60), *looks], pipelines(PIPELINE))
        judge(store, PIPELINE, minute(number, 20))
        ledger = loaded(store, minute(number, 30))
        kept = [known for known, _ in ledger.looked.queues.values()] if ledger.looked else []
        said_of.append(gone in ledger.samples or any(99 in known.partitions for known in kept))
    assert said_of[:2] == [True, True]
    assert said_of[-1] is False
