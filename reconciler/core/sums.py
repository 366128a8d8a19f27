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
from reconciler.core.lag import BINS, Floats, upper_bound
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
COARSE = 4
"""Sources whose lag differs by no more than so many classes are looked at together."""
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


def rarity_of_many(count: Floats, mean: Floats, group: Floats | float) -> Floats:
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
    doubted_before: Mapping[int, Micros], share: Floats, missing: Ints,
) -> Bools:  # fmt: skip
    """Which cells belong to a sum that lag does not explain; `missing` is what is not shown elsewhere, cell by cell,
    below zero where there is too much, and `share` what lag may still hold back there.

    What is found odd is remembered in the lane: it counts at the second look.
    """
    source, bucket = cells.source, cells.bucket
    found = np.zeros(len(source), np.bool_)
    clock = min(stages[1].through, lane.moved_at or stages[1].through)
    if not (missing > 0).any() or not lane.knows_lag(clock, pipeline.width):
        return found
    ages = _Ages.of(lane, np.unique(source[missing > 0]))
    buckets = _settled(lane, pipeline, stages[0], clock, ages.least)
    if not len(buckets.ordinal):
        return found
    ordinals = bucket + seen.first
    summed = np.isin(ordinals, buckets.ordinal) & seen.facts.ripe[bucket] & (share <= YOUNG)
    summed &= lane.own.born_by(source, clock - 2 * lane.read.longest - DAY)
    doubted: dict[int, Micros] = {}
    thick = THICK if _ahead(lane, stages[0].through // pipeline.width) else STEADY
    for last in ages.ends(buckets):
        for window in WINDOWS:
            first = last + 1 - max(window // pipeline.width, 1)
            inside = (buckets.ordinal >= first) & (buckets.ordinal <= last)
            own = np.flatnonzero(summed & (ordinals >= first) & (ordinals <= last) & (missing != 0))
            if (missing[own] > 0).any():
                lacking = _Lacking(source[own], ordinals[own], missing[own], cells.accepted[own])
                for one, at in _odd(lane, buckets.take(inside), lacking, thick, ages):
                    doubted[one] = doubted_before.get(one, now)
                    found[own[at]] |= doubted[one] < now
    lane.doubted = doubted
    return found


@dataclass(frozen=True, slots=True)
class _Ages:
    """From which age on a bucket may be summed: for all of the lane, and source by source by its own lag."""

    lane: Micros
    source: Ints
    """Ascending."""
    own: Ints
    """By source, µs."""
    tails: tuple[Micros, ...]
    """Ages at which a few missing events, or a single one, begin to be odd."""

    @classmethod
    def of(cls, lane: Lane, source: Ints) -> "_Ages":
        """Of these sources of the lane."""
        ripe, longest = lane.read.quantile(NEARLY_ALL), lane.read.longest + 1
        tails = {*(lane.read.quantile(tail) for tail in TAILS), longest}
        if len(lane.own.events) <= 1:
            return cls(ripe, source, np.full(len(source), ripe), tuple(sorted(tails)))
        own, *more = (lane.own.aged(lane.read, source, 1 - tail) for tail in (NEARLY_ALL, *TAILS))
        for ages in (own, *more):
            steps = np.searchsorted(BINS, np.minimum(ages, longest))
            tails |= set(BINS[np.minimum(-(-np.unique(steps) // COARSE) * COARSE, len(BINS) - 1)].tolist())
        return cls(ripe, source, own, tuple(sorted(tails)))

    @property
    def least(self) -> Micros:
        """No younger bucket is summed for anybody."""
        return min(self.lane, int(self.own.min(initial=NEVER)))

    def ends(self, buckets: "_Buckets") -> list[int]:
        """Where the windows end: at the newest bucket, and where hardly an event is still to come."""
        ends = [
            int(buckets.ordinal[buckets.age >= age].max(initial=-1)) for age in (self.least, self.lane, *self.tails)
        ]
        return sorted({end for end in ends if end >= 0})

    def ripe(self, source: Ints, youngest: Micros) -> Bools:
        """Which of these sources can be summed over buckets of this age and older."""
        ripe: Bools = self.own[np.minimum(np.searchsorted(self.source, source), len(self.source) - 1)] <= youngest
        return ripe


def _ahead(lane: Lane, whole: int) -> bool:
    """Whether more is processed than accepted in buckets that are not `whole`: events of which a clock is ahead."""
    last = max(lane.accepted.end, lane.processed.end)
    if last <= whole or lane.remembered_from == NEVER:
        return False
    return bool((lane.processed.view(whole, last) > lane.accepted.view(whole, last)).any())


def _settled(lane: Lane, pipeline: Pipeline, stage: Stage, clock: Micros, least: Micros) -> _Buckets:
    """Buckets that are whole, passed, and of at least this age."""
    width = pipeline.width
    last = (stage.through - settles(pipeline)) // width
    first = max(last - WINDOWS[-1] // width - 2 * (lane.read.longest // width), lane.remembered_from, 0)
    if lane.remembered_from == NEVER or first >= last:
        nothing = np.zeros(0, np.int64)
        return _Buckets(nothing, nothing, nothing, nothing.astype(np.float64))
    ordinal = np.arange(first, last, dtype=np.int64)
    passed = passed_at(lane, first, last, (ordinal + 1) * width)
    age = np.where(passed < NEVER, clock - np.maximum((ordinal + 1) * width, passed), -1)
    keep, share = age >= max(least, 0), lane.read.missing(age)
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


def _odd(lane: Lane, buckets: _Buckets, cells: _Lacking, thick: int, ages: _Ages) -> list[tuple[int, Bools]]:
    """Sources, and `EVERYBODY`, of which more is missing in these buckets than lag allows; each with its cells."""
    youngest = int(buckets.age.min())
    group, number = lane.own.group(youngest), len(buckets.age)
    total, short = float(buckets.fed.sum()), cells.missing > 0
    _, _, whole, steady = cells.of_all().steady(number, thick)
    rare = rarity_of_many(whole, LEEWAY * (buckets.fed * buckets.share).sum(keepdims=True), group)
    can = youngest >= ages.lane and buckets.share.max() <= YOUNG
    found = [(EVERYBODY, short)] if can and rare[0] >= RARE and steady[0] and whole[0] <= SMALL * total else []
    sources = len(lane.own.events)
    if sources > 1 and len(cells.source) <= MOST_CELLS:
        names, place, lacking, steady = cells.steady(number, thick)
        part = lane.own.share_of_lane(names)
        mean = part * lane.own.missing_in_all(lane.read, names, buckets.age, buckets.fed)
        shares = lane.own.missing_in_all(lane.read, names, buckets.age, np.ones_like(buckets.fed)) / number
        seen = np.bincount(place, weights=cells.fed) * shares
        few = steady & ages.ripe(names, youngest) & (lacking <= SMALL * np.maximum(part * total, 1.0))
        rarity = rarity_of_many(lacking, LEEWAY * np.maximum(mean, seen), lane.own.groups(names, youngest))
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


def own_bound(lane: Lane, seen: Look, cells: Cells, share: Floats) -> Ints:
    """The most of each cell that lag may still hold back: a source whose events come late together, whole buckets at
    a time, as they do where a batch brings what the night has left, may lack all of one.
    """
    return _bound(lane, cells, share, np.maximum(seen.age[cells.bucket], 0))


def _bound(lane: Lane, cells: Cells, share: Floats, age: Ints) -> Ints:
    """Groups are asked for only where more is missing than single events explain: in peace, hardly anywhere."""
    mean = cells.accepted * share
    bound = upper_bound(mean, cells.accepted)
    beyond = cells.accepted - cells.processed - cells.accounted > bound
    asked = np.flatnonzero(beyond & (share > 0) & (share < 1))
    if len(asked):
        group = lane.own.groups_of_cells(cells.source[asked], age[asked])
        bound[asked] = upper_bound(mean[asked], cells.accepted[asked], group)
    return bound


def own_patience(lane: Lane, cells: Cells, late: Ints) -> Ints:
    """Events of each cell that may ordinarily be waited for so `late` (µs), by what is known of its source.

    Of what is usual by the wall clock only the lane is known. The source's share is that at the age, since it was read,
    at which as much of the lane's events was still to come.
    """
    share, falling = lane.wall.share(late), lane.read.missing(BINS)
    age, asked = np.zeros_like(late), np.flatnonzero((share > 0) & (share < falling[0]))
    age[asked] = BINS[np.maximum(np.searchsorted(-falling, -share[asked]) - 1, 0)]
    if len(lane.own.events) > 1 and len(asked):
        share[asked] = np.minimum(lane.own.missing(lane.read, cells.source[asked], age[asked]), 1.0)
    return _bound(lane, cells, share, age)
