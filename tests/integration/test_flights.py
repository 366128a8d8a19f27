"""The flights of 2013: real counts, with real delays of up to a day and real losses."""

from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from reconciler.core.times import DAY, HOUR, MINUTE, NEVER, floor_to, parse_time
from tests.integration.flights import FIRST, LAST, Airport, Flight, read_flights


@pytest.fixture(scope="module")
def flights() -> list[Flight]:
    return read_flights()


def test_the_year_is_the_one_that_is_known(flights: list[Flight]) -> None:
    left = [flight for flight in flights if flight.processed_at != NEVER]
    delays = [flight.processed_at - flight.accepted_at for flight in left]
    assert (len(flights), len(flights) - len(left)) == (336_776, 8_255)
    assert (min(delays), max(delays)) == (-43 * MINUTE, 1_301 * MINUTE)
    assert len({flight.source for flight in flights}) == 35
    assert min(flight.accepted_at for flight in flights) == parse_time("2013-01-01T10:15:00Z")
    assert max(flight.seen_at for flight in left) < LAST


def test_summer_time_is_kept(flights: list[Flight]) -> None:
    hours = Counter(floor_to(flight.accepted_at, HOUR) % DAY // HOUR for flight in flights)
    assert set(hours) <= {*range(9, 24), *range(6)}, "nobody takes off in the small hours"


def test_the_tables_grow_with_the_days(flights: list[Flight], tmp_path: Path) -> None:
    airport = Airport.at(f"sqlite:///{tmp_path}/flights.db", flights)
    for day in (1, 2, 31):
        now = FIRST + day * DAY
        airport.advance(now)
        with airport.engine.connect() as connection:
            counted = [
                connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in ("accepted", "processed")
            ]
        assert counted == [
            sum(flight.accepted_at < now for flight in flights),
            sum(flight.seen_at < now for flight in flights),
        ]
