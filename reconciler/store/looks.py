"""What is asked about one source or one cell: only the tiles of its chunk, only the lines that speak of it."""

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, select

from reconciler.core.directory import Directory
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, PARTS, SPAN, VerdictTile
from reconciler.core.times import NEVER, Micros
from reconciler.core.verdicts import Evidence, Verdict
from reconciler.serving import Judgement, Reading
from reconciler.store import past, tables, tiles
from reconciler.store.packing import unpack


def source_tiles(
    connection: Connection, pipeline: Pipeline, hop: str, source: int, first: Micros, last: Micros, as_of: Micros | None
) -> Iterator[tuple[int, VerdictTile]]:
    """By span: the tiles that hold this source in the buckets first to last (inclusive)."""
    table = tables.tile.c
    spans = [instant // pipeline.width // SPAN for instant in (first, last)]
    here = (table.part == hop, table.chunk == source // CHUNK, table.span >= spans[0], table.span <= spans[1])
    found = tiles.where(connection, pipeline.name, tiles.VERDICT, *here)
    if as_of is None:
        for key, tile in tiles.load(connection, found, VerdictTile, frozen=True):
            yield key.span, tile
        return
    for key, tile in past.tiles_as_of(connection, pipeline, hop, found, as_of):
        yield key.span, tile


def judgements(
    connection: Connection, pipeline: Pipeline, hop: str, source: int, bucket: Micros, as_of: Micros
) -> list[Judgement]:
    """All that was said of one cell, in order."""
    table = tables.said.c
    query = select(table.at, table.payload).where(
        table.pipeline == pipeline.name, table.hop == hop, table.max_bucket >= bucket, table.min_bucket <= bucket,
        table.at <= as_of,
    )  # fmt: skip
    told: list[Judgement] = []
    for at, payload in connection.execute(query.order_by(table.at, table.position)):
        block = unpack(payload)
        for place in np.flatnonzero((block["source"] == source) & (block["bucket"] == bucket)).tolist():
            parts = {name: int(block[f"parts.{name}"][place]) if f"parts.{name}" in block else 0 for name in PARTS}
            loss_at = int(block["loss_at"][place]) or None
            words = tuple(Evidence(int(block["evidence"][place])).words())
            told.append(
                Judgement(
                    int(at), Verdict(int(block["code"][place])), words, parts, loss_at, bool(block["proven"][place])
                )
            )
    return told


def readings(
    connection: Connection, pipeline: Pipeline, directory: Directory, stage: str, source: int, bucket: Micros,
    as_of: Micros = NEVER,
) -> list[Reading]:  # fmt: skip
    """All that was ever counted of one source and bucket at a stage, in order of `at`."""
    own = {
        number: key for number, key in enumerate(directory.series) if key.stage == stage and key.source == source
    }  # fmt: skip
    table = tables.reading.c
    query = select(table.payload).where(
        table.pipeline == pipeline.name, table.stage == stage, table.max_bucket >= bucket, table.min_bucket <= bucket,
        table.min_at <= as_of,
    )  # fmt: skip
    numbers, column = np.array(sorted(own), np.int64), bucket // pipeline.width
    found: list[Reading] = []
    for (payload,) in connection.execute(query.order_by(table.position)):
        block = unpack(payload)
        mine = (block["column"] == column) & (block["at"] <= as_of) & np.isin(block["series"], numbers)
        for place in np.flatnonzero(mine).tolist():
            key = own[int(block["series"][place])]
            digest = str(int(block["digest"][place])) if block["digested"][place] else None
            found.append(
                Reading(
                    int(block["at"][place]), stage, key.outcome, key.reporter, key.replay, int(block["count"][place]),
                    digest, float(block["error"][place]),
                )
            )  # fmt: skip
    return sorted(found, key=lambda one: (one.at, one.reporter, one.outcome))
