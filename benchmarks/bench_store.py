"""What the ledger at rest costs: recording, bytes, loading a day, memory.

    python -m benchmarks.bench_store                                     # both databases, 1,000 and 10,000 sources
    python -m benchmarks.bench_store --database sqlite --sources 200 --hours 2 --minutes 3

Each line is measured in a process of its own, so that the memory is its own; PostgreSQL is started for it and thrown
away. The day is laid down tile by tile with the packing that `record` uses; recorded minutes go through `record`.
"""

import argparse
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import update

from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN, CountTile, Ints, TileKey, VerdictTile
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros
from reconciler.ports import Horizon
from reconciler.running.duties import ROWS
from reconciler.store import SqlStore, migrate, open_store, tables, tiles
from reconciler.store.marks import advance, position_of
from tests.postgres import running_postgres

PIPELINE = Pipeline("batch", ("ingress", "processed"), max_sources=1_000_000)
HOP = "ingress>processed"
FIRST = 27_000_000
"""Ordinal of the first minute; it begins a span."""
NOT_MADE = FIRST * MINUTE // DAY * DAY
MADE = NOT_MADE + DAY
"""Days of looks at queues."""


def main() -> None:
    """Measure what was asked for and print it, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--sources", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--minutes", type=int, default=10, help="minutes that are recorded one by one")
    parser.add_argument("--hours", type=int, default=24, help="hours of history that are loaded")
    parser.add_argument("--partitions", type=int, default=5_000, help="partitions of a queue that are looked at")
    parser.add_argument("--looks", type=int, default=60, help="looks at them, one a minute")
    asked = parser.parse_args()
    kinds = ["sqlite", "postgresql"] if asked.database == "both" else [asked.database]
    for kind in kinds:
        for sources in asked.sources:
            print(f"{kind}, {sources:,} sources x {len(PIPELINE.stages)} stages", flush=True)
            with database(kind) as fresh:
                apart(recording, fresh(), sources, asked.minutes)
                url = fresh()
                apart(laying_down, url, sources, asked.hours)
                apart(loading_counts, url, sources, asked.hours)
                apart(judging_everything, url, sources, asked.hours)
                apart(judging_a_minute, url, sources, asked.hours)
                apart(forgetting, url, sources, asked.hours)
        print(f"{kind}, {asked.partitions:,} partitions of a queue", flush=True)
        with database(kind) as fresh:
            url = fresh()
            apart(looking, url, asked.partitions, asked.looks)
            apart(forgetting_looks, url)


@contextmanager
def database(kind: str, *settings: str) -> Iterator[Callable[[], str]]:
    """A maker of fresh ledgers of this kind; PostgreSQL with these settings."""
    if kind == "postgresql":
        with running_postgres(*settings) as server:
            yield lambda: server.url(server.create_database())
    else:
        with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as folder:
            names = iter(range(1_000))
            yield lambda: f"sqlite:///{Path(folder) / f'{next(names)}.db'}"


def apart(measure: Callable[..., str], *arguments: Any) -> None:
    """Run one measurement in a process of its own and print what it found, with the memory it needed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found, spent, memory = pool.submit(_measured, measure, arguments).result()
    print(
        f"  {measure.__name__.replace('_', ' '):20} {found}; {spent:.1f} s of CPU in all, at most {memory} MB",
        flush=True,
    )


def _measured(measure: Callable[..., str], arguments: tuple[Any, ...]) -> tuple[str, float, int]:
    start = time.process_time()
    found = measure(*arguments)
    return found, time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def opened(url: str) -> SqlStore:
    """The ledger, made if need be."""
    migrate(url)
    return open_store(url)


def minute(number: int, sources: int) -> list[Observation]:
    """What arrives for one minute: a count a source and stage, and progress."""
    rng = random.Random(number)
    bucket = (FIRST + number) * MINUTE
    at = bucket + MINUTE + 30 * SECOND
    batch: list[Observation] = []
    for source in range(sources):
        events = rng.randrange(900, 1_100)
        name = f"customer-{source}"
        batch.append(Count(at, "batch", "ingress", name, bucket, events, "accepted"))
        batch.append(Count(at, "batch", "processed", name, bucket, events, "processed"))
    batch += [Progress(at, "batch", stage, bucket + MINUTE) for stage in PIPELINE.stages]
    return batch


