"""Verdict tiles as of a past instant: those that have not changed since as they are, the others from what was said.

Most of what is asked for of a past instant lies before it by hours, and was settled by then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from sqlalchemy import Connection

from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.store import findings, tiles


def tiles_as_of(
    connection: Connection, pipeline: Pipeline, hop: str, stored: Sequence[tiles.Stored], as_of: Micros
) -> Iterator[tuple[TileKey, VerdictTile]]:
    """These tiles (in order of span and chunk) as they stood; those of which nothing had been said are left out."""
    for span, own in groupby(stored, key=lambda one: one.key.span):
        here = list(own)
        still = [one for one in here if stood_still(one.latest_at, as_of)]
        found = {key: _settled(tile) for key, tile in tiles.load(connection, still, VerdictTile, frozen=True)}
        moved = {one.key.chunk for one in here if not stood_still(one.latest_at, as_of)}
        if moved:
            found |= dict(findings.said_tiles(connection, pipeline, hop, span, as_of, moved))
        yield from sorted(found.items())


def stood_still(latest_at: Micros, as_of: Micros) -> bool:
    """Whether a tile has not changed since; 0: nobody has noted when it was judged."""
    return 0 < latest_at <= as_of


def _settled(tile: VerdictTile) -> VerdictTile:
    """Whether its cells were active then is not known."""
    return replace(tile, active=np.zeros((CHUNK, SPAN), np.bool_))
