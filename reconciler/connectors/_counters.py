"""From the samples of a counter to events by bucket, with how far each number may be off.

A scraped counter is known at the instants of its samples only. What it counted between two of them lies on either side
of an edge of a bucket, so that every count has an error. A counter that falls has begun anew at zero; what it counted
between its last sample and its end nobody has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import Ints
from reconciler.core.times import Micros

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One counter of one process, as it was scraped."""

    times: Ints
    """Of the samples, µs, ascending."""
    total: Floats
    """Events counted until each sample, since the first; resets are undone."""
    doubt: Floats
    """By sample: events that may have been counted since the one before it and were never seen, or earlier."""

    def until(self, edges: Ints) -> tuple[Floats, Floats, Floats]:
        """Events until each edge: at least, estimated, at most; beyond the samples as at the first or the last."""
        before = np.searchsorted(self.times, edges, side="right") - 1
        after = np.searchsorted(self.times, edges, side="left")
        last = len(self.times) - 1
        least = np.where(before < 0, 0.0, self.total[before.clip(0, last)])
        most = np.where(before < 0, 0.0, self.total[after.clip(0, last)])
        return least, np.interp(edges, self.times, self.total), most

    def doubts(self, edges: Ints) -> Floats:
        """By bucket between two edges: events that may be missing, or belong to another bucket, beyond `until`."""
        found = np.zeros(len(edges) - 1)
        for place in np.flatnonzero(self.doubt).tolist():
            since = self.times[max(place - 1, 0)]
            hit = (edges[:-1] < self.times[place]) & (edges[1:] > min(since, self.times[place] - 1))
            found[hit] += self.doubt[place]
        return found


def series_of(times: Sequence[Micros], values: Sequence[float], born: Micros | None) -> Series:
    """The series of a counter; times are in µs and ascending.

    `born`: it did not exist at this instant and had counted nothing; `None`: what it had counted before its first
    sample was counted before.
    """
    stamps, read = np.array(times, np.int64), np.array(values, np.float64)
    moved, gaps = np.diff(read), np.diff(stamps)
    fell = moved < 0
    steps = np.where(fell, read[1:], moved)
    # What it counted before it fell, and nobody saw, is guessed by its pace.
    pace = moved[~fell].sum() / gaps[~fell].sum() if (~fell).any() else 0.0
    doubt = np.where(fell, pace * gaps if pace else steps, 0.0)
    first = 0.0
    if born is not None and born < stamps[0]:
        # It may have been running for a while before it was found.
        stamps, first = np.insert(stamps, 0, born), float(read[0])
        steps, doubt = np.insert(steps, 0, first), np.insert(doubt, 0, first)
    return Series(stamps, np.insert(np.cumsum(steps), 0, 0.0), np.insert(doubt, 0, 0.0))


def by_bucket(counters: Sequence[Series], edges: Ints) -> tuple[Ints, Floats]:
    """Events of all these counters between each two edges, and the half-width of each number."""
    least, most = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    estimate, doubt = np.zeros(len(edges)), np.zeros(len(edges) - 1)
    for counter in counters:
        low, middle, high = counter.until(edges)
        estimate += middle
        least += np.maximum(low[1:] - high[:-1], 0.0)
        most += high[1:] - low[:-1]
        doubt += counter.doubts(edges)
    # Sums are rounded at the edges, so that what one bucket loses by it the next one has.
    count = np.diff(np.rint(estimate)).astype(np.int64)
    error = np.maximum(count - least, most - count) + doubt
    return count, np.where(np.abs(error) < 1e-6, 0.0, error)


def total_of(times: Sequence[Micros], values: Sequence[float]) -> tuple[float, float]:
    """All that a counter of one bucket of acceptance has counted, from its first sample on; how far that may be off."""
    counter = series_of(times, values, None)
    return values[0] + float(counter.total[-1]), float(counter.doubt.sum())
