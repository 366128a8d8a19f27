"""Counts by a query, from any database that SQLAlchemy has a dialect for. The database does the counting."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from pydantic import AfterValidator, Field, ValidationInfo
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from reconciler.connectors._sql_values import Bind, instant_reader, name_of, to_database, whole_number
from reconciler.core.observations import OUTCOMES, Count, Observation, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, floor_to, format_time
from reconciler.ports import ConnectorFailed
from reconciler.settings.build import resolve_sqlite
from reconciler.settings.schema import AnyDuration, ConnectorOptions

FETCH = 10_000
"""Rows asked of the driver at a time, where it can stream."""
REFUSALS = 1_000
"""Rows that are named one by one before the rest is only counted."""
REACH_SECONDS = 10
"""How long a connection may take, where the driver can be told."""

_NEEDED = {"source", "count"}
_WHEN = {"bucket", "time"}
_KNOWN = _NEEDED | _WHEN | {"outcome"}
_FROM = re.compile(r"\b(?:FROM|JOIN)\s+([\w\".]+)", re.IGNORECASE)
_WITH = re.compile(r"(\w+)\s+AS\s*(?:NOT\s+|MATERIALIZED\s*)*\(", re.IGNORECASE)
_BOUND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


def _counting_query(query: str) -> str:
    bound = set(_BOUND.findall(query))
    if missing := sorted({"start", "end"} - bound):
        raise ValueError(f"does not use :{' and :'.join(missing)}, so it would count all of the table each time")
    if others := sorted(bound - {"start", "end"}):
        raise ValueError(f"has :{others[0]}, but only :start and :end are bound; a colon that is meant is written \\:")
    return query


def _single_query(query: str) -> str:
    if bound := _BOUND.findall(query):
        raise ValueError(f"has :{bound[0]}, but nothing is bound here; a colon that is meant is written \\:")
    return query


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"is {name!r}, no time zone such as UTC or Europe/Berlin") from None
    return name


def _url(url: str, info: ValidationInfo) -> str:
    try:
        sa.make_url(url)
    except ArgumentError:
        raise ValueError("is no database URL such as postgresql://user@host/database") from None
    base = (info.context or {}).get("base")
    return url if base is None else resolve_sqlite(url, base)


class Options(ConnectorOptions):
    """A query that counts events by source and bucket of acceptance."""

    url: Annotated[str, AfterValidator(_url), Field(repr=False)]
    """SQLAlchemy URL of the database: `postgresql://user@host/database`; `sqlite:///file` is relative to this file."""
    query: Annotated[str, AfterValidator(_counting_query)]
    """Gives the columns `source`, `count`, and `bucket` (its start) or `time` (put into its bucket and summed here);
    `outcome` if it is not the usual one of the stage. It is to look at accept times in [:start, :end) only."""
    through: Annotated[str, AfterValidator(_single_query)] | None = None
    """A query for one value: until when the table is loaded. Without it the table is live: until the query runs."""
    settle: AnyDuration = 0
    """For a live table: how long after its time a row may still be written; so much of its end is not yet whole."""
    bind: Bind = "datetime"
    """What :start and :end are: `datetime` (with zone), `naive` (without), `iso` (text in UTC, such as
    2021-07-20T18:45:00), `epoch` (seconds) or `epoch_ms`. Numbers that the query returns as times are read likewise."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone of times that the database returns without one."""


def build(name: str, options: Options, pipelines: Mapping[str, Pipeline]) -> "SqlConnector":
    """The connector as configured; it connects when it is asked to collect."""
    return SqlConnector(name, options, pipelines[options.pipeline])


