"""Looks at queues are kept by the day on PostgreSQL: made ahead, dropped whole, and none is lost on the way."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from reconciler.core.observations import QueueSample
from reconciler.core.pipelines import Pipeline, Queue
from reconciler.core.times import DAY, HOUR, MINUTE, Micros, parse_time
from reconciler.ports import Horizon
from reconciler.running.duties import prune as prune_all
from reconciler.running.meters import Meters
from reconciler.running.turns import Turn
from reconciler.settings import parse
from reconciler.store import SqlStore
from tests.integration.store_parts import BATCH, pipelines

TODAY = parse_time("2026-11-24T00:00:00Z")
OTHER = replace(BATCH, name="other")
BOTH = pipelines(replace(BATCH, queues={"events": Queue("events", BATCH.hops[0])}), OTHER)
FOREVER: Micros = 100_000 * DAY


def look(at: Micros, offset: int = 10, pipeline: Pipeline = BATCH) -> QueueSample:
    return QueueSample(at, pipeline.name, "events", 0, 1, offset, 5)


def looks(store: SqlStore, pipeline: Pipeline = BATCH) -> list[QueueSample]:
    return store.latest_samples(pipeline.name, 0, FOREVER, 1_000_000)


def prune(store: SqlStore, before: Micros, pipeline: Pipeline = BATCH) -> int:
    """Forget looks from before a quarter past that full hour; how many rows and days went."""
    horizon, removed = Horizon(before + HOUR, 0), 0
    assert pipeline.looks_back == 45 * MINUTE
    while step := store.prune(pipeline, horizon, 100):
        removed += step
    return removed


def tables(store: SqlStore) -> dict[str, int]:
    """The looks in each table of them, by the end of its name."""
    with store.database.reading() as connection:
        names = connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'queue_sample'::regclass")
        ).scalars()
        return {
            name.rpartition("_")[2]: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in sorted(names)
        }


def test_what_was_looked_at_reads_the_same_wherever_it_is_kept(store: SqlStore) -> None:
    told = [
        look(TODAY - DAY),
        look(TODAY + HOUR),
        look(TODAY + 2 * DAY - 1),
        look(TODAY + 2 * DAY),
        look(TODAY + 9 * DAY),
    ]
    store.record(told[1:2], BOTH)
    store.make_days(BATCH, TODAY)
    assert store.record(told, BOTH).kept == 4
    assert looks(store) == told
    corrected = replace(told[2], end_offset=12)
    assert store.record([*told, corrected], BOTH).kept == 1
    assert looks(store) == [*told[:2], corrected, *told[3:]]


def test_looks_from_before_the_horizon_go_wherever_they_are_kept(store: SqlStore) -> None:
    store.make_days(BATCH, TODAY)
    store.record([look(TODAY - DAY), look(TODAY + HOUR), look(TODAY + DAY + HOUR)], BOTH)
    assert prune(store, TODAY + DAY) == 2
    assert looks(store) == [look(TODAY + DAY + HOUR)]
    assert prune(store, TODAY + DAY) == 0


@pytest.mark.postgres
def test_days_are_ready_before_they_begin_and_made_once(shared: SqlStore) -> None:
    assert shared.make_days(BATCH, TODAY + HOUR) == 3
    assert shared.make_days(BATCH, TODAY + 23 * HOUR) == 0
    assert shared.make_days(BATCH, TODAY + DAY) == 1
    shared.record([look(TODAY + number * DAY) for number in range(5)], BOTH)
    assert tables(shared) == {"20261124": 1, "20261125": 1, "20261126": 1, "20261127": 1, "other": 1}


@pytest.mark.postgres
def test_a_look_by_a_clock_that_was_ahead_moves_to_its_day(shared: SqlStore) -> None:
    ahead = [look(TODAY + DAY), look(TODAY + 2 * DAY - 1), look(TODAY + DAY, pipeline=OTHER)]
    shared.record(ahead, BOTH)
    assert tables(shared) == {"other": 3}
    shared.make_days(BATCH, TODAY)
    assert tables(shared) == {"20261124": 0, "20261125": 2, "20261126": 0, "other": 1}
    assert (looks(shared), looks(shared, OTHER)) == (ahead[:2], ahead[2:])


@pytest.mark.postgres
def test_a_day_of_which_much_was_told_before_it_was_made_stays_where_it_is(shared: SqlStore) -> None:
    told = [replace(look(TODAY), partition=number) for number in range(10_001)]
    shared.record(told, BOTH)
    assert shared.make_days(BATCH, TODAY) == 2
    assert tables(shared) == {"20261125": 0, "20261126": 0, "other": 10_001}
    assert prune(shared, TODAY + DAY) == 10_001


@pytest.mark.postgres
def test_a_day_that_is_over_is_dropped_whole_and_no_other_pipelines(shared: SqlStore) -> None:
    for pipeline in (BATCH, OTHER):
        shared.make_days(pipeline, TODAY)
        told = [look(TODAY + number * MINUTE, pipeline=pipeline) for number in range(0, 3 * 1440, 10)]
        shared.record(told, BOTH)
    assert prune(shared, TODAY + 23 * HOUR) == 0  # the day is not over
    assert prune(shared, TODAY + 2 * DAY) == 2
    assert len(looks(shared)) == 144
    assert len(looks(shared, OTHER)) == 3 * 144


@pytest.mark.postgres
def test_a_day_that_somebody_reads_is_dropped_the_next_time_and_nobody_waits_for_it(shared: SqlStore) -> None:
    shared.make_days(BATCH, TODAY)
    shared.record([look(TODAY)], BOTH)
    with shared.database.reading() as reader:
        assert reader.execute(text("SELECT count(*) FROM queue_sample")).scalar() == 1
        assert prune(shared, TODAY + DAY) == 0
        assert shared.make_days(BATCH, TODAY + DAY) == 0
        assert shared.record([look(TODAY + DAY)], BOTH).kept == 1
        assert reader.execute(text("SELECT count(*) FROM queue_sample")).scalar() == 1
    assert prune(shared, TODAY + DAY) == 1
    assert shared.make_days(BATCH, TODAY + DAY) == 1
    assert looks(shared) == [look(TODAY + DAY)]


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["x' OR true --", 'a"b', "%I", "ü" * 300])
def test_pipelines_of_any_name_have_days(shared: SqlStore, name: str) -> None:
    own = replace(BATCH, name=name)
    assert shared.make_days(own, TODAY) == 3
    shared.record([look(TODAY, pipeline=own)], pipelines(own))
    assert tables(shared)["20261124"] == 1
    assert prune(shared, TODAY + DAY, own) == 1
    assert looks(shared, own) == []


@pytest.mark.postgres
def test_the_service_makes_days_ahead_and_drops_what_is_older_than_the_retention(shared: SqlStore) -> None:
    pipeline = "{stages: [ingress, processed], queues: {events: {from: ingress, to: processed}}}"
    settings = parse(f"{{pipelines: {{batch: {pipeline}}}, retention: {{detail: 2d}}}}", Path("reconciler.yaml"), {})
    for day in range(6):
        now = TODAY + day * DAY + HOUR
        prune_all(Turn(shared, settings, now, threading.Event(), Meters()))
        shared.record([look(now)], settings.pipelines)
    assert tables(shared) == {
        "20261127": 1, "20261128": 1, "20261129": 1, "20261130": 0, "20261201": 0, "other": 0,
    }  # fmt: skip
