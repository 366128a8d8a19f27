"""Sources and reporters that have ended, because somebody said so."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, insert, select, update

from reconciler.core.directory import Directory
from reconciler.core.observations import Count, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN
from reconciler.core.times import NEVER, format_time
from reconciler.errors import ConfigError
from reconciler.ports import Retirement
from reconciler.store import facts, tables, tiles
from reconciler.store.directories import Directories, copied
from reconciler.store.marks import advance, position_of

AUTHOR = "reconciler"
"""Who takes a retirement back by itself."""


def retire(connection: Connection, directories: Directories, pipeline: Pipeline, retirement: Retirement) -> None:
    """See `reconciler.serving.ServiceStore.retire`."""
    if retirement.kind == "source":
        _source(connection, directories, pipeline, retirement)
    else:
        _reporter(connection, retirement)
    note(connection, retirement)


def come_back(connection: Connection, pipeline: str, directory: Directory, counts: Sequence[Count]) -> None:
    """Take back the retirement of sources that count events again: none of their events is to be overlooked."""
    if all(instant == NEVER for instant in directory.retired_at):
        return
    for seen in counts:
        ordinal = directory.source(seen.source)
        if seen.count > 0 and seen.bucket >= directory.retired_at[ordinal]:
            directory.retired_at[ordinal] = NEVER
            reason = f"{seen.stage} counted events of {format_time(seen.bucket)}"
            note(connection, Retirement(pipeline, "source", seen.source, "", seen.at, None, AUTHOR, reason))


def note(connection: Connection, retirement: Retirement) -> None:
    """Write down who said what; nothing of it is ever changed."""
    connection.execute(insert(tables.retirement), [asdict(retirement)])


def told(connection: Connection, pipeline: str) -> list[Retirement]:
    """All that was said, in order."""
    table = tables.retirement.c
    query = select(
        table.pipeline, table.kind, table.name, table.stage, table.at, table.effective, table.author, table.reason
    ).where(table.pipeline == pipeline)
    return [Retirement(*row) for row in connection.execute(query.order_by(table.id))]


def _source(connection: Connection, directories: Directories, pipeline: Pipeline, retirement: Retirement) -> None:
    before = directories.load(connection, pipeline)
    if retirement.name not in before.sources:
        raise ConfigError(f"pipeline {pipeline.name} has no source {retirement.name!r}; `reconciler sources list`")
    after = copied(before)
    ordinal = after.source(retirement.name)
    effective = NEVER if retirement.effective is None else retirement.effective
    after.retired_at[ordinal] = effective
    if not directories.save(connection, pipeline, before, after):
        return
    # Cells come or go: the next judgement is to look at them again.
    position = position_of(connection) + 1
    table = tables.tile.c
    first = min(before.retired_at[ordinal], effective) // pipeline.width // SPAN
    here = (table.pipeline == pipeline.name) & (table.kind == tiles.COUNT) & (table.chunk == ordinal // CHUNK)
    connection.execute(update(tables.tile).where(here & (table.span >= first)).values(touched=position))
    advance(connection, position)


def _reporter(connection: Connection, retirement: Retirement) -> None:
    """End it as it would have ended itself, with what it had reported."""
    known = facts.reporters(connection, retirement.pipeline, NEVER)
    found = known.get((retirement.stage, retirement.name))
    if found is None:
        where = f"stage {retirement.stage} of pipeline {retirement.pipeline}"
        raise ConfigError(f"{where} has no reporter {retirement.name!r}; `reconciler reporters list`")
    at = max(retirement.at, found.heard_at + 1)
    last = Progress(at, retirement.pipeline, retirement.stage, found.through, retirement.name, final=True)
    if facts.add_progress(connection, [last]):
        advance(connection, position_of(connection) + 1)
