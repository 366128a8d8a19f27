"""The level of today against the usual week, and how widely counts scatter around the two together.

Each source has a few Gamma–Poisson filters: half-lives from half an hour to four days, on both profiles. They are
pulled towards 1, and mixed by how well each has foretold the recent past. Slow ones keep the end of a burst from
looking like a drop. The scatter is negative binomial, with a dispersion of its own for each hour of the day.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconciler.core.volume_tails import Flags, Floats

Ints = NDArray[np.int64]

HALF_LIVES = (0.4, 2.0, 12.0, 96.0)
"""Hours."""
PULL = 4.0
"""Events that the belief in the usual week is worth, in each filter."""
MIX_HOURS = 24.0
"""Half-life of what the mixture remembers."""
LEAST_WEIGHT = 0.03
SCATTER_HOURS = 30 * 24.0
"""Half-life of what is known of the scatter."""
YOUNG_HOURS = 48.0
"""The same while the source is young: a third of its age, and at least this."""
PRIOR_SHARE = 0.4
"""What the scatter of the whole day is worth in an hour of the day, as a share of what an hour has seen."""
FIRST_DISPERSION = 0.05
FIRST_BUCKETS = 2.0
"""What is believed of the scatter before anything is seen, by hour of the day."""
LEAST_DISPERSION = 1e-4
EVEN_LIMITS = (0.05, 1.0)
MOST_SQUARES = 12.0
"""Squared errors count up to so many variances."""
WINSOR = 5.0
"""Counts further off than so many deviations are taken as that far."""
HOURS = 24


@dataclass(slots=True)
class Levels:
    """State of all sources; filters are `(half-lives, profiles, sources)`."""

    events: Floats
    exposure: Floats
    credit: Floats
    """Log weight of each filter, `(half-lives, profiles, sources)`."""
    scatter: Floats
    """Excess of squared errors over the counting noise, below and above the mean, `(2, 24, sources)`."""
    scatter_base: Floats
    """What one unit of dispersion would have given, `(24, sources)`."""
    age: Floats
    """Hours that were learned from, `(sources,)`."""
    even: Floats
    """Mean squared error over counting noise: below 1 where a source is scheduled, `(sources,)`."""

    @classmethod
    def fresh(cls, sources: int) -> "Levels":
        """Of sources of which nothing is known."""
        filters = (len(HALF_LIVES), 2, sources)
        grid = (HOURS, sources)
        return cls(
            np.full(filters, PULL), np.full(filters, PULL), np.zeros(filters),
            np.full((2, *grid), FIRST_DISPERSION * FIRST_BUCKETS), np.full(grid, FIRST_BUCKETS),
            np.zeros(sources), np.ones(sources),
        )  # fmt: skip


@dataclass(slots=True)
class Outlook:
    """What is expected of one bucket before it is seen: a mixture of laws, one for each filter."""

    mean: Floats
    """`(sources,)`."""
    weight: Floats
    """Of each filter, `(half-lives, profiles, sources)`."""
    share: Floats
    """Weight of each half-life, `(half-lives, sources)`."""
    means: Floats
    """By half-life, both profiles mixed, `(half-lives, sources)`."""
    each: Floats
    """By filter, `(half-lives, profiles, sources)`."""
    base: Floats
    """Of both profiles, `(2, sources)`."""
    dispersion: Floats
    """Below and above the mean, `(2, sources)`: variance = mean + dispersion × mean²."""
    even: Floats
    """Variance over mean where there is no dispersion."""

    def variance(self, side: int, mean: Floats | None = None) -> Floats:
        """Of the law on one side (0: below, 1: above), for the mixture's mean or others."""
        mean = self.mean if mean is None else mean
        spread = self.dispersion[side]
        # Whole events cannot be more even than none or one.
        even = np.maximum(self.even, 1 - mean)
        wide: Floats = np.where(spread > LEAST_DISPERSION, mean * (1 + spread * mean), mean * even)
        return wide

    def whole(self, side: int) -> Floats:
        """Variance of one law for the whole mixture."""
        between = (self.share * (self.means - self.mean) ** 2).sum(axis=0)
        total: Floats = self.variance(side) + between
        return total


def outlook(levels: Levels, base: Floats, hour: Ints) -> Outlook:
    """Foretell a bucket; `base` is `(2, sources)` from the profiles, `hour` the local hour of day by source."""
    each = base[None] * (levels.events / levels.exposure)
    weight = weights(levels)
    share = weight.sum(axis=1)
    means = (weight * each).sum(axis=1) / share
    even = np.clip(levels.even, *EVEN_LIMITS)
    mean = (share * means).sum(axis=0)
    return Outlook(mean, weight, share, means, each, base, dispersion(levels, hour), even)


