"""Kills, collisions and full disks: all or nothing, nothing twice, and an error that says what to do."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, text

from reconciler.core.observations import Observation
from reconciler.core.tiles import PARTS, TileKey, VerdictTile
from reconciler.errors import OutOfReach
from reconciler.ports import Cursor, Said
from reconciler.store import SqlStore, open_store
from tests.integration.store_parts import BATCH, count, current, incident, minute, pipelines, raw, some_of_everything


class KilledError(Exception):
    """Stands for the end of the process."""


@contextmanager
def killed_at(store: SqlStore, number: int) -> Iterator[None]:
    """The statement of this number is never executed."""
    left = [number]

    def count_down(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    event.listen(store.database.engine, "before_cursor_execute", count_down)
    try:
        yield
    finally:
        event.remove(store.database.engine, "before_cursor_execute", count_down)


def record(store: SqlStore, batch: list[Observation]) -> None:
    store.record(batch, pipelines(), cursor=Cursor("warehouse", {}, minute(1)))


def judge(store: SqlStore, _: list[Observation]) -> None:
    with store.judging(BATCH, minute(80)) as judging:
        keys = [TileKey("ingress>processed", key.chunk, key.span) for key in judging.ledger.counts]
        judging.ledger.verdicts |= {key: VerdictTile() for key in keys}
        one = np.array([1])
        said = Said(
            "ingress>processed", one, one * minute(1), one.astype(np.uint8), one.astype(np.uint32),
            np.zeros((len(PARTS), 1), np.int64), one, one > 0,
        )  # fmt: skip
        line = {"id": "a", "kind": "loss", "status": "open"}
        judging.save(minute(80), keys, [said], [incident("a")], [line], {"lag": 1})


@pytest.mark.parametrize("work", [record, judge], ids=["recording", "judging"])
def test_a_kill_at_any_statement_leaves_all_or_nothing(
    store: SqlStore, work: Callable[[SqlStore, list[Observation]], None]
) -> None:
    store.record([count(0, 3, at=minute(1)), count(0, 1, at=minute(2), source="first")], pipelines())
    before = raw(store)
    for number in range(1_000):
        try:
            with killed_at(store, number):
                work(store, some_of_everything())
        except KilledError:
            assert raw(store) == before, f"killed at statement {number}"
        else:
            break
    assert number > 8, "the hook has seen no statement"
    assert raw(store) != before


PROGRAM = """
import sys
from reconciler.store import open_store
from tests.integration.store_parts import BATCH, count, minute, pipelines
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
name = sys.argv[2]
for number in range(int(sys.argv[3])):
    sources = [f"{name}/{source}" for source in range(number, number + 3)] + [f"shared/{number}"]
    store.record([count(number, number, at=minute(number + 1), source=source) for source in sources], pipelines())
    print(number, flush=True)
"""


def start(url: str, name: str, rounds: int) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, name, str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: "subprocess.Popen[str]") -> None:
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def test_two_processes_that_record_at_once_give_no_number_twice(store: SqlStore, ledger_url: str) -> None:
    rounds = 25
    started = [start(ledger_url, name, rounds) for name in ("a", "b")]
    for process in started:
        go(process)
    for process in started:
        assert process.communicate(timeout=120)[0].splitlines()[-1] == str(rounds - 1)
        assert process.returncode == 0
    sources = store.directory(BATCH).sources
    assert len(sources) == len(set(sources)) == 2 * (rounds + 2) + rounds
    assert len(current(store)) == 2 * 3 * rounds + rounds


def test_a_killed_process_leaves_whole_batches_and_no_lock(store: SqlStore, ledger_url: str) -> None:
    process = start(ledger_url, "a", 100_000)
    go(process)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    end(process)
    assert lines[-1] == "4\n"
    buckets: dict[int, int] = {}
    for *_, bucket in current(store):
        buckets[bucket] = buckets.get(bucket, 0) + 1
    assert len(buckets) >= 5
    assert set(buckets.values()) == {4}
    store.record([count(0, 99, at=minute(999))], pipelines())


def test_two_judgements_at_once_take_turns(store: SqlStore, ledger_url: str) -> None:
    other = open_store(ledger_url, busy_seconds=0.05)
    store.record([count(0, 5, at=minute(1))], pipelines())
    with store.judging(BATCH, minute(2)) as judging:
        assert judging.ledger.touched
        with pytest.raises(OutOfReach, match="is locked by another writer"), other.judging(BATCH, minute(2)):
            pass
        with pytest.raises(OutOfReach, match="is locked by another writer"):
            other.record([count(0, 6, at=minute(2))], pipelines())
        assert len(current(other)) == 1, "reading goes on meanwhile"
        judging.save(minute(2), [], [], [], [], {})
    with other.judging(BATCH, minute(2)) as judging:
        assert not judging.ledger.touched
    other.close()


def test_a_reader_sees_one_instant_however_long_it_reads(store: SqlStore, ledger_url: str) -> None:
    store.record([count(0, 5, at=minute(1)), count(60, 5, at=minute(1))], pipelines())
    reading = store.counts_as_of(BATCH, "ingress", minute(0), minute(119))
    seen = [next(reading)]
    other = open_store(ledger_url)
    other.record([count(0, 6, at=minute(2)), count(60, 6, at=minute(2))], pipelines())
    seen += list(reading)
    assert [int(tile.count.max()) for _, tile in seen] == [5, 5]
    other.close()


def test_a_full_disk_is_said_and_loses_nothing(sqlite_ledger: str) -> None:
    store = open_store(sqlite_ledger)
    store.record(some_of_everything(), pipelines())
    before = raw(store)

    def fill(connection: Any, *_: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(store.database.engine, "checkout", fill)
    with pytest.raises(OutOfReach, match="has no room left .* free some space"):
        store.record([count(0, 1, at=minute(1), source=f"{number}" * 50) for number in range(5_000)], pipelines())
    event.remove(store.database.engine, "checkout", fill)
    assert raw(store) == before
    store.close()


@pytest.mark.postgres
def test_a_server_that_has_gone_is_out_of_reach_and_the_next_try_finds_it_again(
    postgres: Any, postgres_ledger: str
) -> None:
    store = open_store(postgres_ledger)
    with (  # noqa: PT012  the server ends the session in between
        pytest.raises(OutOfReach, match="was cut off .*; try again"),
        store.database.writing() as connection,
    ):
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        postgres.admin.execute("SELECT pg_terminate_backend(%s)", [backend])
        connection.execute(text("SELECT 1"))
    assert store.record(some_of_everything(), pipelines()).kept
    store.close()
