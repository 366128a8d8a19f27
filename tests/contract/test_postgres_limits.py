"""The contract of connectors, held by the reader of PostgreSQL's limits."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import group, run
from reconciler.collect import collect
from reconciler.core.observations import Capacity
from reconciler.core.times import HOUR, Micros, parse_time
from reconciler.ports import Store
from reconciler.service import judge_all
from tests.contract.suite import NAME, SECRET, Bench, ConnectorContract
from tests.integration.tables import Database

pytestmark = pytest.mark.postgres


@dataclass
class LimitsCounterpart:
    """A database with a sequence that is nearly used up."""

    url: str
    kind: str = "postgres_limits"
    now: Micros = field(default_factory=lambda: parse_time("2021-07-20T11:45:00Z"))
    away: dict[str, Any] = field(default_factory=lambda: {"url": f"postgresql://user:{SECRET}@127.0.0.1:1/main"})
    pipeline: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        return {"url": self.url, "label": "main", "transactions": False}

    def fill(self) -> tuple[int, int]:
        Database(self.url).run_all(
            "CREATE TABLE events (id serial PRIMARY KEY)", "SELECT setval('events_id_seq', 2000000000)"
        )
        return 2_000_000_000, 2**31 - 1


@pytest.fixture
def counterpart(postgres_database: str) -> LimitsCounterpart:
    return LimitsCounterpart(postgres_database)


class TestPostgresLimits(ConnectorContract):
    def test_it_sees_what_is_there(self, bench: Bench) -> None:
        expected = bench.counterpart.fill()
        (seen,) = bench.told()
        assert isinstance(seen, Capacity)
        assert (seen.used, seen.limit) == expected
        assert seen.resource == "postgres:main/public.events_id_seq"

    def test_a_sequence_that_ends_the_day_after_tomorrow_pages_and_is_forgotten_when_it_is_widened(
        self, bench: Bench, store: Store
    ) -> None:
        theirs = bench.counterpart
        assert isinstance(theirs, LimitsCounterpart)
        theirs.fill()
        settings, incidents = bench.settings(), []
        for hour in range(3):
            Database(theirs.url).run_all(f"SELECT setval('events_id_seq', {2_000_000_000 + 2_500_000 * hour})")
            now = bench.now + hour * HOUR
            collect(store, [bench.connector()], settings.pipelines, now)
            incidents += [line for line in judge_all(store, settings.pipelines, now) if line["type"] == "incident"]
        assert [(one["kind"], one["severity"], one["status"]) for one in incidents] == [
            ("capacity", "ticket", "open"),
            ("capacity", "page", "updated"),
        ]
        assert incidents[-1]["summary"] == (
            "batch: resource postgres:main/public.events_id_seq ends in about 2 d 6 h: 93% of 2,147,483,647 is used, "
            "about 50,000,000 more a day"
        )
        assert incidents[-1]["loss_at"].startswith("2021-07-22T")
        Database(theirs.url).run_all(
            "ALTER SEQUENCE events_id_seq AS bigint", "ALTER TABLE events ALTER id TYPE bigint"
        )
        now = bench.now + 4 * HOUR
        collect(store, [bench.connector()], settings.pipelines, now)
        told = judge_all(store, settings.pipelines, now)
        assert [one["status"] for one in told if one["type"] == "incident"] == ["resolved"]

    def test_when_it_dies_nothing_is_known_of_what_is_used_and_it_is_named(self, bench: Bench, store: Store) -> None:
        bench.counterpart.fill()
        settings, now = bench.settings(), bench.now
        collect(store, [bench.connector()], settings.pipelines, now)
        judge_all(store, settings.pipelines, now)
        told: list[dict[str, Any]] = []
        for turn in range(1, 4):
            at = now + turn * bench.connector().every
            collect(store, [bench.connector(**bench.counterpart.away)], settings.pipelines, at)
            told += judge_all(store, settings.pipelines, at)
        (opened,) = [one for one in told if one["type"] == "incident" and one["kind"] == "missing_counts"]
        assert opened["summary"] == (
            f"batch: resource postgres:main has not been read by {NAME} lately: nothing is known of what is used"
        )


def test_the_shipped_example_can_be_tried_by_hand(
    counterpart: LimitsCounterpart, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counterpart.fill()
    monkeypatch.setenv("LIMITS_DATABASE", counterpart.url)
    example = Path(__file__).resolve().parents[2] / "config" / "examples" / "postgres-limits.yaml"
    assert run(group, ["check-config", str(example), "--connect"]) == 0
    assert re.search(r"main-database answers: \d+ capacities", capsys.readouterr().out)
