"""Outlines of verdict tiles at rest, and those of a past instant made from what had been said by then."""

import zlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from sqlalchemy import ColumnElement, Connection, select

from reconciler.core.outlines import QUARTERS, SUMS, Outline, outline
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.store import past, tables, tiles

LEVEL = 1
"""zlib level: they are read much more often than written, and small either way."""
_GRID = CHUNK * QUARTERS
_ENDS = (len(SUMS), len(SUMS) + _GRID, len(SUMS) + 2 * _GRID)
"""Where the parts of an outline end: which sums are there, the worst verdicts, the cells; the rest are sums."""


def pack_outline(found: Outline) -> bytes:
    """As few bytes: only sums that are there, and what was processed as its difference to the accepted."""
    sums = found.sums.reshape(len(SUMS), _GRID).copy()
    sums[1] -= sums[0]
    there = sums.any(axis=1)
    octets = np.ascontiguousarray(sums[there], "<i8").view(np.uint8).reshape(-1, 8)
    body = there.tobytes() + found.worst.tobytes() + found.cells.tobytes() + octets.T.tobytes()
    return zlib.compress(body, LEVEL)


def unpack_outline(packed: bytes) -> Outline:
    """The outline again; to be read only."""
    raw = np.frombuffer(zlib.decompress(packed), np.uint8)
    there, worst, cells, planes = (raw[start:end] for start, end in pairwise((0, *_ENDS, len(raw))))
    sums = np.zeros((len(SUMS), _GRID), np.int64)
    octets = np.ascontiguousarray(planes.reshape(8, -1).T)
    sums[there > 0] = octets.view("<i8").reshape(-1, _GRID)
    sums[1] += sums[0]
    shape = (CHUNK, QUARTERS)
    return Outline(worst.reshape(shape), cells.reshape(shape), sums.reshape(len(SUMS), *shape))


def outlines(
    connection: Connection, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros | None = None
) -> Iterator[tuple[TileKey, Outline]]:
    """Outlines of what was last said of the buckets first to last (inclusive), or had been said by `as_of`.

    What has not changed since then is read as quickly as the present; the rest is laid together from what was said.
    """
    table = tables.tile.c
    query = select(table.id, table.chunk, table.span, table.latest_at, table.outline)
    bare: list[tiles.Stored] = []
    found = connection.execute(query.where(*_within(pipeline, hop, first, last)).order_by(table.span, table.chunk))
    for number, chunk, span, latest_at, packed in found:
        key = TileKey(hop, chunk, span)
        if packed and (as_of is None or past.stood_still(latest_at, as_of)):
            yield key, unpack_outline(packed)
        else:
            bare.append(tiles.Stored(number, key, 0, latest_at))
    if as_of is None:
        drawn = tiles.load(connection, bare, VerdictTile, frozen=True)
    else:
        drawn = past.tiles_as_of(connection, pipeline, hop, bare, as_of)
    for key, tile in drawn:
        yield key, outline(tile)


def _within(pipeline: Pipeline, hop: str, first: Micros, last: Micros) -> tuple[ColumnElement[bool], ...]:
    """The verdict tiles that hold these buckets."""
    table = tables.tile.c
    spans = [instant // pipeline.width // SPAN for instant in (first, last)]
    here = (table.pipeline == pipeline.name, table.kind == tiles.VERDICT, table.part == hop)
    return (*here, table.span >= spans[0], table.span <= spans[1])
