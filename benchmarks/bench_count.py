"""`reconciler count` against what else one would do, on the same events in the same run.

    python -m benchmarks.bench_count
    python -m benchmarks.bench_count --events 5000000 --memory 256MB

Events are one Parquet file with a source, an accept time and an id. The same sums (distinct ids and digest by source
and minute) are asked of `reconciler count`, of plain SQL in SQLite over the same rows as a table, and of a loop in
Python. Each runs in a process of its own, so that its memory can be told; what is told of time is the processor's.
"""

import argparse
import hashlib
import multiprocessing
import resource
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import duckdb

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import parse_time
from reconciler.counting.definition import Definition
from reconciler.counting.duck import DuckEngine
from reconciler.counting.places import find, stored

AT = parse_time("2021-07-21T12:00:00Z")
Sums = tuple[int, int, int]
"""Cells, distinct ids, digest of all."""


def main() -> None:
    """Measure and print, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--sources", type=int, default=20)
    parser.add_argument("--memory", default="512MB")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as name:
        file = Path(name) / "events.parquet"
        _apart(lambda: _write(file, asked.events, asked.sources))
        print(f"{asked.events:,} events of {asked.sources:,} sources, {file.stat().st_size / 1e6:.0f} MB of Parquet")
        ways: dict[str, Callable[[], Sums]] = {
            "reconciler count, with ids": lambda: _count(str(file), asked.memory, "id"),
            "reconciler count, rows only": lambda: _count(str(file), asked.memory, None),
            "plain SQL in SQLite, with ids": lambda: _sqlite(file),
            "a loop in Python, with ids": lambda: _loop(file),
        }
        found, first = [], 0.0
        for way, run in ways.items():
            seconds, megabytes, sums = _apart(run)
            first = first or seconds
            found.append(sums)
            pace = asked.events / seconds / 1e6
            print(
                f"  {way:32} {seconds:7.2f} CPU s  {seconds / first:5.1f}x  {pace:5.2f} M events/s  {megabytes:6.0f} MB"
            )
        assert found[0] == found[2] == found[3], found


def _write(file: Path, events: int, sources: int) -> Sums:
    """Events of one day; one id in a thousand comes twice."""
    query = (
        f"SELECT 'source-' || (hash(i) % {sources}) AS source,"
        f" TIMESTAMPTZ '2021-07-20T00:00:00Z' + to_seconds(i // 1000 * 1000 * 86400 // {events}) AS accepted_at,"
        f" 'e-' || CASE WHEN i % 1000 = 1 THEN i - 1 ELSE i END AS id FROM range({events}) AS r(i)"
    )
    duckdb.connect().execute(f"COPY ({query}) TO '{file}'")
    return 0, 0, 0


def _count(file: str, memory: str, identity: str | None) -> Sums:
    pipeline = Pipeline("batch", ("ingress", "processed"))
    asked = Definition("source", "accepted_at", None, identity, "s", pipeline, "ingress", AT, None, None)
    engine = DuckEngine(asked, delimiter=None, memory=memory, threads=2)
    engine.take(find([file], None, stored(None, None, None)), lambda name, line: None, lambda size: None)
    cells = events = digest = 0
    for cell in engine.cells():
        cells, events, digest = cells + 1, events + cell.count, digest + (cell.digest or 0)
    engine.close()
    return cells, events, digest % 2**64


def _rows(file: Path) -> duckdb.DuckDBPyConnection:
    query = f"SELECT source, CAST(floor(epoch(accepted_at)) AS BIGINT), id FROM read_parquet('{file}')"
    return duckdb.connect().execute(query)


def _half(text: str, first: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[first : first + 4], "big")


def _sqlite(file: Path) -> Sums:
    """The time of loading is the database's too: events that are in a table already need no file."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "events.sqlite")
        connection.execute("CREATE TABLE events (source TEXT, at INTEGER, id TEXT)")
        rows = _rows(file)
        while some := rows.fetchmany(100_000):
            connection.executemany("INSERT INTO events VALUES (?, ?, ?)", some)
        connection.create_function("half", 2, _half, deterministic=True)
        cells = connection.execute(
            "SELECT count(*), sum(half(id, 0)), sum(half(id, 4)) FROM"
            " (SELECT DISTINCT source, at - at % 60, id FROM events) GROUP BY 1 > 2"
        ).fetchall()
        number = connection.execute("SELECT count(*) FROM (SELECT DISTINCT source, at - at % 60 FROM events)")
        ((count, high, low),) = cells
        return int(number.fetchone()[0]), int(count), ((int(high) << 32) + int(low)) % 2**64


def _loop(file: Path) -> Sums:
    cells: dict[tuple[str, int], set[str]] = defaultdict(set)
    rows = _rows(file)
    while some := rows.fetchmany(100_000):
        for source, at, one in some:
            cells[source, at - at % 60].add(one)
    digest = sum((_half(one, 0) << 32) + _half(one, 4) for ids in cells.values() for one in ids)
    return len(cells), sum(map(len, cells.values())), digest % 2**64


def _apart(run: Callable[[], Sums]) -> tuple[float, float, Sums]:
    """Seconds of a processor, megabytes at most, and what came out, of a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        sums = run()
        used = resource.getrusage(resource.RUSAGE_SELF)
        theirs.send((used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, sums))

    process = context.Process(target=work)
    process.start()
    found: tuple[float, float, Sums] = ours.recv()
    process.join()
    return found


if __name__ == "__main__":
    main()
