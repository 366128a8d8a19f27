"""What it costs to say which of many events are missing, and how much memory it takes.

    python -m benchmarks.bench_missing                                  # SQLite, DuckDB and PostgreSQL, 200,000 ids
    python -m benchmarks.bench_missing --ids 1000000                    # a million; takes far longer on SQLite
    python -m benchmarks.bench_missing --database duckdb --ids 5000000 --minutes 1440

Two tables of ids in one database; of every ten thousand one is missing, and as many are double. `--minutes` says over
how many buckets they are spread: with one bucket all of them have to be cut into slots. The memory is that of the
search alone, above what the libraries take; the default needs less than 50 MB of it. DuckDB works in the same process:
its buffers are counted with it.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import sqlalchemy as sa

from reconciler.commands.missing_ids import Search
from reconciler.connectors.sql import Options, SqlConnector
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.times import MINUTE, SECOND, parse_time
from tests.postgres import running_postgres

START = parse_time("2021-07-20T18:00:00Z")
PIPELINE = Pipeline("shop", ("ingress", "stored"))
EVERY = 10_000
SERIES = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {ids}) SELECT i FROM n",
    "postgresql": "SELECT generate_series(0, {ids} - 1) AS i",
    "duckdb": "SELECT range AS i FROM range({ids})",
}


def main() -> None:
    """Measure what was asked for and print it, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=tuple(SERIES), action="append")
    parser.add_argument("--ids", type=int, default=200_000)
    parser.add_argument("--minutes", type=int, action="append")
    asked = parser.parse_args()
    for kind in asked.database or tuple(SERIES):
        for minutes in asked.minutes or (60, 1):
            with database(kind) as url, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
                fill(url, kind, asked.ids, minutes)
                found = apart.submit(look, url, minutes).result()
                print(f"{kind}, {asked.ids:,} ids in {minutes} buckets: {found}", flush=True)


@contextmanager
def database(kind: str) -> Iterator[str]:
    """URL of a fresh database of this kind."""
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as folder:
        if kind == "postgresql":
            with running_postgres() as server:
                yield server.url(server.create_database())
        else:
            yield f"{kind}:///{Path(folder) / 'events.db'}"


def fill(url: str, kind: str, ids: int, minutes: int) -> None:
    """Both tables, made by the database itself."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    series, step = SERIES[kind].format(ids=ids), minutes * 60 / ids
    row = f"SELECT 'partner' AS source, {START // SECOND} + CAST(i * {step:.9f} AS INTEGER) AS t, 'event-' || i AS id"
    stored = f"{row} FROM ({series}) AS n WHERE i % {EVERY} <> 7"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE accepted AS {row} FROM ({series}) AS n"))
        connection.execute(sa.text(f"CREATE TABLE stored AS {stored}"))
        again = f"INSERT INTO stored {row} FROM ({series}) AS n WHERE i % {EVERY} = 9"
        connection.execute(sa.text(again))


def look(url: str, minutes: int) -> str:
    """Name them; in a process of its own, so that the memory is its own."""
    columns = {"time": "t", "source": "source", "id": "id"}
    sides = [
        SqlConnector(
            table,
            Options.model_validate(
                {"pipeline": "shop", "stage": stage, "url": url, "bind": "epoch", "timeout": "1h",
                 "table": columns | {"name": table}}
            ),
            PIPELINE,
        )
        for table, stage in (("accepted", "ingress"), ("stored", "stored"))
    ]  # fmt: skip
    before, began, worked = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
    search = Search(Hop("ingress", "stored"))
    found = Counter(one.reason for one in search.run(PIPELINE, sides, START, START + minutes * MINUTE))
    took, worked = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = ", ".join(f"{number:,} {reason}" for reason, number in sorted(found.items()))
    memory = f"{(peak - before) / 1024:.0f} MB above {before / 1024:.0f} MB"
    return f"{said} in {took:.1f} s ({worked:.1f} s of this process); {memory}"


if __name__ == "__main__":
    main()
