"""What people said of incidents, at rest. Rows are added, and never changed or removed."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace

from sqlalchemy import ColumnElement, Connection, insert, or_, select

from reconciler.core.acts import Act
from reconciler.core.times import Micros
from reconciler.ports import Acts
from reconciler.store import tables
from reconciler.store.database import Database

_COLUMNS = [tables.act.c[part.name] for part in fields(Act)]


class SqlActs(Acts):
    """Those of one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, act: Act) -> Act:
        row = {name: value for name, value in asdict(act).items() if name != "id"}
        with self._database.writing() as connection:
            number = connection.execute(insert(tables.act).returning(tables.act.c.id), [row]).scalar_one()
        return replace(act, id=int(number))

    def all(self, incident: str | None = None) -> list[Act]:
        table = tables.act.c
        with self._database.reading() as connection:
            return _read(connection, *([] if incident is None else [table.incident == incident]))


def heard(connection: Connection, pipeline: str, now: Micros, incidents: Sequence[str]) -> list[Act]:
    """What a judgement of a pipeline at `now` has to know: acts about these incidents, mutes that may hold, and all
    planned work, for nothing is learned from its time."""
    table = tables.act.c
    lasting = (table.incident == "") & (or_(table.until.is_(None), table.until > now) | (table.kind == "planned"))
    return [
        act
        for act in _read(connection, table.at <= now, or_(lasting, table.incident.in_(incidents)))
        if not act.incident or act.pipeline in ("", pipeline)
    ]


def _read(connection: Connection, *conditions: ColumnElement[bool]) -> list[Act]:
    return [Act(*row) for row in connection.execute(select(*_COLUMNS).where(*conditions).order_by(tables.act.c.id))]
