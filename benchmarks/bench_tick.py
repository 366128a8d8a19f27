"""What a tick costs behind a day of history, that it follows what changed, and what a whole day costs judged anew.

    python -m benchmarks.bench_tick                                   # both databases, 100 to 10,000 sources
    python -m benchmarks.bench_tick --database sqlite --sources 1000 --hours 2

One-minute buckets, two stages, one cell in a thousand with a gap. Each line is measured in a process of its own, so
that the memory is its own.
"""

import argparse
import statistics
import time
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from benchmarks.bench_store import FIRST, PIPELINE, apart, database, laying_down, minute, opened, told_anew
from benchmarks.measuring import spent_seconds
from reconciler.core.judge import HopJudge, HopJudgement
from reconciler.core.observations import Count
from reconciler.core.tiles import SPAN
from reconciler.core.times import MINUTE
from reconciler.service import judge
from reconciler.store import SqlStore

PIPELINES = {"batch": PIPELINE}


def main() -> None:
    """Measure what was asked for and print it, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--sources", type=int, action="append")
    parser.add_argument("--hours", type=int, default=24)
    asked = parser.parse_args()
    for kind in asked.database or ("sqlite", "postgresql"):
        for sources in asked.sources or (100, 1_000, 10_000):
            print(f"{kind}, {sources:,} sources, {asked.hours} h of history")
            with database(kind) as fresh:
                url = fresh()
                apart(laying_down, url, sources, asked.hours, False)
                apart(judging_the_day, url, sources, asked.hours)
                apart(judging_it_again, url, sources, asked.hours)
                apart(ticking, url, sources, asked.hours, 1)
                apart(ticking, url, sources, asked.hours, 10)


@dataclass(frozen=True, slots=True)
class Clock:
    """An instant: by the wall, and in seconds of the processor, of this process and of the server."""

    url: str
    wall: float = field(default_factory=time.perf_counter)
    spent: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spent", spent_seconds(self.url))

    def since(self, other: "Clock") -> tuple[float, float]:
        """How much of both has gone by."""
        return self.wall - other.wall, self.spent - other.spent


def usual(found: list[tuple[float, float]]) -> str:
    """The medians; the first is left out."""
    wall, spent = (statistics.median(one) for one in zip(*found[1:], strict=True))
    return f"{wall:.3f} s ({spent:.3f} s of CPU)"


def judging_the_day(url: str, sources: int, hours: int) -> str:
    """Judge all that lies in the ledger."""
    return _judging(opened(url), url, sources * hours * SPAN, hours * SPAN)


def judging_it_again(url: str, sources: int, hours: int) -> str:
    """Judge all of it once more, as if every count had been told anew."""
    store = opened(url)
    told_anew(store)
    return _judging(store, url, sources * hours * SPAN, hours * SPAN + 1)


def _judging(store: SqlStore, url: str, cells: int, minutes: int) -> str:
    """Judge at the end of so many minutes; how long, and how long of it without loading, incidents and writing."""
    alone = 0.0
    whole = HopJudge.judge

    def measured(*arguments: Any) -> HopJudgement:
        nonlocal alone
        begun = time.perf_counter()
        try:
            return whole(*arguments)
        finally:
            alone += time.perf_counter() - begun

    start = Clock(url)
    with patch.object(HopJudge, "judge", measured):
        lines = judge(store, PIPELINE, (FIRST + minutes) * MINUTE + MINUTE // 2)
    took = usual([Clock(url).since(start)] * 2)
    return f"{cells:,} cells in {took}, the judgement itself {alone:.3f} s, {len(lines):,} things to say"


def ticking(url: str, sources: int, hours: int, share: int) -> str:
    """Record one new minute of every `share`-th source, and judge."""
    store = opened(url)
    recorded, judged = [], []
    first = hours * SPAN + (10 * share)
    for number in range(first, first + 6):
        batch = minute(number, sources)
        batch = [seen for seen in batch if not isinstance(seen, Count) or int(seen.source[9:]) < sources // share]
        start = Clock(url)
        store.record(batch, PIPELINES)
        middle = Clock(url)
        judge(store, PIPELINE, (FIRST + number + 1) * MINUTE + MINUTE // 2)
        recorded.append(middle.since(start))
        judged.append(Clock(url).since(middle))
    part = "all" if share == 1 else f"a {share}th of the"
    return f"{part} sources: {usual(recorded)} to record, {usual(judged)} to judge"


if __name__ == "__main__":
    main()
