"""A month of the service: memory, ticks and disk must stay flat.

    python -m benchmarks.bench_month                                   # 30 days of 1,000 sources, a tick each 10 min
    python -m benchmarks.bench_month --sources 100 --days 5 --every 30m

Two stages, one-minute buckets, one cell in a thousand with a gap that is filled an hour later, on a virtual clock. What
is older than three days is removed as the service does it, and what is usual is learned once a day. A day is a line:
the median and the slowest tick in seconds of the processor (this process and the server), memory held, bytes on disk.
"""

import argparse
import random
import statistics
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.bench_store import FIRST, PIPELINE, database, opened
from benchmarks.measuring import held_memory, spent_seconds
from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, parse_duration
from reconciler.ports import Horizon
from reconciler.service import judge, learn
from reconciler.store import SqlStore

START = FIRST * MINUTE
KEPT: Micros = 3 * DAY
ROWS = 200


def main() -> None:
    """Live through it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--sources", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--every", type=parse_duration, default=10 * MINUTE, help="between two ticks, as 10m")
    asked = parser.parse_args()
    print(f"{asked.database}, {asked.sources:,} sources, a tick each {asked.every // MINUTE} minutes\n")
    print("| day | tick, ms | slowest, ms | held, MB | on disk, MB |\n|---:|---:|---:|---:|---:|")
    with database(asked.database) as fresh:
        url = fresh()
        store = opened(url)
        for day in range(asked.days):
            spent = [
                tick(store, url, START + day * DAY + number * asked.every, asked.every, asked.sources)
                for number in range(DAY // asked.every)
            ]
            now = START + (day + 1) * DAY
            while store.prune(PIPELINE, Horizon(now - KEPT, now - 2 * KEPT), ROWS):
                pass
            learn(store, PIPELINE, now)
            usual, most = statistics.median(spent) * 1000, max(spent) * 1000
            print(f"| {day + 1} | {usual:.0f} | {most:.0f} | {held_memory()} | {disk(url):.1f} |", flush=True)
        store.close()


def tick(store: SqlStore, url: str, start: Micros, every: Micros, sources: int) -> float:
    """Record what came in a stretch, and judge; returns seconds of the processor."""
    batch = [seen for number in range(every // MINUTE) for seen in minute(start + number * MINUTE, sources)]
    began = spent_seconds(url)
    store.record(batch, {"batch": PIPELINE})
    judge(store, PIPELINE, start + every + MINUTE // 2)
    return spent_seconds(url) - began


def minute(bucket: Micros, sources: int) -> list[Observation]:
    """What is told of a minute, and what was missing of the minute an hour ago."""
    at = bucket + MINUTE + 20 * SECOND
    told: list[Observation] = []
    for source, events, missing in drawn(bucket, sources):
        told.append(Count(at, "batch", "ingress", source, bucket, events, "accepted"))
        told.append(Count(at, "batch", "processed", source, bucket, events - missing, "processed"))
    earlier = bucket - HOUR
    told += [
        Count(at, "batch", "processed", source, earlier, events, "processed")
        for source, events, missing in drawn(earlier, sources)
        if missing and earlier >= START
    ]
    return told + [Progress(at, "batch", stage, bucket + MINUTE) for stage in PIPELINE.stages]


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
