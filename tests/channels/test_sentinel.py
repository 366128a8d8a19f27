"""The ledger dies in the hour in which a queue begins to lose: people are woken all the same, once, and told when it is
over. A real PostgreSQL is stopped, and told to freeze; channels are servers.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.announce import notifiers_of, routes_of
from reconciler.core.observations import Capacity, Observation, QueueSample, Refusal
from reconciler.core.pipelines import Hop, Pipeline, Policy, Queue
from reconciler.core.times import DAY, MINUTE, SECOND, Micros, parse_time
from reconciler.ports import ConnectorFailed
from reconciler.running.direct import Direct
from reconciler.running.memory import KEPT, Memory
from reconciler.running.patience import Patient
from reconciler.running.sentinel import Sentinel
from reconciler.running.spool import Spool
from reconciler.settings import Settings
from reconciler.store import SqlStore, migrate, open_store
from tests.channels.notices import settings
from tests.channels.servers import FakePagerDuty, FakeSlack, Fault, running
from tests.integration.services import house
from tests.postgres import Postgres, running_postgres
from tests.until import until

BEGIN: Micros = parse_time("2021-07-20T18:00:00Z")
STOPS = 31
"""Minute in which the consumer stops."""
RATE = 1000
"""Records a minute."""
ONE = "batch-events"


@dataclass
class Sampler:
    """Looks at a queue of a thousand records a minute, whose consumer stops; somebody shortens its retention."""

    name: str = "kafka-queues"
    pipeline: str = "batch"
    stage: None = None
    every: Micros = MINUTE
    window: Micros = 0
    withdraws: bool = False
    shortened: int = 10**6
    """Minute from which it keeps 20 minutes instead of 7 days."""
    broken: bool = False
    fills: int = 0
    """Of a disk of a million, so much each minute once the consumer has stopped."""

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterable[Observation | Refusal]:
        if self.broken:
            raise ConnectorFailed("connector kafka-queues: no broker answers")
        minute = (now - BEGIN) // MINUTE
        kept = 20 * MINUTE if minute >= self.shortened else 7 * DAY
        read, first = min(minute, STOPS), max(0, minute - kept // MINUTE)
        if self.fills:
            used = 500_000 + self.fills * max(0, minute - STOPS)
            yield Capacity(now, "disk:kafka-1", used, 1_000_000, ("batch",))
        yield QueueSample(
            now, "batch", ONE, start_offset=first * RATE, end_offset=minute * RATE, committed_offset=read * RATE,
            oldest_at=BEGIN + first * MINUTE, committed_at=BEGIN + max(read, first) * MINUTE, retention=kept,
        )  # fmt: skip

    def permissions(self) -> list[str]:
        return []


@dataclass
class Watch:
    """A sentinel, its clock, and those whom it tells."""

    store: SqlStore
    found: Settings
    pager: FakePagerDuty
    slack: FakeSlack
    sampler: Sampler
    minute: int = 0
    leads: bool = True
    patience: float = 30
    sentinel: Sentinel = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A process."""
        spool = Spool(self.found.path.resolve().parent / self.found.watchdog.spool)
        direct = Direct(notifiers_of(self.found), routes_of(self.found), spool)
        self.sentinel = Sentinel(
            self.store, self.found, [self.sampler], lambda: self.now, lambda: self.leads, spool, direct,
            Patient(self.patience),
        )  # fmt: skip

    @property
    def now(self) -> Micros:
        return BEGIN + self.minute * MINUTE

    def until(self, minute: int, *, stored: bool = False) -> None:
        """One look a minute; with `stored` the service samples the queue as well."""
        while self.minute < minute:
            self.minute += 1
            if stored:
                asked = self.sampler.collect(self.now, self.now, self.now)
                seen = [one for one in asked if not isinstance(one, Refusal)]
                self.store.record(seen, self.found.pipelines)
            self.sentinel.look()

    def states(self) -> dict[str, list[str]]:
        """Of PagerDuty's incidents, by the first word of their key."""
        return {key.rpartition("-")[0]: states for key, states in self.pager.incidents.items()}

    def minutes(self) -> list[int]:
        """Of which samples of the queue are in the ledger."""
        found = self.store.samples(self.found.pipelines["batch"], BEGIN, BEGIN + DAY)
        return [(one.at - BEGIN) // MINUTE for one in found]


@contextmanager
def watching(store: SqlStore, folder: Path, **options: Any) -> Iterator[Watch]:
    """Slack hears of all, PagerDuty of pages."""
    with running(FakePagerDuty()) as pager, running(FakeSlack(clock=lambda: BEGIN / SECOND + 3600)) as slack:
        queue = {"from": "ingress", "to": "processed", "policy": {"retention": "7d"}}
        batch = {"stages": ["ingress", "processed"], "mode": "alert", "queues": {ONE: queue}}
        found = settings(
            {
                "pager": {"kind": "pagerduty", "severities": ["page"], "routing_key": "k", "url": pager.url},
                "slack": {"kind": "slack", "token": "xoxb-1", "channel": "C0123ABCD", "api": slack.url},
            },
            folder, pipelines={"batch": batch},
        )  # fmt: skip
        yield Watch(store, found, pager, slack, Sampler(), **options)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    """A PostgreSQL that may be stopped."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def databases(mortal: Postgres) -> list[str]:
    """One for each test, made while nobody has stopped it."""
    return [mortal.url(mortal.create_database()) for _ in range(4)]


@pytest.fixture
def ledger(databases: list[str]) -> Iterator[SqlStore]:
    """A ledger on it."""
    url = databases.pop()
    migrate(url)
    store = open_store(url)
    yield store
    store.close()


@pytest.mark.postgres
def test_a_loss_in_the_hour_without_a_ledger_wakes_somebody_once_and_ends(
    mortal: Postgres, ledger: SqlStore, tmp_path: Path
) -> None:
    with watching(ledger, tmp_path) as watch:
        watch.until(STOPS, stored=True)
        mortal.control("stop -m fast")
        try:
            watch.until(STOPS + 1)
            assert watch.pager.incidents == {}, "one look may fail"
            watch.until(STOPS + 2)
            assert watch.states() == {"self-alarm": ["triggered"]}
            watch.sampler.shortened = STOPS + 3
            watch.until(STOPS + 6)
            assert watch.states() == {"self-alarm": ["triggered"], "at-risk-away": ["triggered"]}
            watch.until(STOPS + 25)
            assert watch.states() == {
                "self-alarm": ["triggered"], "at-risk-away": ["triggered"], "loss-away": ["triggered"],
            }  # fmt: skip
            watch.begin()  # the process dies too, and the next one finds no ledger
            watch.until(STOPS + 28)
        finally:
            mortal.control("start")
        watch.until(STOPS + 30)
        assert {key: states[-1] for key, states in watch.states().items()} == {
            "self-alarm": "resolved", "at-risk-away": "resolved", "loss-away": "resolved",
        }  # fmt: skip
        assert all(len(states) == 1 for states in watch.pager.incidents.values()), "each woke somebody once"
        heads = [one["blocks"][0]["text"]["text"] for one in watch.slack.messages if "thread_ts" not in one]
        assert len(heads) == 4, "the policy is a ticket"
        assert all("RESOLVED" in one for one in heads)
        assert watch.minutes() == [*range(1, STOPS + 1), *range(STOPS + 2, STOPS + 26), STOPS + 27, STOPS + 28], (
            "what was sampled meanwhile is in the ledger"
        )
        assert [one.name for one in (tmp_path / "reconciler.spool").iterdir()] == ["memory.ndjson"]


@pytest.mark.postgres
def test_a_ledger_that_hangs_is_as_bad_as_one_that_is_gone(mortal: Postgres, ledger: SqlStore, tmp_path: Path) -> None:
    with watching(ledger, tmp_path, patience=0.5) as watch, frozen(mortal) as freeze:
        watch.until(STOPS, stored=True)
        freeze(signal.SIGSTOP)
        watch.until(STOPS + 3)
        assert watch.states()["self-alarm"] == ["triggered"]
        said = watch.slack.messages[0]["blocks"]
        assert "has not answered" in str(said)
        freeze(signal.SIGCONT)
        watch.patience = 30
        watch.begin()
        watch.until(STOPS + 5)
        assert watch.states()["self-alarm"] == ["resolved"]


@contextmanager
def frozen(server: Postgres) -> Iterator[Callable[[int], None]]:
    """Stops and continues all its processes; at the end they go on."""
    first = int((server.socket_folder / "data" / "postmaster.pid").read_text().split()[0])

    def send(number: int) -> None:
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for process in (first, *map(int, children)):
            os.kill(process, number)

    try:
        yield send
    finally:
        send(signal.SIGCONT)


def test_a_disk_that_fills_while_the_ledger_is_away_pages_and_what_was_told_before_does_not(
    embedded: SqlStore, tmp_path: Path
) -> None:
    with watching(embedded, tmp_path) as watch:
        watch.sampler.fills = 200  # in peace it stands still at half: nobody is told
        watch.until(STOPS, stored=True)
        away(embedded, there=False)
        watch.until(STOPS + 2)
        assert watch.states()["used-away"] == ["triggered"], "it ends in two days at this pace"
        told = next(one for one in watch.slack.messages if "disk:kafka-1" in str(one["blocks"]))
        assert "ends in about" in str(told["blocks"])
        watch.begin()  # whoever starts now knows the pace from the one before it
        watch.until(STOPS + 5)
        assert watch.states()["used-away"] == ["triggered"]
        watch.sampler.fills = 0
        watch.until(STOPS + 30)
        assert watch.states()["used-away"] == ["triggered"], "what is read no more is not well"
        away(embedded, there=True)
        watch.until(STOPS + 31)
        assert watch.states()["used-away"] == ["resolved"]
        readings = embedded.capacities("batch", watch.now)["disk:kafka-1"]
        assert len(readings) > STOPS, "what was read meanwhile is in the ledger"


def test_who_starts_without_a_ledger_watches_what_the_one_before_it_knew(embedded: SqlStore, tmp_path: Path) -> None:
    with watching(embedded, tmp_path) as watch:
        watch.until(STOPS - 1, stored=True)
        away(embedded, there=False)
        watch.begin()
        watch.leads = False  # nobody leads whom the ledger does not know
        watch.sampler.shortened = STOPS
        watch.until(STOPS + 25)
        assert watch.states() == {
            "self-alarm": ["triggered"], "at-risk-away": ["triggered"], "loss-away": ["triggered"],
        }  # fmt: skip
        alarm = next(one for one in watch.slack.messages if "its ledger cannot be used" in str(one["blocks"]))
        assert "1 queue watched from memory" in str(alarm["blocks"])
        lost = next(one for one in watch.slack.messages if "has deleted" in str(one["blocks"]))
        assert "since" in str(lost["blocks"]).lower()


def test_a_process_that_does_not_do_the_work_speaks_only_where_nobody_else_does(
    embedded: SqlStore, tmp_path: Path
) -> None:
    with watching(embedded, tmp_path, leads=False) as watch:
        watch.until(3)
        away(embedded, there=False)
        watch.until(8)
        assert watch.pager.incidents == {}
        watch.until(9)
        assert watch.states() == {"self-alarm": ["triggered"]}
        away(embedded, there=True)
        watch.until(10)
        assert watch.states() == {"self-alarm": ["resolved"]}


def test_a_full_disk_and_a_broken_connector_do_not_keep_it_quiet(embedded: SqlStore, tmp_path: Path) -> None:
    (tmp_path / "reconciler.spool").write_text("a file where the folder should be")
    with watching(embedded, tmp_path) as watch:
        watch.until(3)
        watch.sampler.broken = True
        away(embedded, there=False)
        watch.until(6)
        assert watch.states() == {"self-alarm": ["triggered"]}


def test_a_channel_that_is_down_hears_it_when_it_is_back_and_delays_no_other(
    embedded: SqlStore, tmp_path: Path
) -> None:
    with watching(embedded, tmp_path) as watch:
        watch.until(3)
        watch.pager.faults = lambda _: Fault.ERROR
        away(embedded, there=False)
        watch.until(6)
        assert len(watch.slack.messages) == 1
        watch.pager.faults = lambda _: Fault.NONE
        watch.until(20)
        assert watch.states() == {"self-alarm": ["triggered"]}


def away(store: SqlStore, *, there: bool) -> None:
    """Take the tables of an embedded ledger away, or bring them back."""
    path = Path(store.database.url.database or "")
    hidden = path.with_suffix(".hidden")
    store.database.engine.dispose()
    if there:
        path.unlink(missing_ok=True)
        hidden.rename(path)
    else:
        path.rename(hidden)


def test_a_queue_that_is_seen_no_more_without_a_ledger_is_unknown_and_never_well() -> None:
    hop = Hop("ingress", "processed")
    queue = Queue(ONE, hop, Policy(7 * DAY), sampler="kafka-queues", sampled_every=MINUTE)
    memory = Memory({"batch": Pipeline("batch", ("ingress", "processed"), queues={ONE: queue}, alert=True)})
    sampler = Sampler(shortened=0)

    def seen(minutes: range) -> None:
        for minute in minutes:
            memory.hear(one for one in sampler.collect(0, 0, BEGIN + minute * MINUTE) if isinstance(one, QueueSample))

    def told(minute: int) -> tuple[dict[str, str], set[str]]:
        found, over = memory.notices(BEGIN + STOPS * MINUTE, BEGIN + minute * MINUTE)
        return {one.id: one.title for one in found}, over

    seen(range(STOPS))
    memory.mark(BEGIN + STOPS * MINUTE)
    seen(range(STOPS, STOPS + 12))
    found, over = told(STOPS + 12)
    (risk,) = [name for name in found if name.startswith("at-risk")]
    found, over = told(STOPS + 20)
    (unseen,) = [name for name in found if name.startswith("unsampled")]
    assert "what is in it proves nothing" in found[unseen]
    assert risk not in found
    assert risk not in over, "nobody knows that it is over"
    seen(range(STOPS + 21, STOPS + 23))
    found, over = told(STOPS + 22)
    assert risk in found
    assert unseen not in found
    assert unseen in over
    assert len(memory.kept()) <= KEPT, "the next process needs no more"


@pytest.mark.postgres
def test_the_service_itself_pages_while_its_ledger_is_stopped_and_starts_without_it(
    mortal: Postgres, databases: list[str], tmp_path: Path
) -> None:
    url, bare = databases.pop(), databases.pop()
    migrate(url)
    with running(FakePagerDuty()) as pager, house(tmp_path, url) as built, house(tmp_path / "bare", bare) as other:
        (tmp_path / "bare").mkdir()
        built.config["schedule"] = {"tick": "1s"}
        built.config["notifiers"] = {"pager": {"kind": "pagerduty", "routing_key": "k", "url": pager.url}}
        process = built.start()
        until(process.ready, 60, "a service that sees")
        mortal.control("stop -m fast")
        try:
            until(lambda: pager.incidents == {"self-alarm-ledger": ["triggered"]}, 60, "a page")
            process.end(signal.SIGKILL)
            process, unmigrated = built.start(), other.start()
            assert process.get("/healthz")[0] == 200, "a restart would not help"
            status, said = process.get("/readyz")
            assert status == 503
            assert "cannot be reached" in said
            until(lambda: len(process.logged("the ledger is out of reach; this goes on without it")) > 2, 60, "tries")
            assert pager.incidents == {"self-alarm-ledger": ["triggered"]}
            assert unmigrated.popen.poll() is None
        finally:
            mortal.control("start")
        assert unmigrated.popen.wait(60) == 4, "it waits for no ledger that it cannot use"
        assert "has no tables yet; run `reconciler migrate`" in unmigrated.log.read_text()
        until(process.ready, 60, "a service that sees once the ledger is there")
        until(lambda: pager.incidents == {"self-alarm-ledger": ["resolved"]}, 60, "its end")
        assert process.end() == 0
