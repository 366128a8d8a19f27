"""Lag source by source: its own delays, with those of all sources of the lane as the belief to begin with."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.lag import BINS, FORGET, DelayCurve, Floats
from reconciler.core.tiles import CHUNK, Bools, Ints
from reconciler.core.times import DAY, NEVER, Micros

Singles = NDArray[np.float32]

WORTH = 300.0
"""Events that the delays of all sources are worth where a source has seen none of its own."""
_CLASSES = len(BINS)


def _nothing() -> Singles:
    return np.zeros((0, _CLASSES), np.float32)


@dataclass(slots=True)
class OwnLag:
    """How the events of each source of a lane were spread over delays, and in what groups they came."""

    events: Singles = field(default_factory=_nothing)
    """By source (ordinal) and delay class."""
    cells: Floats = field(default_factory=lambda: np.zeros(0))
    """By source: cells in which these events were."""
    born: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """By source: when the first of them was learned, µs; `NEVER`: none was."""
    squares: Floats = field(default_factory=lambda: np.zeros(_CLASSES))
    """By delay class: sum of the squares of the events of one cell that came together."""
    together: Floats = field(default_factory=lambda: np.zeros(_CLASSES))
    """The sum of these events themselves."""
    day: int = 0
    _groups: Floats | None = None
    """By delay class and all longer ones; `None`: to be worked out anew."""

    def learn(self, now: Micros, source: Ints, delays: Ints, events: Ints, begun: Ints) -> None:
        """Add events that were first seen processed at these delays (µs); parallel arrays, one entry a cell.

        `begun`: sources of the cells of which none was processed before, once for each cell.
        """
        if not len(source):
            return
        self._turn(now // DAY)
        self._grow(1 + max(int(source.max()), int(begun.max(initial=0))))
        classes = np.minimum(np.searchsorted(BINS, np.maximum(delays, 0)), _CLASSES - 1)
        np.add.at(self.events.reshape(-1), source * _CLASSES + classes, events.astype(np.float32))
        self.cells += np.bincount(begun, minlength=len(self.cells))
        self.born[source] = np.minimum(self.born[source], now)
        self.squares += np.bincount(classes, weights=events.astype(np.float64) ** 2, minlength=_CLASSES)
        self.together += np.bincount(classes, weights=events, minlength=_CLASSES)
        self._groups = None

    def _grow(self, sources: int) -> None:
        more = sources - len(self.events)
        if more > 0:
            self.events = np.pad(self.events, ((0, more), (0, 0)))
            self.cells = np.pad(self.cells, (0, more))
            self.born = np.pad(self.born, (0, more), constant_values=NEVER)

    def _turn(self, day: int) -> None:
        if day > self.day:
            kept = FORGET ** min(day - self.day, 365) if self.day else 1.0
            self.events *= np.float32(kept)
            self.cells, self.squares, self.together = self.cells * kept, self.squares * kept, self.together * kept
            self.day = day

    def born_by(self, source: Ints, instant: Micros) -> Bools:
        """Of which of these sources something was learned before that instant."""
        known = source < len(self.born)
        found: Bools = known & (self.born[np.where(known, source, 0)] <= instant) if len(self.born) else known
        return found

    def missing(self, pool: DelayCurve, source: Ints, age: Ints) -> Floats:
        """Share of a source's events that is not processed yet at an age (µs, not negative); parallel arrays.

        The posterior mean of a share that is believed to be the pool's and has been seen to be the source's own.
        What nobody has ever seen is as likely as the pool allows, and no less.
        """
        rows, place = np.unique(source, return_inverse=True)
        own = self._beyond(rows)
        later = own[place, np.searchsorted(BINS, age, side="right")]
        least = 0.5 / (pool.seen + 1.0)
        found: Floats = np.maximum((later + WORTH * pool.missing(age)) / (own[place, 0] + WORTH), least)
        return found

    def missing_in_all(self, pool: DelayCurve, source: Ints, age: Ints, fed: Ints) -> Floats:
        """For each source: how many would be missing, if buckets of these ages had had so many events of it."""
        own = self._beyond(source)
        weights = np.bincount(np.searchsorted(BINS, age, side="right"), weights=fed, minlength=_CLASSES + 1)
        shared, least = float(fed @ pool.missing(age)), float(fed.sum()) * 0.5 / (pool.seen + 1.0)
        found: Floats = np.maximum((own @ weights + WORTH * shared) / (own[:, 0] + WORTH), least)
        return found

    def _beyond(self, source: Ints) -> Floats:
        """Events of each source by delay class and all longer ones, then 0; of one that is not known, none."""
        found = np.zeros((len(source), _CLASSES + 1))
        known = np.flatnonzero(source < len(self.events))
        found[known, :-1] = np.cumsum(self.events[source[known], ::-1], axis=1, dtype=np.float64)[:, ::-1]
        return found

    def share_of_lane(self, source: Ints) -> Floats:
        """What part of the lane's events each of these sources has had."""
        total = max(float(self.events.sum(dtype=np.float64)), 1.0)
        return self._beyond(source)[:, 0] / total

    def group(self, age: Micros) -> float:
        """How many events of a cell usually come together that are later than this age; at least 1.

        It is the over-dispersion of lag: where events come in groups, gaps of whole groups are no surprise. How much
        the squares exceed those of the average cell of the source is put down to groups; alone, they are 1.
        """
        if self._groups is None:
            usual = np.zeros(_CLASSES)
            for rows in (slice(first, first + CHUNK) for first in range(0, len(self.events), CHUNK)):
                usual += (1 / np.maximum(self.cells[rows], 1.0)) @ self.events[rows].astype(np.float64) ** 2
            excess = np.append(np.cumsum((self.squares - usual)[::-1])[::-1], 0.0) + 1.0
            together = np.append(np.cumsum(self.together[::-1])[::-1], 0.0) + 1.0
            self._groups = np.maximum(excess / together, 1.0)
        return float(self._groups[int(np.searchsorted(BINS, max(age, 0), side="right"))])

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored; most delay classes of most sources are empty, and are left out."""
        place = np.flatnonzero(self.events).astype(np.int32)
        arrays = (place, self.events.reshape(-1)[place], self.cells, self.born, self.squares, self.together)
        return {"day": self.day, "arrays": [base64.b64encode(array.tobytes()).decode() for array in arrays]}

    @classmethod
    def restore(cls, stored: Mapping[str, Any]) -> "OwnLag":
        """What `dump` gave."""
        types = (np.int32, np.float32, np.float64, np.int64, np.float64, np.float64)
        place, values, cells, born, squares, together = map(_unpack, stored["arrays"], types)
        events = np.zeros(len(cells) * _CLASSES, np.float32)
        events[place] = values
        return cls(events.reshape(-1, _CLASSES), cells, born, squares, together, int(stored["day"]))


def _unpack(packed: str, kind: type) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(packed), kind).copy()