@dataclass(frozen=True, slots=True)
class SqlConnector:
    """Asks one query for the counts of one stage."""

    name: str
    options: Options
    target: Pipeline

    @property
    def pipeline(self) -> str:
        """Name of the pipeline."""
        return self.target.name

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.options.stage

    @property
    def every(self) -> Micros:
        """Time between two readings, µs."""
        return self.options.every

    @property
    def window(self) -> Micros:
        """How far back each reading counts again, µs."""
        return self.options.window

    @property
    def withdraws(self) -> bool:
        """A table does not forget: what it no longer gives has gone."""
        return True

    def permissions(self) -> list[str]:
        """What PostgreSQL, or the standard, would be told."""
        url = sa.make_url(self.options.url)
        if url.get_backend_name() == "sqlite":
            return [f"-- the file {url.database} must be readable, and its folder too"]
        reader = url.username or "reconciler"
        queries = f"{self.options.query} {self.options.through or ''}"
        named = {name.lower() for name in _WITH.findall(queries)}
        tables = dict.fromkeys(table for table in _FROM.findall(queries) if table.lower() not in named)
        schemas = dict.fromkeys(table.rpartition(".")[0] or "public" for table in tables)
        return [
            f"GRANT CONNECT ON DATABASE {url.database} TO {reader};",
            *(f"GRANT USAGE ON SCHEMA {schema} TO {reader};" for schema in schemas),
            *(f"GRANT SELECT ON {table} TO {reader};" for table in tables),
        ]

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterator[Observation | Refusal]:
        """Everything that the query counts in [start, end), then how far that is whole; see `ports.Connector`."""
        tally = Tally(self, start, end)
        with self._connection() as connection:
            # Asked first: what is loaded while the query runs is then not claimed.
            loaded = self._loaded(connection, now)
            streaming = connection.execution_options(stream_results=True, max_row_buffer=FETCH)
            with streaming.execute(*self._statement(connection.dialect.name, start, end)) as result:
                tally.take(result)
        yield from tally.refused
        for (source, bucket, outcome), count in tally.cells.items():
            yield Count(now, self.pipeline, self.stage, source, bucket, count, outcome, self.name)
        if loaded is not None and not tally.refused:
            yield Progress(now, self.pipeline, self.stage, min(loaded, end), self.name)

    def failure(self, reason: str, remedy: str) -> ConnectorFailed:
        """What went wrong, where, and what to do; without any secret of the URL."""
        url = sa.make_url(self.options.url)
        where = f"{url.drivername}://{url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"
        for secret in (url.password, *map(str, url.query.values())):
            reason = reason.replace(str(secret), "***") if secret else reason
        return ConnectorFailed(
            f"connector {self.name} ({self.pipeline}, {self.stage}): {reason}\n  at {where}\n  {remedy}"
        )

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        """A connection for reading; its transaction sees one state of the database where the engine can."""
        url = sa.make_url(self.options.url)
        if url.get_backend_name() == "sqlite" and url.database and not _exists(url.database):
            # SQLite would make an empty one, and its tables would be missing for no reason that can be seen.
            raise self.failure("there is no such file", "Check the URL; a relative one lies beside the configuration.")
        try:
            engine = sa.create_engine(_with_driver(self.options.url), poolclass=sa.NullPool)
            with engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                    # Where a column has no zone, PostgreSQL compares it with :start in the zone of the session.
                    zone = sa.text("SELECT set_config('TimeZone', :zone, true)")
                    connection.execute(zone, {"zone": self.options.timezone})
                yield connection
        except NoSuchModuleError as error:
            raise self.failure(str(error), "Install the package that brings this SQLAlchemy dialect.") from None
        except ImportError as error:
            raise self.failure(str(error), f"Install the database driver: pip install {error.name}") from None
        except SQLAlchemyError as error:
            raise self.failure(_first_line(error), _remedy(error)) from None

    def _statement(self, dialect: str, start: Micros, end: Micros) -> tuple[sa.TextClause, dict[str, Any]]:
        options, zone = self.options, ZoneInfo(self.options.timezone)
        ends = {"start": start, "end": end}
        bound = {key: to_database(instant, options.bind, zone, dialect) for key, instant in ends.items()}
        return sa.text(options.query), bound

    def _loaded(self, connection: sa.Connection, now: Micros) -> Micros | None:
        """Until when the table is whole; `None` where it says that nothing is loaded yet."""
        if self.options.through is None:
            return now - self.options.settle
        rows = connection.execute(sa.text(self.options.through)).fetchmany(2)
        if len(rows) != 1 or len(rows[0]) != 1:
            found = "no row" if not rows else "more than one value"
            raise self.failure(f"the query of `through` gives {found}", "Let it give exactly one value, a time.")
        if rows[0][0] is None:
            return None
        try:
            return min(now, self.reader(rows[0][0]))
        except ValueError as error:
            raise self.failure(f"the value of `through` {error}", "Let it give exactly one value, a time.") from None

    @property
    def reader(self) -> Callable[[object], Micros]:
        """Reads the times that this database returns."""
        return instant_reader(self.options.bind, ZoneInfo(self.options.timezone))


