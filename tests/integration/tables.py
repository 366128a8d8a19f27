"""Two tables of events in a real database, as a user of the SQL connector has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reconciler.core.times import Micros, parse_time, to_datetime

COUNT_BUCKETS = """
    SELECT source, accepted_at AS time, 1 AS count FROM {table} WHERE accepted_at >= :start AND accepted_at < :end
"""


@dataclass(frozen=True, slots=True)
class Tables:
    """A database with the tables `accepted` and `processed`."""

    url: str

    def make(self) -> None:
        """Make the tables, empty."""
        kind = "TEXT" if self.url.startswith("sqlite") else "TIMESTAMPTZ"
        for table in ("accepted", "processed"):
            self.run(f"CREATE TABLE {table} (source TEXT, accepted_at {kind}, outcome TEXT, number INTEGER)")
        self.run(f"CREATE TABLE loads (until {kind})")

    def run(self, statement: str, rows: list[dict[str, Any]] | None = None) -> None:
        """Run one statement, for each of the rows if there are any."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(statement), rows)

    def add(self, table: str, source: str | None, times: Iterable[str], outcome: str | None = None) -> None:
        """One event at each of these instants."""
        rows = [{"source": source, "at": self.moment(parse_time(time)), "outcome": outcome} for time in times]
        self.run(f"INSERT INTO {table} (source, accepted_at, outcome) VALUES (:source, :at, :outcome)", rows)

    def loaded(self, until: str) -> None:
        """Note that the tables are whole until this instant."""
        self.run("DELETE FROM loads")
        self.run("INSERT INTO loads VALUES (:at)", [{"at": self.moment(parse_time(until))}])

    def moment(self, instant: Micros) -> Any:
        """An instant as the tables keep it."""
        moment = to_datetime(instant)
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if self.url.startswith("sqlite") else moment
