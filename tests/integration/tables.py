"""Tables of events in a real database, as a user of the SQL connector has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reconciler.connectors.sql import Options, SqlConnector, build
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, parse_time, to_datetime

COUNT_BUCKETS = """
    SELECT source, accepted_at AS time, 1 AS count FROM {table} WHERE accepted_at >= :start AND accepted_at < :end
"""


@dataclass(frozen=True, slots=True)
class Database:
    """A database to make tables in."""

    url: str

    @property
    def instants(self) -> str:
        """The type of a column that holds them; SQLite has none."""
        return "TEXT" if self.url.startswith("sqlite") else "TIMESTAMPTZ"

    def run(self, statement: str, rows: list[dict[str, Any]] | None = None) -> None:
        """Run one statement, for each of the rows if there are any."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(statement), rows)

    def run_all(self, *statements: str) -> None:
        """Run these, one after the other."""
        for statement in statements:
            self.run(statement)

    def moment(self, instant: Micros) -> Any:
        """An instant as the tables keep it."""
        moment = to_datetime(instant)
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if self.url.startswith("sqlite") else moment


@dataclass(frozen=True, slots=True)
class Tables(Database):
    """A database with the tables `accepted` and `processed`."""

    def make(self) -> None:
        """Make the tables, empty."""
        for table in ("accepted", "processed"):
            self.run(f"CREATE TABLE {table} (source TEXT, accepted_at {self.instants}, outcome TEXT, number INTEGER)")
        self.run(f"CREATE TABLE loads (until {self.instants})")

    def add(self, table: str, source: str | None, times: Iterable[str], outcome: str | None = None) -> None:
        """One event at each of these instants."""
        rows = [{"source": source, "at": self.moment(parse_time(time)), "outcome": outcome} for time in times]
        self.run(f"INSERT INTO {table} (source, accepted_at, outcome) VALUES (:source, :at, :outcome)", rows)

    def loaded(self, until: str) -> None:
        """Note that the tables are whole until this instant."""
        self.run("DELETE FROM loads")
        self.run("INSERT INTO loads VALUES (:at)", [{"at": self.moment(parse_time(until))}])


@dataclass(frozen=True, slots=True)
class Warehouse(Database):
    """A table of records as a sink writes them."""

    def make(self) -> None:
        self.run(
            f"CREATE TABLE events (source TEXT, accepted {self.instants}, id TEXT, kind TEXT, topic TEXT,"
            ' "partition" INTEGER, "offset" BIGINT)'
        )

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Records; what is not said of one is usual."""
        usual = {"source": "a", "time": "18:44:00", "id": None, "kind": "track", "topic": "t", "partition": 0}
        filled = [usual | {"offset": None} | row for row in rows]
        for row in filled:
            row["time"] = self.moment(parse_time(f"2021-07-20T{row['time']}Z"))
        self.run("INSERT INTO events VALUES (:source, :time, :id, :kind, :topic, :partition, :offset)", filled)

    def connector(self, table: dict[str, str] | None = None, **changes: Any) -> SqlConnector:
        columns = {"name": "events", "time": "accepted"} | (table or {"source": "source"})
        options = {"pipeline": "batch", "stage": "ingress", "url": self.url, "table": columns} | changes
        return build("table", Options.model_validate(options), {"batch": Pipeline("batch", ("ingress", "stored"))})
