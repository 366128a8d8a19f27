"""The agent: many reporters in, one reporter out, and nothing that was answered with success is lost or told twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.agent.face import build_face
from reconciler.commands.agent import alone
from reconciler.core.observations import parse
from reconciler.core.stages import stage_now
from reconciler.core.times import DAY, MINUTE, SECOND, format_time
from reconciler.errors import ConfigError
from reconciler.store import SqlStore
from tests.web.agents import BUCKET, Rig, count, progress, rig
from tests.web.listener import Listener
from tests.web.serving import NOW, service, serving


@pytest.fixture
def agent(tmp_path: Path, heard: Listener) -> Iterator[Rig]:
    with rig(tmp_path, heard.url) as made:
        yield made


def test_the_counts_of_many_reporters_become_one_reporter_that_tells_only_what_changed(
    agent: Rig, heard: Listener
) -> None:
    agent.take(*(count(source, 10, f"r{number}") for number in range(50) for source in ("a", "b")))
    assert agent.forwarder.round()
    assert [(one["source"], one["count"]) for one in heard.confirmed] == [("a", 500), ("b", 500)]
    assert {one["reporter"] for one in heard.confirmed} == {agent.spool.name}
    agent.take(count("a", 10, "r0", NOW + 1), count("b", 13, "r7", NOW + 1), count("a", 1, "r7", NOW - 5))
    assert agent.forwarder.round()
    assert [(one["source"], one["count"]) for one in heard.confirmed[2:]] == [("b", 503)]
    agent.forwarder.round()
    assert len(heard.requests) == 2


def test_digests_errors_outcomes_and_replays_are_summed_apart(agent: Rig, heard: Listener) -> None:
    agent.take(
        count("a", 2, "r1", digest=str(2**64 - 1), error=1.5),
        count("a", 3, "r2", digest="5", error=2),
        count("a", 0, "r3"),
        count("a", 4, "r1", outcome="rejected"),
        count("a", 1, "r1", replay="again", digest="7"),
        count("a", 1, "r2", replay="again"),
    )
    agent.forwarder.round()
    found = {(one["outcome"], one.get("replay")): one for one in heard.confirmed}
    whole = found["accepted", None]
    assert (whole["count"], whole["digest"], whole["error"]) == (5, "4", 3.5)
    assert found["rejected", None]["count"] == 4
    assert found["accepted", "again"]["count"] == 2
    assert "digest" not in found["accepted", "again"], "one reporter has told none"


def test_progress_is_the_least_of_those_who_have_not_ended_and_final_when_all_have(agent: Rig, heard: Listener) -> None:
    agent.take(progress("r1", BUCKET + 30 * SECOND), progress("r2", BUCKET + 20 * SECOND))
    agent.forwarder.round()
    assert heard.confirmed[-1]["through"] == format_time(BUCKET + 20 * SECOND)
    agent.take(progress("r2", BUCKET + 25 * SECOND, NOW + 1, final=True))
    agent.forwarder.round()
    assert heard.confirmed[-1]["through"] == format_time(BUCKET + 30 * SECOND)
    agent.take(progress("r1", BUCKET + 40 * SECOND, NOW + 1, final=True))
    agent.forwarder.round()
    last = heard.confirmed[-1]
    assert (last["through"], last["final"], last["reporter"]) == (
        format_time(BUCKET + 40 * SECOND), True, agent.spool.name,
    )  # fmt: skip
    agent.take(progress("r3", BUCKET + 50 * SECOND))
    agent.forwarder.round()
    assert "final" not in heard.confirmed[-1]


def test_who_begins_behind_the_others_is_told_by_its_own_name(agent: Rig, heard: Listener) -> None:
    agent.take(progress("r1", BUCKET + 30 * SECOND))
    agent.forwarder.round()
    agent.take(progress("late", BUCKET + 10 * SECOND), progress("r1", BUCKET + 50 * SECOND, NOW + 1))
    agent.forwarder.round()
    told = [(one["reporter"], one["through"][14:19]) for one in heard.confirmed]
    assert told[1:] == [("late", "45:10"), (agent.spool.name, "45:50")]


def test_a_silent_process_holds_progress_back_and_then_the_ledger_names_it_as_missing(
    store: SqlStore, tmp_path: Path
) -> None:
    with service(store) as centre, rig(tmp_path, centre.url, _token(centre), centre.clock) as agent:
        agent.take(count("a", 3, "dead"), progress("dead", BUCKET), progress("alive", BUCKET + 5))
        assert agent.forwarder.round()
        centre.clock.instant += 2 * MINUTE
        agent.take(progress("alive", NOW + 2 * MINUTE, NOW + 2 * MINUTE))
        assert agent.forwarder.round()
        assert reported(centre) == (BUCKET, set())
        centre.clock.instant += 2 * MINUTE
        agent.take(progress("alive", NOW + 4 * MINUTE, NOW + 4 * MINUTE))
        assert agent.forwarder.round()
        assert reported(centre) == (NOW + 4 * MINUTE, {"dead"}), "missing, so its buckets are unknown"
        agent.take(progress("dead", NOW + 4 * MINUTE, NOW + 4 * MINUTE, final=True))
        assert agent.forwarder.round()
        assert reported(centre) == (NOW + 4 * MINUTE, set())


def _token(centre: Any) -> str | None:
    return str(centre.client.headers.get("Authorization", "")).removeprefix("Bearer ") or None


def reported(centre: Any) -> tuple[int, set[str]]:
    """How far the stage has reported by the ledger, and who is missing."""
    now = centre.clock.instant
    stage = stage_now(centre.store.reporters(centre.pipelines["batch"], now), "ingress", now)
    return stage.through, {missing.name for missing in stage.missing}


def test_what_the_centre_refuses_holds_progress_back(agent: Rig, heard: Listener) -> None:
    heard.answers = [422]
    agent.take(count("a", 3, "r1"), progress("r1", BUCKET + 2 * MINUTE))
    agent.forwarder.round()
    assert heard.confirmed == []
    agent.forwarder.round()
    assert len(heard.requests) == 1, "the same again is of no use"
    assert b"reconciler_agent_refused 1.0" in agent.meters.text()
    agent.take(count("a", 4, "r1", NOW + 1))
    agent.forwarder.round()
    assert [one["type"] for one in heard.confirmed] == ["count", "progress"]


def test_a_centre_that_is_away_for_an_hour_loses_nothing(agent: Rig, heard: Listener) -> None:
    heard.answers = [503, "cut", 500, 429] * 15
    for minute in range(60):
        agent.clock.instant = NOW + minute * MINUTE
        agent.take(count("a", minute + 1, "r1", agent.clock.instant), count(f"s{minute}", 1, "r2"))
        agent.take(progress("r1", agent.clock.instant, agent.clock.instant))
        assert not agent.forwarder.round()
    assert heard.confirmed == []
    assert agent.forwarder.round()
    found = heard.known()
    assert found["counts"] == {"a 18:45": 60} | {f"s{minute} 18:45": 1 for minute in range(60)}
    assert found["through"] == format_time(NOW + 59 * MINUTE)


def test_queues_and_capacities_go_on_as_they_came(agent: Rig, heard: Listener) -> None:
    at = {"at": format_time(NOW), "pipeline": "batch"}
    queue = {"type": "queue", **at, "queue": "q", "start_offset": 1, "end_offset": 9, "committed_offset": None}
    more = {"retention_seconds": 60, "epoch": "e", "oldest_at": format_time(BUCKET), "replicas": 2}
    full = {"type": "capacity", "at": format_time(NOW), "resource": "disk", "used": 1, "limit": 2, "pipelines": []}
    agent.take(queue | more, full)
    agent.forwarder.round()
    pipelines = agent.settings.pipelines
    assert [parse(one, pipelines) for one in heard.confirmed] == [
        parse(queue | more, pipelines),
        parse(full, pipelines),
    ]
    agent.forwarder.round()
    assert len(heard.requests) == 1


def test_what_is_old_and_told_is_put_away_and_later_counts_of_it_are_refused(agent: Rig, heard: Listener) -> None:
    agent.take(count("a", 3, "r1"))
    agent.forwarder.round()
    agent.clock.instant = NOW + 2 * DAY
    agent.forwarder.round()
    assert agent.spool.horizon(agent.settings.pipelines["batch"]).detail == (NOW + DAY) // MINUTE * MINUTE
    face = build_face(agent.spool, agent.settings, agent.clock, agent.forwarder, agent.meters, None)
    with serving(face) as url:
        answer = httpx.post(f"{url}/v1/observations", content=json.dumps(count("a", 4, "r1", NOW + 1)))
    assert (answer.status_code, answer.json()["refusals"][0]["field"]) == (422, "bucket")


def test_senders_are_answered_as_the_service_answers_them(agent: Rig) -> None:
    face = build_face(agent.spool, agent.settings, agent.clock, agent.forwarder, agent.meters, "a secret")
    body = "\n".join(json.dumps(line) for line in (count("a", 1, "r"), {"type": "count"}, progress("r", BUCKET)))
    with serving(face) as url:
        assert httpx.post(f"{url}/v1/observations", content=body).status_code == 401
        bad = {"Authorization": "Bearer another"}
        assert httpx.post(f"{url}/v1/observations", content=body, headers=bad).status_code == 401
        answer = httpx.post(f"{url}/v1/observations", content=body, headers={"Authorization": "Bearer a secret"})
        assert (answer.status_code, answer.json()["kept"], answer.json()["refusals"][0]["index"]) == (422, 2, 1)
        assert httpx.get(f"{url}/healthz").status_code == 503, "its thread was never started"
        assert "reconciler_agent_waiting" in httpx.get(f"{url}/metrics").text


def test_a_full_spool_turns_senders_away_and_keeps_what_it_has(tmp_path: Path, heard: Listener) -> None:
    with rig(tmp_path, heard.url) as agent:
        agent.spool._connection.execute("PRAGMA max_page_count = 40")
        face = build_face(agent.spool, agent.settings, agent.clock, agent.forwarder, agent.meters, None)
        with serving(face) as url:
            kept = 0
            for number in range(200):
                body = "\n".join(json.dumps(count(f"source {number} {place}", 1, "r")) for place in range(100))
                answer = httpx.post(f"{url}/v1/observations", content=body)
                if answer.status_code != 200:
                    break
                kept += 100
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        agent.forwarder.round()
        assert len(heard.confirmed) == kept > 0


def test_a_spool_has_one_agent(tmp_path: Path) -> None:
    with alone(tmp_path / "a.db"), pytest.raises(ConfigError, match="another agent has it"), alone(tmp_path / "a.db"):
        pass
