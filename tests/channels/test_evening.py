"""Whole incidents, from counts to messages: how often is somebody woken, and by what?"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.announce import Channel, notifiers_of, routes_of
from reconciler.backtest import backtest
from reconciler.core.observations import Observation, parse
from reconciler.core.times import MINUTE, Micros, format_time, parse_time
from reconciler.scenarios import configuration, load, simulate
from reconciler.service import Telling
from reconciler.settings import Settings
from reconciler.store import SqlStore
from tests.channels.notices import settings
from tests.channels.servers import FakePagerDuty, FakeSlack, running

CHANNEL = {"kind": "slack", "token": "xoxb-1", "channel": "C0123ABCD"}
BEGIN: Micros = parse_time("2024-01-15T00:00:00Z")
BATCH = {"stages": ["ingress", "processed"], "bucket": "5m", "mode": "alert"}


@dataclass
class Evening:
    """What was told of it."""

    slack: FakeSlack
    pager: FakePagerDuty
    when: dict[str, str] = field(default_factory=dict)
    """By PagerDuty's key: when it was first told."""

    def heads(self) -> list[str]:
        """The first lines of all messages of their own, in order."""
        return [one["blocks"][0]["text"]["text"] for one in self.slack.messages if "thread_ts" not in one]

    def strays(self) -> list[Any]:
        """What is said elsewhere than in the thread of one of these."""
        known = {one["ts"] for one in self.slack.messages}
        return [one for one in self.slack.messages if one.get("thread_ts", one["ts"]) not in known]


@contextmanager
def evening(folder: Path, pipelines: Mapping[str, Any]) -> Iterator[tuple[Evening, Settings]]:
    """Slack hears of pages and tickets, PagerDuty of pages."""
    with running(FakePagerDuty()) as pager, running(FakeSlack()) as slack:
        told = {
            "slack": CHANNEL | {"api": slack.url},
            "pager": {"kind": "pagerduty", "severities": ["page"], "routing_key": "k", "url": pager.url},
        }
        yield Evening(slack, pager), settings(told, folder, pipelines=pipelines)


def play(seen: Iterable[Observation], store: SqlStore, found: Settings, told: Evening) -> None:
    """Judge every five minutes, put what is to be said into the outbox, and send it."""
    telling, channels = Telling(tuple(routes_of(found))), [Channel(one) for one in notifiers_of(found)]
    now, lines = 0, list[dict[str, Any]]()

    def say() -> None:
        for name, pipeline in found.pipelines.items():
            store.outbox.post(telling.posts(pipeline, (one for one in lines if one["pipeline"] == name)), now)
        for channel in channels:
            channel.announce(store, lambda: now)
        for key in told.pager.incidents:
            told.when.setdefault(key, format_time(now))

    for line in backtest(seen, found.pipelines, tick=5 * MINUTE):
        if line["type"] != "incident":
            continue
        if parse_time(line["at"]) != now:
            say()
            now, lines = parse_time(line["at"]), []
        lines.append(line)
    say()


@pytest.mark.slow
def test_the_evening_of_the_incident_is_two_pages_and_two_tickets(embedded: SqlStore, tmp_path: Path) -> None:
    story = load("SC-01a")
    pipelines = configuration(story)["pipelines"]
    with evening(tmp_path, pipelines) as (told, found):
        seen = (parse(line, found.pipelines) for line in simulate(story, until=950))
        play(seen, embedded, found, told)
        assert told.heads() == [
            "🟠 TICKET · a queue breaks its policy · batch",
            "✅ RESOLVED · events are at risk · batch",
            "✅ RESOLVED · events are late · streaming",
            "🔴 PAGE · events are lost · batch",
        ]
        assert told.strays() == []
        first = [str(one["blocks"]) for one in told.slack.messages if "thread_ts" not in one]
        assert "26,280,000 events lost since" in first[3]
        assert "Some of them are lost" in first[1], "nobody reads that all is well"
        keys = {key.rpartition("-")[0]: states for key, states in told.pager.incidents.items()}
        assert keys == {"at-risk": ["resolved"], "loss": ["triggered"]}
        when = {key.rpartition("-")[0]: at for key, at in told.when.items()}
        assert when == {"at-risk": "2021-07-20T18:55:00Z", "loss": "2021-07-20T19:10:00Z"}, "it must hold at two ticks"


def bad_hour(*, lost: bool) -> Iterator[Observation]:
    """Three hours of 500 sources; in the second nothing is processed, or a tenth of it is there no more afterwards."""
    found = settings({"here": {"kind": "console"}}, Path(), pipelines={"batch": BATCH}).pipelines
    for step in range(36):
        at = BEGIN + (step + 1) * 5 * MINUTE
        stands = not lost and 12 <= step < 24
        for stage in ("ingress", "processed"):
            if stands and stage == "processed":
                yield parse(_progress(stage, at), found)
                continue
            late = range(12, 24) if (step, stage, lost) == (24, "processed", False) else ()
            for bucket in (*late, step):
                for source in range(500):
                    yield parse(_count(stage, source, bucket, 100, at), found)
            gone = range(12, 24) if (step, stage, lost) == (25, "processed", True) else ()
            for bucket in gone:
                for source in range(500):
                    yield parse(_count(stage, source, bucket, 90, at), found)
            yield parse(_progress(stage, at), found)


def _count(stage: str, source: int, bucket: int, count: int, at: Micros) -> dict[str, Any]:
    place = {"type": "count", "at": format_time(at), "pipeline": "batch", "stage": stage, "reporter": f"{stage}-1"}
    return place | {"source": f"s{source}", "bucket": format_time(BEGIN + bucket * 5 * MINUTE), "count": count}


def _progress(stage: str, at: Micros) -> dict[str, Any]:
    place = {"type": "progress", "at": format_time(at), "pipeline": "batch", "stage": stage, "reporter": f"{stage}-1"}
    return place | {"through": format_time(at)}


@pytest.mark.parametrize(
    ("lost", "head"),
    [
        pytest.param(True, "🔴 PAGE · events are lost · batch", id="something removes stored events"),
        pytest.param(False, "✅ RESOLVED · events are late · batch", id="processing stands still"),
    ],
)
def test_a_bad_hour_over_500_sources_is_one_message(lost: bool, head: str, embedded: SqlStore, tmp_path: Path) -> None:
    with evening(tmp_path, {"batch": BATCH}) as (told, found):
        play(bad_hour(lost=lost), embedded, found, told)
        assert told.heads() == [head]
        assert told.strays() == []
        assert "500 sources" in str(told.slack.messages[0]["blocks"])
