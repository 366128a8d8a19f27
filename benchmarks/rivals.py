"""What a user would do instead: the same question, put to the tools that people have.

The question: of each source and minute, how many accepted events were not processed, and are they late (the minute is
younger than the lag that is allowed) or lost? Each of them gives back every cell with a gap, with both counts; a lag
that is learned, a queue that is looked at, incidents and a memory of what was said are not asked of them.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from benchmarks.measuring import peak_memory, settled_seconds

LAG = 15
"""Minutes that an event may take."""
STAGES = ("accepted", "processed")


@dataclass(frozen=True, slots=True)
class Data:
    """Where the counts of both stages lie, in each form."""

    folder: str
    """`accepted.parquet` and `processed.parquet`: source, minute, count. `*.bin`: the counts alone, as an array."""
    socket: str
    """Folder where PostgreSQL listens. Its tables have the columns of the files, and (source, minute) as their key."""
    database: str
    first: int
    """The first minute; the question is asked at the end of the last hour."""
    hours: int
    embedded: str
    """URL of our ledger in SQLite."""
    served: str
    """URL of our ledger in PostgreSQL."""

    @property
    def now(self) -> int:
        """The minute in which the question is asked."""
        return self.first + self.hours * 60

    def file(self, stage: str) -> str:
        """The Parquet file of a stage."""
        return f"{self.folder}/{stage}.parquet"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came out, so that all can be held against each other."""

    cells: int
    """Source and minute pairs with a gap."""
    late: int
    """Events missing in minutes that lag still explains."""
    lost: int
    """Events missing in the others."""
    server_memory: int = 0
    """Most memory of the database's process, MB; 0: there was none."""


Rival = Callable[[Data], Answer]


def judged_postgresql(data: Data) -> Answer:
    """Ours, the ledger in PostgreSQL: load the day, judge it with all its evidence, write what was found."""
    return _judged(data.served, data.now)


def judged_sqlite(data: Data) -> Answer:
    """Ours, the ledger in SQLite."""
    return _judged(data.embedded, data.now)


def again_postgresql(data: Data) -> Answer:
    """Ours once more, as if every count had been told anew: what is said already is compared and not written."""
    return _again(data.served, data)


def again_sqlite(data: Data) -> Answer:
    """The same in SQLite."""
    return _again(data.embedded, data)


