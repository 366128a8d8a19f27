"""How far everything finite in a PostgreSQL database is used: sequences, integer keys, transaction ids.

It asks the catalogue, each sequence for its last value and each key for its greatest, which an index answers. What may
not be read is refused by name, with the grant that is missing.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

import sqlalchemy as sa
from pydantic import AfterValidator, Field, model_validator

from reconciler.connectors import _shapes
from reconciler.connectors._sql_database import Database, database_url
from reconciler.core.observations import LIMIT, Capacity, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros
from reconciler.errors import ConfigError
from reconciler.settings.schema import Duration, Name, SamplerOptions

STOP = 2**31 - 1 - 3_000_000
"""Age of the oldest transaction id at which PostgreSQL refuses to write, to be safe from its wrapping round."""

# Columns that a sequence feeds: those that own it (serial, identity), and those whose default calls it.
_FED = """
    SELECT objid AS sequence, refobjid AS tab, refobjsubid AS col FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
      AND refobjsubid > 0
    UNION
    SELECT refobjid, adrelid, adnum FROM pg_depend JOIN pg_attrdef ON pg_attrdef.oid = objid
    WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass
"""
_GREATEST = """
    CASE atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
      WHEN 'int8'::regtype THEN 9223372036854775807 END
"""
_OWN = "nspname !~ '^pg_' AND nspname <> 'information_schema' AND relpersistence <> 't'"
SEQUENCES = f"""
WITH fed AS ({_FED})
SELECT nspname, relname, seqincrement > 0, seqmin, seqmax, has_sequence_privilege(c.oid, 'USAGE, SELECT'),
  CASE WHEN has_sequence_privilege(c.oid, 'USAGE, SELECT') THEN pg_sequence_last_value(c.oid::regclass) END,
  (SELECT min({_GREATEST}) FROM fed JOIN pg_attribute ON attrelid = tab AND attnum = col WHERE sequence = c.oid)
FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE {_OWN} ORDER BY 1, 2
"""  # noqa: S608  put together of constants
# Of keys without a sequence the greatest value is asked, where an index has it at hand; partitions are in their table.
KEYS = f"""
WITH fed AS ({_FED})
SELECT nspname, relname, attname, {_GREATEST},
  has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, attnum, 'SELECT'), row_security_active(c.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
JOIN pg_attribute ON attrelid = c.oid AND attnum = ANY (conkey)
WHERE contype = 'p' AND {_OWN} AND NOT relispartition AND {_GREATEST} IS NOT NULL
  AND NOT EXISTS (SELECT FROM fed WHERE tab = c.oid AND col = attnum)
  AND EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indkey[0] = attnum AND indpred IS NULL)
ORDER BY 1, 2, 3
"""  # noqa: S608  put together of constants
AGES = "SELECT datname, age(datfrozenxid), mxid_age(datminmxid) FROM pg_database ORDER BY 1"


def _postgres(url: str) -> str:
    if not url.startswith(("postgresql://", "postgresql+")):
        raise ValueError("is no URL of PostgreSQL such as postgresql://user@host/database")
    return url


class Options(SamplerOptions):
    """Sequences, keys and transaction ids of one PostgreSQL database."""

    url: Annotated[str, AfterValidator(_postgres), AfterValidator(database_url), Field(repr=False)]
    """SQLAlchemy URL of the database: `postgresql://user@host/database`."""
    every: Duration = 15 * MINUTE
    """Time between two readings. The pace is seen over the latest sixty."""
    label: Name | None = None
    """What the database is called in messages. Default: its name in the URL."""
    also: tuple[Name, ...] = ()
    """Other pipelines that depend on the database."""
    schemas: Annotated[tuple[Name, ...], Field(min_length=1)] = ("*",)
    """Patterns of the schemas to look at."""
    keys: bool = True
    """Whether integer primary keys that no sequence feeds are looked at too."""
    transactions: bool = True
    """Whether the ages of the transaction ids of all databases of the server are looked at too."""
    timeout: Duration = MINUTE
    """How long one query may take."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.label is None and not sa.make_url(self.url).database:
            raise ValueError("needs a label, for the URL names no database")
        return self

    def dependents(self) -> Collection[str]:
        """All pipelines that depend on the database."""
        return dict.fromkeys((self.pipeline, *self.also))

    def resources(self) -> str:
        """How the names of all that it reads begin."""
        return f"postgres:{self.label or sa.make_url(self.url).database}/"


