"""The pass that reads, from tables in a real database into a real ledger."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.collect import Collected, backfill, collect, connectors_of, slices
from reconciler.connectors.sql import Options, SqlConnector, build
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import ABSENT, SPAN
from reconciler.core.times import DAY, HOUR, MINUTE, Micros, format_time, parse_time
from reconciler.ports import ConnectorFailed, Store
from reconciler.settings import parse
from reconciler.store import open_store
from tests.integration.tables import COUNT_BUCKETS, Tables

PIPELINE = Pipeline("batch", ("ingress", "processed"))
PIPELINES = {"batch": PIPELINE}
NOW = parse_time("2021-07-20T18:45:30Z")


@dataclass
class World:
    """A database with events, and a ledger."""

    tables: Tables
    store: Store

    def connector(self, **changes: Any) -> SqlConnector:
        """Reads the table `accepted`, an hour at a time."""
        options = {"pipeline": "batch", "stage": "ingress", "url": self.tables.url, "window": "1h"}
        options["query"] = COUNT_BUCKETS.format(table="accepted")
        name = changes.pop("name", "table")
        return build(name, Options.model_validate(options | changes), PIPELINES)

    def collect(self, now: Micros = NOW, **changes: Any) -> Collected:
        """Ask that connector, whether it is due or not."""
        (done,) = collect(self.store, [self.connector(**changes)], PIPELINES, now, only_due=False)
        return done

    def counts(self) -> dict[str, int]:
        """Current counts by source and bucket, as the ledger has them."""
        directory = self.store.directory(PIPELINE)
        found: dict[str, int] = {}
        for key, tile in self.store.counts_as_of(PIPELINE, "ingress", NOW - 60 * DAY, NOW + 60 * DAY):
            for number, row in zip(tile.series.tolist(), tile.count.tolist(), strict=True):
                source = directory.sources[directory.series[number].source]
                for column, count in enumerate(row):
                    if count != ABSENT:
                        found[f"{source} {format_time((key.span * SPAN + column) * MINUTE)[5:16]}"] = count
        return found

    def through(self) -> str | None:
        """How far the connector has reported, as the judgement sees it."""
        with self.store.judging(PIPELINE, NOW + 365 * DAY) as work:
            reporter = work.ledger.reporters.get(("ingress", "table"))
        return None if reporter is None else format_time(reporter.through)


@pytest.fixture
def world(database_url: str, empty_ledger: Path, tmp_path: Path) -> Iterator[World]:
    tables = Tables(database_url)
    tables.make()
    store = open_store(f"sqlite:///{shutil.copy(empty_ledger, tmp_path / 'the-ledger.db')}")
    yield World(tables, store)
    store.close()


def test_what_a_connector_counts_is_in_the_ledger_with_how_far_it_is_whole(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:44:00Z", "2021-07-20T18:44:30Z", "2021-07-20T18:45:10Z"])
    done = world.collect()
    assert (done.kept, done.unchanged, done.withdrawn, done.refused, done.failure) == (3, 0, 0, (), None)
    assert world.counts() == {"a 07-20T18:44": 2, "a 07-20T18:45": 1}
    assert world.through() == "2021-07-20T18:45:30Z"


def test_counting_the_same_again_says_nothing_new_of_counts(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:44:00Z"])
    world.collect()
    assert (world.collect().kept, world.collect(NOW + MINUTE).kept) == (0, 1), "how far it is whole is new"
    assert world.through() == "2021-07-20T18:46:30Z"


def test_a_count_that_shrinks_to_nothing_is_said_to_be_zero(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:43:00Z", "2021-07-20T18:44:00Z"])
    world.collect()
    world.tables.run("DELETE FROM accepted WHERE accepted_at < '2021-07-20 18:44:00'")
    assert world.collect(NOW + MINUTE).withdrawn == 1
    assert world.counts() == {"a 07-20T18:43": 0, "a 07-20T18:44": 1}
    assert world.collect(NOW + 2 * MINUTE).withdrawn == 0, "it is said once"


def test_what_another_reporter_counted_is_not_taken_back(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:44:00Z"])
    world.collect(name="other")
    world.tables.run("DELETE FROM accepted")
    assert world.collect(NOW + MINUTE).withdrawn == 0


def test_what_has_left_the_window_is_not_taken_back(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:44:00Z"])
    world.collect()
    world.collect(NOW + HOUR)
    world.tables.run("DELETE FROM accepted")
    assert world.collect(NOW + 3 * HOUR).withdrawn == 0
    assert world.counts() == {"a 07-20T18:44": 1}


def test_a_table_that_is_being_loaded_anew_has_lost_nothing_beyond_what_is_loaded(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:20:00Z", "2021-07-20T18:40:00Z"])
    world.tables.loaded("2021-07-20T18:45:00Z")
    world.collect(through="SELECT max(until) FROM loads")
    world.tables.run("DELETE FROM accepted")
    world.tables.loaded("2021-07-20T18:30:00Z")
    assert world.collect(NOW + MINUTE, through="SELECT max(until) FROM loads").withdrawn == 1
    assert world.counts() == {"a 07-20T18:20": 0, "a 07-20T18:40": 1}


def test_refused_rows_are_handed_on_and_nothing_is_taken_back_then(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:44:00Z"])
    world.collect()
    world.tables.run("DELETE FROM accepted")
    world.tables.add("accepted", None, ["2021-07-20T18:44:00Z"])
    done = world.collect(NOW + MINUTE)
    assert [str(refusal) for refusal in done.refused] == ["source: of row 1 of the query is NULL"]
    assert (done.withdrawn, world.through()) == (0, "2021-07-20T18:45:30Z")


def test_a_connector_is_asked_again_in_its_next_slot_and_not_before(world: World) -> None:
    connector = world.connector(every="5m")

    def asked(clock: str) -> bool:
        return bool(collect(world.store, [connector], PIPELINES, parse_time(f"2021-07-20T{clock}Z")))

    assert asked("18:45:01")
    assert not asked("18:49:59")
    assert asked("18:50:00"), "a minute early in the last slot does not cost this one"
    assert not asked("18:50:00")
    assert not asked("18:40:00"), "a clock that was set back reads nothing twice"
    assert asked("19:07:00")


def test_a_connector_that_fails_leaves_the_others_alone_and_stays_due(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:44:00Z"])
    broken = world.connector(name="broken", query="SELECT nothing FROM nowhere WHERE :start < :end")
    first, second = collect(world.store, [broken, world.connector()], PIPELINES, NOW)
    assert first.failure is not None
    assert (first.kept, first.until) == (0, first.start)
    assert (second.kept, second.failure) == (2, None)
    assert [done.connector for done in collect(world.store, [broken, world.connector()], PIPELINES, NOW)] == ["broken"]


def test_after_a_long_silence_nothing_between_is_skipped(world: World) -> None:
    world.collect()
    world.tables.run("ALTER TABLE accepted RENAME TO hidden")
    assert world.collect(NOW + HOUR).failure is not None
    world.tables.run("ALTER TABLE hidden RENAME TO accepted")
    # Accepted shortly before the silence and written in it; accepted in it; and accepted after it.
    world.tables.add("accepted", "a", ["2021-07-20T18:00:00Z", "2021-07-22T12:00:00Z", "2021-07-23T18:45:00Z"])
    done = world.collect(NOW + 3 * DAY)
    assert format_time(done.start) == "2021-07-20T17:45:00Z"
    assert world.counts() == {"a 07-20T18:00": 1, "a 07-22T12:00": 1, "a 07-23T18:45": 1}


def test_a_warehouse_that_is_loaded_late_is_looked_at_from_where_it_was_whole(world: World) -> None:
    through = "SELECT max(until) FROM loads"
    world.collect(through=through)
    world.tables.loaded("2021-07-20T18:30:00Z")
    world.collect(NOW + HOUR, through=through)
    # Two days later, what was accepted until then is loaded at last.
    world.tables.add("accepted", "a", ["2021-07-20T18:35:00Z"])
    world.tables.loaded("2021-07-22T18:00:00Z")
    world.collect(NOW + 2 * DAY, through=through)
    assert world.counts() == {"a 07-20T18:35": 1}


def test_a_long_way_back_is_gone_in_pieces_and_goes_on_where_it_broke_off(world: World) -> None:
    world.collect()
    world.tables.add("accepted", "a", [f"2021-07-{day}T12:00:00Z" for day in range(21, 31)])
    later = NOW + 10 * DAY
    broken = Breaking(world.connector(window="8h"), after=13)
    (first,) = collect(world.store, [broken], PIPELINES, later)
    assert first.failure is not None
    assert len(world.counts()) == 4, "the first four days and a few hours"
    (second,) = collect(world.store, [broken.inner], PIPELINES, later)
    assert second.start == first.until - 8 * HOUR
    assert len(world.counts()) == 10


class Breaking:
    """A connector that fails after some readings."""

    def __init__(self, inner: SqlConnector, after: int) -> None:
        self.inner, self.left = inner, after
        self.name, self.pipeline, self.stage = inner.name, inner.pipeline, inner.stage
        self.every, self.window, self.withdraws = inner.every, inner.window, inner.withdraws
        self.permissions = inner.permissions

    def collect(self, start: Micros, end: Micros, now: Micros) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ConnectorFailed("broken")
        return self.inner.collect(start, end, now)


def test_a_backfill_shows_what_was_before_and_can_be_broken_off(world: World) -> None:
    world.tables.add("accepted", "a", [f"2021-07-{day}T12:00:00Z" for day in range(10, 20)])
    start, end = parse_time("2021-07-10T00:00:00Z"), parse_time("2021-07-20T00:00:00Z")
    steps = backfill(world.store, Breaking(world.connector(), after=4), PIPELINES, start, end, NOW, step=DAY)
    with pytest.raises(ConnectorFailed):
        list(steps)
    assert len(world.counts()) == 4
    assert world.through() == "2021-07-14T00:00:00Z"
    rest = list(backfill(world.store, world.connector(), PIPELINES, start, end, NOW, step=DAY))
    assert [format_time(step.until)[:10] for step in rest] == [f"2021-07-{day}" for day in range(15, 21)]
    assert len(world.counts()) == 10
    again = list(backfill(world.store, world.connector(), PIPELINES, start, end, NOW, step=DAY))
    assert len(again) == 10, "one that was finished is made anew"


def test_a_backfill_does_not_set_back_what_is_read_regularly(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-10T12:00:00Z"])
    world.collect()
    start = parse_time("2021-07-01T00:00:00Z")
    (*_, last) = backfill(world.store, world.connector(), PIPELINES, start, start + 12 * DAY, NOW + MINUTE, step=DAY)
    assert world.through() == "2021-07-20T18:45:30Z"
    assert world.counts() == {"a 07-10T12:00": 1}
    assert format_time(last.until) == "2021-07-13T00:00:00Z"


def test_a_backfill_ends_with_the_present_bucket(world: World) -> None:
    world.tables.add("accepted", "a", ["2021-07-20T18:45:20Z"])
    steps = list(backfill(world.store, world.connector(), PIPELINES, NOW - HOUR, NOW + DAY, NOW))
    assert format_time(steps[-1].until) == "2021-07-20T18:46:00Z"
    assert world.through() == "2021-07-20T18:45:30Z"


def test_pieces_cover_all_and_the_last_is_not_tiny() -> None:
    assert list(slices(0, 10, 4)) == [(0, 4), (4, 10)]
    assert list(slices(0, 7, 4)) == [(0, 7)]
    assert list(slices(0, 8, 4)) == [(0, 4), (4, 8)]
    assert list(slices(5, 5, 4)) == []


def test_configured_connectors_are_built(world: World) -> None:
    query = "SELECT source, at AS time, 1 AS count FROM t WHERE at >= :start AND at < :end"
    body = f"{{kind: sql, pipeline: batch, stage: ingress, url: 'sqlite:///x.db', every: 5m, query: {query!r}}}"
    text = f"pipelines: {{batch: {{stages: [ingress, processed]}}}}\nconnectors: {{table: {body}}}"
    (connector,) = connectors_of(parse(text, Path("x.yaml"), {}))
    assert (connector.name, connector.stage, connector.every, connector.window) == ("table", "ingress", 5 * MINUTE, DAY)
