"""All that a ledger holds, to be compared."""

from typing import Any

import sqlalchemy as sa

from reconciler.store.tables import metadata


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table in a stable order; numbers that the database gave by itself left out."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    found: dict[str, list[tuple[Any, ...]]] = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            columns = [column for column in table.columns if (table.name, column.name) != ("tile", "id")]
            rows = connection.execute(sa.select(*columns))
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found