def weights(levels: Levels) -> Floats:
    """Share of each filter in the forecast."""
    share = np.exp(levels.credit - levels.credit.max(axis=(0, 1)))
    share /= share.sum(axis=(0, 1))
    share = np.maximum(share, LEAST_WEIGHT)
    mixed: Floats = share / share.sum(axis=(0, 1))
    return mixed


def dispersion(levels: Levels, hour: Ints) -> Floats:
    """Below and above the mean, at this hour of each source's day, `(2, sources)`."""
    column = np.arange(levels.even.shape[0])
    total = levels.scatter_base.sum(axis=0)
    whole = levels.scatter.sum(axis=1) / total
    seen, base = np.zeros_like(whole), np.zeros_like(total)
    for shift, share in ((-1, 0.5), (0, 1.0), (1, 0.5)):
        near = (hour + shift) % HOURS
        seen += share * levels.scatter[:, near, column]
        base += share * levels.scatter_base[near, column]
    prior = PRIOR_SHARE * total / HOURS + FIRST_BUCKETS / 4
    value: Floats = np.maximum((seen + prior * whole) / (base + prior), 0)
    return value


def learn(
    levels: Levels, seen: Outlook, count: Floats, hour: Ints, step: float, taken: Flags, held: Flags
) -> None:  # fmt: skip
    """Take the count of a bucket of `step` hours, where `taken`; nothing is learned where `held`."""
    low, high = np.sqrt(seen.variance(0)), np.sqrt(seen.variance(1))
    calm = np.clip(count, seen.mean - WINSOR * low, seen.mean + WINSOR * high)
    calm = np.where(taken, calm, 0.0)
    spread = seen.dispersion.mean(axis=0)
    _credit(levels, seen, calm, spread, step, taken & ~held)
    precision = np.where(taken, 1 / (1 + spread * seen.mean), 0.0)
    for at, half_life in enumerate(HALF_LIVES):
        keep = np.where(held, 1.0, 0.5 ** (step / half_life))
        levels.events[at] = keep * levels.events[at] + (1 - keep) * PULL + np.where(held, 0, precision * calm)
        levels.exposure[at] = keep * levels.exposure[at] + (1 - keep) * PULL + np.where(held, 0, precision * seen.base)
    _scatter(levels, seen, count, spread, hour, step, taken & ~held)


def _credit(levels: Levels, seen: Outlook, calm: Floats, spread: Floats, step: float, taken: Flags) -> None:
    """Give each filter the logarithm of its likelihood; terms that all have in common are left out."""
    keep = 0.5 ** (step / MIX_HOURS)
    size = 1 / np.maximum(spread, LEAST_DISPERSION)
    means = np.maximum(seen.each, 1e-9)
    gain = calm * np.log(means / (size + means)) - size * np.log1p(means / size)
    gain = np.where(spread > LEAST_DISPERSION, gain, gain / seen.even)
    gain -= gain.max(axis=(0, 1))
    levels.credit = np.where(taken, keep * levels.credit + gain, levels.credit)


def _scatter(
    levels: Levels, seen: Outlook, count: Floats, spread: Floats, hour: Ints, step: float, taken: Flags
) -> None:  # fmt: skip
    keep = 0.5 ** (step / np.clip(levels.age / 3, YOUNG_HOURS, SCATTER_HOURS))
    levels.age += np.where(taken, step, 0.0)
    error = np.where(taken, count, seen.mean) - seen.mean
    share = np.where(taken, 1 / (1 + spread * seen.mean) ** 2, 0.0)
    column = np.arange(len(count))
    levels.scatter *= keep
    levels.scatter_base *= keep
    for side, off in enumerate((np.minimum(error, 0), np.maximum(error, 0))):
        square = 2 * np.minimum(off**2, MOST_SQUARES * seen.variance(side))
        levels.scatter[side, hour, column] += (square - seen.mean) * share
    levels.scatter_base[hour, column] += seen.mean**2 * share
    ratio = np.minimum(error**2 / np.maximum(seen.mean, 0.1), 9)
    keep_even = np.where(taken & (seen.mean > 0.5), keep, 1.0)
    levels.even = keep_even * levels.even + (1 - keep_even) * ratio
