"""A month of the service: memory, ticks and disk must stay flat.

    python -m benchmarks.bench_month                                   # 30 days of 1,000 sources, a tick each 10 min
    python -m benchmarks.bench_month --bucket 5m --database postgresql
    python -m benchmarks.bench_month --sources 100 --days 5 --every 30m

Two stages, one cell in a thousand with a gap that is filled an hour later, on a virtual clock. Of what is older than
three days the counts are removed as the service does it, and the verdicts after six; what is usual is learned once a
day. A day is a line: the median and the slowest tick in processor time (this process and the server), the slowest of
the transactions that remove, memory held, bytes on disk. In the end a week is held against the last week: nothing more
is to come once as much is removed as is added.
"""

import argparse
import random
import statistics
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg

from benchmarks.bench_store import FIRST, database, opened
from benchmarks.bench_store import PIPELINE as MINUTELY
from benchmarks.measuring import held_memory, spent_seconds
from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, parse_duration
from reconciler.ports import Horizon
from reconciler.service import judge, learn
from reconciler.store import SqlStore

START = FIRST * MINUTE
KEPT: Micros = 3 * DAY
"""Of detail; verdicts are kept twice as long."""
TIDYING = ("autovacuum=on", "autovacuum_naptime=1s")
"""As every server does, and as often: an hour of this month takes a second or two."""
ROWS = 200
FULL = 8
"""From the end of this day on as much is removed as is added."""


class Lived(NamedTuple):
    """A day: milliseconds of the processor, and megabytes."""

    usual: float
    slowest: float
    removing: float
    held: int
    disk: float


def main() -> None:
    """Live through it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--sources", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--every", type=parse_duration, default=10 * MINUTE, help="between two ticks, as 10m")
    parser.add_argument("--bucket", type=parse_duration, default=MINUTE, help="width of a bucket, as 5m")
    asked = parser.parse_args()
    widths = f"buckets of {asked.bucket // MINUTE} min, a tick each {asked.every // MINUTE} min"
    print(f"{asked.database}, {asked.sources:,} sources, {widths}\n")
    print("| day | tick, ms | slowest, ms | removing, ms | held, MB | on disk, MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    pipeline = replace(MINUTELY, width=asked.bucket)
    with database(asked.database, *TIDYING) as fresh:
        url = fresh()
        store = opened(url)
        lived: list[Lived] = []
        for number in range(asked.days):
            one = day(store, url, pipeline, START + number * DAY, asked.every, asked.sources)
            lived.append(one)
            numbers = f"{one.usual:.0f} | {one.slowest:.0f} | {one.removing:.0f} | {one.held} | {one.disk:.1f}"
            print(f"| {number + 1} | {numbers} |", flush=True)
        store.close()
    if asked.days >= FULL + 7:
        print(grown(lived[FULL - 1 : FULL + 6], lived[-7:]))


def day(store: SqlStore, url: str, pipeline: Pipeline, start: Micros, every: Micros, sources: int) -> Lived:
    """Live through one, then forget and learn."""
    store.make_days(pipeline, start)
    spent = [tick(store, url, pipeline, start + number * every, every, sources) for number in range(DAY // every)]
    now, removing = start + DAY, 0.0
    removed = True
    while removed:
        began = spent_seconds(url)
        removed = bool(store.prune(pipeline, Horizon(now - KEPT, now - 2 * KEPT), ROWS))
        removing = max(removing, spent_seconds(url) - began)
    learn(store, pipeline, now)
    return Lived(statistics.median(spent) * 1000, max(spent) * 1000, removing * 1000, held_memory(), disk(url))


def grown(first: list[Lived], last: list[Lived]) -> str:
    """A week after forgetting began, and the last one."""
    parts = [
        f"{name} {statistics.median(before):.0f} → {statistics.median(after):.0f} {unit}"
        for name, unit, before, after in (
            ("tick", "ms", [one.usual for one in first], [one.usual for one in last]),
            ("held", "MB", [one.held for one in first], [one.held for one in last]),
            ("on disk", "MB", [one.disk for one in first], [one.disk for one in last]),
        )
    ]
    return f"days {FULL} to {FULL + 6} → the last seven, medians: {', '.join(parts)}"


def tick(store: SqlStore, url: str, pipeline: Pipeline, start: Micros, every: Micros, sources: int) -> float:
    """Record what came in a stretch, and judge; returns seconds of the processor."""
    width = pipeline.width
    batch = [seen for number in range(every // width) for seen in told(pipeline, start + number * width, sources)]
    began = spent_seconds(url)
    store.record(batch, {"batch": pipeline})
    judge(store, pipeline, start + every + MINUTE // 2)
    return spent_seconds(url) - began


def told(pipeline: Pipeline, bucket: Micros, sources: int) -> list[Observation]:
    """What is told of a bucket, and what was missing of the one an hour ago."""
    at = bucket + pipeline.width + 20 * SECOND
    lines: list[Observation] = []
    for source, events, missing in drawn(bucket, sources):
        lines.append(Count(at, "batch", "ingress", source, bucket, events, "accepted"))
        lines.append(Count(at, "batch", "processed", source, bucket, events - missing, "processed"))
    earlier = bucket - HOUR
    lines += [
        Count(at, "batch", "processed", source, earlier, events, "processed")
        for source, events, missing in drawn(earlier, sources)
        if missing and earlier >= START
    ]
    return lines + [Progress(at, "batch", stage, bucket + pipeline.width) for stage in pipeline.stages]


def drawn(bucket: Micros, sources: int) -> list[tuple[str, int, int]]:
    """By source: events of the minute, and how many of them come an hour late."""
    chance = random.Random(bucket)
    return [
        (f"customer-{source}", chance.randrange(900, 1_100), int(chance.random() < 0.001)) for source in range(sources)
    ]


def disk(url: str) -> float:
    """MB on disk."""
    parts = urlsplit(url)
    if url.startswith("sqlite"):
        return sum(Path(f"{parts.path[1:]}{end}").stat().st_size for end in ("", "-wal")) / 2**20
    with psycopg.connect(host=parts.query.removeprefix("host="), dbname=parts.path[1:], user="postgres") as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert found is not None
    return int(found[0]) / 2**20


if __name__ == "__main__":
    main()
