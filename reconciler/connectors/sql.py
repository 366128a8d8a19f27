"""Counts out of tables, from any database that SQLAlchemy has a dialect for. The database does the counting."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from pydantic import AfterValidator, Field, model_validator

from reconciler.abilities import Hole, Identified
from reconciler.connectors import _shapes
from reconciler.connectors._identities import identity_of, summary_of
from reconciler.connectors._sql_database import Database, database_url
from reconciler.connectors._sql_dialects import DIALECTS
from reconciler.connectors._sql_table import By, Counting, TableSettings, Which, unit_of
from reconciler.connectors._sql_tally import Tally, field
from reconciler.connectors._sql_values import Bind, instant_reader, name_of, to_database, whole_number
from reconciler.core.adoption import Level
from reconciler.core.identities import Identity, Summary
from reconciler.core.observations import Count, Observation, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros
from reconciler.ports import ConnectorFailed
from reconciler.settings.schema import AnyDuration, ConnectorOptions, Duration, PipelineSettings, Positive

FETCH = 10_000
"""Rows asked of the driver at a time, where it can stream."""

_FROM = re.compile(r"\b(?:FROM|JOIN)\s+([\w\".]+)", re.IGNORECASE)
_WITH = re.compile(r"(\w+)\s+AS\s*(?:NOT\s+|MATERIALIZED\s*)*\(", re.IGNORECASE)
_DIGEST = re.compile(r"\bAS\s+\"?digest\b", re.IGNORECASE)
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


class Options(ConnectorOptions):
    """A table, or a query, that counts events by source and bucket of acceptance."""

    url: Annotated[str, AfterValidator(database_url), Field(repr=False)]
    """SQLAlchemy URL of the database: `postgresql://user@host/database`; `sqlite:///file` is relative to this file."""
    query: Annotated[str, AfterValidator(_counting_query)] | None = None
    """Gives the columns `source`, `count`, and `bucket` (its start) or `time` (put into its bucket and summed here);
    `outcome` if it is not the usual one of the stage; `digest` of the ids, if it can. It is to look at accept times in
    [:start, :end) only."""
    table: TableSettings | None = None
    """In place of a query: a table and its columns. The query is made of them."""
    by: By = "time"
    """`time`: counts by source and accept time. `offset`: which offsets of a queue have arrived in the table."""
    count: Which = "arrived"
    """With `by: offset`: `arrived`, or `written`: the holes between those that arrived are counted too."""
    disorder: AnyDuration = 5 * MINUTE
    """With `by: offset`: how far the times of records may be from the order of their offsets; 0s where the broker
    stamps them."""
    exact: bool = True
    """With `by: offset`: one offset is one event. False for topics with transactions or compaction: no proof then."""
    partitions: Positive | None = None
    """With `count: written`: how many partitions there are. While one is not seen at all, nothing is called whole."""
    through: Annotated[str, AfterValidator(_single_query)] | None = None
    """A query for one value: until when the table is loaded. Without it the table is live: until the query runs."""
    settle: AnyDuration = 0
    """For a live table: how long after its time a row may still be written; so much of its end is not yet whole."""
    bind: Bind = "datetime"
    """What :start and :end are: `datetime` (with zone), `naive` (without), `iso` (text in UTC, such as
    2021-07-20T18:45:00), `epoch` (seconds) or `epoch_ms`. Numbers that the query returns as times are read likewise."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone of times that the database returns without one."""
    timeout: Duration = MINUTE
    """How long one query may take. It is broken off then, in the database where that can be told."""

    @model_validator(mode="after")
    def _one_way_to_count(self) -> Self:
        if (self.query is None) == (self.table is None):
            raise ValueError("needs either query or table")
        if self.table is None:
            if self.by == "offset":
                raise ValueError("by: offset needs table, with topic, partition and offset")
            return self
        if self.timezone != "UTC":
            raise ValueError("table counts in UTC only; convert in its time column, or write a query")
        needed = ("topic", "partition", "offset") if self.by == "offset" else ("source",)
        if missing := [name for name in needed if getattr(self.table, name) is None]:
            raise ValueError(f"by: {self.by} needs table.{missing[0]}")
        if self.count == "written" and self.by != "offset":
            raise ValueError("count: written needs by: offset")
        return self

    def level(self) -> Level:
        """Offsets, ids where they are given, or the accept time."""
        if self.by == "offset":
            return Level.OFFSETS
        ids = self.table.id if self.table else _DIGEST.search(self.query or "")
        return Level.IDS if ids else Level.ACCEPT_TIME

    def contradictions(self, pipeline: PipelineSettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What was written is where events are accepted, as far as offsets can tell."""
        if self.count == "written" and self.stage != pipeline.stages[0]:
            yield (
                ("stage",),
                f"is {self.stage}, but what was written is counted at the first stage, {pipeline.stages[0]}",
            )


def build(name: str, options: Options, pipelines: Mapping[str, Pipeline]) -> "SqlConnector":
    """The connector as configured; it connects when it is asked to collect."""
    return SqlConnector(name, options, pipelines[options.pipeline])


@dataclass(frozen=True, slots=True)
class SqlConnector(_shapes.Counting, Identified):
    """Asks one query for the counts of one stage."""

    name: str
    options: Options
    target: Pipeline

    @property
    def withdraws(self) -> bool:
        """A table does not forget: what it no longer gives has gone. But what was written once, was."""
        return self.options.count == "arrived"

    def permissions(self) -> list[str]:
        """What PostgreSQL, or the standard, would be told."""
        url = self.database.parsed
        if self.database.backend in {"sqlite", "duckdb"}:
            return [f"-- the file {url.database} must be readable, and its folder too"]
        reader = url.username or "reconciler"
        table = f"FROM {self.options.table.name}" if self.options.table else ""
        queries = f"{self.options.query or table} {self.options.through or ''}"
        named = {name.lower() for name in _WITH.findall(queries)}
        tables = dict.fromkeys(table for table in _FROM.findall(queries) if table.lower() not in named)
        schemas = dict.fromkeys(table.rpartition(".")[0] or "public" for table in tables)
        return [
            f"GRANT CONNECT ON DATABASE {url.database} TO {reader};",
            *(f"GRANT USAGE ON SCHEMA {schema} TO {reader};" for schema in schemas),
            *(f"GRANT SELECT ON {table} TO {reader};" for table in tables),
        ]

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterator[Observation | Refusal]:
        """Everything that is counted in [start, end), then how far that is whole; see `ports.Connector`."""
        tally = Tally(self.target, self.stage, (start, end), self._read_counts, self.failure)
        with self.database.connection() as connection:
            # Asked first: what is loaded while the query runs is then not claimed.
            loaded = self._loaded(connection, now)
            streaming = connection.execution_options(stream_results=True, max_row_buffer=FETCH)
            with streaming.execute(*self._statement(connection.dialect.name, start, end)) as result:
                if self.options.count == "written":
                    seen = self._take_written(tally, result)
                    loaded = None if loaded is None or seen is None else min(loaded, seen)
                else:
                    tally.take(result)
        yield from tally.refused
        for (source, bucket, outcome), cell in tally.cells.items():
            yield Count(
                now, self.pipeline, self.stage, source, bucket, cell.count, outcome, self.name, cell.digest, cell.error
            )
        if loaded is not None and not tally.refused:
            yield Progress(now, self.pipeline, self.stage, min(loaded, end), self.name)

    def holes(self, start: Micros, end: Micros) -> list[Hole]:
        """Ranges of offsets that have not arrived; see `abilities.Holed`. Nothing, where it does not count those."""
        if self.options.by == "time" or self.options.count == "written":
            return []
        with self.database.connection() as connection:
            counting = self._counting(connection.dialect.name)
            rows = connection.execute(sa.text(counting.holes()), self._bound(connection.dialect.name, start, end))
            read = self._read_counts
            return [Hole(str(who), int(before) + 1, int(missing), read(at)) for who, at, before, missing in rows]

    @property
    def unnamed(self) -> str | None:
        if self.options.by == "offset":
            return "counts offsets, which name no event"
        if self.options.table is None:
            return "counts by a query of yours; give `table` with `id` in its place"
        return None if self.options.table.id else "has no `table.id`"

    def summaries(self, start: Micros, end: Micros, slots: int, *, handed_on: bool) -> Iterator[Summary]:
        usual, read = self.target.usual_outcome(self.stage), self._read_counts
        for row in self._rows(start, end, lambda counting: counting.summaries(slots, usual, handed_on=handed_on)):
            yield summary_of(row, read)

    def identities(
        self, start: Micros, end: Micros, slots: int, wanted: Sequence[int], *, handed_on: bool
    ) -> Iterator[Identity]:
        usual, read = self.target.usual_outcome(self.stage), self._read_counts
        ask = lambda counting: counting.identities(slots, wanted, usual, handed_on=handed_on)  # noqa: E731  one name less
        for row in self._rows(start, end, ask):
            yield identity_of(row, read)

    def _rows(self, start: Micros, end: Micros, ask: Callable[[Counting], str]) -> Iterator[tuple[Any, ...]]:
        """The rows of a question about [start, end), few at a time."""
        with self.database.connection() as connection:
            dialect = connection.dialect.name
            streaming = connection.execution_options(stream_results=True, max_row_buffer=FETCH)
            question = sa.text(ask(self._counting(dialect)))
            with streaming.execute(question, self._ends(dialect, start, end)) as result:
                for some in result.partitions(FETCH):
                    yield from map(tuple, some)

    @property
    def database(self) -> Database:
        """Where the table is."""
        asker = f"connector {self.name} ({self.pipeline}, {self.stage})"
        return Database(self.options.url, asker, self.options.timezone, self.options.timeout)

    def failure(self, reason: str, remedy: str) -> ConnectorFailed:
        """What went wrong, where, and what to do; without any secret of the URL."""
        return self.database.failure(reason, remedy)

    def _statement(self, dialect: str, start: Micros, end: Micros) -> tuple[sa.TextClause, dict[str, Any]]:
        options = self.options
        if options.count == "written":
            return sa.text(self._counting(dialect).by_offset("written")), self._bound(dialect, start, end)
        return sa.text(options.query or self._question(dialect)), self._ends(dialect, start, end)

    def _ends(self, dialect: str, start: Micros, end: Micros) -> dict[str, Any]:
        options, zone = self.options, ZoneInfo(self.options.timezone)
        ends = {"start": start, "end": end}
        return {key: to_database(instant, options.bind, zone, dialect) for key, instant in ends.items()}

    def _bound(self, dialect: str, start: Micros, end: Micros) -> dict[str, Any]:
        """Ends of what is counted, within ends of what is read: neighbours by offset may lie a little further."""
        reach, unit = self.options.disorder, unit_of(self.options.bind)
        return self._ends(dialect, start - reach, end + reach) | {"first": start // unit, "last": end // unit}

    def _counting(self, dialect: str) -> Counting:
        known = DIALECTS.get(dialect)
        if known is None or self.options.table is None:
            remedy = f"Write a query in place of table; tables are known of {', '.join(DIALECTS)}."
            raise self.failure(f"nobody has taught this program how {dialect} counts", remedy)
        return Counting(self.options.table, known, self.options.bind, self.target.width)

    def _question(self, dialect: str) -> str:
        """The query that is made of the table's columns, for one kind of database."""
        counting = self._counting(dialect)
        return counting.by_time() if self.options.by == "time" else counting.by_offset("arrived")

    def _take_written(self, tally: Tally, result: sa.CursorResult[Any]) -> Micros | None:
        """Take arrived offsets and the holes between them; returns until when they tell of every partition."""
        latest: dict[str, Micros] = {}
        rows: Iterator[tuple[Any, ...]] = map(tuple, result)
        for number, (who, when, *numbers, last) in enumerate(rows, 1):
            try:
                source, bucket = field("source", name_of, who), tally.bucket(when, raw=False)
                arrived, missing = (field("count", whole_number, value) for value in numbers)
                seen = field("latest", self._read_counts, last)
            except Refusal as refusal:
                tally.refuse(number, refusal)
                continue
            tally.put(source, bucket, arrived + missing, 0 if self.options.exact else missing)
            latest[source] = max(seen, latest.get(source, seen))
        if len(latest) < (self.options.partitions or 1):
            return None
        return min(latest.values()) - self.options.disorder

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

    @property
    def _read_counts(self) -> Callable[[object], Micros]:
        """Reads the times of the counts: those of a query as the user binds them, those of a table as numbers."""
        if self.options.query is not None:
            return self.reader
        return instant_reader("epoch_ms" if self.options.bind == "epoch_ms" else "epoch", ZoneInfo("UTC"))
