"""A count tile summed over reporters and outcomes: what each source has at a stage, bucket by bucket."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple, TypeVar

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

    @property
    def undigested(self) -> bool:
        """Whether no count came with a digest."""
        return self.digest is _undigested(len(self.ok))

    def differs(self, other: "Totals") -> Bools:
        """Cells with events of which all digests are known on both sides, and differ."""
        if self.undigested:
            return _nowhere(len(self.ok))
        differs: Bools = self.digested & other.digested & (self.digest != other.digest) & (self.ok > 0)
        return differs


def totals(tile: CountTile | None, directory: Directory, chunk: int, rows: int) -> Totals:
    """Sum a tile (`None`: nothing was counted there) over its series."""
    nothing = zeros(rows)
    none, every = _nowhere(rows), _everywhere(rows)
    total = Totals(nothing, nothing, nothing, none, nothing, nothing, _undigested(rows), every)
    if tile is None or not len(tile.series):
        return total
    sources, classes = directory.table()
    row, kind = sources[tile.series] - chunk * CHUNK, classes[tile.series]
    places = _placed(rows, row.tobytes(), kind.tobytes())
    count = _within(tile.count)
    total.ok = places.going.add(count)
    if len(places.ended):
        total.legal = places.ended.add(count)
    if len(places.again):
        total.replayed = places.again.add(count)
    total.known = places.live.add(tile.count != ABSENT)
    if (tile.peak != tile.count).any():
        total.shrunk = places.live.add(_within(tile.peak) - count)
    if tile.error.any():
        total.error = places.live.add(np.ceil(np.minimum(tile.error, COUNTED_UP_TO)).astype(np.int64))
    total.digested = places.all.every(tile.digested | (count == 0))
    if tile.digested.any():
        total.digest = places.live.add(np.where(count > 0, tile.digest, 0))
    return total


@cache
def _undigested(rows: int) -> NDArray[np.uint64]:
    return zeros(rows).view(np.uint64)


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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where some series of a tile belong."""

    rows: int
    order: NDArray[np.intp]
    """The series, source by source."""
    row: Ints
    """The rows of their sources, ascending."""
    starts: NDArray[np.intp] | None
    """Where each source begins in `order`; `None`: each has one series."""
    whole: bool
    """They are all series of the tile, and each row has one, in order."""

    @classmethod
    def of(cls, rows: int, row: Ints, which: Bools) -> "_Place":
        """Of those series `which`; `row`: by series."""
        order = which.nonzero()[0]
        order = order[row[order].argsort(kind="stable")]
        ranked = row[order]
        is_first = np.ones(len(order), np.bool_)
        np.not_equal(ranked[1:], ranked[:-1], out=is_first[1:])
        starts = None if is_first.all() else is_first.nonzero()[0]
        whole = len(order) == len(row) == rows and starts is None and bool((order[1:] > order[:-1]).all())
        return cls(rows, order, ranked[is_first], starts, whole)

    def __len__(self) -> int:
        return len(self.order)

    def add(self, amount: NDArray[Kind]) -> NDArray[Kind]:
        """Their amounts, of those of all series, added up by source."""
        if self.whole:
            return amount
        total = np.zeros((self.rows, SPAN), amount.dtype)
        if len(self.order):
            own = amount[self.order]
            own = own if self.starts is None else np.add.reduceat(own, self.starts, axis=0, dtype=amount.dtype)
            total[self.row] = own
        return total

    def every(self, flags: Bools) -> Bools:
        """Where the flags of all of them hold, by source."""
        if self.whole:
            return flags
        held = np.ones((self.rows, SPAN), np.bool_)
        own = flags[self.order]
        held[self.row] = own if self.starts is None else np.logical_and.reduceat(own, self.starts, axis=0)
        return held


class _Places(NamedTuple):
    """Where the series of a tile belong, by what they count."""

    going: _Place
    ended: _Place
    again: _Place
    live: _Place
    """Going on or ended legally, and not sent again."""
    all: _Place


@lru_cache(maxsize=1024)
def _placed(rows: int, row: bytes, kind: bytes) -> _Places:
    """The same few series are summed tick after tick; `row` and `kind` are the bytes of arrays, by series."""
    place, counted = np.frombuffer(row, np.int64), np.frombuffer(kind, np.int64)
    live = counted < REPLAYED
    groups = (counted == OK, live & (counted != OK), counted == REPLAYED + OK, live, np.ones(len(place), np.bool_))
    return _Places(*(_Place.of(rows, place, which) for which in groups))