def recording(url: str, sources: int, minutes: int) -> str:
    """Record minute after minute, then the whole once more in one batch."""
    store = opened(url)
    spent, everything = [], []
    for number in range(minutes):
        batch = minute(number, sources)
        everything += batch
        start = time.perf_counter()
        assert store.record(batch, {"batch": PIPELINE}).kept == len(batch)
        spent.append(time.perf_counter() - start)
    start = time.perf_counter()
    assert store.record(everything, {"batch": PIPELINE}).kept == 0
    again = time.perf_counter() - start
    usual = statistics.median(spent[1:] or spent)
    cells = 2 * sources
    return (
        f"{usual:.3f} s a minute (first {spent[0]:.3f} s), {cells / usual:,.0f} observations/s; "
        f"again in one batch {len(everything) / again:,.0f}/s"
    )


def told_anew(store: SqlStore) -> None:
    """As if every count had been told once more: the next judgement judges all of it again."""
    with store.database.writing() as connection:
        position = position_of(connection) + 1
        advance(connection, position)
        connection.execute(update(tables.tile).where(tables.tile.c.kind == tiles.COUNT).values(touched=position))


def laying_down(url: str, sources: int, hours: int, judged: bool = True) -> str:
    """Write the current values of some hours with one gap in a thousand cells: counts, and verdicts where `judged`."""
    store = opened(url)
    end = (FIRST + hours * SPAN) * MINUTE
    whole: list[Observation] = [Progress(end + 30 * SECOND, "batch", stage, end) for stage in PIPELINE.stages]
    store.record([*minute(0, sources), *whole], {"batch": PIPELINE})
    series = [[2 * source + stage for source in range(sources)] for stage in range(2)]
    start, written, cells = time.perf_counter(), 0, 0
    with store.database.writing() as connection:
        position = position_of(connection) + 1
        advance(connection, position)
        for key, fed, done in hours_of(sources, hours):
            counts = [
                (stage, _count_tile(series[number][key.chunk * CHUNK :][:CHUNK], key.span, values))
                for number, (stage, values) in enumerate(zip(PIPELINE.stages, (fed, done), strict=True))
            ]
            rows: list[dict[str, Any]] = [
                {"key": key._replace(part=stage), "touched": position, "latest_at": int(tile.at.max())}
                | {"payload": tiles.pack_tile(tile)}
                for stage, tile in counts
            ]
            tiles.save(connection, "batch", tiles.COUNT, rows)
            written += sum(len(row["payload"]) for row in rows)
            cells += 2 * fed.size
            said = {"key": key, "active": 0, "payload": tiles.pack_tile(_verdict_tile(fed, done))}
            tiles.save(connection, "batch", tiles.VERDICT, [said] if judged else [])
    spent = time.perf_counter() - start
    return f"{cells:,} count cells in {spent:.1f} s, {written / cells:.2f} bytes a count cell at rest"


