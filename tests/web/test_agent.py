"""The agent: many reporters in, one reporter out, and nothing that was answered with success is lost or told twice."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.agent import outbox, spool
from reconciler.agent.centre import Centre
from reconciler.agent.face import build_face
from reconciler.agent.forwarder import Forwarder
from reconciler.agent.meters import Meters
from reconciler.agent.spool import Spool
from reconciler.commands.agent import alone
from reconciler.core.observations import parse
from reconciler.core.stages import stage_now
from reconciler.core.times import DAY, MINUTE, SECOND, format_time
from reconciler.errors import ConfigError
from reconciler.settings import parse as parse_settings
from reconciler.store import SqlStore
from tests.until import until
from tests.web.listener import Listener, listening
from tests.web.serving import NOW, Clock, service, serving

SETTINGS = "pipelines: {batch: {stages: [ingress, processed]}}\n"
BUCKET = NOW // MINUTE * MINUTE - MINUTE
KILLS = int(os.environ.get("RECONCILER_KILLS", "2"))


def count(source: str, number: int, reporter: str, at: int = NOW, **more: Any) -> dict[str, Any]:
    place = {"pipeline": "batch", "stage": "ingress", "source": source, "bucket": format_time(BUCKET)}
    return {"type": "count", "at": format_time(at), **place, "count": number, "reporter": reporter, **more}


def progress(reporter: str, through: int, at: int = NOW, **more: Any) -> dict[str, Any]:
    place = {"pipeline": "batch", "stage": "ingress", "reporter": reporter}
    return {"type": "progress", "at": format_time(at), **place, "through": format_time(through), **more}


@dataclass
class Rig:
    """An agent without its threads, so that each step is taken when it is asked for."""

    path: Path
    url: str
    clock: Clock
    token: str | None = None

    def __post_init__(self) -> None:
        self.settings = parse_settings(SETTINGS, Path("reconciler.yaml"), {})
        self.start()

    def start(self) -> None:
        """Begin a process, or begin again on what the one before it has left."""
        self.spool = Spool(self.path, "host", self.clock, megabytes=100)
        pipelines, self.meters = self.settings.pipelines, Meters()
        self.forwarder = Forwarder(
            self.spool, Centre(self.url, self.token), pipelines, self.clock, every=1, keep=DAY, meters=self.meters
        )

    def take(self, *lines: dict[str, Any]) -> None:
        self.spool.record([parse(line, self.settings.pipelines) for line in lines], self.settings.pipelines)

    def end(self) -> None:
        self.forwarder.close()
        self.spool.close()


@contextmanager
def rig(folder: Path, url: str, token: str | None = None, clock: Clock | None = None) -> Iterator[Rig]:
    made = Rig(folder / "agent.db", url, clock or Clock(), token)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def heard() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


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


class Killed(BaseException):
    """Nothing runs after it, as after kill -9: what is not committed is gone with the connection."""


class Killer:
    """Ends the process before or after the step of this number: a commit, or a request to the centre."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed


def _lives(monkeypatch: pytest.MonkeyPatch, killer: Killer) -> None:
    """Let the killer stand at each commit and at each request."""
    real, post = spool.transaction, Centre.post

    @contextmanager
    def transaction(connection: Any) -> Iterator[None]:
        with real(connection):
            yield
            killer.step()
        killer.step()

    def posted(self: Centre, lines: list[str]) -> dict[int, str]:
        killer.step()
        refused = post(self, lines)
        killer.step()
        return refused

    monkeypatch.setattr(spool, "transaction", transaction)
    monkeypatch.setattr(outbox, "transaction", transaction)
    monkeypatch.setattr(Centre, "post", posted)


def test_a_kill_between_any_two_steps_loses_nothing_and_tells_nothing_twice(
    tmp_path: Path, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = Killer(0)
    _lives(monkeypatch, killer)
    kills = 0
    while True:
        kills += 1
        killer.at = 0
        heard.confirmed.clear()
        folder = tmp_path / str(kills)
        folder.mkdir()
        with rig(folder, heard.url) as agent:
            killer.at, killer.steps = kills, 0
            _work(agent)
            assert heard.known() == {"counts": {"a 18:45": 9, "b 18:45": 4}, "through": "2021-07-20T18:46:00Z",
                                     "final": False}, f"killed at step {kills}"  # fmt: skip
        if killer.steps < kills:
            break
    assert kills > 30


def _work(agent: Rig) -> None:
    """What senders and the agent do; whoever is not answered, and the agent that was killed, does it again."""
    steps: list[Callable[[], object]] = [
        lambda: agent.take(count("a", 4, "r1"), count("b", 1, "r1")),
        lambda: agent.take(count("a", 2, "r2")),
        lambda: agent.forwarder.round(),  # noqa: PLW0108  each life has a forwarder of its own
        lambda: agent.take(count("a", 7, "r1", NOW + 1), count("b", 4, "r1", NOW + 1)),
        lambda: agent.take(progress("r1", BUCKET + MINUTE), progress("r2", BUCKET + MINUTE)),
        lambda: agent.forwarder.round(),  # noqa: PLW0108  each life has a forwarder of its own
    ]
    for step in steps:
        try:
            step()
        except Killed:
            agent.end()
            agent.start()
            step()


@pytest.mark.slow
def test_killed_again_and_again_under_load_the_centre_has_exactly_what_was_answered(
    tmp_path: Path, heard: Listener
) -> None:
    """RECONCILER_KILLS sets how often."""
    (tmp_path / "reconciler.yaml").write_text(SETTINGS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reconciler", "agent", "--to", heard.url, "--spool", "agent.db", "--every", "1s",
               "--listen", f"127.0.0.1:{port}", "--keep", "9000d"]  # fmt: skip
    chance, answered = random.Random(7), dict.fromkeys(range(100), 0)
    for life in range(KILLS + 1):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            for _ in range(chance.randrange(3, 15)):
                numbers = {
                    source: answered[source] + chance.randrange(1, 9) for source in chance.sample(range(100), 30)
                }
                until(lambda: _pushed(port, numbers), what="an answer")  # noqa: B023  called at once
                answered |= numbers
            if life == KILLS:
                until(lambda: _all_told(heard, answered), what="all at the centre")  # noqa: B023  called at once
        finally:
            process.send_signal(signal.SIGKILL if life < KILLS else signal.SIGTERM)
            code = process.wait(30)
    assert code == 0
    found = {int(name.split()[0][1:]): number for name, number in heard.known()["counts"].items()}
    assert found == {source: number for source, number in answered.items() if number}
    assert len({one["reporter"] for one in heard.confirmed}) == 1, "one spool is one reporter, however often it dies"


def _all_told(heard: Listener, answered: dict[int, int]) -> bool:
    return bool(sum(heard.known()["counts"].values()) == sum(answered.values()))


_READING = iter(range(1, 1_000_000))


def _pushed(port: int, numbers: dict[int, int]) -> bool:
    """Push readings that grow; whether it was answered with success."""
    at = NOW + next(_READING)
    body = "\n".join(json.dumps(count(f"s{source}", number, "r", at)) for source, number in numbers.items())
    try:
        return httpx.post(f"http://127.0.0.1:{port}/v1/observations", content=body, timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_spool_has_one_agent(tmp_path: Path) -> None:
    with alone(tmp_path / "a.db"), pytest.raises(ConfigError, match="another agent has it"), alone(tmp_path / "a.db"):
        pass
