"""Misplaced events: what one bucket lacks and another of the same source has too much is an event in the wrong bucket.

Three kinds. A settled shortage beside a surplus, no further than a clock may be off, is one misplaced event. Where a
clock was off for a while, the running sum of the source leaves its level, by no more than the clock can carry over the
end of a bucket, and comes back to the event: a loss and what is double are hardly ever equal. And where a clock stays
off, every bucket lends to the next and borrows from the last: no cell of it says anything alone, and only the running
sum of the source does. It stays below what the clock can carry over (the events of so many buckets), and comes back;
what it never makes up is missing, and is not netted. There the oldest shortage is made up by the oldest surplus, so
that all but the newest cells are settled for good. A shortage that no surplus has made up within a day is not astray.

What was netted with cells that are not judged now stays netted: over all that are judged, `misplaced` keeps its sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reconciler.core.lag import Floats
from reconciler.core.pipelines import STRAYS_WITHIN
from reconciler.core.tiles import Bools, Ints

LEAST = 2
"""Surpluses among them from which a source may stray."""
PART = 3
"""One surplus for so many shortages at least, and one bucket that is off of so many."""
QUIET = 2 * PART - 1
"""More buckets from one that is off to the next, and it is another matter."""
WAITS = 6
"""So many buckets a clock may take more and more, and so many further ones for each that has too much."""


@dataclass(slots=True)
class Netting:
    """Cells of a lane while they are netted; parallel arrays, all changed in place."""

    source: Ints
    bucket: Ints
    accepted: Ints
    need: Ints
    """What is missing, with what lag may still bring."""
    held: Ints
    """What lag may still bring. Where a source strays it is netted too, or the shortage shows when all else is over."""
    surplus: Ints
    before: Ints
    """What was misplaced at the last judgement."""
    misplaced: Ints
    wandering: Ints
    """Of the need: may be in a bucket further on, for the source strays."""

    def run(
        self, alike: Bools, settled: Bools, recent: Bools, reach: int, carries: float, newest: int,
        ahead: Mapping[int, int],
    ) -> None:  # fmt: skip
        """Net all that may be: cells that are `alike`, shortages that are `settled`; `recent`: less than a day old.

        `carries`: share of a bucket's events that a clock can carry over its end; `newest`: the last bucket of which
        anything is known; `ahead`: by source, the last bucket in which more was processed than accepted.
        """
        can = alike & settled
        linked = can & (self._keep(alike)[self.source] != 0) & (self.before != 0)
        if self.surplus.any() and self.need.any():
            astray = self._astray(can, newest) | linked
            if astray.any():
                strays = np.bincount(self.source[astray], minlength=int(self.source.max()) + 1) > 0
                astray |= can & (self.before != 0) & strays[self.source]
                self._chain(np.flatnonzero(astray), recent, reach)
            self._given_back(can & ~astray, carries)
            if self.before.any():
                self._hold(alike & ~astray)
            self._beside(alike & ~astray, can & ~astray, reach)
            can &= ~astray
        if carries < 1:
            self._wait(can, recent, carries, newest, ahead)

    def _keep(self, alike: Bools) -> Ints:
        """Let what was netted with cells that are not judged now stay netted, the oldest first; how much, by source."""
        owed = np.zeros(int(self.source.max()) + 1, np.int64)
        np.add.at(owed, self.source, -self.before)
        for sign in (1, -1):
            left = np.maximum(sign * owed, 0)
            if left.any():
                was = np.maximum(-sign * self.before, 0)
                there = np.minimum(was, np.where(alike, self.surplus if sign > 0 else self.need, 0))
                taken = self._oldest(there, left)
                np.subtract.at(left, self.source, taken)
                forced = self._oldest(was - taken, left)  # it is there no more: then something else is missing here
                self.misplaced -= sign * (taken + forced)
                if sign > 0:
                    self.surplus -= taken
                    self.need += forced
                else:
                    self.need -= taken
                    self.surplus += forced
        return owed

    def _hold(self, which: Bools) -> None:
        """Let what was netted stay netted as far as it is still there, though the source strays no more."""
        order, starts = self._sorted(np.arange(len(self.need)))
        short = np.where(which, np.minimum(np.maximum(self.before - self.misplaced, 0), self.need), 0)
        over = np.where(which, np.minimum(np.maximum(self.misplaced - self.before, 0), self.surplus), 0)
        both = np.minimum(*(np.add.reduceat(amount[order], starts) for amount in (short, over)))
        self._book(*(_first_units(amount, order, starts, both) for amount in (short, over)))

    def _oldest(self, amount: Ints, limit: Ints) -> Ints:
        """Of these amounts, the oldest of each source, up to its limit."""
        order, starts = self._sorted(np.arange(len(amount)))
        return _first_units(amount, order, starts, limit[self.source[order[starts]]])

    def _sorted(self, at: Ints) -> tuple[Ints, Ints]:
        """These cells by source and bucket, and where each source begins."""
        order = at[np.lexsort((self.bucket[at], self.source[at]))]
        return order, np.flatnonzero(np.diff(self.source[order], prepend=-1))

    def _astray(self, can: Bools, newest: int) -> Bools:
        """Settled cells in a stretch of their source in which most buckets are off, in both directions."""
        off = can & (self.need + self.surplus > 0)
        at = np.flatnonzero(off)
        found = np.zeros(len(off), np.bool_)
        if not (self.surplus[at] > 0).any():
            return found
        key = self.source * (int(self.bucket.max()) + 2 * STRAYS_WITHIN + 2) + self.bucket
        at = at[np.argsort(key[at], kind="stable")]
        ranked = key[at]
        low = np.searchsorted(ranked, ranked - STRAYS_WITHIN)
        high = np.searchsorted(ranked, ranked + STRAYS_WITHIN, side="right")
        above, below = (
            np.diff(np.concatenate([[0], np.cumsum(which)])[np.stack([low, high])], axis=0)[0]
            for which in (self.surplus[at] > 0, self.need[at] > 0)
        )
        stretch = np.minimum(self.bucket[at] + STRAYS_WITHIN, newest) - self.bucket[at[low]] + 1
        found[at] = (above >= LEAST) & (PART * above >= below) & (PART * (above + below) >= stretch)
        return found

    def _chain(self, at: Ints, recent: Bools, reach: int) -> None:
        """Make up the oldest shortages by the oldest surpluses, but for what the running sum never makes up."""
        order, starts = self._sorted(at)
        gap, most = self.need[order] - self.surplus[order], reach * self.accepted[order]
        missing, extra = (_never_made_up(sign * gap, most, starts) for sign in (1, -1))
        short = np.zeros(len(self.need), np.int64)
        over = np.zeros(len(self.need), np.int64)
        short[order], over[order] = self.need[order] - missing, self.surplus[order] - extra
        both = np.minimum(*(np.add.reduceat(amount[order], starts) for amount in (short, over)))
        made_up, used = (_first_units(amount, order, starts, both) for amount in (short, over))
        self._book(made_up, used)
        wanders = np.where(recent, np.minimum(short - made_up, np.maximum(self.need - self.held, 0)), 0)
        self.wandering += wanders
        self.need -= wanders

    def _given_back(self, can: Bools, carries: float) -> None:
        """Net stretches in which what some buckets lack is, to the event, what the others have too much."""
        both = np.ones(int(self.source.max()) + 1, np.bool_)
        for amount in (self.need, self.surplus):
            both &= np.bincount(self.source[can & (amount > 0)], minlength=len(both)) > 0
        order, _ = self._sorted(np.flatnonzero(can & both[self.source] & (self.need != self.surplus)))
        if len(order):
            gap, most = self.need[order] - self.surplus[order], self.accepted[order] * np.float64(carries)
            for one in _lent(gap, most, self.source[order], self.bucket[order]):
                at = order[one]
                self.misplaced[at] += gap[one]
                self.need[at] = self.surplus[at] = 0

    def _wait(self, can: Bools, recent: Bools, carries: float, newest: int, ahead: Mapping[int, int]) -> None:
        """Say nothing yet of what a clock may have taken that has only begun to be off, where it shows that it is."""
        gap = self.need - self.surplus + self.misplaced
        order, starts = self._sorted(np.flatnonzero(can & (gap != 0)))
        if not len(order):
            return
        source, bucket, total = self.source[order], self.bucket[order], np.cumsum(gap[order])
        starts = np.flatnonzero((np.diff(source, prepend=-1) != 0) | (np.diff(bucket, prepend=0) > QUIET))
        first = bucket[starts]
        seen = np.array([ahead.get(one, -1) for one in source[starts].tolist()]) > first
        given = np.add.reduceat((gap[order] < 0).astype(np.int64), starts)
        small = _small(total, total[starts] - gap[order][starts], self.accepted[order] * np.float64(carries), starts)
        young = newest - first < WAITS * (given + 1)
        waits = np.repeat((seen | (given > 0)) & small & young, np.diff(np.append(starts, len(order))))
        at = order[waits]
        wanders = np.where(recent[at], np.maximum(self.need[at] - self.held[at], 0), 0)
        self.wandering[at] += wanders
        self.need[at] -= wanders

    def _book(self, made_up: Ints, used: Ints) -> None:
        self.need -= made_up
        self.surplus -= used
        self.misplaced += made_up - used

    def _beside(self, alike: Bools, can: Bools, reach: int) -> None:
        """Net a settled shortage that lag does not explain with a surplus beside it, the nearest first."""
        key = self.source * (int(self.bucket.max(initial=0)) + 2 * reach + 1) + self.bucket
        order = np.argsort(key, kind="stable")
        ranked = key[order]
        for step in range(1, reach + 1):
            for side in (step, -step):
                short = np.flatnonzero(can & (self.need > self.held))
                at = np.searchsorted(ranked, key[short] + side)
                hit = (at < len(ranked)) & (ranked[np.minimum(at, len(ranked) - 1)] == key[short] + side)
                here, there = short[hit], order[at[hit]]
                odd = self.need[here] - self.held[here]
                moved = np.where(alike[there], np.minimum(odd, self.surplus[there]), 0)
                self.need[here] -= moved
                self.surplus[there] -= moved
                self.misplaced[here] += moved
                self.misplaced[there] -= moved


def _first_units(amount: Ints, order: Ints, starts: Ints, limit: Ints) -> Ints:
    """Of each group (`order`, from each of `starts` on), the first units of its amounts, up to the group's limit."""
    ranked = amount[order]
    total = np.cumsum(ranked)
    size = np.diff(np.append(starts, len(order)))
    base = np.repeat((total - ranked)[starts], size)
    upto = np.minimum(total - base, np.repeat(limit, size))
    taken = np.zeros(len(amount), np.int64)
    taken[order] = upto - np.minimum(total - base - ranked, np.repeat(limit, size))
    return taken


