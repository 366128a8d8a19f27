"""The flights of 2013, day by day: real lag of up to a day, and every real loss found and no other."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconciler.collect import collect, connectors_of
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, PARTS, SPAN
from reconciler.core.times import DAY, HOUR, NEVER, Micros, floor_to, parse_time
from reconciler.ports import Store
from reconciler.service import judge
from reconciler.settings import Settings, load
from reconciler.store import open_store
from tests.integration.flights import FIRST, LAST, Airport, Flight, read_flights

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "examples" / "flights.yaml"
SETTLES = 2 * DAY
"""How long after its hour a cancellation is known for sure; the longest delay was 21 hours and 41 minutes."""
Cell = tuple[str, Micros]
"""Source, and the start of the hour."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The example that is shipped, on databases of its own."""
    names = {"FLIGHTS_DATABASE": "flights.db", "FLIGHTS_LEDGER": "ledger.db"}
    return load(EXAMPLE, {name: f"sqlite:///{tmp_path / file}" for name, file in names.items()})


def live(settings: Settings, flights: list[Flight], until: Micros) -> Store:
    """Tick once a day until then. Whatever is called lost on any day, is."""
    pipeline, connectors = settings.pipelines["departures"], connectors_of(settings)
    airport = Airport.at(str(settings.connectors["scheduled-table"].options.url), flights)  # type: ignore[attr-defined]  # the options of kind sql
    store, truth = open_store(settings.ledger), cancelled(flights, until)
    for now in range(FIRST + DAY, until + DAY, DAY):
        airport.advance(now)
        done = collect(store, connectors, settings.pipelines, now)
        assert not any(one.failure or one.refused for one in done)
        assert false_alarms(judge(store, pipeline, now), truth) == []
    return store


def cancelled(flights: Iterable[Flight], before: Micros) -> Counter[Cell]:
    """The flights of these hours that never left."""
    gone = (flight for flight in flights if flight.processed_at == NEVER and flight.accepted_at < before)
    return Counter((flight.source, floor_to(flight.accepted_at, HOUR)) for flight in gone)


def false_alarms(lines: Iterable[Mapping[str, Any]], truth: Counter[Cell]) -> list[Mapping[str, Any]]:
    """Verdicts that call more flights lost than were cancelled."""
    lost = (line for line in lines if line["type"] == "verdict" and line["lost"])
    return [line for line in lost if line["lost"] > truth[line["source"], parse_time(line["bucket"])]]


def lost(store: Store, pipeline: Pipeline, until: Micros) -> dict[Cell, int]:
    """What the ledger says is lost, in the buckets before then."""
    names, found = store.directory(pipeline).sources, {}
    for key, tile in store.verdict_tiles(pipeline, "scheduled>departed", FIRST, until - HOUR):
        plane = tile.parts[PARTS.index("lost")]
        for row, column in zip(*np.nonzero(plane), strict=True):
            bucket = int(key.span * SPAN + column) * HOUR
            if bucket < until:
                found[names[key.chunk * CHUNK + int(row)], bucket] = int(plane[row, column])
    return found


def test_in_a_month_of_flights_the_cancelled_are_lost_and_the_late_are_not(settings: Settings) -> None:
    flights, until = read_flights(), FIRST + 30 * DAY
    store = live(settings, flights, until)
    settled = until - SETTLES
    assert lost(store, settings.pipelines["departures"], settled) == cancelled(flights, settled)
    store.close()


@pytest.mark.slow
def test_at_the_end_of_the_year_every_cancelled_flight_is_lost_and_none_that_left_late(settings: Settings) -> None:
    flights = read_flights()
    store = live(settings, flights, LAST)
    assert sum(cancelled(flights, LAST).values()) == 8_255
    assert lost(store, settings.pipelines["departures"], LAST) == cancelled(flights, LAST)
    store.close()
