"""How the cost of a steady tick grows: against sources, against history, against what changed, against how long
something is missing behind a queue.

    python -m benchmarks.bench_growth                       # up to 1,600 sources
    python -m benchmarks.bench_growth --scale 10 --database postgresql

One of them is quadrupled twice while the others stay. The exponent says how the cost follows: 1 in proportion, 0
not at all. What changes besides the new minute, which is news of every source, is one minute in each of so many earlier
hours, counted anew by both stages. Seconds are the processor's, of this process and of the server, of recording what
came in a minute and judging it.
"""

import argparse
import dataclasses
import math
import statistics
from collections.abc import Iterator

from msgspec.structs import replace

from benchmarks.bench_store import FIRST, PIPELINE, database, laying_down, minute, opened
from benchmarks.measuring import spent_seconds
from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Queue
from reconciler.core.tiles import SPAN
from reconciler.core.times import MINUTE, SECOND, Micros
from reconciler.service import judge

TICKS = 5
MISSING_TICKS = 20
GROWTH = (1, 4, 16)


def main() -> None:
    """Measure the three curves and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--scale", type=int, default=1, help="the smallest number of sources, in hundreds")
    asked = parser.parse_args()
    base = 100 * asked.scale
    curves = {
        "sources (6 h of history)": [(base * times, 6, 0) for times in GROWTH],
        f"history ({base:,} sources)": [(base, 6 * times, 0) for times in GROWTH],
        f"what changed ({4 * base:,} sources, 24 h)": [(4 * base, 24, times) for times in GROWTH],
    }
    print("| grows | 1 | x 4 | x 16 | exponent |\n|---|---:|---:|---:|---:|")
    for name, points in curves.items():
        spent = [ticks(asked.database, *point) for point in points]
        print(_row(name, spent), flush=True)
    for partitions in (50, 500):
        spent = [missing_ticks(asked.database, partitions, hours) for hours in GROWTH]
        print(_row(f"hours in which an event is missing (a queue of {partitions} partitions)", spent), flush=True)


def _row(name: str, spent: list[float]) -> str:
    exponent = math.log(spent[-1] / spent[0]) / math.log(GROWTH[-1])
    return f"| {name} | {' | '.join(f'{1000 * one:.0f} ms' for one in spent)} | {exponent:.2f} |"


def ticks(kind: str, sources: int, hours: int, corrected: int) -> float:
    """Seconds of a tick behind so many hours, when so many of them change."""
    with database(kind) as fresh:
        url = fresh()
        laying_down(url, sources, hours, judged=False)
        store = opened(url)
        judge(store, PIPELINE, (FIRST + hours * SPAN) * MINUTE + MINUTE // 2)
        spent = list(_ticks(url, hours * SPAN, sources, corrected))
        store.close()
    return statistics.median(spent[1:])


def _ticks(url: str, first: int, sources: int, corrected: int) -> Iterator[float]:
    store = opened(url)
    for number in range(first, first + TICKS + 1):
        batch = minute(number, sources)
        for hour in range(1, corrected + 1):
            batch += _again(minute(number - hour * SPAN, sources), batch[0].at)
        began = spent_seconds(url)
        store.record(batch, {"batch": PIPELINE})
        judge(store, PIPELINE, (FIRST + number + 1) * MINUTE + MINUTE // 2)
        yield spent_seconds(url) - began
    store.close()


def missing_ticks(kind: str, partitions: int, hours: int) -> float:
    """Seconds of a tick when an event has been missing for so long, behind a queue that is looked at each minute."""
    hop = PIPELINE.hops[0]
    pipeline = dataclasses.replace(PIPELINE, queues={"events": Queue("events", hop)})
    spent = []
    with database(kind) as fresh:
        url = fresh()
        store = opened(url)
        for number in range(hours * SPAN + MISSING_TICKS):
            steady = number >= hours * SPAN
            began = spent_seconds(url)
            store.record(_looked(number, partitions), {"batch": pipeline})
            if steady or number % 15 == 0:
                judge(store, pipeline, (FIRST + number + 1) * MINUTE + MINUTE // 2)
            if steady:
                spent.append(spent_seconds(url) - began)
        with store.judging(pipeline, (FIRST + number + 2) * MINUTE) as work:
            assert work.ledger.samples_since < (FIRST + 1) * MINUTE, "nothing was missing any more"
        store.close()
    return statistics.mean(spent)  # what looks come to is written in some of them


def _looked(number: int, partitions: int) -> list[Observation]:
    """What comes in a minute: its counts, of which one event of the first is missing, and a look at each partition."""
    at = (FIRST + number + 1) * MINUTE + 10 * SECOND
    done, end = 1_000 - (number == 0), 20 * number
    looks = [QueueSample(at, "batch", "events", one, 0, end, end, committed_at=at) for one in range(partitions)]
    bucket = (FIRST + number) * MINUTE
    return [
        *looks,
        Count(at, "batch", "ingress", "customer", bucket, 1_000, "accepted"),
        Count(at, "batch", "processed", "customer", bucket, done, "processed"),
        *(Progress(at, "batch", stage, bucket + MINUTE) for stage in PIPELINE.stages),
    ]


def _again(batch: list[Observation], at: Micros) -> Iterator[Count]:
    """The counts of an earlier minute, each one event more than it was."""
    return (replace(seen, at=at, count=seen.count + 1) for seen in batch if isinstance(seen, Count))


if __name__ == "__main__":
    main()