def hours_of(sources: int, hours: int) -> Iterator[tuple[TileKey, Ints, Ints]]:
    """Counts of both stages, a tile at a time: (where, accepted, processed), one cell in a thousand with a gap."""
    rng = np.random.default_rng(1)
    for span in range(FIRST // SPAN, FIRST // SPAN + hours):
        for first in range(0, sources, CHUNK):
            fed = rng.poisson(1_000, (min(CHUNK, sources - first), SPAN))
            yield TileKey(HOP, first // CHUNK, span), fed, fed - (rng.random(fed.shape) < 0.001)


def _count_tile(series: list[int], span: int, values: Ints) -> CountTile:
    shape = values.shape
    at = ((span * SPAN + np.arange(SPAN)) * MINUTE + 90 * SECOND) * np.ones(shape, np.int64)
    return CountTile(
        np.array(series), values, at, values, np.zeros(shape, np.uint64), np.zeros(shape, np.bool_), np.zeros(shape)
    )


def _verdict_tile(fed: Ints, done: Ints) -> VerdictTile:
    tile = VerdictTile()
    rows = slice(0, len(fed))
    tile.code[rows] = np.where(fed == done, 1, 8)
    for name, values in (("accepted", fed), ("processed", done), ("lost", fed - done)):
        tile.parts.own(name)[rows] = values
    return tile


def loading_counts(url: str, sources: int, hours: int) -> str:
    """Read the counts of both stages, tile after tile, and sum them."""
    store = opened(url)
    start, total, cells = time.perf_counter(), 0, 0
    last = (FIRST + hours * SPAN) * MINUTE
    for stage in PIPELINE.stages:
        for _, tile in store.counts_as_of(PIPELINE, stage, FIRST * MINUTE, last):
            total += int(tile.count.sum())
            cells += tile.count.size
    return f"{cells:,} cells in {time.perf_counter() - start:.2f} s, {total:,} events"


def judging_everything(url: str, sources: int, hours: int) -> str:
    """Load all of it for a judgement, counts and verdicts held at once."""
    store = opened(url)
    start = time.perf_counter()
    with store.judging(PIPELINE, (FIRST + hours * SPAN) * MINUTE) as judging:
        loaded = time.perf_counter() - start
        amount = len(judging.ledger.counts) + len(judging.ledger.verdicts)
        judging.save((FIRST + hours * SPAN) * MINUTE, [], [], [], [], {})
    return f"{amount:,} tiles in {loaded:.2f} s"


def judging_a_minute(url: str, sources: int, hours: int) -> str:
    """Record one new minute behind all the history; load what changed, write its verdicts."""
    store = opened(url)
    spent: list[float] = []
    keys: set[TileKey] = set()
    for number in range(hours * SPAN, hours * SPAN + 3):
        store.record(minute(number, sources), {"batch": PIPELINE})
        start = time.perf_counter()
        now = (FIRST + number + 2) * MINUTE
        with store.judging(PIPELINE, now) as judging:
            keys = {key._replace(part=HOP) for key in judging.ledger.counts}
            for key in keys:
                parts = judging.ledger.verdicts.setdefault(key, VerdictTile()).parts
                parts.own("accepted")[:] += 1
                parts.own("processed")[:] += 1
            judging.save(now, keys, [], [], [], {})
        spent.append(time.perf_counter() - start)
    return f"{statistics.median(spent):.3f} s to load and write {len(keys)} places"


def forgetting(url: str, sources: int, hours: int) -> str:
    """Prune all of it as the service does, few rows in a transaction: a tick waits for one at the most."""
    return pruned(opened(url), (FIRST + hours * SPAN) * MINUTE)


def looking(url: str, partitions: int, looks: int) -> str:
    """Look at each partition of a queue once a minute, on a day that is made ahead and on one that is not; then read
    what a judgement reads of it."""
    store, spent = opened(url), []
    store.make_days(PIPELINE, MADE)
    for day in (NOT_MADE, MADE):
        for at in range(day, day + looks * MINUTE, MINUTE):
            samples = [QueueSample(at, "batch", "events", number, 1, at // MINUTE, 5) for number in range(partitions)]
            start = time.perf_counter()
            assert store.record(samples, {"batch": PIPELINE}).kept == partitions
            spent.append(time.perf_counter() - start)
    start = time.perf_counter()
    with store.judging(PIPELINE, MADE + looks * MINUTE) as work:
        read = len(work.ledger.samples)
    return (
        f"{statistics.median(spent):.3f} s to record a look; {time.perf_counter() - start:.3f} s to read the {read:,} "
        "that a judgement may look back on"
    )


def forgetting_looks(url: str) -> str:
    """Prune the looks of the day that was not made ahead, row by row, and then those of the other."""
    store = opened(url)
    told = [f"{name}: {pruned(store, day + DAY + HOUR)}" for name, day in (("not made", NOT_MADE), ("made", MADE))]
    return "; ".join(told)


def pruned(store: SqlStore, until: Micros) -> str:
    """Forget what is older, as the service does."""
    spent, rows = [], 0
    start = time.perf_counter()
    while removed := store.prune(PIPELINE, Horizon(until, until), ROWS):
        spent.append(time.perf_counter() - start)
        rows += removed
        start = time.perf_counter()
    return f"{rows:,} rows in {sum(spent):.2f} s, {len(spent)} steps, the slowest {max(spent) * 1000:.0f} ms"


if __name__ == "__main__":
    main()
