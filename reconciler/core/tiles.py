"""Tiles: the counts and verdicts of up to 256 sources over 60 neighbouring buckets, as arrays.

A tile is what is loaded, judged and stored as one piece, so that cost follows what changed and every step is an array
operation. Rows of a count tile are *series* (one source, outcome, reporter and replay); rows of a verdict tile are
sources. Columns are buckets. A count that was never read is `ABSENT`, which is not zero.
"""

from dataclasses import dataclass, field, fields
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CHUNK = 256
"""Sources in a tile."""
SPAN = 60
"""Buckets in a tile: an hour of one-minute buckets."""
ABSENT = -1

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp] | Ints


class TileKey(NamedTuple):
    """Where a tile lies: a stage (counts) or a hop (verdicts), which sources, which buckets."""

    part: str
    """The stage, or ``from>to`` of the hop."""
    chunk: int
    """Ordinal of the source divided by `CHUNK`."""
    span: int
    """Ordinal of the bucket (start divided by width) divided by `SPAN`."""


@dataclass(slots=True)
class Readings:
    """A batch of readings of one count tile, as parallel arrays in order of arrival."""

    series: Ints
    column: Ints
    """Bucket ordinal within the span, 0 to 59."""
    count: Ints
    at: Ints
    """µs; when each reading was learned."""
    digest: NDArray[np.uint64]
    digested: Bools
    """Whether the reading carried a digest."""
    error: NDArray[np.float64]

    def take(self, which: NDArray[np.intp] | Bools | slice) -> "Readings":
        """The readings at these positions."""
        return Readings(*(getattr(self, name)[which] for name in _COLUMNS))

    def __len__(self) -> int:
        return len(self.series)


_COLUMNS = tuple(part.name for part in fields(Readings))


def _grid(rows: int, value: int = 0) -> Ints:
    return np.full((rows, SPAN), value, dtype=np.int64)


