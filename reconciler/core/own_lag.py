"""Lag source by source: its own delays, with those of all sources of the lane as the belief to begin with."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconciler.core.lag import BINS, FORGET, DelayCurve, Floats
from reconciler.core.tiles import CHUNK, Bools, Ints
from reconciler.core.times import DAY, NEVER, Micros

Singles = NDArray[np.float32]

WORTH = 300.0
"""Events that the delays of all sources are worth where a source has seen none of its own."""
GROUPS_WORTH = 3.0
"""Late events that the groups of all sources are worth."""
OFTEN, OF_WEEKS = 4, 3
"""Late on so many of the last seven days, or on this day of so many of the last four weeks: that is usual."""
_CLASSES = len(BINS)
_WEEK, _SAME_DAY = np.arange(1, 8), np.array([7, 14, 21, 28])
_REMEMBERED = (1 << 29) - 1


def _nothing() -> Singles:
    return np.zeros((0, _CLASSES), np.float32)


MOST_TOGETHER = 10_000
"""Cells of which it is remembered how much has come lately; what comes of more at once is taken as it comes."""


class Lately(NamedTuple):
    """What cells have had of late events in the time that is as wide as their bucket, where looks are more frequent."""

    window: int
    """Ordinal of that time."""
    cells: Ints
    """By late arrival: source and ordinal of the bucket, as one number."""
    late: NDArray[np.intp]
    """Which of the arrivals are late."""


@dataclass(slots=True)
class OwnLag:
    """How the events of each source of a lane were spread over delays, and in what groups they came."""

    events: Singles = field(default_factory=_nothing)
    """By source (ordinal) and delay class."""
    cells: Floats = field(default_factory=lambda: np.zeros(0))
    """By source: cells in which these events were."""
    born: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """By source: when the first of them was learned, µs; `NEVER`: none was."""
    squares: Singles = field(default_factory=_nothing)
    """By source and delay class: sum of the squares of the events of one cell that came together."""
    late: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """By source: on which days events came that were later than usual; a bit a day, the lowest is `late_day`."""
    late_day: int = 0
    day: int = 0
    window: int = 0
    """See `Lately`."""
    together: dict[int, int] = field(default_factory=dict)
    """By cell: late events that have come in that window."""
    _groups: Floats | None = None
    """By delay class and all longer ones; `None`: to be worked out anew."""

    def learn(
        self, now: Micros, source: Ints, delays: Ints, events: Ints, begun: Ints, lately: Lately | None = None
    ) -> None:  # fmt: skip
        """Add events that were first seen processed at these delays (µs); parallel arrays, one entry a cell.

        `begun`: sources of the cells of which none was processed before, once for each cell. `lately`: what a batch
        brings of a cell has come together, however often it is looked at meanwhile; `None`: seldom enough.
        """
        if not len(source):
            return
        self._turn(now // DAY)
        self._grow(1 + max(int(source.max()), int(begun.max(initial=0))))
        classes = np.minimum(BINS.searchsorted(delays), _CLASSES - 1)
        place, amount = source * _CLASSES + classes, events.astype(np.float32)
        np.add.at(self.events.reshape(-1), place, amount)
        before = np.zeros(len(source), np.float32)
        if lately is not None and len(lately.cells) <= MOST_TOGETHER:
            before[lately.late] = self._came_before(lately, events[lately.late])
        np.add.at(self.squares.reshape(-1), place, amount * (2 * before + amount))
        self.cells += np.bincount(begun, minlength=len(self.cells))
        self.born[source] = np.minimum(self.born[source], now)
        self._groups = None

    def _came_before(self, lately: Lately, events: Ints) -> list[int]:
        """How many late events of these cells came before in this window; from now on these did too."""
        if lately.window != self.window or len(self.together) > MOST_TOGETHER:
            self.window, self.together = lately.window, {}
        cells = lately.cells.tolist()
        before = [self.together.get(cell, 0) for cell in cells]
        self.together |= {cell: was + more for cell, was, more in zip(cells, before, events.tolist(), strict=True)}
        return before

    def _grow(self, sources: int) -> None:
        more = sources - len(self.events)
        if more > 0:
            self.events = np.pad(self.events, ((0, more), (0, 0)))
            self.squares = np.pad(self.squares, ((0, more), (0, 0)))
            self.cells = np.pad(self.cells, (0, more))
            self.born = np.pad(self.born, (0, more), constant_values=NEVER)

    def _turn(self, day: int) -> None:
        if day > self.day:
            kept = FORGET ** min(day - self.day, 365) if self.day else 1.0
            self.events *= np.float32(kept)
            self.squares *= np.float32(kept)
            self.cells = self.cells * kept
            self.day = day

    def note_late(self, now: Micros, source: Ints) -> None:
        """Note of which sources events have come that were later than usual."""
        day = now // DAY
        if day > self.late_day:
            self.late = (self.late << min(day - self.late_day, 30)) & _REMEMBERED
            self.late_day = day
        self.late = np.pad(self.late, (0, max(0, int(source.max(initial=-1)) + 1 - len(self.late))))
        self.late[source] |= 1

    def often_late(self, now: Micros, sources: Ints) -> Bools:
        """Which of these sources are late so often, on other days than this, that it is usual."""
        mask = np.zeros(len(sources), np.int64)
        known = np.flatnonzero(sources < len(self.late))
        mask[known] = self.late[sources[known]] << min(now // DAY - self.late_day, 30)
        of_week, of_weeks = ((mask[:, None] >> days & 1).sum(axis=1) for days in (_WEEK, _SAME_DAY))
        usual: Bools = (of_week >= OFTEN) | (of_weeks >= OF_WEEKS)
        return usual

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

    def aged(self, pool: DelayCurve, source: Ints, share: float) -> Ints:
        """For each source: the age (µs, an edge of a class) from which on no more than this share may still come."""
        total = self._beyond(source)
        still = (total[:, 1:] + WORTH * pool.missing(BINS)) / (total[:, :1] + WORTH)
        reached = still <= share
        found: Ints = np.where(reached.any(axis=1), BINS[np.argmax(reached, axis=1)], NEVER)
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
            excess, together = np.zeros(_CLASSES), np.zeros(_CLASSES)
            for rows in (slice(first, first + CHUNK) for first in range(0, len(self.events), CHUNK)):
                excess += self._excess(rows).sum(axis=0)
                together += self.events[rows].sum(axis=0, dtype=np.float64)
            excess, together = (np.append(np.cumsum(one[::-1])[::-1], 0.0) + 1.0 for one in (excess, together))
            self._groups = np.maximum(excess / together, 1.0)
        return float(self._groups[_later(age)])

    def groups(self, source: Ints, age: Micros) -> Floats:
        """The same for each of these sources, with those of all as the belief to begin with."""
        found = np.full(len(source), self.group(age))
        known, first = np.flatnonzero(source < len(self.events)), _later(age)
        excess = self._excess(source[known])[:, first:].sum(axis=1) + GROUPS_WORTH * found[known]
        together = self.events[source[known], first:].sum(axis=1, dtype=np.float64) + GROUPS_WORTH
        found[known] = np.maximum(excess / together, 1.0)
        return found

    def groups_of_cells(self, source: Ints, age: Ints) -> Floats:
        """The same for cells of these sources and ages (µs), as far as each source has shown it; parallel arrays."""
        found, known = np.ones(len(source)), np.flatnonzero(source < len(self.events))
        later = np.searchsorted(BINS, np.maximum(age[known], 0), side="right")
        rows, place = np.unique(source[known], return_inverse=True)
        excess, together = (
            np.pad(np.cumsum(one[:, ::-1], axis=1, dtype=np.float64)[:, ::-1], ((0, 0), (0, 1)))[place, later]
            for one in (self._excess(rows), self.events[rows])
        )
        found[known] = np.maximum((excess + GROUPS_WORTH) / (together + GROUPS_WORTH), 1.0)
        return found

    def _excess(self, rows: slice | Ints) -> Floats:
        """By source and delay class: by how much the squares exceed those of the average cell."""
        usual = self.events[rows].astype(np.float64) ** 2 / np.maximum(self.cells[rows], 1.0)[:, None]
        excess: Floats = self.squares[rows] - usual
        return excess

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored; most delay classes of most sources are empty, and are left out."""
        place = np.flatnonzero(self.events).astype(np.int32)
        events, squares = (one.reshape(-1)[place] for one in (self.events, self.squares))
        arrays: tuple[NDArray[Any], ...] = (place, events, squares, self.cells, self.born)
        packed = [base64.b64encode(array.tobytes()).decode() for array in arrays]
        late = {str(source): int(self.late[source]) for source in np.flatnonzero(self.late)}
        together = {"window": self.window, "together": {str(cell): events for cell, events in self.together.items()}}
        return {"day": self.day, "arrays": packed, "late": late, "late_day": self.late_day} | together

    @classmethod
    def restore(cls, stored: Mapping[str, Any]) -> "OwnLag":
        """What `dump` gave."""
        types = (np.int32, np.float32, np.float32, np.float64, np.int64)
        place, events, squares, cells, born = map(_unpack, stored["arrays"], types)
        late_on = {int(source): int(days) for source, days in stored["late"].items()}
        late = np.zeros(max(late_on, default=-1) + 1, np.int64)
        late[list(late_on)] = list(late_on.values())
        events, squares = (_spread(place, amount, len(cells)) for amount in (events, squares))
        together = {int(cell): int(amount) for cell, amount in stored["together"].items()}
        days = int(stored["late_day"]), int(stored["day"])
        return cls(events, cells, born, squares, late, *days, int(stored["window"]), together)


def _later(age: Micros) -> int:
    """The first delay class that lies beyond this age."""
    return int(np.searchsorted(BINS, max(age, 0), side="right"))


def _spread(place: NDArray[Any], values: NDArray[Any], sources: int) -> Singles:
    found = np.zeros(sources * _CLASSES, np.float32)
    found[place] = values
    return found.reshape(-1, _CLASSES)


def _unpack(packed: str, kind: type) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(packed), kind).copy()
