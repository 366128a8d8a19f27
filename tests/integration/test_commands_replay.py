"""A replay from the plan to its end, by the commands on a ledger: the recovery of July 2021, sender by sender."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.observations import Progress
from reconciler.core.replays import Part, Replay, Window
from reconciler.core.times import MINUTE, SECOND, format_time
from reconciler.reports.replay_text import outcome, proof_text
from reconciler.reports.replays import prove
from reconciler.scenarios import load, simulate
from reconciler.service import judge
from reconciler.store import SqlStore
from tests.integration.shell import Shell
from tests.integration.store_parts import BATCH, count, minute, pipelines

STORY = load("SC-01r")
WIDTH = 3
CONFIG = """
pipelines:
  batch:
    stages: [ingress, processed]
    bucket: 3m
    mode: alert
    queues: {batch: {from: ingress, to: processed, policy: {retention: 7d, replicas: 2}}}
senders:
  - {pattern: batch_vacuum, way: reread, title: Vacuum}
  - {pattern: batch_direct, way: customer, until: 2021-08-02T06:59:00Z, identity: insert_id, dedupe: 7d}
  - {pattern: "batch_*", way: partner, title: partners, consent: true, horizon: 30d, identity: insert_id, dedupe: 7d}
"""
KEPT = ("sent", "recovered", "already_there", "duplicated", "missing", "outcome")


def at(number: int) -> str:
    """A minute of the story."""
    return format_time(STORY.t0 * SECOND + number * MINUTE)


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """All that was observed of the batch pipeline in twelve days."""
    return [line for line in simulate(STORY, bucket_minutes=WIDTH) if line["pipeline"] == "batch"]


@pytest.fixture
def house(
    sqlite_ledger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_LEDGER", sqlite_ledger)
    shell = Shell(tmp_path, capsys)
    shell.file("reconciler.yaml", CONFIG)
    return shell


def learn(shell: Shell, told: list[dict[str, Any]], cuts: list[int]) -> Iterator[int]:
    """Import what became known until each of these minutes, and judge it."""
    before = ""
    for cut in cuts:
        now = at(cut)
        lines = [line for line in told if before < line["at"] <= now]
        assert shell("import", shell.file("known.ndjson", *lines)) == 0
        assert shell("tick", "--now", now) == 0
        before = now
        yield cut


def proof(shell: Shell, replay: str, minute: int, code: int) -> dict[str, tuple[Any, ...]]:
    """What came of each source."""
    assert shell("replay", "verify", replay, "--now", at(minute), "--json") == code, shell.err
    return {one["source"]: tuple(one[name] for name in KEPT) for one in json.loads(shell.out)["sources"]}


@pytest.mark.slow
def test_the_story_of_the_replay_comes_out_to_the_event(house: Shell, told: list[dict[str, Any]]) -> None:
    passing = learn(house, told, [1440, 5880, 13020, 17400, 18016, 18060])
    next(passing)
    replay = plan_and_start(house)
    next(passing)
    found = proof(house, replay, 5880, 1)
    assert found["batch_segment"] == (9_360_000, 8_760_000, 600_000, 0, 0, "whole")
    assert found["batch_braze"] == (0, 0, 0, 0, 2_628_000, "under way")
    next(passing)
    found = proof(house, replay, 13020, 1)
    assert found["batch_braze"] == (2_628_000, 2_628_000, 0, 0, 0, "whole")
    assert found["batch_rudderstack"] == (1_872_000, 1_752_000, 0, 120_000, 0, "duplicates")
    next(passing)
    paged = said(house, "replay")
    assert (paged["severity"], paged["loss_at"]) == ("page", "2021-08-02T06:59:00Z")
    assert "still lacks 2,628,000 events of batch_direct" in paged["summary"]
    next(passing)
    over = "is over since 2021-08-02T06:59:00Z: 2,628,000 events of batch_direct were never sent again"
    assert over in said(house, "replay")["summary"]
    at_the_end(house, replay)
    next(passing)
    assert said(house, "replay")["status"] == "resolved"


def plan_and_start(house: Shell) -> str:
    """The plan of the day after, and each sender begins under a label of its own; returns its id."""
    who = ("--author", "ann", "--now", at(1440))
    assert house("replay", "plan", "--pipeline", "batch", "--from", "2021-07-20", *who, "--json") == 0
    plan = json.loads(house.out)
    planned = {one["source"]: one for one in plan["sources"]}
    assert {name: one["events"] for name, one in planned.items()} == {
        "batch_vacuum": 3_504_000, "batch_mparticle": 5_256_000, "batch_segment": 8_760_000, "batch_braze": 2_628_000,
        "batch_rudderstack": 1_752_000, "batch_direct": 4_380_000,
    }  # fmt: skip
    window = {"from": "2021-07-20T18:45:00Z", "to": "2021-07-21T09:21:00Z", "events": 4_380_000}
    assert planned["batch_direct"]["windows"] == [window]
    assert planned["batch_direct"]["until"] == "2021-08-02T06:59:00Z"
    assert planned["batch_rudderstack"]["dedupe"]["until"] == "2021-07-27T18:45:00Z"
    assert all("deleted again as soon as they are written" in one["warnings"][-1] for one in planned.values())
    assert house("replay", "start", plan["replay"], "--source", "batch_segment", *who) == 2
    assert "each customer has to agree first" in house.err
    for source in planned:
        label = f"{source.removeprefix('batch_')}-resent"
        assert house("replay", "start", plan["replay"], "--source", source, "--label", label, "--consented", *who) == 0
    return str(plan["replay"])


def at_the_end(house: Shell, replay: str) -> None:
    """Who recovered, who duplicated, who is still missing, by when; then it is closed as it is."""
    found = proof(house, replay, 18016, 1)
    assert found == {
        "batch_vacuum": (3_504_000, 3_504_000, 0, 0, 0, "whole"),
        "batch_mparticle": (5_256_000, 5_256_000, 0, 0, 0, "whole"),
        "batch_segment": (9_360_000, 8_760_000, 600_000, 0, 0, "whole"),
        "batch_braze": (2_628_000, 2_628_000, 0, 0, 0, "whole"),
        "batch_rudderstack": (1_872_000, 1_752_000, 0, 120_000, 0, "duplicates"),
        "batch_direct": (1_752_000, 1_752_000, 0, 0, 2_628_000, "too late"),
    }
    live = {one["source"]: (one["live_accepted"], one["live_processed"]) for one in json.loads(house.out)["sources"]}
    assert live["batch_segment"] == (8_760_000, 0)
    over = ("replay", "close", replay, "--author", "ann", "--reason", "the deadline is over", "--now", at(18018))
    assert house(*over) == 0
    assert "batch_direct: closed, 2,628,000 events missing for good" in house.out
    assert proof(house, replay, 18020, 0)["batch_direct"][-1] == "lost for good"


def said(shell: Shell, kind: str) -> dict[str, Any]:
    """What was last said of the incident of this kind."""
    assert shell("incidents", "--all", "--json") == 0
    return next(line for line in shell.records() if line["kind"] == kind)


SENT = "2024-01-15T00:50:00Z"


def again(shell: Shell, minutes: range, count: int, label: str, at: str = SENT) -> None:
    """Events of source `a` that were lost are sent again and processed, and the ledger is judged."""
    lines = [
        {
            "type": "count", "at": at, "pipeline": "batch", "stage": stage, "source": "a", "count": count,
            "bucket": f"2024-01-15T00:{minute:02}:00Z", "reporter": f"{stage}-1", "replay": label,
        }
        for minute in minutes for stage in ("ingress", "processed")
    ]  # fmt: skip
    through = [
        {
            "type": "progress", "at": at, "pipeline": "batch", "stage": stage, "reporter": f"{stage}-1",
            "through": at,
        }
        for stage in ("ingress", "processed")
    ]  # fmt: skip
    assert shell("import", shell.file("again.ndjson", *lines, *through)) == 0, shell.err
    assert shell("tick", "--now", at) == 0


def a_plan(shell: Shell) -> str:
    """The plan of what an incident covers."""
    shell("import", shell.loss())
    shell("tick", "--now", "2024-01-15T00:40:00Z")
    shell("incidents", "--json")
    loss = next(line["id"] for line in shell.records() if line["kind"] == "loss")
    planned = ("replay", "plan", "--incident", loss, "--author", "ann", "--now", "2024-01-15T00:41:00Z")
    assert shell(*planned, "--json") == 0
    plan = json.loads(shell.out)
    assert [(one["source"], one["events"]) for one in plan["sources"]] == [("a", 3000)]
    assert shell(*planned) == 2
    assert "is planned already" in shell.err
    return str(plan["replay"])


def test_what_was_sent_again_is_told_apart_by_its_label(shell: Shell) -> None:
    replay = a_plan(shell)
    assert shell("replay", "start", replay, "--label", "july", "--author", "ann", "--now", "2024-01-15T00:42:00Z") == 0
    again(shell, range(5, 9), 600, "july")
    again(shell, range(8, 9), 50, "another", at="2024-01-15T00:51:00Z")
    assert shell("replay", "verify", replay, "--now", SENT, "--json") == 1
    one = json.loads(shell.out)["sources"][0]
    assert (one["sent"], one["recovered"], one["duplicated"], one["missing"]) == (2400, 2400, 50, 600)
    assert (one["live_accepted"], one["live_processed"]) == (5000, 2000)
    assert shell("replay", "verify", replay, "--now", SENT) == 1
    assert "a: 50 count twice; drop them by source and accept time" in shell.out
    assert shell("replay", "list") == 0
    assert f"{replay}  started" in shell.out


def test_missing_counts_prove_nothing(store: SqlStore) -> None:
    counts = [count(bucket, 5, at=minute(6)) for bucket in range(5)]
    counts += [count(bucket, 5, at=minute(6), stage="processed") for bucket in range(3)]
    reported = Progress(minute(60), "batch", "ingress", minute(60), "")
    silent = Progress(minute(3), "batch", "processed", minute(3), "")
    store.record([*counts, reported, silent], pipelines())
    judge(store, BATCH, minute(60))
    part = Part("ingress>processed", "segment", (Window(minute(1), minute(5), 20),), None, label="again")
    proofs = prove(store, BATCH, Replay("replay", "batch", minute(10), (part,)))
    assert [(one.missing, one.unknown, outcome(part, one, minute(60))) for _, one in proofs] == [(0, 2, "not known")]
    told = list(proof_text(Replay("replay", "batch", minute(10), (part,)), proofs, minute(60)))
    assert "segment: of 2 buckets nothing can be said now: counts are missing" in told


def test_what_was_done_is_kept(shell: Shell) -> None:
    replay = a_plan(shell)
    shell("replay", "start", replay, "--author", "ann", "--reason", "all agreed", "--now", "2024-01-15T00:42:00Z")
    assert shell("replay", "close", replay, "--author", "bob", "--reason", "too old", "--now", SENT) == 0
    assert shell("replay", "close", replay, "--author", "bob", "--reason", "again", "--now", SENT) == 0
    assert shell("replay", "show", replay, "--json") == 0
    done = [(act["act"], act["author"], act["reason"]) for act in json.loads(shell.out)["acts"]]
    assert done == [("plan", "ann", ""), ("start", "ann", "all agreed"), ("close", "bob", "too old")]
    assert shell("replay", "list") == 0
    assert shell.out == "no replay is open\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(("show", "nothing"), "there is no replay 'nothing'", id="no such replay"),
        pytest.param(("plan", "--author", "ann"), "say --incident, or --pipeline and --from", id="no window"),
        pytest.param(
            ("plan", "--author", "ann", "--pipeline", "batch", "--from", "2024-01-15"), "nothing of that time is lost",
            id="nothing lost",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_reason(shell: Shell, arguments: tuple[str, ...], why: str) -> None:
    assert shell("replay", *arguments) == 2
    assert why in shell.err
