"""The flights of 2013: real counts, with real delays of up to a day and real losses."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from reconciler.collect import collect, connectors_of
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN
from reconciler.core.times import DAY, HOUR, MINUTE, NEVER, Micros, floor_to, parse_time
from reconciler.ports import Store
from reconciler.service import judge_all
from reconciler.settings import load
from reconciler.store import open_store
from tests.integration.flights import FIRST, LAST, YEAR, Airport, Flight, and_on, read_flights

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "examples" / "flights.yaml"
MORE = 7
"""Days of the next year, so that the last of the old one can be judged."""


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


@pytest.mark.slow
def test_every_cancelled_flight_is_lost_in_its_bucket_and_none_that_left_late(
    flights: list[Flight], tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path}/flights.db"
    settings = load(
        EXAMPLE, {"FLIGHTS_DATABASE": database, "FLIGHTS_LEDGER": f"sqlite:///{tmp_path}/flights-ledger.db"}
    )
    store = open_store(settings.ledger)
    longer = and_on(flights, MORE)
    airport, connectors, truth = Airport.at(database, longer), connectors_of(settings), cancelled(longer)
    for day in range(1, 365 + MORE + 1):
        now = FIRST + day * DAY
        airport.advance(now)
        done = collect(store, connectors, settings.pipelines, now)
        assert [(one.failure, one.refused) for one in done] == [(None, ()), (None, ())]
        assert false_alarms(judge_all(store, settings.pipelines, now), truth) == [], "on no day"
    lost = losses(store, settings.pipelines["departures"])
    store.close()
    assert sum(lost.values()) == 8_255
    assert lost == dict(cancelled(flights))


def cancelled(flights: Iterable[Flight]) -> Counter[tuple[str, Micros]]:
    """By source and bucket, the flights that never left."""
    gone = (flight for flight in flights if flight.processed_at == NEVER)
    return Counter((flight.source, floor_to(flight.accepted_at, HOUR)) for flight in gone)


def false_alarms(lines: Iterable[Mapping[str, Any]], truth: Counter[tuple[str, Micros]]) -> list[Mapping[str, Any]]:
    """Verdicts that call more flights lost than were cancelled."""
    lost = (line for line in lines if line["type"] == "verdict" and line["lost"])
    return [line for line in lost if line["lost"] > truth[line["source"], parse_time(line["bucket"])]]


def losses(store: Store, pipeline: Pipeline) -> dict[tuple[str, Micros], int]:
    """Lost flights by source and bucket of 2013, as the ledger has them."""
    sources = store.directory(pipeline).sources
    lost: dict[tuple[str, Micros], int] = {}
    last = FIRST + YEAR + 5 * HOUR - 1
    for key, tile in store.verdict_tiles(pipeline, "scheduled>departed", FIRST, last):
        for source, column in zip(*np.nonzero(tile.parts["lost"]), strict=True):
            bucket = (key.span * SPAN + int(column)) * HOUR
            if bucket <= last:
                lost[sources[key.chunk * CHUNK + int(source)], bucket] = int(tile.parts["lost"][source, column])
    return lost