@dataclass(slots=True)
class CountTile:
    """Current value of each series and bucket, the instant of that reading, and the largest value ever read."""

    series: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Ids of the rows, ascending."""
    count: Ints = field(default_factory=lambda: _grid(0))
    at: Ints = field(default_factory=lambda: _grid(0))
    peak: Ints = field(default_factory=lambda: _grid(0))
    digest: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, SPAN), np.uint64))
    digested: Bools = field(default_factory=lambda: np.zeros((0, SPAN), np.bool_))
    error: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, SPAN)))

    def apply(self, batch: Readings) -> tuple[Bools, Bools]:
        """Take a batch of readings; returns (`news`, `stale`), a flag a reading each.

        `news`: the reading is not the current one said again. `stale`: an older reading than the current one, which
        belongs to the history only. Of readings with the same instant the later line wins.
        """
        row = self._rows(batch.series)
        cell = (row, batch.column)
        stale = batch.at < self.at[cell]
        news = stale | (batch.at != self.at[cell]) | self._differs(cell, batch)
        flat = row * SPAN + batch.column
        order = np.lexsort((batch.at, flat))
        order = order[~stale[order]]
        ranked = flat[order]
        is_last = np.ones(len(order), np.bool_)
        np.not_equal(ranked[1:], ranked[:-1], out=is_last[:-1])
        last = order[is_last]
        self._write(batch.take(last), row[last])
        np.maximum.at(self.peak, cell, batch.count)
        return news, stale

    def _differs(self, cell: tuple[NDArray[np.intp], Ints], batch: Readings) -> Bools:
        same = (batch.count == self.count[cell]) & (batch.digest == self.digest[cell])
        other: Bools = ~(same & (batch.digested == self.digested[cell]) & (batch.error == self.error[cell]))
        return other

    def _write(self, batch: Readings, row: NDArray[np.intp]) -> None:
        cell = (row, batch.column)
        self.count[cell], self.at[cell] = batch.count, batch.at
        self.digest[cell], self.digested[cell], self.error[cell] = batch.digest, batch.digested, batch.error

    def _rows(self, wanted: Ints) -> NDArray[np.intp]:
        """The rows of these series; those that are new get one."""
        if len(self.series):
            row = self.series.searchsorted(wanted)
            if (self.series[np.minimum(row, len(self.series) - 1)] == wanted).all():
                return row
        fresh = np.setdiff1d(wanted, self.series)
        blank = CountTile(
            fresh,
            _grid(len(fresh), ABSENT),
            _grid(len(fresh)),
            _grid(len(fresh), ABSENT),
            np.zeros((len(fresh), SPAN), np.uint64),
            np.zeros((len(fresh), SPAN), np.bool_),
            np.zeros((len(fresh), SPAN)),
        )
        order = np.argsort(np.concatenate([self.series, fresh]), kind="stable")
        for part in fields(self):
            joined = np.concatenate([getattr(self, part.name), getattr(blank, part.name)])
            setattr(self, part.name, joined[order])
        return self.series.searchsorted(wanted)


PARTS = (
    "accepted",
    "processed",
    "accounted",
    "retained",
    "in_flight",
    "passed_over",
    "unproven",
    "lost",
    "surplus",
    "misplaced",
    "lost_proven",
    "recovered",
    "duplicated",
    "returned",
)
"""The event counts of a cell, in the order of contract §4; all in events, `misplaced` signed."""


@cache
def zeros(rows: int) -> Ints:
    """A plane of zeros, `(rows, SPAN)`, that all share; it cannot be written to."""
    plane = np.zeros((rows, SPAN), np.int64)
    plane.flags.writeable = False
    return plane


class Planes:
    """Event counts of cells, a plane `(rows, SPAN)` for each of `PARTS`; nearly all are zeros, and those take no room.

    Reading is `planes["lost"]`; that plane may be shared, so what is to be written to is got by `own`.
    """

    __slots__ = ("_blank", "_planes", "rows")

    def __init__(self, rows: int = CHUNK) -> None:
        self.rows = rows
        self._blank = zeros(rows)
        self._planes = dict.fromkeys(PARTS, self._blank)

    def __getitem__(self, part: str) -> Ints:
        return self._planes[part]

    def __setitem__(self, part: str, plane: Ints) -> None:
        if part not in self._planes:
            raise KeyError(part)
        self._planes[part] = plane

    def own(self, part: str) -> Ints:
        """The plane, to be written to; one that is shared becomes a copy."""
        plane = self._planes[part]
        if not plane.flags.writeable:
            plane = self._planes[part] = plane.copy()
        return plane

    def is_blank(self, part: str) -> bool:
        """Whether nothing was ever written to the plane; one that is not may be all zeros too."""
        return self._planes[part] is self._blank

    def filled(self) -> list[str]:
        """The parts whose planes are not blank."""
        return [part for part, plane in self._planes.items() if plane is not self._blank]

    def take(self, row: Places, column: Places) -> Ints:
        """The parts of some cells: `(len(PARTS), n)`."""
        taken = np.zeros((len(PARTS), len(row)), np.int64)
        for number, plane in enumerate(self._planes.values()):
            if plane is not self._blank:
                taken[number] = plane[row, column]
        return taken

    def row(self, number: int) -> Ints:
        """The parts of one source: `(len(PARTS), SPAN)`."""
        return np.stack([plane[number] for plane in self._planes.values()])


@dataclass(slots=True)
class VerdictTile:
    """What was last said of each cell of a hop; rows are sources, `(CHUNK, SPAN)`."""

    code: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((CHUNK, SPAN), np.uint8))
    """`Verdict` value; 0: the cell does not exist yet."""
    evidence: NDArray[np.uint32] = field(default_factory=lambda: np.zeros((CHUNK, SPAN), np.uint32))
    """Bits of `Evidence`."""
    parts: Planes = field(default_factory=Planes)
    loss_at: Ints = field(default_factory=lambda: np.zeros((CHUNK, SPAN), np.int64))
    """µs; 0: none."""
    proven: Bools = field(default_factory=lambda: np.zeros((CHUNK, SPAN), np.bool_))
    active: Bools = field(default_factory=lambda: np.zeros((CHUNK, SPAN), np.bool_))
    """Time alone may still change what is said of the cell."""