def _lent(gap: Ints, most: Floats, source: Ints, bucket: Ints) -> list[slice]:
    """Stretches in which a clock may have moved events on (or back), `most` of them on average, and all came back.

    Cells by source and bucket. Where another surplus is near, it was no clock.
    """
    begin, end = _returning(gap, source, bucket)
    total = np.cumsum(gap)
    can = _small(total, (total - gap)[begin], most, begin, end + 1)
    found: list[slice] = []
    for first, last in zip(begin[can].tolist(), end[can].tolist(), strict=True):
        if not found or found[-1].stop <= first:
            found.append(slice(first, last + 1))
    other, where = gap < 0, source * (int(bucket.max(initial=0)) + 2 * STRAYS_WITHIN) + bucket
    for one in found:
        other[one] = False
    left, right = (
        np.searchsorted(where[other], [where[one][side] + step for one in found])
        for side, step in ((0, -STRAYS_WITHIN), (-1, STRAYS_WITHIN))
    )
    return [one for one, alone in zip(found, left == right, strict=True) if alone]


def _small(total: Ints, level: Ints, most: Floats, begin: Ints, end: Ints | None = None) -> Bools:
    """In which of these stretches the running sum stays on one side of its level, by no more than a clock can carry.

    `most`: by cell, how much that is on average; `end`: without, each stretch ends where the next begins.
    """
    inside = begin if end is None else np.stack([begin, end], axis=1).ravel()
    step = 1 if end is None else 2
    low, high, mean = (
        how.reduceat(np.append(one, one[-1:]), inside)[::step]
        for how, one in ((np.minimum, total), (np.maximum, total), (np.maximum, most))
    )
    found: Bools = (low >= level) | (high <= level)
    found &= np.maximum(high - level, level - low) <= mean + 3 * np.sqrt(mean)
    return found


