"""What judgements said, at rest: changed cells, incidents, and the engine's small memory."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, delete, func, insert, select

from reconciler.core import volume_dump
from reconciler.core.cases import Incident
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import PARTS, SPAN, Ints, TileKey, VerdictTile
from reconciler.core.times import DAY, Micros
from reconciler.ports import Said
from reconciler.store import drills, tables
from reconciler.store.database import upsert
from reconciler.store.laying import Laying
from reconciler.store.packing import pack, unpack


def append_said(connection: Connection, pipeline: str, position: int, at: Micros, block: Said) -> None:
    """Add what was said of cells of one hop at `at`."""
    row = {
        "pipeline": pipeline,
        "hop": block.hop,
        "position": position,
        "at": at,
        "n": len(block.bucket),
        "min_bucket": int(block.bucket.min()),
        "max_bucket": int(block.bucket.max()),
        "payload": pack(_arrays(block)),
    }
    connection.execute(insert(tables.said), [row])


def _arrays(block: Said) -> dict[str, Any]:
    arrays = {part.name: getattr(block, part.name) for part in fields(block) if part.name not in ("hop", "parts")}
    return arrays | {f"parts.{name}": plane for name, plane in zip(PARTS, block.parts, strict=True)}


def said_tiles(
    connection: Connection, pipeline: Pipeline, hop: str, span: int, as_of: Micros,
    chunks: Collection[int] | None = None,
) -> Iterator[tuple[TileKey, VerdictTile]]:  # fmt: skip
    """The verdict tiles of one span of buckets as of `as_of`, laid together from what was said, in order of chunk.

    Those of these chunks; default: all.
    """
    yield from ((key, tile) for key, tile, _ in said_when(connection, pipeline, hop, span, as_of, chunks))


def said_when(
    connection: Connection, pipeline: Pipeline, hop: str, span: int, as_of: Micros,
    chunks: Collection[int] | None = None,
) -> Iterator[tuple[TileKey, VerdictTile, Ints]]:  # fmt: skip
    """The same, each with the instants at which its cells were last spoken of."""
    first = span * SPAN * pipeline.width
    table = tables.said.c
    query = select(table.at, table.payload).where(
        table.pipeline == pipeline.name,
        table.hop == hop,
        table.max_bucket >= first,
        table.min_bucket < first + SPAN * pipeline.width,
        table.at <= as_of,
    )
    laid = Laying(span, pipeline.width, chunks)
    for at, payload in connection.execute(query.order_by(table.at, table.position)):
        laid.take(at, unpack(payload))
    for chunk, tile, when in laid.tiles():
        yield TileKey(hop, chunk, span), tile, when


def save_incidents(connection: Connection, pipeline: str, now: Micros, found: Sequence[Incident]) -> None:
    """Write incidents as of `now`."""
    table = tables.incident.c
    known: dict[str, Micros] = {}
    if found:
        query = select(table.id, table.opened_at).where(table.id.in_([one.id for one in found]))
        known = dict(connection.execute(query).all())
    rows = [
        {
            "id": one.id,
            "pipeline": pipeline,
            "kind": one.kind,
            "status": one.status,
            "opened_at": known.get(one.id, one.opened_at),
            "updated_at": now,
            "state": _text(one),
        }
        for one in found
    ]
    upsert(connection, tables.incident, rows)


def save_changes(connection: Connection, pipeline: str, now: Micros, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add what was said of incidents at `now`."""
    rows = [{"id": line["id"], "at": now, "pipeline": pipeline, "line": _text(line)} for line in lines]
    upsert(connection, tables.incident_change, rows)


def open_incidents(connection: Connection, pipeline: str, now: Micros) -> list[Incident]:
    """The incidents that are not resolved, or were within a day: the same cause is the same incident."""
    table = tables.incident.c
    query = select(table.state).where(
        table.pipeline == pipeline, (table.status != "resolved") | (table.updated_at >= now - DAY)
    )
    texts = connection.execute(query.order_by(table.opened_at, table.id)).scalars()
    return [msgspec.json.decode(text, type=Incident) for text in texts]


