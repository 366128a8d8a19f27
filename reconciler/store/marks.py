"""Marks of the whole ledger: how many transactions have changed it, and how far back it remembers."""

from sqlalchemy import Connection, select, update

from reconciler.ports import Horizon
from reconciler.store import tables


def position_of(connection: Connection) -> int:
    """How many transactions have changed the ledger so far."""
    return int(connection.execute(select(tables.ledger.c.position)).scalar_one())


def advance(connection: Connection, position: int) -> None:
    """Note that this transaction changed something, under this position."""
    connection.execute(update(tables.ledger).values(position=position))


def horizon_of(connection: Connection, pipeline: str) -> Horizon:
    """See `reconciler.serving.ServiceStore.horizon`."""
    table = tables.horizon.c
    row = connection.execute(select(table.detail, table.verdicts).where(table.pipeline == pipeline)).first()
    return Horizon() if row is None else Horizon(row.detail, row.verdicts)
