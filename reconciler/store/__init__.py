"""The ledger at rest: SQLite (embedded) and PostgreSQL behind one face, `reconciler.ports.Store`."""

from functools import partial

from reconciler.errors import OutOfReach, ReconcilerError, Unfit
from reconciler.store.database import BUSY_SECONDS, Database, exists
from reconciler.store.ledgers import SqlStore
from reconciler.store.schema import current_revision, downgrade, migrate, require_head, require_head_of

__all__ = ["SqlStore", "current_revision", "downgrade", "migrate", "open_store"]


def open_store(url: str, *, busy_seconds: float = BUSY_SECONDS, patient: bool = False) -> SqlStore:
    """Open the ledger; an embedded one that does not exist is made. Raises `OutOfReach` and `ConfigError`.

    A writer waits `busy_seconds` for another. `patient` takes a server that is away as well: whatever is asked of it
    raises `OutOfReach` until it is there, and is what this program understands.
    """
    database = Database(url, busy_seconds=busy_seconds)
    if database.sqlite and not exists(database):
        migrate(url)
    try:
        require_head(database)
    except Unfit:
        database.engine.dispose()
        raise
    except OutOfReach:
        if database.sqlite or not patient:  # a file that cannot be opened is nearly always a wrong name
            database.engine.dispose()
            raise
        database.first = partial(require_head_of, label=database.label)
    except ReconcilerError:
        database.engine.dispose()
        raise
    return SqlStore(database)