def build(name: str, options: Options, pipelines: Mapping[str, Pipeline]) -> "PostgresLimits":
    """The connector as configured; it connects when it is asked to collect."""
    if unknown := [other for other in options.also if other not in pipelines]:
        raise ConfigError(f"connectors.{name}.also: {unknown[0]!r} is no pipeline; there are: {', '.join(pipelines)}")
    return PostgresLimits(name, pipelines[options.pipeline].name, options)


@dataclass(frozen=True, slots=True)
class PostgresLimits(_shapes.Sampling):
    """Looks at one database."""

    name: str
    pipeline: str
    options: Options

    @property
    def database(self) -> Database:
        """Where to look."""
        return Database(self.options.url, f"connector {self.name} ({self.pipeline})", "UTC", self.options.timeout)

    def permissions(self) -> list[str]:
        """A role of PostgreSQL's own that reads everything and writes nothing."""
        url = self.database.parsed
        reader = url.username or "reconciler"
        return [
            f"GRANT CONNECT ON DATABASE {url.database} TO {reader};",
            f"GRANT pg_read_all_data TO {reader};  -- or USAGE on the schemas, SELECT on their sequences and keys",
        ]

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterator[Capacity | Refusal]:
        """A reading of everything finite as of now; see `ports.Connector`."""
        said: list[Capacity | Refusal] = []
        with self.database.connection() as connection:
            said += self._sequences(connection, now)
            if self.options.keys:
                said += self._keys(connection, now)
            if self.options.transactions:
                said += self._ages(connection, now)
        yield from said

    def _reading(self, now: Micros, what: str, used: int, limit: int) -> Capacity:
        resource = f"{self.options.resources()}{what}"
        return Capacity(now, resource, used, limit, tuple(self.options.dependents()))

    def _wanted(self, schema: str) -> bool:
        return any(fnmatchcase(schema, pattern) for pattern in self.options.schemas)

    def _sequences(self, connection: sa.Connection, now: Micros) -> Iterator[Capacity | Refusal]:
        for schema, name, up, least, greatest, readable, last, column in _rows(connection, SEQUENCES):
            if not self._wanted(schema):
                continue
            if not readable:
                yield Refusal(f"{schema}.{name}", f"may not be read: GRANT SELECT ON SEQUENCE {schema}.{name}")
                continue
            yield self._reading(now, f"{schema}.{name}", *used_of(up, least, min(greatest, column or greatest), last))

    def _keys(self, connection: sa.Connection, now: Micros) -> Iterator[Capacity | Refusal]:
        quote = connection.dialect.identifier_preparer.quote
        for schema, table, column, greatest, readable, hidden in _rows(connection, KEYS):
            if not self._wanted(schema):
                continue
            what = f"{schema}.{table}.{column}"
            if not readable or hidden:
                why = "hides rows from this user: let it bypass row security" if readable else "may not be read"
                yield Refusal(what, f"{why}: GRANT SELECT ON {schema}.{table}" if not readable else why)
                continue
            query = f"SELECT max({quote(column)}) FROM {quote(schema)}.{quote(table)}"  # noqa: S608  quoted names
            last = connection.execute(sa.text(query.replace(":", "\\:"))).scalar()
            yield self._reading(now, what, *used_of(True, 1, greatest, last))

    def _ages(self, connection: sa.Connection, now: Micros) -> Iterator[Capacity]:
        for database, ids, members in _rows(connection, AGES):
            yield self._reading(now, f"transaction ids of {database}", ids, STOP)
            yield self._reading(now, f"multixact ids of {database}", members, STOP)


def used_of(up: bool, least: int, greatest: int, last: int | None) -> tuple[int, int]:
    """How many values of a sequence are used, and how many there are; halved where no number holds them."""
    limit = greatest - least + 1
    used = 0 if last is None else max(0, last - least + 1 if up else greatest - last + 1)
    while limit >= LIMIT:
        used, limit = used // 2, limit // 2
    return used, limit


def _rows(connection: sa.Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(sa.text(query.replace(":", "\\:")))]
