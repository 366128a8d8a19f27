"""The recorded past, as it came in: every observation again in the order of `at`, and every block of what was said."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from reconciler.core.directory import Directory
from reconciler.core.observations import Capacity, Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import PARTS
from reconciler.core.times import HOUR, Micros, floor_to
from reconciler.ports import Said
from reconciler.store import facts, tables
from reconciler.store.journal import Place
from reconciler.store.journal import readings as blocks
from reconciler.store.packing import unpack

COLUMNS = ("source", "bucket", "code", "evidence", "loss_at", "proven")
PIECE: Micros = HOUR
"""The past is read in stretches of so long."""


def observations(
    connection: Connection, pipeline: Pipeline, directory: Directory | None, first: Micros, last: Micros
) -> Iterator[Observation]:  # fmt: skip
    """All with `at` in [first, last] that concern the pipeline, in order of `at`; counts only with a directory.

    Counts that were told again unchanged within one reading are not in the history, and nothing that was pruned is.
    """
    for start in range(floor_to(first, PIECE), last + 1, PIECE):
        span = max(start, first), min(start + PIECE - 1, last)
        found: list[Observation] = [
            *(_counts(connection, pipeline, directory, span) if directory is not None else ()),
            *_progress(connection, pipeline.name, span),
            *facts.samples(connection, pipeline.name, *span),
            *_capacities(connection, pipeline.name, span),
        ]
        yield from sorted(found, key=attrgetter("at"))


def _counts(
    connection: Connection, pipeline: Pipeline, directory: Directory, span: tuple[Micros, Micros]
) -> Iterator[Count]:  # fmt: skip
    for stage in pipeline.stages:
        for batch in blocks(connection, Place(pipeline.name, stage, pipeline.width), span):
            columns = (batch.series, batch.column, batch.at, batch.count, batch.digest, batch.digested, batch.error)
            for number, column, at, count, digest, digested, error in zip(*(one.tolist() for one in columns),
                                                                          strict=True):  # fmt: skip
                key = directory.series[number]
                yield Count(
                    at,
                    pipeline.name,
                    stage,
                    key.origin or directory.sources[key.source],
                    column * pipeline.width,
                    count,
                    key.outcome,
                    key.reporter,
                    digest if digested else None,
                    error,
                    key.replay,
                )


def _progress(connection: Connection, pipeline: str, span: tuple[Micros, Micros]) -> Iterator[Progress]:
    table = tables.progress.c
    query = select(table.at, table.stage, table.through, table.reporter, table.final).where(
        table.pipeline == pipeline, table.at >= span[0], table.at <= span[1]
    )
    for at, stage, through, reporter, final in connection.execute(query.order_by(table.at, table.stage)):
        yield Progress(at, pipeline, stage, through, reporter, final)


def _capacities(connection: Connection, pipeline: str, span: tuple[Micros, Micros]) -> Iterator[Capacity]:
    table = tables.capacity
    query = select(table).where(table.c.at >= span[0], table.c.at <= span[1]).order_by(table.c.at)
    for row in connection.execute(query):
        reading = facts.capacity_of(row)
        if not reading.pipelines or pipeline in reading.pipelines:
            yield reading


def spoken(
    connection: Connection, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros
) -> Iterator[tuple[Micros, Said]]:
    """Each block of what was said of buckets first to last (inclusive) until `as_of`, and when, in that order."""
    table = tables.said.c
    query = select(table.at, table.payload).where(
        table.pipeline == pipeline.name, table.hop == hop, table.max_bucket >= first, table.min_bucket <= last,
        table.at <= as_of,
    )  # fmt: skip
    for at, payload in connection.execute(query.order_by(table.at, table.position)):
        yield at, said_of(hop, unpack(payload), first, last)


def said_of(hop: str, arrays: Mapping[str, NDArray[Any]], first: Micros, last: Micros) -> Said:
    """A block as it was written, without the buckets that nobody asks for."""
    mine = (arrays["bucket"] >= first) & (arrays["bucket"] <= last)
    source, bucket, code, evidence, loss_at, proven = (arrays[name][mine] for name in COLUMNS)
    # A part that is younger than the block was nothing then.
    none = np.zeros(len(bucket), np.int64)
    parts = [arrays[f"parts.{name}"][mine] if f"parts.{name}" in arrays else none for name in PARTS]
    return Said(hop, source, bucket, code, evidence, np.stack(parts), loss_at, proven)
