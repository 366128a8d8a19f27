"""Forgetting: the counts and the history of days that are long closed, later their verdicts too.

The horizon moves first. From then on no count of a bucket before it is taken in and no such bucket is judged, so that
what was last said of it stays true to what was known. What lies behind the horizon is then removed a little at a time.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, bindparam, delete, exists, func, select, tuple_

from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import SPAN
from reconciler.core.times import floor_to
from reconciler.ports import Horizon
from reconciler.store import days, facts, tables, tiles
from reconciler.store.database import upsert
from reconciler.store.marks import horizon_of

Step = Callable[[Connection, Pipeline, Horizon, int], int]
"""Removes at most so many rows; returns how many."""


def prune(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    """See `reconciler.serving.ServiceStore.prune`."""
    former, tile = horizon_of(connection, pipeline.name), pipeline.width * SPAN
    detail = max(former.detail, floor_to(horizon.detail, tile))
    verdicts = min(max(former.verdicts, floor_to(horizon.verdicts, tile)), detail)
    kept = Horizon(detail, verdicts)
    if kept != former:
        row = {"pipeline": pipeline.name, "detail": kept.detail, "verdicts": kept.verdicts}
        upsert(connection, tables.horizon, [row])
    removed = 0
    for step in _STEPS:
        removed += step(connection, pipeline, kept, most - removed)
        if removed >= most:
            break
    return removed


def _tiles(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    removed = 0
    for kind, before in ((tiles.COUNT, horizon.detail), (tiles.VERDICT, horizon.verdicts)):
        table = tables.tile.c
        here = (table.pipeline == pipeline.name, table.kind == kind, table.span < before // (pipeline.width * SPAN))
        removed += _remove(connection, tables.tile, select(table.id).where(*here), most - removed)
    return removed


def _history(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    removed = 0
    for table, part, names in (
        (tables.reading, tables.reading.c.stage, pipeline.stages),
        (tables.said, tables.said.c.hop, [hop.part for hop in pipeline.hops]),
    ):
        query = select(*table.primary_key).where(
            table.c.pipeline == pipeline.name, part.in_(names), table.c.max_bucket < horizon.detail
        )
        removed += _remove(connection, table, query, most - removed)
    return removed


def _progress(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    """Lines of progress, but not the last of a reporter: what is told of it rests on that."""
    line, told = tables.progress, tables.reporter
    its = (told.c.pipeline == line.c.pipeline, told.c.stage == line.c.stage)
    joined = told.join(line, and_(*its, told.c.reporter_hash == line.c.reporter_hash, line.c.at < told.c.heard_at))
    query = select(*line.primary_key).select_from(joined)
    query = query.where(told.c.pipeline == pipeline.name, line.c.at < horizon.detail)
    return _remove(connection, line, query, most)


def _reporters(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    """Reporters of which nothing was heard since, where the stage has heard from another."""
    table, other = tables.reporter, tables.reporter.alias()
    heard = exists().where(
        other.c.pipeline == table.c.pipeline, other.c.stage == table.c.stage, other.c.heard_at >= horizon.detail
    )
    query = select(*table.primary_key).where(
        table.c.pipeline == pipeline.name, table.c.heard_at < horizon.detail, heard
    )
    keys = select(*tables.progress.primary_key).where(
        tuple_(*list(tables.progress.primary_key)[:3]).in_(query.limit(max(most, 0)))
    )
    lines = _remove(connection, tables.progress, keys, most)
    return lines + (_remove(connection, table, query, most - lines) if lines < most else 0)


def _samples(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    before = horizon.detail - pipeline.looks_back
    dropped = days.drop(connection, pipeline.name, before, most)
    table = days.by_row(connection)
    query = select(*table.primary_key).where(table.c.pipeline == pipeline.name, table.c.at < before)
    return dropped + _remove(connection, table, query, most - dropped)


def _capacities(connection: Connection, _: Pipeline, horizon: Horizon, most: int) -> int:
    """Readings of capacities, which belong to no pipeline alone; but not the last of each."""
    table, removed = tables.capacity, 0
    for resource in facts.resources(connection):
        last = select(func.max(table.c.at)).where(table.c.resource_hash == resource).scalar_subquery()
        query = select(*table.primary_key).where(
            table.c.resource_hash == resource, table.c.at < horizon.detail, table.c.at < last
        )
        removed += _remove(connection, table, query, most - removed)
    return removed


def _incidents(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    """Those that are over, with all that was said of them."""
    table = tables.incident
    over = (table.c.pipeline == pipeline.name, table.c.status == "resolved", table.c.updated_at < horizon.verdicts)
    ids = list(connection.execute(select(table.c.id).where(*over).limit(max(most, 0))).scalars())
    if not ids:
        return 0
    change = tables.incident_change
    said = connection.execute(delete(change).where(change.c.id.in_(ids))).rowcount
    return int(said + connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount)


def _courses(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    """How incidents went on before the horizon: one that is open for a year is said anew at every tick. When each was
    opened, came back and ended stays, and what was said of it last."""
    incident, change, later = tables.incident, tables.incident_change, tables.incident_change.alias()
    last = select(func.max(later.c.at)).where(later.c.id == change.c.id, later.c.at < horizon.detail)
    query = select(*change.primary_key).select_from(incident.join(change, change.c.id == incident.c.id))
    query = query.where(
        incident.c.pipeline == pipeline.name,
        change.c.at < horizon.detail,
        change.c.at < last.scalar_subquery(),
        change.c.line.contains('"status":"updated"'),  # quotation marks within a name are escaped
    )
    return _remove(connection, change, query, most)


def _letters(connection: Connection, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
    """What channels were told of incidents that are over, and then that they were told. What belongs to no pipeline
    goes with any."""
    box, log = tables.outbox, tables.sending
    mine = (pipeline.name, "")
    over = (box.c.pipeline.in_(mine), box.c.status == "resolved", box.c.updated_at < horizon.detail)
    removed = _remove(connection, box, select(*box.primary_key).where(*over), most)
    old = select(log.c.id).where(log.c.pipeline.in_(mine), log.c.at < horizon.verdicts)
    return removed + _remove(connection, log, old, most - removed)


_STEPS: tuple[Step, ...] = (
    _tiles, _history, _progress, _reporters, _samples, _capacities, _incidents, _courses, _letters,
)  # fmt: skip


def _remove(connection: Connection, table: Table, query: Select[Any], most: int) -> int:
    """Delete the rows whose keys the query gives, at most so many."""
    if most <= 0:
        return 0
    # Key by key: SQLite finds none of a list of keys of several columns by its index, but looks at every row there is.
    keys = [
        {f"key_{column}": value for column, value in row.items()}
        for row in connection.execute(query.limit(most)).mappings()
    ]
    if keys:
        here = [column == bindparam(f"key_{column.name}", type_=column.type) for column in table.primary_key]
        connection.execute(delete(table).where(*here), keys)
    return len(keys)
