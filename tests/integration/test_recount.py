"""Closed buckets are counted again: a store that loses what it had is noticed, long after the window has passed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.collect import Collected, collect, recount, recount_due
from reconciler.connectors.sql import Options, SqlConnector, build
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, format_time, parse_time
from reconciler.ports import ConnectorFailed
from reconciler.service import judge
from reconciler.store import SqlStore, open_store
from tests.integration.tables import COUNT_BUCKETS, Tables

PIPELINE = Pipeline("batch", ("ingress", "processed"))
PIPELINES = {"batch": PIPELINE}
BEGAN = parse_time("2021-07-20T12:00:00Z")
MINUTES = 35
T0 = BEGAN + MINUTES * MINUTE
WINDOW = "10m"


@dataclass
class World:
    """Two tables with two events a minute, which are read ten minutes back."""

    tables: Tables
    store: SqlStore

    def connector(self, stage: str = "processed", **changes: Any) -> SqlConnector:
        table = "accepted" if stage == "ingress" else "processed"
        name = changes.pop("name", table)
        options = {"pipeline": "batch", "stage": stage, "url": self.tables.url, "window": WINDOW}
        options["query"] = COUNT_BUCKETS.format(table=table)
        return build(name, Options.model_validate(options | changes), PIPELINES)

    def look(self, at: Micros) -> list[dict[str, Any]]:
        """Read both tables, and judge."""
        collect(self.store, [self.connector("ingress"), self.connector()], PIPELINES, at)
        return judge(self.store, PIPELINE, at, every=True)

    def watch(self, step: int = 10) -> None:
        """Look every so many minutes, from the beginning until T0."""
        for minute in range(1, MINUTES + 1):
            if minute % step == MINUTES % step:
                self.look(BEGAN + minute * MINUTE)

    def recount(self, at: Micros, window: Micros = DAY, **changes: Any) -> list[Collected]:
        return list(recount(self.store, self.connector(**changes), PIPELINES, window, at))


@pytest.fixture
def world(database_url: str, empty_ledger: Path, tmp_path: Path) -> Iterator[World]:
    tables = Tables(database_url)
    tables.make()
    store = open_store(f"sqlite:///{shutil.copy(empty_ledger, tmp_path / 'the-ledger.db')}")
    built = World(tables, store)
    for table in ("accepted", "processed"):
        for second in (0, 1):
            tables.add(table, "a", [format_time(BEGAN + n * MINUTE + second * SECOND) for n in range(MINUTES)])
    yield built
    store.close()


def lost(lines: list[dict[str, Any]]) -> dict[str, int]:
    """By bucket: what a judgement says is lost."""
    return {line["bucket"]: line["lost"] for line in lines if line["type"] == "verdict" and line["lost"]}


def test_a_loss_of_closed_data_is_seen_by_the_recount_and_by_nothing_before(world: World) -> None:
    world.watch(step=1)
    world.tables.run("DELETE FROM processed WHERE accepted_at < '2021-07-20 12:01:00'")
    assert lost(world.look(T0 + MINUTE)) == {}
    done = world.recount(T0 + 2 * MINUTE)
    assert sum(part.withdrawn for part in done) == 1
    lines = judge(world.store, PIPELINE, T0 + 3 * MINUTE, every=True)
    assert lost(lines) == {"2021-07-20T12:00:00Z": 2}
    (cell,) = [line for line in lines if line["type"] == "verdict" and line["lost"]]
    assert (cell["verdict"], "shrunk" in cell["evidence"]) == ("lost", True)
    assert [line["kind"] for line in lines if line["type"] == "incident"] == ["loss"]


def test_what_has_not_changed_says_nothing(world: World) -> None:
    world.watch()
    before = world.store.reporters(PIPELINE, T0 + DAY).reporters["processed", "processed"]
    done = world.recount(T0 + MINUTE)
    assert (sum(part.kept for part in done), sum(part.unchanged for part in done)) == (0, MINUTES - 9)
    assert world.store.reporters(PIPELINE, T0 + DAY).reporters["processed", "processed"] == before


def test_what_the_connector_never_counted_is_left_alone(world: World) -> None:
    world.watch()
    world.tables.add("processed", "a", ["2021-07-20T11:00:00Z"])
    done = world.recount(T0 + MINUTE)
    assert format_time(done[0].start) == "2021-07-20T12:00:00Z", "there it counted its first event"
    assert all(part.kept == 0 for part in done)


def test_where_there_is_nothing_to_count_again_it_is_done_at_once(world: World) -> None:
    world.watch()
    assert world.recount(T0, window=11 * MINUTE, name="other") == []
    assert not recount_due(world.store, world.connector(name="other"), DAY, T0 + MINUTE)


def test_it_comes_as_often_as_it_is_told_to(world: World) -> None:
    world.watch()
    connector = world.connector()
    assert recount_due(world.store, connector, DAY, T0)
    world.recount(T0)
    assert not recount_due(world.store, connector, DAY, T0 + HOUR)
    assert recount_due(world.store, connector, DAY, T0 + DAY)


def test_one_that_was_broken_off_goes_on_where_it_stopped(world: World) -> None:
    world.watch()
    first = next(iter(recount(world.store, world.connector(), PIPELINES, DAY, T0)))
    assert recount_due(world.store, world.connector(), DAY, T0 + MINUTE)
    assert world.recount(T0 + MINUTE)[0].start == first.until


def test_a_table_that_cannot_be_read_takes_nothing_back(world: World) -> None:
    world.watch()
    world.tables.run("DROP TABLE processed")
    with pytest.raises(ConnectorFailed, match="connector processed"):
        world.recount(T0 + MINUTE)
    assert lost(judge(world.store, PIPELINE, T0 + MINUTE, every=True)) == {}
    assert recount_due(world.store, world.connector(), DAY, T0 + MINUTE)
