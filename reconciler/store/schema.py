"""The shape of the database: up, down, and whether it is what this program expects."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

import reconciler
from reconciler.errors import ConfigError, OutOfReach, Unfit
from reconciler.store.database import Database, exists

HEAD = "0001"
"""The revision that this program works with; a test holds it to the newest file in `migrations/versions`."""
_LOCK = 7_236_105_418_602_951_127
"""Number of the lock that migrating processes queue for; held by a transaction, never by a session."""


def migrate(url: str, target: str = "head") -> None:
    """Bring the ledger up to `target`; makes an embedded one that does not exist. Twice is harmless."""
    _run(url, "upgrade", target)


def downgrade(url: str, target: str) -> None:
    """Bring the ledger down to `target` (``base``: no tables at all)."""
    _run(url, "downgrade", target)


def current_revision(url: str) -> str | None:
    """The revision that the ledger is at; ``None`` where it has no tables."""
    database = Database(url)
    if not exists(database):
        return None
    try:
        with database.reading() as connection:
            return revision_of(connection)
    finally:
        database.engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """The revision of the ledger behind this connection."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def require_head(database: Database) -> None:
    """Refuse a ledger that this program does not understand."""
    with database.reading() as connection:
        require_head_of(connection, database.label)


def require_head_of(connection: Connection, label: str) -> None:
    """The same of the ledger behind this connection."""
    found = revision_of(connection)
    if found == HEAD:
        return
    if found is None or found < HEAD:
        behind = "has no tables yet" if found is None else f"is at revision {found}, this program needs {HEAD}"
        raise Unfit(f"the ledger {label} {behind}; run `reconciler migrate`")
    raise Unfit(f"the ledger {label} is at revision {found}, later than this program's {HEAD}; update it")


def migrations() -> Path:
    """Where the revisions lie: inside the installed package, or beside it in a checkout."""
    package = Path(reconciler.__file__).parent
    for place in (package / "migrations", package.parent / "migrations"):
        if (place / "env.py").exists():
            return place
    raise ConfigError(f"the migrations are missing beside {package}; the installation is broken")


def _run(url: str, command: str, target: str) -> None:
    database = Database(url)
    if database.sqlite and command == "downgrade" and not exists(database):
        raise OutOfReach(f"there is no ledger at {database.label}")
    try:
        with database.translated(), database.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                if not database.sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
                _alembic(connection, command, target)
    finally:
        database.engine.dispose()


def _alembic(connection: Connection, command: str, target: str) -> None:
    # Alembic costs a tenth of a second to import, and only migrations need it.
    from alembic import command as commands
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    run: Any = getattr(commands, command)
    try:
        run(config, target)
    except CommandError as error:
        raise ConfigError(f"cannot {command} the ledger to {target}: {error}") from error
