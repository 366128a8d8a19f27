"""What the detector tells of itself: that it is blind, that it lives, what it would have said; and drills."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.announce import Channel, notifiers_of, routes_of
from reconciler.core.drills import Drill
from reconciler.core.observations import parse
from reconciler.core.outbox import Post
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros
from reconciler.ports import Horizon, Run
from reconciler.running.meters import Meters
from reconciler.running.selfcheck import tell_alive, tell_blindness, tell_observed
from reconciler.running.turns import Turn
from reconciler.service import Telling, introduce, judge
from reconciler.settings import Settings
from reconciler.store import SqlStore, open_store
from tests.channels.notices import notice, settings
from tests.channels.servers import FakePagerDuty, FakeSlack, running
from tests.integration.shell import LOSS_START, Shell, a_loss

END: Micros = LOSS_START + 41 * MINUTE
SLACK = {"kind": "slack", "token": "xoxb-1", "channel": "C0123ABCD", "severities": ["page", "ticket", "info"]}


@contextmanager
def slack() -> Iterator[FakeSlack]:
    with running(FakeSlack(clock=lambda: LOSS_START / SECOND)) as fake:
        yield fake


def turn(store: SqlStore, found: Settings, now: Micros) -> Turn:
    return Turn(store, found, now, threading.Event(), Meters())


def announce(store: SqlStore, found: Settings, now: Micros) -> None:
    for notifier in notifiers_of(found):
        Channel(notifier).announce(store, lambda: now)


def heads(fake: FakeSlack) -> list[str]:
    """The first lines of all messages, not of their threads."""
    return [one["blocks"][0]["text"]["text"] for one in fake.messages if "thread_ts" not in one]


def judged(store: SqlStore, found: Settings, now: Micros = END, **options: Any) -> None:
    store.record([parse(line, found.pipelines) for line in a_loss()], found.pipelines)
    judge(store, found.pipelines["batch"], now - 10 * MINUTE, **options)
    judge(store, found.pipelines["batch"], now, **options)


def test_a_detector_that_is_late_says_so_once_and_when_it_sees_again(embedded: SqlStore, tmp_path: Path) -> None:
    with slack() as fake:
        found = settings({"oncall": SLACK | {"api": fake.url}}, tmp_path)
        judged(embedded, found)
        for minute in range(1, 9):
            tell_blindness(turn(embedded, found, END + minute * MINUTE))
            announce(embedded, found, END + minute * MINUTE)
            assert heads(fake) == ([] if minute < 6 else ["🔴 PAGE · the detector itself"]), minute
        assert fake.messages[0]["edits"] == 0, "what is the same is not said again"
        judge(embedded, found.pipelines["batch"], END + 9 * MINUTE)
        for _process in range(2):
            tell_blindness(turn(embedded, found, END + 9 * MINUTE))
            announce(embedded, found, END + 9 * MINUTE)
        assert heads(fake) == ["✅ RESOLVED · the detector itself"]
        assert fake.messages[0]["edits"] == 1


def test_a_restart_after_a_long_pause_wakes_nobody_before_it_has_looked(embedded: SqlStore, tmp_path: Path) -> None:
    found = settings({"oncall": SLACK}, tmp_path)
    judged(embedded, found)
    lease = embedded.take_lease("this", MINUTE)
    assert lease is not None
    tenure = embedded.tenure()
    assert tenure is not None
    for minutes, told in ((4, False), (7, True)):
        tell_blindness(turn(embedded, found, tenure.since + minutes * MINUTE))
        assert (embedded.outbox.newest("self-alarm") is not None) == told


def test_it_is_blind_where_no_connector_answers_and_not_where_one_does(embedded: SqlStore, tmp_path: Path) -> None:
    tables = {
        stage: {
            "kind": "sql", "pipeline": "batch", "stage": stage, "url": "sqlite:///x.db",
            "table": {"name": stage, "time": "at", "source": "source"},
        }
        for stage in ("ingress", "processed")
    }  # fmt: skip
    found = settings({"oncall": SLACK}, tmp_path, connectors=tables)
    judged(embedded, found)
    now = END + 4 * MINUTE
    well = [Run("collect", stage, END - HOUR, 0) for stage in tables]
    embedded.note_runs(well)
    failed = [Run("collect", stage, now, 0, "it is away") for stage in tables]
    embedded.note_runs(failed[:1])
    tell_blindness(turn(embedded, found, now))
    assert embedded.outbox.newest("self-alarm") is None
    embedded.note_runs(failed)
    tell_blindness(turn(embedded, found, now))
    alarm = embedded.outbox.newest("self-alarm")
    assert alarm is not None
    assert "none of its connectors could be read lately" in alarm.title


def test_the_watchdog_always_fires_until_the_detector_is_blind(embedded: SqlStore, tmp_path: Path) -> None:
    with slack() as fake:
        watching = SLACK | {"api": fake.url, "kinds": ["watchdog"]}
        deaf = SLACK | {"api": fake.url, "channel": "C0DEAF000"}
        found = settings({"watch": watching, "deaf": deaf}, tmp_path, watchdog={"every": "1h"})
        judged(embedded, found)
        runs = []
        for minute in (0, 1, 60, 61):
            embedded.record([], found.pipelines)
            judge(embedded, found.pipelines["batch"], END + minute * MINUTE)
            one = turn(embedded, found, END + minute * MINUTE)
            if tell_alive(one):
                runs.append(minute)
                embedded.note_runs([Run("watchdog", "", one.now, 0)])
            announce(embedded, found, one.now)
        assert runs == [0, 60]
        assert [(one["channel"], one["edits"]) for one in fake.messages] == [("C0123ABCD", 1)], "only who asks for it"
        tell_alive(turn(embedded, found, END + 70 * MINUTE))
        announce(embedded, found, END + 70 * MINUTE)
        assert "it is blind" in str(fake.messages[0]["blocks"])
        assert not tell_alive(turn(embedded, found, END + 71 * MINUTE)), "it is silent while it is blind"


def test_a_pipeline_that_is_only_observed_says_once_a_day_what_it_would_have_said(
    embedded: SqlStore, tmp_path: Path
) -> None:
    with slack() as fake:
        observed = {"batch": {"stages": ["ingress", "processed"], "mode": "observe"}}
        found = settings({"oncall": SLACK | {"api": fake.url}}, tmp_path, pipelines=observed)
        judged(embedded, found, telling=Telling(tuple(routes_of(found))))
        assert embedded.outbox.backlogs() == []
        for hour in (24, 25, 48):
            one = turn(embedded, found, LOSS_START + hour * HOUR)
            if tell_observed(one):
                embedded.note_runs([Run("observed", "", one.now, 0)])
            announce(embedded, found, one.now)
        (message,) = fake.messages[:1]
        assert len(heads(fake)) == 1
        assert "On 2024-01-15 it would have sent 1 page" in str(message["blocks"])
        assert "3,000 events lost" in str(message["blocks"])


def test_a_channel_that_is_new_is_told_of_what_is_open_and_no_other_is_told_again(
    embedded: SqlStore, tmp_path: Path
) -> None:
    with slack() as first, running(FakePagerDuty()) as second:
        before = settings({"oncall": SLACK | {"api": first.url}}, tmp_path)
        judged(embedded, before, telling=Telling(tuple(routes_of(before))))
        announce(embedded, before, END)
        pager = {"kind": "pagerduty", "routing_key": "k", "url": second.url}
        after = settings({"oncall": SLACK | {"api": first.url}, "pager": pager}, tmp_path)
        for told in (1, 0):
            found = introduce(embedded, after.pipelines, Telling(tuple(routes_of(after))), END + MINUTE)
            assert found == told
            announce(embedded, after, END + MINUTE)
        assert list(second.incidents.values()) == [["triggered"]]
        assert [one["edits"] for one in first.messages] == [0]


def test_what_is_over_for_longer_than_the_retention_leaves_the_outbox(store: SqlStore, tmp_path: Path) -> None:
    found = settings({"oncall": {"kind": "console"}}, tmp_path)
    telling = Telling(tuple(routes_of(found)))
    judged(store, found, telling=telling)
    announce(store, found, END)
    (loss,) = store.standing()
    over = notice(id="old", status="resolved")
    store.outbox.post([*posts_of(found, notice(id="old")), *posts_of(found, over)], LOSS_START)
    kept = Horizon(detail=END + DAY, verdicts=LOSS_START - DAY)
    store.prune(found.pipelines["batch"], kept, 1000)
    assert store.outbox.newest("old") is None
    assert store.outbox.newest(str(loss["id"])) is not None, "what is open stays"
    assert store.outbox.sendings(str(loss["id"]))
    store.prune(found.pipelines["batch"], Horizon(detail=END + DAY, verdicts=END + DAY), 1000)
    assert store.outbox.sendings(str(loss["id"])) == []


def posts_of(found: Settings, told: Any) -> list[Any]:
    return [Post(route.channel, told, begins=True) for route in routes_of(found)]


def drilled(shell: Shell, config: dict[str, Any], *arguments: str) -> int:
    shell.file("reconciler.yaml", yaml.safe_dump(config))
    assert shell("migrate") == 0
    return shell("drill", *arguments)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


def test_a_drill_says_of_each_channel_whether_it_took_it_and_how_fast(shell: Shell) -> None:
    batch = {"stages": ["ingress", "processed"], "mode": "alert"}
    with slack() as fake, running(FakePagerDuty()) as pager:
        config: dict[str, Any] = {
            "pipelines": {"batch": batch},
            "notifiers": {
                "oncall": SLACK | {"api": fake.url, "severities": ["page"]},
                "pager": {"kind": "pagerduty", "routing_key": "k", "url": pager.url},
                "broken": {"kind": "webhook", "url": "http://127.0.0.1:9/", "timeout": "1s"},
                "info": {"kind": "console", "severities": ["info"]},
            },
        }
        assert drilled(shell, config, "--wait", "1s", "--json") == 4
        found = {one["channel"]: one for one in map(json.loads, shell.out.splitlines())}
        assert {name: (one["wanted"], one["told"]) for name, one in found.items()} == {
            "oncall": (True, True), "pager": (True, True), "broken": (True, False), "info": (False, False),
        }  # fmt: skip
        assert "cannot be reached" in found["broken"]["error"]
        assert found["oncall"]["seconds"] >= 0
        (message,) = [one for one in fake.messages if "thread_ts" not in one]
        assert message["blocks"][0]["text"]["text"] == "✅ DRILL · RESOLVED · events are lost · batch"
        assert list(pager.incidents.values()) == [["resolved"]]
        assert all(text.startswith("DRILL") for text in pager.texts.values())
        said = str(message["blocks"])
        assert "700 events" not in said, "it has come again"
        store = open_store(f"sqlite:///{shell.folder / 'reconciler.db'}")
        assert (store.drills(), store.incidents(), store.standing()) == ([], [], []), "nothing of it stays"
        left = Drill(settings({}, shell.folder).pipelines["batch"], DAY, "page")
        for at, seen in left.minutes():
            store.record(seen, {left.pipeline.name: left.pipeline})
            judge(store, left.pipeline, at)
        assert store.incidents() == store.standing() == [], "nor is it seen while it is there"
        assert store.incidents(left.pipeline.name) != []
        assert store.drills() == [left.pipeline.name]
        del config["notifiers"]["broken"]
        assert drilled(shell, config) == 0
        assert "oncall: took it, after " in shell.out
        assert store.drills() == [], "nor of one that was killed"
        store.close()
        config["pipelines"]["batch"] = batch | {"mode": "observe"}
        assert drilled(shell, config) == 1
        assert "would reach nobody: it is in mode observe" in shell.out
    assert drilled(shell, {"pipelines": {"batch": batch}}) == 2
