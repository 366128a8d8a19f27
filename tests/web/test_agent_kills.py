"""The agent, killed: what was answered with success reaches the centre, once.

RECONCILER_KILLS sets how often its process is killed:  RECONCILER_KILLS=50 make test ARGS='-k agent_kills'
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.agent import outbox, spool
from reconciler.agent.centre import Centre
from reconciler.core.times import MINUTE
from tests.integration.forks import free_port
from tests.until import until
from tests.web.agents import BUCKET, SETTINGS, Rig, count, progress, rig
from tests.web.listener import Listener
from tests.web.serving import NOW

KILLS = int(os.environ.get("RECONCILER_KILLS", "2"))


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
@pytest.mark.long
def test_killed_again_and_again_under_load_the_centre_has_exactly_what_was_answered(
    tmp_path: Path, heard: Listener
) -> None:
    """RECONCILER_KILLS sets how often."""
    (tmp_path / "reconciler.yaml").write_text(SETTINGS)
    command = [sys.executable, "-m", "reconciler", "agent", "--to", heard.url, "--spool", "agent.db", "--every", "1s",
               "--keep", "9000d"]  # fmt: skip
    chance, answered = random.Random(7), dict.fromkeys(range(100), 0)
    for life in range(KILLS + 1):
        port = free_port()  # of the last life it may be somebody else's by now
        listen = ["--listen", f"127.0.0.1:{port}"]
        process = subprocess.Popen([*command, *listen], cwd=tmp_path, stderr=subprocess.DEVNULL)
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