def _judged(url: str, minute: int) -> Answer:
    from benchmarks.bench_store import PIPELINE
    from reconciler.core.times import MINUTE
    from reconciler.service import judge
    from reconciler.store import open_store

    judge(open_store(url), PIPELINE, minute * MINUTE + MINUTE // 2)
    return Answer(-1, 0, 0)  # what it wrote is read after the clock has stopped: `written`


def _again(url: str, data: Data) -> Answer:
    from benchmarks.bench_store import PIPELINE, told_anew
    from reconciler.store import open_store

    store = open_store(url)
    if store.judged_at(PIPELINE) is None:
        raise SystemExit("error: what was never judged is not judged again; ask for --only judged")
    told_anew(store)
    store.close()
    return _judged(url, data.now + 1)


def written(url: str, data: Data) -> Answer:
    """What our judgement wrote into the ledger."""
    from benchmarks.bench_store import HOP, PIPELINE
    from reconciler.core.times import MINUTE
    from reconciler.store import open_store

    cells = lost = missing = 0
    store = open_store(url)
    for _, tile in store.verdict_tiles(PIPELINE, HOP, data.first * MINUTE, (data.now - 1) * MINUTE):
        parts = tile.parts
        gap = parts["accepted"] - parts["processed"]
        cells, missing, lost = cells + int((gap != 0).sum()), missing + int(gap.sum()), lost + int(parts["lost"].sum())
    store.close()
    return Answer(cells, missing - lost, lost)


FULL_JOIN = """
SELECT source, minute, coalesce(a.count, 0) AS accepted, coalesce(p.count, 0) AS processed,
       CASE WHEN minute > {edge} THEN 'late' ELSE 'lost' END AS verdict
FROM {accepted} AS a FULL OUTER JOIN {processed} AS p USING (source, minute)
WHERE coalesce(a.count, 0) <> coalesce(p.count, 0)
"""
SUMMED = """
SELECT count(*), coalesce(sum(accepted - processed) FILTER (WHERE verdict = 'late'), 0),
       coalesce(sum(accepted - processed) FILTER (WHERE verdict = 'lost'), 0)
FROM gaps
"""


def pandas_merge(data: Data) -> Answer:
    """pandas: read two Parquet files, outer merge."""
    import pandas as pd

    sides = [pd.read_parquet(data.file(stage)) for stage in STAGES]
    both = sides[0].merge(sides[1], on=["source", "minute"], how="outer", suffixes=("", "_processed")).fillna(0)
    gaps = both[both["count"] != both["count_processed"]]
    missing, late = gaps["count"] - gaps["count_processed"], gaps["minute"] > data.now - LAG
    return Answer(len(gaps), int(missing[late].sum()), int(missing[~late].sum()))


def polars_join(data: Data) -> Answer:
    """Polars: scan two Parquet files, full join, lazily."""
    import polars as pl

    accepted, processed = (pl.scan_parquet(data.file(stage)) for stage in STAGES)
    both = accepted.join(processed, on=["source", "minute"], how="full", coalesce=True, suffix="_processed")
    missing = pl.col("count").fill_null(0) - pl.col("count_processed").fill_null(0)
    late = pl.col("minute") > data.now - LAG
    gaps = both.with_columns(missing=missing, late=late).filter(pl.col("missing") != 0).collect()
    by_word = [int(gaps.filter(word)["missing"].sum()) for word in (pl.col("late"), ~pl.col("late"))]
    return Answer(len(gaps), *by_word)


def duckdb_sql(data: Data) -> Answer:
    """DuckDB: SQL over two Parquet files."""
    import duckdb

    stages = {stage: f"read_parquet('{data.file(stage)}')" for stage in STAGES}
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE gaps AS {FULL_JOIN.format(edge=data.now - LAG, **stages)}")
        found = connection.execute(SUMMED).fetchone()
    assert found is not None
    return Answer(*map(int, found))


def postgresql_sql(data: Data) -> Answer:
    """PostgreSQL: SQL over two tables, where they lie."""
    import psycopg

    with psycopg.connect(host=data.socket, dbname=data.database, user="postgres") as connection:
        connection.execute("SET work_mem = '256MB'")
        join = FULL_JOIN.format(edge=data.now - LAG, accepted="accepted", processed="processed")
        connection.execute(f"CREATE TEMPORARY TABLE gaps AS {join}".encode())
        found = connection.execute(SUMMED).fetchone()
        assert found is not None
        memory = peak_memory(str(connection.info.backend_pid))
    return Answer(int(found[0]), int(found[1]), int(found[2]), memory)


def reladiff_hash(data: Data) -> Answer:
    """reladiff: checksums of ever smaller ranges, on both sides, until the rows that differ are found."""
    return _reladiff(data, "hashdiff")


def reladiff_join(data: Data) -> Answer:
    """reladiff: an outer join in the database, its choice where both tables lie in one."""
    return _reladiff(data, "joindiff")


def _reladiff(data: Data, algorithm: str) -> Answer:
    from reladiff import connect_to_table, diff_tables
    from reladiff.diff_tables import Algorithm

    place = {"driver": "postgresql", "host": data.socket, "user": "postgres", "database": data.database}
    key, counts = ("source", "minute"), ("count",)
    sides = [connect_to_table(place, stage, key, extra_columns=counts) for stage in STAGES]
    found = diff_tables(*sides, algorithm=Algorithm(algorithm), extra_columns=counts)
    cells: dict[tuple[str, int], int] = {}
    for sign, (source, minute, count) in found:
        cell = (source, int(minute))
        cells[cell] = cells.get(cell, 0) + (int(count) if sign == "-" else -int(count))
    late = sum(missing for (_, minute), missing in cells.items() if minute > data.now - LAG)
    return Answer(len(cells), late, sum(cells.values()) - late)


def the_limit(data: Data) -> Answer:
    """The physical limit: read the bytes of both sides, subtract one array from the other."""
    import numpy as np

    accepted, processed = (np.fromfile(f"{data.folder}/{stage}.bin", np.int32) for stage in STAGES)
    missing = accepted - processed
    return Answer(int(np.count_nonzero(missing)), 0, int(missing.sum()))


OURS: dict[str, tuple[Rival, tuple[str, ...]]] = {
    "judged, PostgreSQL": (judged_postgresql, ("benchmarks.bench_store", "reconciler.service", "psycopg")),
    "judged, SQLite": (judged_sqlite, ("benchmarks.bench_store", "reconciler.service")),
    "judged again, PostgreSQL": (again_postgresql, ("benchmarks.bench_store", "reconciler.service", "psycopg")),
    "judged again, SQLite": (again_sqlite, ("benchmarks.bench_store", "reconciler.service")),
}
RIVALS: dict[str, tuple[Rival, tuple[str, ...]]] = {
    "the limit": (the_limit, ("numpy",)),
    "Polars": (polars_join, ("polars",)),
    "DuckDB, SQL": (duckdb_sql, ("duckdb",)),
    "pandas, merge": (pandas_merge, ("pandas", "pyarrow.parquet")),
    "PostgreSQL, SQL": (postgresql_sql, ("psycopg",)),
    "reladiff, join": (reladiff_join, ("reladiff", "psycopg2")),
    "reladiff, checksums": (reladiff_hash, ("reladiff", "psycopg2")),
}
"""By name: what is measured, and the modules that are imported before the clock starts."""


def main() -> None:
    """One of them, in this process: its name and the data (JSON) -> what was measured (JSON)."""
    rival, modules = (OURS | RIVALS)[sys.argv[1]]
    data = Data(**json.loads(sys.argv[2]))
    for name in modules:
        importlib.import_module(name)
    server, began, wall = settled_seconds(data.served), time.process_time(), time.perf_counter()
    answer = rival(data)
    wall, spent = time.perf_counter() - wall, time.process_time() - began
    spent += settled_seconds(data.served) - server
    memory = max(peak_memory(), answer.server_memory)
    if answer.cells < 0:
        answer = written(data.served if "PostgreSQL" in sys.argv[1] else data.embedded, data)
    json.dump(asdict(answer) | {"processor": spent, "wall": wall, "memory": memory}, sys.stdout)


if __name__ == "__main__":
    main()
