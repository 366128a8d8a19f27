"""The service as people run it: real processes, real signals, real databases."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa

from reconciler.app import now
from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import SECOND, Micros
from reconciler.store import SqlStore, open_store, tables
from tests.channels.servers import Fake, running
from tests.integration.services import House, house
from tests.integration.tables import COUNT_BUCKETS, Tables
from tests.until import until

BATCH = Pipeline("batch", ("ingress", "processed"), SECOND)
TICK = 4 * SECOND

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path, ledger_url: str) -> Iterator[House]:
    with house(tmp_path, ledger_url) as built:
        yield built


@pytest.fixture
def replicas(tmp_path: Path, postgres_ledger: str) -> Iterator[House]:
    with house(tmp_path, postgres_ledger) as built:
        yield built


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    """The ledger of the house, seen from outside. A source has begun to send: each second is a cell from now on."""
    home = request.getfixturevalue("home" if "home" in request.fixturenames else "replicas")
    store, at = open_store(home.config["ledger"]), now()
    for stage, outcome in (("ingress", "accepted"), ("processed", "processed")):
        seen: list[Observation] = [
            Count(at, "batch", stage, "a", at, 5, outcome),
            Progress(at, "batch", stage, at, f"{stage}-1"),
        ]
        store.record(seen, {"batch": BATCH})
    yield store
    store.close()


def ticks_said(store: SqlStore) -> list[Micros]:
    """When something was said of cells, one entry a judgement."""
    with store.database.reading() as connection:
        return sorted(connection.execute(sa.select(tables.said.c.at)).scalars())


def judged_through(store: SqlStore, instant: Micros) -> bool:
    return (store.judged_at(BATCH) or 0) >= instant


def each_once(ticks: list[Micros]) -> bool:
    """No tick between the first and the last is left out, and none is there twice."""
    assert set(Counter(ticks).values()) == {1}, "a tick was judged twice"
    assert ticks == list(range(ticks[0], ticks[-1] + 1, TICK)), "a tick was not judged"
    return True


def test_it_judges_at_each_tick_and_ends_in_order_when_it_is_told_to(home: House, ledger: SqlStore) -> None:
    process = home.start()
    until(process.ready, what="a service that sees")
    start = now()
    until(lambda: judged_through(ledger, start + 2 * TICK))
    assert process.get("/healthz") == (200, '{"alive":true,"reason":null}')
    assert process.meter("reconciler_leader") == 1
    judged = process.meter('reconciler_judged_timestamp_seconds{pipeline="batch"}')
    assert judged is not None
    assert judged * SECOND >= start
    assert process.end() == 0
    assert [line["message"] for line in process.logged()][-2:] == ["ending", "ended"]
    written = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert all({"at", "level", "logger", "message"} <= line.keys() for line in written)
    assert each_once(ticks_said(ledger))
    tenure = ledger.tenure()
    assert tenure is not None
    assert tenure.left <= 0, "the lease was given back"


def test_a_second_process_may_not_serve_an_embedded_ledger(tmp_path: Path, sqlite_ledger: str) -> None:
    with house(tmp_path, sqlite_ledger) as home:
        first = home.start()
        until(first.ready)
        second = home.start()
        assert second.popen.wait(60) == 2
        said = second.log.read_text()
        assert "is served by another process already" in said
        assert f"process {first.popen.pid}," in said
        assert "keep the ledger in PostgreSQL" in said
        first.end(signal.SIGKILL)
        third = home.start()
        until(third.ready, what="the lock ends with the process that held it")


def test_the_second_takes_over_when_the_first_is_killed_and_each_tick_is_judged_once(
    replicas: House, ledger: SqlStore
) -> None:
    first = replicas.start()
    until(first.ready)
    second = replicas.start()
    until(second.ready, what="a replica that does no work sees too, for the ledger is judged")
    assert (first.meter("reconciler_leader"), second.meter("reconciler_leader")) == (1, 0)
    start = now()
    until(lambda: judged_through(ledger, start + TICK))
    first.end(signal.SIGKILL)
    died = now()
    until(
        lambda: second.meter("reconciler_leader") == 1,
    )
    assert now() - died <= 2 * TICK, "it takes over within two intervals"
    until(lambda: judged_through(ledger, died + 3 * TICK))
    second.end()
    assert each_once(ticks_said(ledger))


def test_a_process_that_was_paused_cannot_write_when_it_wakes(replicas: House, ledger: SqlStore) -> None:
    first = replicas.start()
    until(first.ready)
    first.popen.send_signal(signal.SIGSTOP)
    second = replicas.start()
    until(lambda: second.meter("reconciler_leader") == 1, seconds=90)
    epoch = second.meter("reconciler_lease_epoch")
    first.popen.send_signal(signal.SIGCONT)
    until(lambda: first.logged("another process does the work now"), what="a process that has understood")
    until(lambda: first.meter("reconciler_leader") == 0)
    start = now()
    until(lambda: judged_through(ledger, start + TICK))
    assert second.meter("reconciler_lease_epoch") == epoch
    assert set(Counter(ticks_said(ledger)).values()) == {1}
    assert (first.end(), second.end()) == (0, 0)


def collected(store: SqlStore, connector: str) -> Micros | None:
    """When a connector was last read."""
    return next((run.succeeded_at for run in store.runs() if (run.duty, run.subject) == ("collect", connector)), None)


def test_a_connector_that_hangs_is_missing_and_holds_up_neither_the_judging_nor_the_end(
    replicas: House, ledger: SqlStore, postgres_ledger: str
) -> None:
    events = Tables(postgres_ledger)
    events.make()
    events.add("accepted", "a", ["2021-07-20T18:44:00Z"])
    hangs = "SELECT source, accepted_at AS time, 1 AS count FROM accepted, pg_sleep(600) WHERE accepted_at >= :start AND accepted_at < :end"  # noqa: E501  one statement
    replicas.config["schedule"]["deadline"] = "2s"
    replicas.config["connectors"] = {
        name: {"kind": "sql", "pipeline": "batch", "stage": stage, "url": postgres_ledger, "query": query}
        | {"every": "4s", "window": "10m"}
        for name, stage, query in (
            ("quick", "ingress", COUNT_BUCKETS.format(table="accepted")),
            ("hanging", "processed", hangs),
        )
    }
    process = replicas.start()
    start = now()
    until(lambda: judged_through(ledger, start + 3 * TICK))
    assert process.ready(), "gaps do not make it blind"
    until(lambda: process.meter('reconciler_connector_up{connector="quick"}') == 1)  # on a busy machine not at once
    assert process.meter('reconciler_connector_up{connector="hanging"}') == 0
    failures = [line["failure"] for line in process.logged("a connector could not be read")]
    said = [failure for failure in failures if failure.startswith("connector hanging (batch, processed): ")]
    assert "has not answered within 2 s" in said[0]
    assert "has not answered" in said[-1]
    missing = until(lambda: [line for line in ledger.standing() if line["kind"] == "missing_counts"])
    assert [line["pipeline"] for line in missing] == ["batch"]
    assert until(lambda: collected(ledger, "quick"))
    assert collected(ledger, "hanging") is None
    assert process.end() == 0


def test_another_watcher_hears_of_each_whole_look(tmp_path: Path, sqlite_ledger: str) -> None:
    with running(Fake()) as other, house(tmp_path, sqlite_ledger) as home:
        home.config["service"]["heartbeat"] = {"url": f"{other.url}/ping/abc", "timeout": "2s"}
        home.start()
        until(lambda: len(other.requests) >= 2)
    assert {one.path for one in other.requests} == {"/ping/abc"}


def test_an_address_that_is_taken_stops_the_start(tmp_path: Path, sqlite_ledger: str) -> None:
    with house(tmp_path, sqlite_ledger) as home:
        listener = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        home.config["service"]["listen"] = f"127.0.0.1:{listener.server_port}"
        process = home.start()
        assert process.popen.wait(60) == 4
        assert "cannot be listened at: Address already in use" in process.log.read_text()
        listener.server_close()
