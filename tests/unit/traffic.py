"""Made-up traffic with the shape of a day and a week, as counts and as observations."""

from collections.abc import Callable, Iterator

import numpy as np

from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.times import DAY, HOUR, MINUTE, Micros, parse_time
from reconciler.core.volume_tails import Floats

MONDAY = parse_time("2024-03-04T00:00:00Z")
WIDTH: Micros = 30 * MINUTE
STAGES = ("ingress", "processed")
Change = Callable[[Micros, Floats], Floats]
"""What becomes of the counts of all sources in a bucket that is so long after the beginning."""


def usual(sources: int, after: Micros) -> Floats:
    """Events expected in a bucket: busy at noon, quiet at night, half as much on Saturday and Sunday."""
    hour = after % DAY / HOUR
    share = 1.2 - np.cos(2 * np.pi * hour / 24)
    week = 0.5 if after // DAY % 7 >= 5 else 1.0
    events: Floats = np.linspace(20, 60, sources) * share * week
    return events


def counts(sources: int, days: float, seed: int = 1, change: Change | None = None) -> Iterator[tuple[Micros, Floats]]:
    """Bucket and counts, bucket by bucket."""
    random = np.random.default_rng(seed)
    for number in range(round(days * DAY / WIDTH)):
        after = number * WIDTH
        drawn = random.poisson(usual(sources, after) * random.gamma(50, 1 / 50, sources)).astype(np.float64)
        yield MONDAY + after, drawn if change is None else change(after, drawn)


def observed(sources: int, days: float, change: Change | None = None) -> Iterator[Observation]:
    """The same as observations: all is processed at once, and both stages report a minute later."""
    for bucket, drawn in counts(sources, days, change=change):
        at = bucket + WIDTH + MINUTE
        for number, events in enumerate(drawn.tolist()):
            if events < 0:
                continue  # nobody counted
            for stage, outcome in zip(STAGES, ("accepted", "processed"), strict=True):
                yield Count(at, "batch", stage, f"source-{number}", bucket, int(events), outcome, stage)
        for stage in STAGES:
            if (drawn >= 0).all():
                yield Progress(at, "batch", stage, bucket + WIDTH, stage)
