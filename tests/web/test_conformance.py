"""The cases of docs/push-conformance.json: the service, and every sender that comes with it, are held to them."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.client import Counter
from reconciler.core.times import SECOND, parse_time
from tests.web.listener import Listener, listening
from tests.web.serving import NOW, Service

ROOT = Path(__file__).resolve().parents[2]
CASES = json.loads((ROOT / "docs" / "push-conformance.json").read_text())
SENDER_CASES = {case["name"]: case["steps"] for case in CASES["sender"]["cases"]}
SERVICE_CASES = {case["name"]: case for case in CASES["service"]["cases"]}
Step = dict[str, Any]
Act = Callable[[Step], None]
"""Has a sender take one step."""


@pytest.mark.parametrize("case", SERVICE_CASES.values(), ids=SERVICE_CASES.keys())
def test_the_service_answers_as_the_protocol_says(local: Service, case: dict[str, Any]) -> None:
    assert parse_time(CASES["service"]["now"]) == NOW
    response = local.push(*case["lines"])
    told = response.json()
    assert (response.status_code, told["kept"]) == (case["status"], case["kept"])
    assert [[one["index"], one["field"]] for one in told["refusals"]] == case["refused"]


@contextmanager
def python_sender(url: str) -> Iterator[Act]:
    """`reconciler.client`, pushed by hand."""
    now = 0.0
    counter = Counter(url, "batch", "ingress", reporter="ingest-01", every=None, clock=lambda: now)

    def act(step: Step) -> None:
        nonlocal now
        now = parse_time(step["now"]) / SECOND
        if "add" in step:
            counter.add(step["add"], step["count"], accepted=step.get("accepted"))
        elif "push" in step:
            counter.push()
        else:
            counter.close(timeout=0)

    try:
        yield act
    finally:
        counter.close(timeout=0)


@contextmanager
def spoken_to(command: list[str], url: str) -> Iterator[Act]:
    """A sender in another language: takes steps as lines, and answers each push with a line."""
    arguments = [*command, url, "batch", "ingress", "ingest-01"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, said = process.stdin, process.stdout

        def act(step: Step) -> None:
            if "add" in step:
                words = ["add", step["now"], step["add"], str(step["count"]), step.get("accepted", step["now"])]
            else:
                words = ["push" if "push" in step else "close", step["now"]]
            given.write("\t".join(words) + "\n")
            given.flush()
            if "add" not in step:
                assert said.readline().strip() in ("confirmed", "failed")

        yield act
        given.close()
        assert process.wait(30) == 0


def play(steps: list[Step], act: Act, heard: Listener) -> None:
    for step in steps:
        heard.answers[:] = step.get("push") or step.get("close") or []
        act(step)
        heard.answers.clear()
        if "known" in step:
            assert heard.known() == step["known"], step
    for lines in heard.requests:
        assert len({line["type"] for line in lines}) == 1, "progress goes after the counts, alone"


@pytest.mark.parametrize("steps", SENDER_CASES.values(), ids=SENDER_CASES.keys())
def test_the_python_sender_keeps_the_protocol(steps: list[Step]) -> None:
    with listening() as heard, python_sender(heard.url) as act:
        play(steps, act, heard)


def needed(tool: str) -> str:
    """The path of a compiler. Where it is missing CI fails, and elsewhere the test says that it was left out."""
    found = shutil.which(tool)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{tool} is not installed: the sender for it was not tested")
    if found is None:
        pytest.skip(f"{tool} is not installed: the sender for it was NOT tested (with CI=1 this fails)")
    return found


@pytest.fixture(scope="module")
def go_sender(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The sender in Go, built."""
    go, target = needed("go"), tmp_path_factory.mktemp("go") / "sender"
    environment = os.environ | {"GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    source = ROOT / "docs" / "senders" / "sender.go"
    subprocess.run([go, "build", "-o", target, source], check=True, env=environment)
    return [str(target)]


@pytest.fixture(scope="module")
def java_sender(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The sender in Java, compiled."""
    java, target = needed("java"), tmp_path_factory.mktemp("java")
    source = ROOT / "docs" / "senders" / "Sender.java"
    subprocess.run([needed("javac"), "-Xlint:all", "-Werror", "-d", target, source], check=True)
    return [java, "-XX:TieredStopAtLevel=1", "-cp", str(target), "Sender"]


@pytest.mark.slow
def test_the_go_sender_keeps_the_protocol(go_sender: list[str]) -> None:
    for steps in SENDER_CASES.values():
        with listening() as heard, spoken_to(go_sender, heard.url) as act:
            play(steps, act, heard)


@pytest.mark.slow
def test_the_java_sender_keeps_the_protocol(java_sender: list[str]) -> None:
    for steps in SENDER_CASES.values():
        with listening() as heard, spoken_to(java_sender, heard.url) as act:
            play(steps, act, heard)
