"""A count tile summed over reporters and outcomes: what each source has at a stage, bucket by bucket."""

from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from reconciler.core.directory import OK, REPLAYED, Directory
from reconciler.core.tiles import ABSENT, CHUNK, SPAN, Bools, CountTile, Ints, zeros

COUNTED_UP_TO = 2**50
"""A reading beyond this is a broken counter; judged as this much, so that no sum over sources leaves 64 bits."""

Kind = TypeVar("Kind", np.int64, np.uint64, np.bool_)


@dataclass(slots=True)
class Totals:
    """Sums over the series of each source of a chunk; `(rows, SPAN)`, in events. To be read only."""

    ok: Ints
    """Events that go on: accepted or processed, those sent again left out."""
    legal: Ints
    """Events that have found a legal end."""
    replayed: Ints
    """Events that were sent again and go on."""
    known: Bools
    """Some reporter has given a count, even zero."""
    error: Ints
    """Half-width of the approximation."""
    shrunk: Ints
    """How much counts have become smaller than they were."""
    digest: NDArray[np.uint64]
    """Sum of the digests modulo 2^64."""
    digested: Bools
    """Every count that is not zero came with a digest."""


def totals(tile: CountTile | None, directory: Directory, chunk: int, rows: int) -> Totals:
    """Sum a tile (`None`: nothing was counted there) over its series."""
    nothing = zeros(rows)
    none, every = _nowhere(rows), _everywhere(rows)
    total = Totals(nothing, nothing, nothing, none, nothing, nothing, nothing.view(np.uint64), every)
    if tile is None or not len(tile.series):
        return total
    sources, classes = directory.table()
    row, kind = sources[tile.series] - chunk * CHUNK, classes[tile.series]
    live = kind < REPLAYED
    alone = len(row) <= rows and len(set(row.tolist())) == len(row)
    ordered = len(row) == rows and alone and bool((row[1:] > row[:-1]).all())
    place = _Place(rows, row, alone=alone, ordered=ordered)
    count = _within(tile.count)
    total.ok = place.add(count, kind == OK)
    if (ended := live & (kind != OK)).any():
        total.legal = place.add(count, ended)
    if (again := kind == REPLAYED + OK).any():
        total.replayed = place.add(count, again)
    total.known = place.add(tile.count != ABSENT, live)
    if (tile.peak != tile.count).any():
        total.shrunk = place.add(_within(tile.peak) - count, live)
    if tile.error.any():
        total.error = place.add(np.ceil(np.minimum(tile.error, COUNTED_UP_TO)).astype(np.int64), live)
    digested = tile.digested | (count == 0)
    total.digested = place.all(digested)
    if tile.digested.any():
        total.digest = place.add(np.where(count > 0, tile.digest, 0), live)
    return total


@cache
def _nowhere(rows: int) -> Bools:
    return _shared(np.zeros((rows, SPAN), np.bool_))


@cache
def _everywhere(rows: int) -> Bools:
    return _shared(np.ones((rows, SPAN), np.bool_))


def _shared(flags: Bools) -> Bools:
    flags.flags.writeable = False
    return flags


def _within(count: Ints) -> Ints:
    if count.min() >= 0 and count.max() <= COUNTED_UP_TO:
        return count
    bounded: Ints = np.minimum(np.maximum(count, 0), COUNTED_UP_TO)
    return bounded


_Ranked = tuple[NDArray[np.intp], Ints, NDArray[np.intp]]
"""Series source by source; the row of each source; and where in that order it begins."""


@dataclass(slots=True)
class _Place:
    """Where the series of a tile belong."""

    rows: int
    row: Ints
    """By series: the row of its source."""
    alone: bool
    """No two series share a source."""
    ordered: bool
    """Each row has its series, in order."""
    _every: _Ranked | None = None
    """All series; `None`: not ranked yet."""

    def add(self, amount: NDArray[Kind], which: Bools) -> NDArray[Kind]:
        """The amounts of some series, added up by source."""
        if self.ordered and which.all():
            return amount
        total = np.zeros((self.rows, SPAN), amount.dtype)
        if self.alone:
            total[self.row[which]] = amount[which]
        elif which.any():
            order, row, starts = self._ranked(which)
            total[row] = np.add.reduceat(amount[order], starts, axis=0, dtype=amount.dtype)
        return total

    def all(self, flags: Bools) -> Bools:
        """Where the flags of all series of a source hold."""
        if self.ordered:
            return flags
        every = np.ones((self.rows, SPAN), np.bool_)
        if self.alone:
            every[self.row] = flags
        else:
            order, row, starts = self._ranked(np.ones(len(flags), np.bool_))
            every[row] = np.logical_and.reduceat(flags[order], starts, axis=0)
        return every

    def _ranked(self, which: Bools) -> _Ranked:
        every = bool(which.all())
        if every and self._every is not None:
            return self._every
        order = which.nonzero()[0]
        order = order[self.row[order].argsort(kind="stable")]
        row = self.row[order]
        is_first = np.ones(len(order), np.bool_)
        np.not_equal(row[1:], row[:-1], out=is_first[1:])
        starts = is_first.nonzero()[0]
        ranked = order, row[starts], starts
        if every:
            self._every = ranked
        return ranked