class Tally:
    """The rows of one answer, added up by cell."""

    def __init__(self, connector: SqlConnector, start: Micros, end: Micros) -> None:
        self.connector, self.start, self.end = connector, start, end
        self.cells: dict[tuple[str, Micros, str], int] = {}
        self.refused: list[Refusal] = []
        self.unnamed = 0
        first = connector.stage == connector.target.stages[0]
        self._usual = "accepted" if first else "processed"
        self._read = connector.reader

    def take(self, result: sa.CursorResult[Any]) -> None:
        """Add up all rows; those that make no sense are refused one by one."""
        columns = self._columns(list(result.keys()))
        when, sums = columns.get("time", columns.get("bucket", 0)), "time" in columns
        for number, row in enumerate(result, 1):
            try:
                source = _field("source", name_of, row[columns["source"]])
                count = _field("count", whole_number, row[columns["count"]])
                bucket = self._bucket(row[when], raw=sums)
                outcome = _field("outcome", _outcome, row[columns["outcome"]]) if "outcome" in columns else self._usual
            except Refusal as refusal:
                self._refuse(number, refusal)
                continue
            self._add((source, bucket, outcome), count, sums=sums)
        if self.unnamed:
            self.refused.append(Refusal("(rows)", f"and {self.unnamed} more rows of the query were refused"))

    def _refuse(self, number: int, refusal: Refusal) -> None:
        if len(self.refused) < REFUSALS:
            self.refused.append(Refusal(refusal.field, f"of row {number} of the query {refusal.reason}"))
        else:
            self.unnamed += 1

    def _columns(self, names: Sequence[str]) -> dict[str, int]:
        columns = {name.lower(): place for place, name in enumerate(names)}
        missing, unknown = _NEEDED - columns.keys(), columns.keys() - _KNOWN
        if missing or unknown or len(_WHEN & columns.keys()) != 1 or len(columns) != len(names):
            remedy = "Let it give source, count, and either bucket or time; outcome too where it is not the usual one."
            raise self.connector.failure(f"the query gives the columns {', '.join(names)}", remedy)
        return columns

    def _bucket(self, value: object, *, raw: bool) -> Micros:
        instant = _field("time" if raw else "bucket", self._read, value)
        bucket = floor_to(instant, self.connector.target.width)
        if bucket != instant and not raw:
            raise Refusal(
                "bucket", f"is {format_time(instant)}, not the start of a bucket; a column named time need not be one"
            )
        if not self.start <= bucket < self.end:
            asked = f"{format_time(self.start)} to {format_time(self.end)}"
            reason = (
                f"is {format_time(instant)}, outside of {asked}: compare accept times with :start and :end; see `bind`"
            )
            raise Refusal("time" if raw else "bucket", reason)
        return bucket

    def _add(self, cell: tuple[str, Micros, str], count: int, *, sums: bool) -> None:
        before = self.cells.get(cell)
        if before is not None and not sums:
            what = f"the query gives {cell[0]!r}, {format_time(cell[1])}, {cell[2]} twice"
            raise self.connector.failure(what, "Group by source and bucket (and outcome) only.")
        self.cells[cell] = count + (before or 0)


def _field(field: str, read: Callable[[object], Any], value: object) -> Any:
    try:
        return read(value)
    except (ValueError, OverflowError) as error:
        raise Refusal(field, str(error)) from None


def _outcome(value: object) -> str:
    if value not in OUTCOMES:
        raise ValueError(f"is {value!r}, not one of {', '.join(OUTCOMES)}")
    return str(value)


def _exists(database: str) -> bool:
    return database == ":memory:" or database.startswith("file:") or Path(database).exists()


def _with_driver(url: str) -> sa.URL:
    """The URL with the driver that this program brings for PostgreSQL, which is not to wait for ever."""
    found = sa.make_url(url)
    if found.drivername == "postgresql":
        found = found.set(drivername="postgresql+psycopg")
    if found.drivername == "postgresql+psycopg":
        return found.update_query_dict({"connect_timeout": str(REACH_SECONDS)} | dict(found.query))
    return found


def _first_line(error: SQLAlchemyError) -> str:
    """What the driver said, without the statement and its parameters."""
    origin = getattr(error, "orig", None) or error
    return next((line.strip() for line in str(origin).splitlines() if line.strip()), type(origin).__name__)


def _remedy(error: SQLAlchemyError) -> str:
    if isinstance(error, sa.exc.ProgrammingError) or "no such" in str(error):
        return "The database answers, but not to this query: check its tables, columns and permissions."
    return "Check that the database runs and answers, and the user, password and query of this connector."
