"""Counting inside a service: nothing is lost in silence, and nothing ever reaches the caller."""

import gc
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler import client
from reconciler.client import Counter
from reconciler.core.times import SECOND, parse_time
from reconciler.store import SqlStore
from tests.integration.store_parts import current
from tests.until import until
from tests.web.listener import Listener, listening, reporters
from tests.web.serving import Service, service

START = parse_time("2021-07-20T18:45:00Z") / SECOND


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


def counter(heard: Listener, hand: Hand, **settings: Any) -> Counter:
    return Counter(heard.url, "batch", "ingress", **{"every": None, "reporter": "ingest", "clock": hand} | settings)


def test_many_threads_lose_no_event(heard: Listener, hand: Hand) -> None:
    counting = counter(heard, hand)

    def work() -> None:
        for number in range(2_000):
            counting.add(f"s{number % 3}")
            if number % 500 == 0:
                counting.push()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting.close()
    assert sum(heard.known()["counts"].values()) == 16_000


def test_it_pushes_by_itself_and_ends_with_final(heard: Listener) -> None:
    counting = Counter(heard.url, "batch", "ingress", every=0.02, settle=0)
    counting.add("a")
    until(lambda: heard.known()["through"])
    known = heard.known()["through"]
    until(lambda: heard.known()["through"] > known)
    counting.add("a", 2)
    assert counting.close()
    assert sum(heard.known()["counts"].values()) == 3
    assert heard.known()["final"] is True
    amount = len(heard.requests)
    assert counting.close()
    assert len(heard.requests) == amount, "it ends once"


def test_one_that_counts_nothing_may_still_report_that_there_is_nothing(heard: Listener) -> None:
    counting = Counter(heard.url, "batch", "ingress", every=0.02)
    counting.start()
    until(lambda: heard.known()["through"])
    assert heard.known()["counts"] == {}
    counting.close()


def test_each_life_is_a_reporter_of_its_own(heard: Listener, hand: Hand) -> None:
    for _ in range(2):
        counting = counter(heard, hand)
        counting.add("a")
        assert counting.close()
    names = reporters(heard.confirmed)
    assert len(names) == 2
    assert all(name.startswith("ingest-") for name in names)
    assert heard.known()["counts"] == {"a 18:45": 2}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_another_life(heard: Listener, hand: Hand) -> None:
    counting = counter(heard, hand)
    counting.add("a", 5)
    child = os.fork()
    if child == 0:
        counting.add("a", 2)
        os._exit(0 if counting.close() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert heard.known()["counts"] == {"a 18:45": 2}, "what the parent has counted is the parent's to tell"
    assert counting.close()
    assert heard.known()["counts"] == {"a 18:45": 7}
    assert len(reporters(heard.confirmed)) == 2


NONSENSE: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("",), {}),
    (("a", -1), {}),
    (("a", 1.5), {}),
    (("a", "1"), {}),
    (("a", True), {}),
    (("a",), {"accepted": "yesterday"}),
    (("a",), {"accepted": "2021-07-20T18:45:00"}),
    (("a",), {"accepted": object()}),
    (("a",), {"accepted": float("nan")}),
    (("a",), {"id": 7}),
]


