"""Ledgers on the PostgreSQL server with nothing in them. A test's ledger is emptied for the next one and not dropped.

To make a database and to migrate it is half a second of work, hundreds of times; to empty it takes a tenth of that.
A ledger whose schema, rights or settings a test has changed is dropped all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from reconciler.store import migrate
from tests.postgres import Postgres

TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"

SHAPE = """
    SELECT array_agg(fact ORDER BY fact) FROM (
        SELECT concat_ws(' ', 'relation', relname, relkind, relacl, reloptions, relrowsecurity) AS fact
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT concat_ws(' ', 'column', relname, attname, format_type(atttypid, atttypmod), attnotnull, attacl)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0
        UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws(' ', 'function', proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', 'schema', nspname, nspacl) FROM pg_namespace WHERE nspname NOT LIKE 'pg_%temp%'
        UNION ALL SELECT concat_ws(' ', 'database', datacl, setrole, setconfig)
        FROM pg_database LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid
        WHERE datname = current_database()
    ) AS facts
"""


class PostgresLedgers:
    """Lends ledgers of one server, one to a test."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._free: list[str] = []  # names of databases
        self._shape: list[str] = []  # of a ledger that was just made
        self._rows: dict[str, str | None] = {}  # of each of its tables, as JSON; None: it has none

    @contextmanager
    def lent(self) -> Iterator[str]:
        """SQLAlchemy's URL of a ledger with nothing in it."""
        name = self._free.pop() if self._free else self._made()
        yield self._server.url(name)
        if self._emptied(name):
            self._free.append(name)
        else:
            self._server.drop_database(name)

    def _made(self) -> str:
        name = self._server.create_database()
        migrate(self._server.url(name))
        if not self._shape:
            with self._connected(name) as connection:
                self._shape = _shape(connection)
                self._rows = {table: _rows(connection, table) for table in _tables(connection)}
        return name

    def _emptied(self, name: str) -> bool:
        """Whether it is again as it was when it was made. Whoever is still connected to it is cut off."""
        self._server.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        with self._connected(name) as connection:
            for table in set(_tables(connection)) - set(self._rows):
                connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(table)))
            if _shape(connection) != self._shape:
                return False
            filled = [table for table, rows in self._rows.items() if _rows(connection, table) != rows]
            if filled:
                names = sql.SQL(", ").join(map(sql.Identifier, filled))
                connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
                self._fill(connection)
            connection.execute(
                "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"
                " WHERE pg_sequence_last_value(seqrelid) IS NOT NULL"
            )
            return True

    def _fill(self, connection: psycopg.Connection) -> None:
        """Put back what a ledger has in it that was just made."""
        for table, rows in self._rows.items():
            if rows is not None and _rows(connection, table) is None:
                put = sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s)")
                connection.execute(put.format(sql.Identifier(table)), [rows])

    def _connected(self, name: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self._server.socket_folder), user="postgres", dbname=name, autocommit=True)


def _shape(connection: psycopg.Connection) -> list[str]:
    found = connection.execute(SHAPE).fetchone()
    return list(found[0]) if found else []


def _tables(connection: psycopg.Connection) -> list[str]:
    return [table for (table,) in connection.execute(TABLES).fetchall()]


def _rows(connection: psycopg.Connection, table: str) -> str | None:
    """At most two of the rows, which is one more than any table has in a new ledger."""
    some = sql.SQL("SELECT jsonb_agg(one)::text FROM (SELECT * FROM {} LIMIT 2) AS one").format(sql.Identifier(table))
    found = connection.execute(some).fetchone()
    return None if found is None else found[0]
