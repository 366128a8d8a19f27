"""How the cost of a steady tick grows: against sources, against history, against what changed.

    python -m benchmarks.bench_growth                       # up to 1,600 sources
    python -m benchmarks.bench_growth --scale 10 --database postgresql

One of the three is quadrupled twice while the others stay. The exponent says how the cost follows: 1 in proportion, 0
not at all. What changes besides the new minute, which is news of every source, is one minute in each of so many earlier
hours, counted anew by both stages. Seconds are the processor's, of this process and of the server, of recording what
came in a minute and judging it.
"""

import argparse
import math
import statistics
from collections.abc import Iterator

from msgspec.structs import replace

from benchmarks.bench_store import FIRST, PIPELINE, database, laying_down, minute, opened
from benchmarks.measuring import spent_seconds
from reconciler.core.observations import Count, Observation
from reconciler.core.tiles import SPAN
from reconciler.core.times import MINUTE, Micros
from reconciler.service import judge

TICKS = 5
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
        exponent = math.log(spent[-1] / spent[0]) / math.log(GROWTH[-1])
        print(f"| {name} | {' | '.join(f'{1000 * one:.0f} ms' for one in spent)} | {exponent:.2f} |", flush=True)


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


def _again(batch: list[Observation], at: Micros) -> Iterator[Count]:
    """The counts of an earlier minute, each one event more than it was."""
    return (replace(seen, at=at, count=seen.count + 1) for seen in batch if isinstance(seen, Count))


if __name__ == "__main__":
    main()
