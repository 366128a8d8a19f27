"""The history of counts: append-only blocks of readings, and the tiles of any past instant rebuilt from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, func, insert, select

from reconciler.core.directory import Directory
from reconciler.core.tiles import CHUNK, SPAN, Bools, CountTile, Ints, Readings, TileKey
from reconciler.core.times import Micros
from reconciler.store import tables, tiles
from reconciler.store.packing import pack, unpack


@dataclass(frozen=True, slots=True)
class Place:
    """Which history: a stage of a pipeline, and the width of its buckets in µs."""

    pipeline: str
    stage: str
    width: Micros


def last_lines(batch: Readings) -> Bools:
    """Of readings of one cell with the same `at` the last one; the others were never in force."""
    cell = batch.series * SPAN + batch.column
    order = np.lexsort((np.arange(len(batch)), batch.at, cell))
    cell, at = cell[order], batch.at[order]
    keep = np.ones(len(batch), np.bool_)
    keep[order[:-1]] = (cell[1:] != cell[:-1]) | (at[1:] != at[:-1])
    return keep


def join(batches: Sequence[Readings]) -> Readings:
    """Batches as one, in their order."""
    return Readings(*(np.concatenate([getattr(batch, part.name) for batch in batches]) for part in fields(Readings)))


def append(connection: Connection, place: Place, position: int, batch: Readings) -> None:
    """Add a block; `column` of the batch counts buckets since the epoch."""
    row = {
        "pipeline": place.pipeline,
        "stage": place.stage,
        "position": position,
        "n": len(batch),
        "min_bucket": int(batch.column.min()) * place.width,
        "max_bucket": int(batch.column.max()) * place.width,
        "min_at": int(batch.at.min()),
        "max_at": int(batch.at.max()),
        "payload": pack({part.name: getattr(batch, part.name) for part in fields(batch)}),
    }
    connection.execute(insert(tables.reading), [row])


def known(connection: Connection, place: Place, batch: Readings) -> Bools:
    """Which readings the history holds already, as the last line of their cell and instant."""
    wanted = {line[:3]: number for number, line in enumerate(_lines(batch))}
    said: dict[tuple[int, int, int], tuple[Any, ...]] = {}
    instants = np.unique(batch.at)
    for positions in tiles.batches(_holding(connection, place, np.unique(batch.column) * place.width, instants), 500):
        table = tables.reading.c
        query = select(table.payload).where(table.pipeline == place.pipeline, table.stage == place.stage)
        for block in _blocks(connection, query.where(table.position.in_(positions)).order_by(table.position)):
            for line in _lines(block.take(np.isin(block.at, instants))):
                if line[:3] in wanted:
                    said[line[:3]] = line
    return np.array([said.get(line[:3]) == line for line in _lines(batch)], np.bool_)


def _holding(connection: Connection, place: Place, buckets: Ints, instants: Ints) -> list[int]:
    """Positions of the blocks that may hold readings of these buckets and instants, both in order.

    Few hold any of what somebody says again of a whole day, though nearly all lie between its first and its last.
    """
    table = tables.reading.c
    query = _overlapping(place, int(buckets[0]), int(buckets[-1]))
    query = query.where(table.max_at >= int(instants[0]), table.min_at <= int(instants[-1]))
    columns = (table.position, table.min_bucket, table.max_bucket, table.min_at, table.max_at)
    found = connection.execute(query.with_only_columns(*columns)).all()
    position, *rims = np.array(found, np.int64).reshape(-1, len(columns)).T
    return [int(one) for one in position[_any_within(buckets, *rims[:2]) & _any_within(instants, *rims[2:])]]


def _any_within(ordered: Ints, least: Ints, most: Ints) -> Bools:
    """For each span (inclusive) whether any of these values lies in it."""
    within: Bools = np.searchsorted(ordered, least) < np.searchsorted(ordered, most, side="right")
    return within


def _lines(batch: Readings) -> list[tuple[Any, ...]]:
    """Each reading as a tuple: series, column and at, then what was read."""
    values = (batch.count, batch.digest, batch.digested, batch.error)
    return list(zip(*(array.tolist() for array in (batch.series, batch.column, batch.at, *values)), strict=True))


def readings(connection: Connection, place: Place, span: tuple[Micros, Micros]) -> Iterator[Readings]:
    """All readings with `at` in the span (inclusive), block by block; `column` counts buckets since the epoch."""
    table = tables.reading.c
    query = select(table.payload).where(
        table.pipeline == place.pipeline, table.stage == place.stage, table.max_at >= span[0], table.min_at <= span[1]
    )
    for block in _blocks(connection, query.order_by(table.position)):
        yield block.take((block.at >= span[0]) & (block.at <= span[1]))


def latest_at(connection: Connection, place: Place, now: Micros) -> Micros | None:
    """`at` of the latest count of the stage until `now`."""
    table = tables.reading.c
    here = (table.pipeline == place.pipeline, table.stage == place.stage)
    before = connection.execute(select(func.max(table.max_at)).where(*here, table.max_at <= now)).scalar()
    found = [] if before is None else [int(before)]
    across = select(table.payload).where(*here, table.max_at > now, table.min_at <= now)
    for payload in connection.execute(across).scalars():
        at = unpack(payload, {"at"})["at"]
        found.append(int(at[at <= now].max()))
    return max(found, default=None)


def rebuild(
    connection: Connection, place: Place, directory: Directory, span: int, as_of: Micros
) -> Iterator[tuple[TileKey, CountTile]]:
    """The tiles of one span of buckets as they were at `as_of`, in order of chunk."""
    first = span * SPAN * place.width
    query = _overlapping(place, first, first + (SPAN - 1) * place.width)
    query = query.where(tables.reading.c.min_at <= as_of)
    chunk_of = np.array([key.source // CHUNK for key in directory.series], np.int64)
    parts = []
    for block in _blocks(connection, query):
        part = block.take((block.at <= as_of) & (block.column // SPAN == span))
        part = replace(part, column=part.column - span * SPAN)
        parts.append(part)
    if not parts:
        return
    whole = join(parts)
    chunks: Ints = chunk_of[whole.series]
    for chunk in np.unique(chunks).tolist():
        tile = CountTile()
        tile.apply(whole.take(chunks == chunk))
        yield TileKey(place.stage, chunk, span), tile


def _overlapping(place: Place, first: Micros, last: Micros) -> Select[Any]:
    table = tables.reading.c
    query = select(table.payload).where(
        table.pipeline == place.pipeline,
        table.stage == place.stage,
        table.max_bucket >= first,
        table.min_bucket <= last,
    )
    return query.order_by(table.position)


def _blocks(connection: Connection, query: Select[Any]) -> Iterator[Readings]:
    for (payload,) in connection.execute(query.execution_options(yield_per=16)):
        yield Readings(**unpack(payload))
