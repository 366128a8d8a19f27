"""The ledger at rest: SQLite (embedded) and PostgreSQL behind one face, `reconciler.ports.Store`."""

from reconciler.errors import ReconcilerError
from reconciler.store.database import BUSY_SECONDS, Database, exists
from reconciler.store.ledgers import SqlStore
from reconciler.store.schema import current_revision, downgrade, migrate, require_head

__all__ = ["SqlStore", "current_revision", "downgrade", "migrate", "open_store"]


def open_store(url: str, *, busy_seconds: float = BUSY_SECONDS) -> SqlStore:
    """Open the ledger; an embedded one that does not exist is made. Raises `OutOfReach` and `ConfigError`.

    A writer waits `busy_seconds` for another.
    """
    database = Database(url, busy_seconds=busy_seconds)
    if database.sqlite and not exists(database):
        migrate(url)
    try:
        require_head(database)
    except ReconcilerError:
        database.engine.dispose()
        raise
    return SqlStore(database)
