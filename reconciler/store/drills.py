"""Drills at rest: they are judged in the ledger as everything is, under names of their own, and leave nothing there but
what channels were told.
"""

from sqlalchemy import ColumnElement, Connection, delete, select

from reconciler.core.drills import PREFIX
from reconciler.store import tables

_TOLD = {"outbox", "sending"}
"""Tables of what channels were told: under the name of the real pipeline, marked as a drill."""


def real(name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a pipeline is none of a drill."""
    return name.not_like(f"{PREFIX}%")


def names(connection: Connection) -> list[str]:
    """Of all drills that are there: one that was killed has left its own behind."""
    name = tables.pipeline.c.name
    return list(connection.execute(select(name).where(~real(name)).order_by(name)).scalars())


def forget(connection: Connection, name: str) -> None:
    """Remove all of a drill; of nothing else, whatever the name."""
    if not name.startswith(PREFIX):
        raise ValueError(f"{name!r} is no drill")
    for table in tables.metadata.sorted_tables:
        if "pipeline" in table.c and table.name not in _TOLD:
            connection.execute(delete(table).where(table.c.pipeline == name))
    connection.execute(delete(tables.pipeline).where(tables.pipeline.c.name == name))