@pytest.mark.parametrize(("given", "named"), NONSENSE)
def test_nonsense_never_raises_and_is_held_against_us(
    heard: Listener, hand: Hand, given: tuple[Any, ...], named: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    counting = counter(heard, hand)
    counting.add(*given, **named)
    assert counting.state().dropped == 1
    assert "could not be counted" in caplog.text
    hand.now += 300
    counting.push()
    assert heard.known()["through"] == "2021-07-20T18:45:00Z", "nothing is whole from the bucket on"
    counting.close()
    assert heard.known()["final"] is False


def test_a_full_memory_holds_through_back(heard: Listener, hand: Hand) -> None:
    counting = counter(heard, hand, most=2)
    counting.add("a")
    hand.now += 60
    assert counting.push()
    for source in ("a", "b", "c", "a"):
        counting.add(source)
    hand.now += 600
    assert counting.push()
    assert heard.known() == {
        "counts": {"a 18:45": 1, "a 18:46": 2},
        "through": "2021-07-20T18:46:00Z",
        "final": False,
    }
    assert (counting.state().cells, counting.state().dropped) == (2, 2)
    assert counting.close()
    assert heard.known()["final"] is False


def test_a_full_memory_forgets_first_what_was_told_long_ago(heard: Listener, hand: Hand) -> None:
    counting = counter(heard, hand, most=20, keep=600.0)
    for _ in range(60):
        counting.add("a")
        hand.now += 60
        assert counting.push()
    assert counting.state().dropped == 0
    assert counting.close()
    assert sum(heard.known()["counts"].values()) == 60


def test_what_comes_for_a_forgotten_bucket_adds_to_what_was_told(heard: Listener, hand: Hand) -> None:
    counting = counter(heard, hand, keep=100.0)
    for _ in range(3):
        counting.add("a", 2, accepted=START)
        assert counting.push()
        hand.now += 1_000
        assert counting.push()
        assert counting.state().cells == 0
    assert heard.known()["counts"] == {"a 18:45": 6}
    assert len({line["reporter"] for line in heard.confirmed if line["type"] == "count"}) == 3
    assert len({line["reporter"] for line in heard.confirmed if line["type"] == "progress"}) == 1


def test_digests_are_those_of_the_contract(heard: Listener, hand: Hand) -> None:
    counting = counter(heard, hand)
    counting.add("a", id="e-1")
    counting.add("a", id="e-2")
    counting.add("b", id="e-1")
    counting.add("b")
    counting.push()
    digests = {line["source"]: line.get("digest") for line in heard.confirmed if line["type"] == "count"}
    assert digests == {"a": "3417235116174419399", "b": None}
    counting.close()


@pytest.mark.parametrize("moment", [START, "2021-07-20T18:45:00Z", "2021-07-20T20:45:00.5+02:00"])
def test_the_time_of_acceptance_may_be_said_in_any_way(heard: Listener, hand: Hand, moment: Any) -> None:
    counting = counter(heard, hand)
    hand.now += 3_000
    counting.add("a", accepted=moment)
    assert counting.close()
    assert heard.known()["counts"] == {"a 18:45": 1}


def test_many_cells_go_in_requests_of_a_size(heard: Listener, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BATCH", 10)
    counting = counter(heard, hand, token="rcl_x")  # noqa: S106  it opens nothing
    for number in range(25):
        counting.add(f"s{number}")
    heard.answers = [200, 503]
    assert not counting.push()
    assert (counting.state().waiting, "503" in counting.state().failure) == (15, True)
    assert counting.close()
    assert [len(lines) for lines in heard.requests] == [10, 10, 10, 5, 1]
    assert {headers["Authorization"] for headers in heard.headers} == {"Bearer rcl_x"}


def test_waiting_grows_with_failures_and_follows_what_the_service_asks(heard: Listener, hand: Hand) -> None:
    counting = counter(heard, hand, every=10.0)
    counting._closed = True  # so that only this test pushes
    heard.answers = [503] * 12
    pauses = [counting._pause()]
    for _ in range(12):
        counting.push()
        pauses.append(counting._pause())
    assert pauses[0] == 10
    assert all(5 <= pause <= client.LONGEST_WAIT for pause in pauses)
    assert max(pauses[1:3]) <= 20
    assert min(pauses[5:]) >= 30
    assert counting.push()
    assert counting._pause() == 10


def test_an_answer_of_somebody_else_is_no_success(hand: Hand) -> None:
    with listening() as heard:
        heard.says = b"<html>welcome</html>"
        counting = counter(heard, hand)
        counting.add("a")
        assert not counting.push()
    assert not counting.push(), "nobody listens there any more"
    assert not counting.close(timeout=0)
    assert counting.state().waiting == 1


def test_a_counter_that_nobody_has_any_more_pushes_no_more(heard: Listener) -> None:
    counting = Counter(heard.url, "batch", "ingress", every=0.01, settle=0)
    counting.add("a")
    until(lambda: heard.known()["through"])
    thread = counting._thread
    assert thread is not None
    del counting
    until(lambda: gc.collect() is None or not thread.is_alive())


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from {module} import Counter
assert not {{name.partition(".")[0] for name in sys.modules}} & {{"numpy", "msgspec", "pydantic", "sqlalchemy"}}
counter = Counter(sys.argv[2], "batch", "ingress", every=60)
for _ in range(3):
    counter.add("a", accepted="2021-07-20T18:45:00Z")
"""


@pytest.mark.parametrize("alone", [True, False])
def test_a_program_that_ends_tells_what_is_left_and_needs_nothing_but_python(
    heard: Listener, tmp_path: Path, alone: bool
) -> None:
    place = Path(client.__file__).parent.parent
    if alone:
        place = tmp_path
        (place / "client.py").write_text(Path(client.__file__).read_text())
    program = PROGRAM.format(module="client" if alone else "reconciler.client")
    subprocess.run([sys.executable, "-S", "-c", program, str(place), heard.url], check=True)
    assert heard.known()["counts"] == {"a 18:45": 3}
    assert heard.known()["final"] is True


def test_the_service_takes_what_the_client_sends(embedded: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "reconciler.client")
    with service(embedded) as running:
        token = running.token(writes=True)["Authorization"].removeprefix("Bearer ")
        counting = Counter(
            running.url, "batch", "ingress", token=token, every=None, clock=lambda: running.clock() / SECOND
        )
        counting.add("a", 3)
        counting.add("b", id="e")
        counting.add("ü/\u2028", outcome="rejected")
        assert counting.push()
        counting.add("a")
        assert counting.close()
        assert sums(running) == {"a": 4, "b": 1, "ü/\u2028": 1}
        refused = Counter(running.url, "batch", "nowhere", token=token, every=None)
        refused.add("a")
        assert not refused.push()
        assert "is no stage of batch" in refused.state().failure
        assert not refused.close(timeout=0)
    assert "is no stage of batch" in caplog.text


def sums(running: Service) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in current(running.store, running.pipelines["batch"]).items():
        found[name[1]] = found.get(name[1], 0) + value[0]
    return found
