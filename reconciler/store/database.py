"""The database: engines, transactions, and the translation of its errors."""

import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import (
    ARRAY,
    Connection,
    Engine,
    Select,
    Table,
    cast,
    create_engine,
    event,
    func,
    insert,
    literal,
    make_url,
    select,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from reconciler.errors import ConfigError, OutOfReach, Unfit
from reconciler.store.tables import ledger

BUSY_SECONDS = 30
"""How long a writer waits for another before it gives up."""
IDLE_SECONDS = 25
"""How long a writer of PostgreSQL may say nothing before it is cut off: a process that was stopped in the middle of its
turn must not hold up the others, who wait a little longer than this. No judgement computes so long between two
statements: a portion of a million cells takes a second or two."""
REACH_SECONDS = 10
"""How long a server may take to answer a connection."""
COPY_FROM = 500
"""Rows from which COPY is worth its round trips."""
ARRAYS_FROM = 100
"""Rows from which PostgreSQL is given columns instead of a statement a row."""


class Database:
    """One database, and the two kinds of transaction that the ledger uses."""

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS, idle_seconds: float = IDLE_SECONDS) -> None:
        self.url = parse_url(url)
        self.busy_seconds = busy_seconds
        self.idle_seconds = idle_seconds
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._sqlite() if self.sqlite else self._postgresql()
        self.first: Callable[[Connection], None] | None = None
        """What the first transaction has to see to before anything else; `None`: nothing is left to be seen to."""

    @property
    def label(self) -> str:
        """The address for people: without the password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that alone may write: numbers and positions given in it are given once."""
        with self.changing() as connection:
            if not self.sqlite:
                connection.execute(select(ledger.c.position).with_for_update())
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction for a statement or two that need not wait until nobody else writes."""
        with self.translated(), self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                if not self.sqlite:
                    self._be_patient(connection)
                    self._see(connection)
                yield connection

    def _see(self, connection: Connection) -> None:
        if self.first is not None:
            self.first(connection)
            self.first = None

    def _be_patient(self, connection: Connection) -> None:
        waits = {"lock_timeout": self.busy_seconds, "idle_in_transaction_session_timeout": self.idle_seconds}
        settings = (func.set_config(name, f"{int(seconds * 1000)}ms", True) for name, seconds in waits.items())
        connection.execute(select(*settings))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one instant of the ledger, however long it reads."""
        with self.translated(), self.engine.connect() as connection:
            if not self.sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                self._see(connection)
                yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """No exception of a database library leaves the store."""
        try:
            yield
        except (SQLAlchemyError, psycopg.Error) as error:
            reason = _reason(error)
            barred = any(sign in reason.lower() for sign in _BARS)
            raise (Unfit if barred else OutOfReach)(f"the ledger {self.label} {reason}") from error

    def _sqlite(self) -> Engine:
        if not self.url.database or self.url.database == ":memory:":
            raise ConfigError("an embedded ledger needs a file: sqlite:///reconciler.db")
        engine = create_engine(self.url, connect_args={"timeout": self.busy_seconds}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _postgresql(self) -> Engine:
        # Statements are not prepared on the server, so that a pooler between may give each transaction another session.
        arguments: dict[str, Any] = {"prepare_threshold": None, "application_name": "reconciler"}
        if "connect_timeout" not in self.url.query:
            arguments["connect_timeout"] = REACH_SECONDS
        return create_engine(self.url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True)


def parse_url(url: str) -> URL:
    """The URL of a ledger; refuses all but SQLite and PostgreSQL, and never repeats what it was given."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except SQLAlchemyError:
        raise ConfigError("the ledger's URL cannot be read; give sqlite:///file.db or postgresql://host/name") from None
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"the ledger cannot be kept in {backend}; give sqlite:///file.db or postgresql://host/name")


def exists(database: Database) -> bool:
    """Whether there is a database at all: a file with something in it, or a server's."""
    if not database.sqlite:
        return True
    file = Path(database.url.database or "")
    return file.exists() and file.stat().st_size > 0


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for setting in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    for sign, remedy in _REMEDIES.items():
        if sign in said.lower():
            return remedy.format(said=said)
    return f"cannot be used: {said}"


_BARS = ("authentication failed", "pg_hba.conf", "permission denied", "does not exist", "no password supplied")
"""What a server says whom only a change of settings can satisfy."""
_REMEDIES = {
    "database is locked": "is locked by another writer ({said}); try again, or find the process that holds it",
    "lock timeout": "is locked by another writer ({said}); try again, or find the session that holds it",
    "disk is full": "has no room left ({said}); free some space, then try again: nothing was half written",
    "no space left": "has no room left ({said}); free some space, then try again: nothing was half written",
    "readonly": "cannot be written to ({said}); check who owns the file and its folder",
    "read-only": "cannot be written to ({said}); a standby? check which server the address names",
    "during recovery": "cannot be written to ({said}); a standby? check which server the address names",
    "could not extend": "has no room left ({said}); free some space, then try again: nothing was half written",
    "disk i/o error": "could not be read or written ({said}); check the disk, then try again: nothing was half written",
    "serialize access": "was written to by another at the same time ({said}); try again: nothing was half written",
    "malformed": "is damaged ({said}); put a backup in its place: docs/operations.md says how",
    "not a database": "is damaged, or no ledger at all ({said}); check the address, or put a backup in its place",
    "unable to open": "cannot be opened ({said}); check that its folder exists and may be written to",
    "idle-in-transaction": "was cut off, for this process said nothing for too long ({said}); nothing was half written",
    "terminating connection": "was cut off ({said}); try again: nothing was half written",
    "closed the connection": "was cut off ({said}); try again: nothing was half written",
    "connection": "cannot be reached ({said}); check that the server runs and the address is right",
    "no such table": "has no tables ({said}); run `reconciler migrate`",
    "does not exist": "is not as it should be ({said}); check the address, and run `reconciler migrate`",
}


def insert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that are known to be new; by COPY where there are many and the database can."""
    if not rows:
        return
    if connection.dialect.name != "postgresql" or len(rows) < COPY_FROM:
        connection.execute(insert(table), rows)
        return
    names = list(rows[0])
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in names)
    with (
        raw_cursor(connection) as cursor,
        cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row([row[name] for name in names])


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert rows, or change those whose key is known and whose values differ; returns how many did something.

    Of rows with one key the last counts.
    """
    if not rows:
        return 0
    build = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    keys = [column.name for column in table.primary_key]
    rows = list({tuple(row[name] for name in keys): row for row in rows}.values())
    values = [name for name in rows[0] if name not in keys]
    statement = build(table)
    differs = [table.c[name].is_distinct_from(statement.excluded[name]) for name in values]
    changed = differs[0]
    for one in differs[1:]:
        changed = changed | one
    fresh = {name: statement.excluded[name] for name in values}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=fresh, where=changed)
    given: Sequence[dict[str, Any]] | None = rows
    if connection.dialect.name == "postgresql" and len(rows) >= ARRAYS_FROM:
        statement, given = statement.from_select(list(rows[0]), _as_columns(table, rows)), None
    return connection.execute(statement, given, execution_options={"preserve_rowcount": True}).rowcount


def _as_columns(table: Table, rows: Sequence[dict[str, Any]]) -> Select[Any]:
    """Rows as one query, an array a column."""
    kinds = {name: ARRAY(table.c[name].type) for name in rows[0]}
    return select(
        *(func.unnest(cast(literal([row[name] for row in rows], kind), kind)) for name, kind in kinds.items())
    )


def raw_cursor(connection: Connection) -> psycopg.Cursor[Any]:
    """The driver's own cursor in this transaction, binary both ways: for what SQLAlchemy has no words for."""
    driver = typing.cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    return driver.cursor(binary=True)