def _returning(gap: Ints, source: Ints, bucket: Ints) -> tuple[Ints, Ints]:
    """Cells from which the running sum soon comes back to what it was before them, and those with which it does.

    Few buckets between them may balance: a clock that is off hardly ever takes as much as it gives.
    """
    total, size, place = np.cumsum(gap), len(gap), np.arange(len(gap))
    _, level = np.unique(np.concatenate([total - gap, total]), return_inverse=True)
    before, after = level.reshape(2, -1) * size + place
    ranked = np.append(np.sort(after), -1)
    follows = ranked[np.searchsorted(ranked[:-1], before)]
    end = np.where(follows // size == before // size, follows % size, 0)
    soon = np.minimum(STRAYS_WITHIN, PART * (end - place + 1)) > bucket[end] - bucket
    begin = np.flatnonzero((end > place) & (source[end] == source) & soon)
    return begin, end[begin]


def _never_made_up(gap: Ints, most: Ints, starts: Ints) -> Ints:
    """Of the gaps of each group, the part by which its running sum grows beyond `most` and never comes back."""
    found = np.zeros(len(gap), np.int64)
    for piece in np.split(np.arange(len(gap)), starts[1:]):
        total = np.cumsum(gap[piece])
        above = total - np.minimum(np.minimum.accumulate(total), 0) - int(most[piece].max())
        kept = np.minimum.accumulate(np.maximum(above, 0)[::-1])[::-1]
        found[piece] = np.minimum(np.diff(kept, prepend=0), np.maximum(gap[piece], 0))
    return found
