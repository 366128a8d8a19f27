"""A database that is only read: connected to late, held back, and never trusted with a secret in a message."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationInfo
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from reconciler.connectors._sql_dialects import DIALECTS, extra_for
from reconciler.core.times import SECOND, Micros, format_duration
from reconciler.ports import ConnectorFailed
from reconciler.settings.build import resolve_sqlite

REACH_SECONDS = 10
"""How long a connection may take, where the driver can be told."""
_BROKEN_OFF = ("interrupt", "statement timeout", "timeout exceeded", "maximum time limit", "warehouse timeout")
"""What the databases say of a statement that took too long."""
_FILES = {"sqlite", "duckdb"}


def database_url(url: str, info: ValidationInfo) -> str:
    """A URL of the configuration, with a file named from the root."""
    try:
        found = sa.make_url(url)
    except ArgumentError:
        raise ValueError("is no database URL such as postgresql://user@host/database") from None
    base = (info.context or {}).get("base")
    if base is not None and found.get_backend_name() == "duckdb" and found.database not in {None, "", ":memory:"}:
        return found.set(database=str(Path(base) / str(found.database))).render_as_string(hide_password=False)
    return url if base is None else resolve_sqlite(url, base)


@dataclass(frozen=True, slots=True)
class Database:
    """Where to connect, and as whom to complain."""

    url: str
    asker: str
    """Who asks, for messages: ``connector accepted-table (orders, accepted)``."""
    timezone: str
    """Zone of times that the database keeps without one."""
    patience: Micros
    """How long a statement may take, µs."""

    @property
    def backend(self) -> str:
        """The kind of database, as SQLAlchemy names it."""
        return self.parsed.get_backend_name()

    @property
    def parsed(self) -> sa.URL:
        """The URL in its parts."""
        return sa.make_url(self.url)

    def failure(self, reason: str, remedy: str) -> ConnectorFailed:
        """What went wrong, where, and what to do; without any secret of the URL."""
        url = self.parsed
        where = f"{url.drivername}://{url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"
        for secret in (url.password, *map(str, url.query.values())):
            reason = reason.replace(str(secret), "***") if secret else reason
        return ConnectorFailed(f"{self.asker}: {reason}\n  at {where}\n  {remedy}")

    @contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        """A connection for reading; its transaction sees one state of the database where the engine can."""
        url = self.parsed
        if self.backend in _FILES and url.database and not _exists(url.database):
            # An empty one would be made, and its tables would be missing for no reason that can be seen.
            raise self.failure("there is no such file", "Check the URL; a relative one lies beside the configuration.")
        try:
            engine = sa.create_engine(_reaching(url, self.patience), poolclass=sa.NullPool, **_reading(url))
            with engine.connect() as connection, self._held_back(connection):
                yield connection
        except NoSuchModuleError as error:
            raise self.failure(str(error), _install(url, "the package that brings this SQLAlchemy dialect")) from None
        except ImportError as error:
            what = f"the database driver: pip install {error.name}"
            raise self.failure(str(error), _install(url, what)) from None
        except SQLAlchemyError as error:
            raise self.failure(_first_line(error), self._remedy(error)) from None

    def _remedy(self, error: SQLAlchemyError) -> str:
        said = str(error).lower()
        if any(words in said for words in _BROKEN_OFF):
            span = format_duration(self.patience)
            return f"It may take {span}: give the table an index on the time, or raise `timeout`."
        if isinstance(error, sa.exc.ProgrammingError) or "no such" in said:
            return "The database answers, but not to this query: check its tables, columns and permissions."
        return "Check that the database runs and answers, and the user, password and query of this connector."

    @contextmanager
    def _held_back(self, connection: sa.Connection) -> Iterator[None]:
        """Nothing can be written, and nothing takes for ever."""
        dialect = DIALECTS.get(connection.dialect.name)
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            # Where a column has no zone, PostgreSQL compares it with :start in the zone of the session.
            zone = sa.text("SELECT set_config('TimeZone', :zone, true)")
            connection.execute(zone, {"zone": self.timezone})
        with ExitStack() as stack:
            driver: Any = connection.connection.dbapi_connection
            if connection.dialect.name == "sqlite":
                driver.create_function("reconciler_hash", 2, _hash, deterministic=True)
            for statement in dialect.session(self.patience) if dialect else ():
                connection.exec_driver_sql(statement)
            if connection.dialect.name in _FILES:
                # They run within this process and know no patience: another thread breaks them off.
                timer = threading.Timer(self.patience / SECOND, driver.interrupt)
                timer.daemon = True
                stack.callback(timer.cancel)
                timer.start()
            yield


def _hash(text: str | None, first: int) -> int | None:
    """Four bytes of SHA-256 of a text, from the `first` on (1 is the first of all), as a number."""
    if text is None:
        return None
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[first - 1 : first + 3], "big")


def _exists(database: str) -> bool:
    return database == ":memory:" or database.startswith("file:") or Path(database).exists()


def _reading(url: sa.URL) -> dict[str, Any]:
    """What the driver must be told to open a file for reading only."""
    if url.get_backend_name() == "duckdb" and url.database not in {None, "", ":memory:"}:
        return {"connect_args": {"read_only": True}}
    return {}


def _reaching(url: sa.URL, patience: Micros) -> sa.URL:
    """The URL with the driver that this program brings for PostgreSQL, which is not to wait for ever."""
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    dialect = DIALECTS.get(url.get_backend_name())
    told = dialect.url_query(patience) if dialect else {}
    if url.drivername == "postgresql+psycopg":
        told |= {"connect_timeout": str(REACH_SECONDS)}
    return url.update_query_dict(told | dict(url.query)) if told else url


def _install(url: sa.URL, otherwise: str) -> str:
    extra = extra_for(url.drivername)
    return f"Install it: pip install 'reconciler[{extra}]'" if extra else f"Install {otherwise}."


def _first_line(error: SQLAlchemyError) -> str:
    """What the driver said, without the statement and its parameters."""
    origin = getattr(error, "orig", None) or error
    return next((line.strip() for line in str(origin).splitlines() if line.strip()), type(origin).__name__)
