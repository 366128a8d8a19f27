"""What the model of volume costs: a step of all sources, learning a day, memory, and the size of its state.

    python -m benchmarks.bench_volume
    python -m benchmarks.bench_volume --sources 1000 --minutes 5

CPU time, best and median of several, so that others on the machine do not count. A step is one new bucket of every
source, with its band and its word; a day is learned from six weeks of counts.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC

import numpy as np

from reconciler.core import volume, volume_dump
from reconciler.core.times import MINUTE
from reconciler.core.volume_clock import WEEK, Clocks, moment, slot_width
from reconciler.core.volume_history import GROUP
from reconciler.core.volume_profile import WEEKS

SETS = ((5_000, 5), (10_000, 1))
REPEATS = 9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int)
    parser.add_argument("--minutes", type=int, default=5)
    asked = parser.parse_args()
    for sources, minutes in [(asked.sources, asked.minutes)] if asked.sources else SETS:
        measure(sources, minutes)
    learning(1_000, 5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory of all this: {peak} MB")


def measure(sources: int, minutes: int) -> None:
    """Steps of trained sources."""
    random = np.random.default_rng(1)
    model = volume.Model.fresh(sources, minutes * MINUTE)
    rate = np.geomspace(0.2, 500, sources)
    model.profiles.by_class[:] = model.profiles.by_slot[:] = rate[:, None] * (5 / minutes if minutes < 5 else 1)
    model.trained[:] = True
    clocks = Clocks.of([UTC] * sources)
    known = np.ones(sources, np.bool_)
    number = 0

    def step() -> None:
        nonlocal number
        bucket = number * minutes * MINUTE
        number += 1
        count = random.poisson(rate).astype(np.float64)
        sight = volume.step(model, bucket, moment(bucket, model.width, clocks, frozenset()), count, known)
        volume.words(sight, count, 1.0, model.width)
        volume.bands(model, sight)

    say(f"{sources:,} sources, buckets of {minutes} min: a step", *timed(step))
    size = (len(volume_dump.dump_warm(model)) + len(volume_dump.dump_week(model))) / sources / 1024
    print(f"  state: {size:.1f} KB a source")


def learning(sources: int, minutes: int) -> None:
    """Profiles from six weeks, and the steps of a day, as a day's work."""
    random = np.random.default_rng(2)
    width = minutes * MINUTE
    slots = WEEK // slot_width(width)
    model = volume.Model.fresh(sources, width)
    history = random.poisson(20, (min(sources, GROUP), WEEKS, slots)).astype(np.float32)
    ready = np.ones(sources, np.bool_)
    say(f"{sources:,} sources, buckets of {minutes} min: learning a day",
        *timed(lambda: volume.learn(model, history, ready), 3))  # fmt: skip


def timed(work: Callable[[], None], repeats: int = REPEATS) -> tuple[float, float]:
    """Best and median CPU time, seconds; once before, to warm up."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken), statistics.median(taken)


def say(what: str, best: float, median: float) -> None:
    """One line."""
    print(f"{what}: {best * 1000:.1f} ms of CPU at best, {median * 1000:.1f} ms median")


if __name__ == "__main__":
    main()
