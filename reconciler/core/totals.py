"""A count tile summed over reporters and outcomes: what each source has at a stage, bucket by bucket."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconciler.core.directory import OK, REPLAYED, Directory
from reconciler.core.tiles import ABSENT, CHUNK, SPAN, Bools, CountTile, Ints

COUNTED_UP_TO = 2**50
"""A reading beyond this is a broken counter; judged as this much, so that no sum over sources leaves 64 bits."""


@dataclass(slots=True)
class Totals:
    """Sums over the series of each source of a chunk; `(rows, SPAN)`, in events."""

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
    shape = (rows, SPAN)
    total = Totals(
        ok=np.zeros(shape, np.int64),
        legal=np.zeros(shape, np.int64),
        replayed=np.zeros(shape, np.int64),
        known=np.zeros(shape, np.bool_),
        error=np.zeros(shape, np.int64),
        shrunk=np.zeros(shape, np.int64),
        digest=np.zeros(shape, np.uint64),
        digested=np.ones(shape, np.bool_),
    )
    if tile is None or not len(tile.series):
        return total
    sources, classes = directory.table()
    row, kind = sources[tile.series] - chunk * CHUNK, classes[tile.series]
    live = kind < REPLAYED
    alone = len(row) <= rows and len(set(row.tolist())) == len(row)
    count = _within(tile.count)
    _add(total.ok, row, count, kind == OK, alone=alone)
    if kind.any():
        _add(total.legal, row, count, live & (kind != OK), alone=alone)
        _add(total.replayed, row, count, kind == REPLAYED + OK, alone=alone)
    _add(total.known, row, tile.count != ABSENT, live, alone=alone)
    if (tile.peak != tile.count).any():
        _add(total.shrunk, row, _within(tile.peak) - count, live, alone=alone)
    if tile.error.any():
        _add(total.error, row, np.ceil(np.minimum(tile.error, COUNTED_UP_TO)).astype(np.int64), live, alone=alone)
    digested = tile.digested | (count == 0)
    if alone:
        total.digested[row] = digested
    else:
        np.logical_and.at(total.digested, row, digested)
    if tile.digested.any():
        _add(total.digest, row, np.where(count > 0, tile.digest, 0), live, alone=alone)
    return total


def _within(count: Ints) -> Ints:
    bounded: Ints = np.minimum(np.maximum(count, 0), COUNTED_UP_TO)
    return bounded


def _add(
    total: Ints | Bools | NDArray[np.uint64], row: Ints, amount: Ints | Bools, which: Bools, *, alone: bool
) -> None:  # fmt: skip
    """Add the amounts of some series to the rows of their sources; `alone`: no two series share a source."""
    if alone:
        total[row[which]] = amount[which]
    elif which.any():
        np.add.at(total, row[which], amount[which].astype(total.dtype))