def incidents(connection: Connection, pipeline: str | None, as_of: Micros | None) -> list[dict[str, Any]]:
    """All incidents, the oldest first; as they stand, or by the last line of each until `as_of`."""
    table = tables.incident.c
    query = select(table.state)
    if as_of is not None:
        change = tables.incident_change.c
        last = (
            select(change.id, func.max(change.at).label("at")).where(change.at <= as_of).group_by(change.id).subquery()
        )
        lines = tables.incident_change.join(last, (change.id == last.c.id) & (change.at == last.c.at))
        query = select(change.line).select_from(lines.join(tables.incident, table.id == change.id))
    if pipeline is not None:
        query = query.where(table.pipeline == pipeline)
    else:
        query = query.where(drills.real(table.pipeline))
    return [
        msgspec.json.decode(text) for text in connection.execute(query.order_by(table.opened_at, table.id)).scalars()
    ]


def standing(connection: Connection) -> list[dict[str, Any]]:
    """The last line of each incident that is not resolved, the oldest first."""
    table, change = tables.incident.c, tables.incident_change.c
    last = select(change.id, func.max(change.at).label("at")).group_by(change.id)
    last = last.where(change.id.in_(select(table.id).where(table.status != "resolved", drills.real(table.pipeline))))
    told = last.subquery()
    lines = tables.incident_change.join(told, (change.id == told.c.id) & (change.at == told.c.at))
    query = select(change.line).select_from(lines.join(tables.incident, table.id == change.id))
    # One that waits to be sure has a state and no line; one that was told as resolved may wait for its end.
    found = [
        msgspec.json.decode(text) for text in connection.execute(query.order_by(table.opened_at, table.id)).scalars()
    ]
    return [line for line in found if line["status"] != "resolved"]


def incident_changes(connection: Connection, incident: str) -> list[dict[str, Any]]:
    """All that was said of one incident, in order."""
    table = tables.incident_change.c
    query = select(table.line).where(table.id == incident).order_by(table.at)
    return [msgspec.json.decode(text) for text in connection.execute(query).scalars()]


def load_state(connection: Connection, pipeline: str) -> dict[str, Any]:
    """The engine's memory of the pipeline."""
    table = tables.state.c
    rows = connection.execute(select(table.name, table.json, table.payload).where(table.pipeline == pipeline))
    return {name: msgspec.json.decode(payload) if is_json else payload for name, is_json, payload in rows}


def save_state(connection: Connection, pipeline: str, now: Micros, state: Mapping[str, Any]) -> None:
    """Replace the engine's memory of the pipeline."""
    table = tables.state
    gone = delete(table).where(table.c.pipeline == pipeline, table.c.name.not_in(list(state)))
    connection.execute(gone)
    rows = []
    for name, value in state.items():
        is_json = not isinstance(value, bytes)
        payload = msgspec.json.encode(value) if is_json else value
        rows.append({"pipeline": pipeline, "name": name, "at": now, "json": is_json, "payload": payload})
    upsert(connection, table, rows)


def load_week(connection: Connection, pipeline: str) -> bytes:
    """The usual week that was learned last; empty while nothing was."""
    table = tables.model.c
    found = connection.execute(select(table.payload).where(table.pipeline == pipeline, table.name == WEEK)).scalar()
    return bytes(found or b"")


def part_of_week(connection: Connection, pipeline: str, start: int, length: int) -> bytes:
    """So many bytes of it; the week of all sources may be large."""
    table = tables.model.c
    part = func.substr(table.payload, start + 1, length, type_=LargeBinary)
    found = connection.execute(select(part).where(table.pipeline == pipeline, table.name == WEEK)).scalar()
    return bytes(found or b"")


def save_week(connection: Connection, pipeline: str, now: Micros, week: bytes) -> None:
    """Replace the usual week."""
    row = {"pipeline": pipeline, "name": WEEK, "version": volume_dump.VERSION, "at": now, "payload": week}
    upsert(connection, tables.model, [row])


def learned_at(connection: Connection, pipeline: str) -> Micros | None:
    """When the usual week was last written, be it empty."""
    table = tables.model.c
    found = connection.execute(select(table.at).where(table.pipeline == pipeline, table.name == WEEK)).scalar()
    return None if found is None else int(found)


WEEK = "volume.week"
"""Name of the model of the usual week."""


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
