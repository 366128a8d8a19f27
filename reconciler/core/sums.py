"""Small steady losses: one event missing in each of many buckets is invisible bucket by bucket, and plain in the sum.

The gaps of the last quarter of an hour, hour and six hours of settled buckets are held against what lag still allows
there, source by source and for all of the lane. A sum that lag explains less than once in a long time, at two looks
running, is a loss, and all that is still missing in its buckets belongs to it. Only what is small and steady is summed:
a bucket that lacks far more than the others, and a source with surpluses too, wait until no delay explains them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reconciler.core.balance import Cells
from reconciler.core.lag import Floats
from reconciler.core.lanes import NEARLY_ALL, Lane, Look, passed_at, settles
from reconciler.core.pipelines import Pipeline
from reconciler.core.stages import Stage
from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import DAY, HOUR, MINUTE, NEVER, Micros

WINDOWS: tuple[Micros, ...] = (5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR)
RARE = 10.5
"""−ln of how rarely lag may bring such a sum at one look: 3 times in 100,000, and at two looks running it must.

Windows of neighbouring looks overlap, so a day is some hundred trials, not 1,440: about one false word of a lane a
year, at the most. With many sources each has its share of that.
"""
LEEWAY = 1.5
"""How many times what was learned may still come: the curve is an estimate, and knows little of the latest delays while
it is young, for most of the buckets that it was learned from have not yet had so much time."""
YOUNG = 0.05
"""Buckets of which lag may hold back more than this share are not summed."""
SMALL = 0.1
"""A larger share that is missing may be a part of the pipeline that stands still."""
TAILS = (0.999, 0.9999)
"""Shares of events that are processed before the ages at which a few missing ones, or a single one, begin to be odd."""
STEADY = 2
"""Buckets that must lack something, where most of the stretch from the first of them on balance."""
THICK = 8
"""The same where most do not, and the second stage has counted more than was accepted in buckets that are not whole
yet: then it may be a clock, and the next ones will tell."""
SPOILT = 3
"""One bucket with a surplus for so many that lack something is too many."""
MOST_CELLS = 100_000
"""When more are in doubt at once it is no small loss, and only the sum of all is looked at."""
EVERYBODY = -1
"""Stands for the lane where sources are named."""


def rarity_of_many(count: Floats, mean: Floats, group: float) -> Floats:
    """−ln P(at least `count` are still to come), where `mean` are expected and they come in groups of `group`.

    The groups are Poisson; the tail is its first term, by Stirling, times the geometric bound of the rest.
    """
    n, rate = np.maximum(count / group, 1e-9), np.maximum(mean / group, 1e-12)
    off = n * np.log(n / rate) - n + rate + 0.5 * np.log(2 * math.pi * np.maximum(n, 1.0))
    rest = np.log(np.maximum(1 - rate / (n + 1), 1e-9))
    found: Floats = np.where((n >= 1) & (n > rate), np.maximum(off + rest, 0.0), 0.0)
    return found


@dataclass(slots=True)
class _Buckets:
    """The settled buckets of the last six hours, oldest first."""

    ordinal: Ints
    fed: Ints
    age: Ints
    share: Floats
    """That lag still allows, of all sources."""

    def take(self, which: Bools) -> "_Buckets":
        """Those of them."""
        return _Buckets(self.ordinal[which], self.fed[which], self.age[which], self.share[which])


def overdue(
    lane: Lane, pipeline: Pipeline, stages: tuple[Stage, Stage], seen: Look, cells: Cells, now: Micros,
    doubted_before: Mapping[int, Micros], missing: Ints,
) -> Bools:  # fmt: skip
    """Which cells belong to a sum that lag does not explain; `missing` is what is not shown elsewhere, cell by cell,
    below zero where there is too much.

    What is found odd is remembered in the lane: it counts at the second look.
    """
    source, bucket = cells.source, cells.bucket
    found = np.zeros(len(source), np.bool_)
    clock = min(stages[1].through, lane.moved_at or stages[1].through)
    if not (missing > 0).any() or not lane.knows_lag(clock, pipeline.width):
        return found
    buckets = _settled(lane, pipeline, stages[0], clock)
    if not len(buckets.ordinal):
        return found
    ordinals = bucket + seen.first
    summed = np.isin(ordinals, buckets.ordinal) & seen.facts.ripe[bucket] & (seen.facts.share[bucket] <= YOUNG)
    summed &= lane.own.born_by(source, clock - 2 * lane.read.longest - DAY)
    doubted: dict[int, Micros] = {}
    thick = THICK if _ahead(lane, stages[0].through // pipeline.width) else STEADY
    for last in _ends(lane, buckets):
        for window in WINDOWS:
            first = last + 1 - max(window // pipeline.width, 1)
            inside = (buckets.ordinal >= first) & (buckets.ordinal <= last)
            own = np.flatnonzero(summed & (ordinals >= first) & (ordinals <= last) & (missing != 0))
            if (missing[own] > 0).any():
                lacking = _Lacking(source[own], ordinals[own], missing[own], cells.accepted[own])
                for one, at in _odd(lane, buckets.take(inside), lacking, thick):
                    doubted[one] = doubted_before.get(one, now)
                    found[own[at]] |= doubted[one] < now
    lane.doubted = doubted
    return found


def _ends(lane: Lane, buckets: _Buckets) -> list[int]:
    """Where the windows end: at the newest bucket, and where hardly an event is still to come, or none ever was."""
    aged = [*(buckets.age >= lane.read.quantile(tail) for tail in TAILS), buckets.age > lane.read.longest]
    ends = [int(buckets.ordinal[-1]), *(int(buckets.ordinal[old].max(initial=-1)) for old in aged)]
    return sorted({end for end in ends if end >= 0})


def _ahead(lane: Lane, whole: int) -> bool:
    """Whether more is processed than accepted in buckets that are not `whole`: events of which a clock is ahead."""
    last = max(lane.accepted.end, lane.processed.end)
    if last <= whole or lane.remembered_from == NEVER:
        return False
    return bool((lane.processed.view(whole, last) > lane.accepted.view(whole, last)).any())


def _settled(lane: Lane, pipeline: Pipeline, stage: Stage, clock: Micros) -> _Buckets:
    """Buckets that are whole, passed, and old enough for nearly all of their events to be counted."""
    width = pipeline.width
    last = (stage.through - settles(pipeline)) // width
    first = max(last - WINDOWS[-1] // width - 2 * (lane.read.longest // width), lane.remembered_from, 0)
    if lane.remembered_from == NEVER or first >= last:
        nothing = np.zeros(0, np.int64)
        return _Buckets(nothing, nothing, nothing, nothing.astype(np.float64))
    ordinal = np.arange(first, last, dtype=np.int64)
    passed = passed_at(lane, first, last, (ordinal + 1) * width)
    age = np.where(passed < NEVER, clock - np.maximum((ordinal + 1) * width, passed), -1)
    old = age >= lane.read.quantile(NEARLY_ALL)
    share = lane.read.missing(age)
    keep = old & (share <= YOUNG)
    return _Buckets(ordinal[keep], lane.accepted.view(first, last)[0][keep], age[keep], share[keep])


@dataclass(frozen=True, slots=True)
class _Lacking:
    """Cells of a window that do not balance; parallel arrays."""

    source: Ints
    ordinal: Ints
    missing: Ints
    """Below zero: a surplus."""
    fed: Ints

    def of_all(self) -> "_Lacking":
        """Bucket by bucket, all sources together."""
        ordinal, place = np.unique(self.ordinal, return_inverse=True)
        missing, fed = (np.bincount(place, weights=amount).astype(np.int64) for amount in (self.missing, self.fed))
        return _Lacking(np.full(len(ordinal), EVERYBODY), ordinal, missing, fed)

    def steady(self, buckets: int, thick: int) -> tuple[Ints, Ints, Floats, Bools]:
        """Sources, the place of each cell among them, what each lacks in sum, and whether it lacks it steadily."""
        names, place = np.unique(self.source, return_inverse=True)
        usual = np.bincount(place, weights=np.maximum(self.missing, 0)) / buckets
        like = self.missing <= (usual + 3 * np.sqrt(usual) + 1)[place]  # the others wait for their age
        lacks, spare = np.bincount(place[like & (self.missing > 0)], minlength=len(names)), self.missing < 0
        begins = np.full(len(names), NEVER)
        np.minimum.at(begins, place, self.ordinal)
        thin = 2 * np.bincount(place) <= self.ordinal.max() + 1 - begins
        enough = np.where(thin, lacks >= STEADY, lacks >= min(thick, buckets))
        enough &= SPOILT * np.bincount(place[spare], minlength=len(names)) <= lacks
        whole = np.bincount(place[like], weights=self.missing[like], minlength=len(names))
        return names, place, np.maximum(whole, 0.0), enough


def _odd(lane: Lane, buckets: _Buckets, cells: _Lacking, thick: int) -> list[tuple[int, Bools]]:
    """Sources, and `EVERYBODY`, of which more is missing in these buckets than lag allows; each with its cells."""
    group, number = lane.own.group(int(buckets.age.min())), len(buckets.age)
    total, short = float(buckets.fed.sum()), cells.missing > 0
    _, _, whole, steady = cells.of_all().steady(number, thick)
    rare = rarity_of_many(whole, LEEWAY * (buckets.fed * buckets.share).sum(keepdims=True), group)
    found = [(EVERYBODY, short)] if rare[0] >= RARE and steady[0] and whole[0] <= SMALL * total else []
    sources = len(lane.own.events)
    if sources > 1 and len(cells.source) <= MOST_CELLS:
        names, place, lacking, steady = cells.steady(number, thick)
        part = lane.own.share_of_lane(names)
        mean = part * lane.own.missing_in_all(lane.read, names, buckets.age, buckets.fed)
        shares = lane.own.missing_in_all(lane.read, names, buckets.age, np.ones_like(buckets.fed)) / number
        seen = np.bincount(place, weights=cells.fed) * shares
        few = steady & (lacking <= SMALL * np.maximum(part * total, 1.0))
        rarity = rarity_of_many(lacking, LEEWAY * np.maximum(mean, seen), group)
        odd = few & (rarity >= RARE + math.log(sources))
        found += [(int(names[one]), short & (place == one)) for one in np.flatnonzero(odd)]
    return found


def own_share(lane: Lane, seen: Look, cells: Cells) -> Floats:
    """Share of each cell's events that lag may still hold back, by what is known of its source."""
    share, age = seen.facts.share[cells.bucket], seen.age[cells.bucket]
    asked = np.flatnonzero((age >= 0) & (share > 0) & (share < 1))
    if len(lane.own.events) > 1 and len(asked):
        factor = lane.own.missing(lane.read, cells.source[asked], age[asked]) / lane.read.missing(age[asked])
        share[asked] = np.minimum(share[asked] * factor, 1.0)
    return share
