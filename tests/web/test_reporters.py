"""Reporters that come and go: nothing is unknown for ever because of them, and nothing is complete that is not.

Every part is real: `reconciler.client` counts, HTTP carries, the ledger keeps, the engine judges.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.client import Counter
from reconciler.core.times import HOUR, MINUTE, SECOND, format_time, parse_time
from reconciler.service import judge_all
from reconciler.store import SqlStore
from tests.web.serving import Service, service

START = parse_time("2024-01-15T00:00:00Z")
CONFIG = "pipelines: {batch: {stages: [ingress, processed], mode: alert, reporters: {ingress: {missing_after: 3m}}}}\n"


class World:
    """Pods that accept events, one consumer that processes them, and the service. Time is moved by hand."""

    def __init__(self, running: Service) -> None:
        self.running = running
        running.clock.instant = START
        self.counters: list[Counter] = []
        self.consumer = self.counter("processed", "consumer")

    def counter(self, stage: str, name: str) -> Counter:
        """A process that counts; it is told when to push."""
        header = self.running.client.headers.get("Authorization", "")
        made = Counter(
            self.running.url,
            "batch",
            stage,
            reporter=name,
            token=header.removeprefix("Bearer ") or None,
            every=None,
            clock=lambda: self.running.clock.instant / SECOND,
        )
        self.counters.append(made)
        return made

    def pod(self, name: str) -> Counter:
        """A process that accepts; it reports as soon as it is there."""
        pod = self.counter("ingress", name)
        assert pod.push()
        return pod

    def serve(self, *pods: Counter, processed: bool = True) -> None:
        """One event of each source at each pod; the consumer processes them."""
        for pod in pods:
            for source in ("a", "b"):
                pod.add(source)
                if processed:
                    self.consumer.add(source)

    def later(self, seconds: int, *pods: Counter) -> None:
        """Time passes; pods and consumer push, and what is due is judged."""
        before = self.running.clock.instant
        self.running.clock.instant += seconds * SECOND
        for one in (*pods, self.consumer):
            assert one.push()
        last = self.running.clock.instant // MINUTE
        for tick in range(max(before // MINUTE, last - 5) + 1, last + 1):
            judge_all(self.running.store, self.running.pipelines, tick * MINUTE)

    def verdicts(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.running.client.get("/v1/verdicts", params=params).json()["verdicts"]
        return found

    def words(self, **params: Any) -> dict[str, set[str]]:
        """By bucket what is said of its cells."""
        words: dict[str, set[str]] = {}
        for line in self.verdicts(**params):
            words.setdefault(line["bucket"][11:16], set()).add(line["verdict"])
        return words

    def open_kinds(self) -> Tally[str]:
        found = self.running.client.get("/v1/incidents").json()["incidents"]
        return Tally(line["kind"] for line in found if line["status"] != "resolved")

    def complete_through(self) -> str:
        through: str = self.running.client.get("/v1/completeness").json()["pipelines"][0]["complete_through"]
        return through


@pytest.fixture
def world(store: SqlStore) -> Iterator[World]:
    with service(store, config=CONFIG) as running:
        made = World(running)
        yield made
        for one in made.counters:
            one._closed = True  # the end of the tests is no news to anybody


def minutes(first: int, last: int) -> set[str]:
    return {format_time(START + minute * MINUTE)[11:16] for minute in range(first, last)}


def test_a_rolling_deploy_leaves_nothing_unknown(world: World) -> None:
    pods = [world.pod(f"pod-{number}") for number in range(3)]
    for minute in range(9):
        for _ in range(3):
            world.serve(*pods)
            world.later(20, *pods)
        if minute in (3, 5, 7):  # one at a time: the new one is there before the old one ends
            fresh = world.pod(f"pod-{minute}")
            world.serve(*pods, fresh)
            assert pods.pop(0).close()
            pods.append(fresh)
    words = world.words()
    assert {bucket: words[bucket] for bucket in minutes(0, 8)} == {bucket: {"complete"} for bucket in minutes(0, 8)}
    assert world.complete_through() >= format_time(START + 7 * MINUTE)
    assert world.open_kinds() == {}
    assert sum(line["accepted"] for line in world.verdicts()) == 2 * (9 * 9 + 3 * 4)


def test_scaling_out_and_in_neither_waits_for_ever_nor_judges_too_early(world: World) -> None:
    pods = [world.pod("pod-0")]
    for turn in range(8):
        if turn in (1, 2, 3):
            pods.append(world.pod(f"pod-{turn}"))
        if turn in (5, 6, 7):
            assert pods.pop(0).close()
        *quick, slow = pods
        world.serve(*pods)
        world.later(120, *quick)
        bucket = format_time(START + 2 * turn * MINUTE)[11:16]
        # The others are through its end; the slow one is not, so nothing is whole yet.
        assert world.words().get(bucket, {"open"}) <= {"open", "unknown"}
        assert slow.push()
    world.later(120, *pods)
    assert set().union(*(world.words()[bucket] for bucket in minutes(0, 17))) == {"complete"}
    assert world.open_kinds() == {}


def test_a_pod_that_is_killed_is_named_and_nothing_it_feeds_is_judged_good_or_lost(world: World) -> None:
    a_pod_is_killed(world)
    words = world.words()
    assert set().union(*(words[bucket] for bucket in minutes(0, 4))) == {"complete"}
    assert set().union(*(words[bucket] for bucket in minutes(5, 9))) == {"unknown"}
    assert world.open_kinds() == {"missing_counts": 1}


def a_pod_is_killed(world: World) -> Counter:
    """Of two pods one is killed in the fifth minute, with events that it has accepted and never told."""
    living, killed = world.pod("living"), world.pod("killed")
    for _ in range(5):
        world.serve(living, killed)
        world.later(60, living, killed)
    world.serve(living)
    world.serve(killed, processed=False)  # nor processed: a loss that nobody has seen
    for _ in range(5):
        world.later(60, living)
        world.serve(living)
    return living


def test_only_the_bucket_in_which_a_pod_was_killed_is_unknown_for_ever(world: World) -> None:
    living = a_pod_is_killed(world)
    world.later(25 * HOUR // SECOND, living)
    world.later(60, living)
    for first, last, word in ((5, 6, "unknown"), (6, 10, "complete")):
        span = {"from": format_time(START + first * MINUTE), "to": format_time(START + last * MINUTE)}
        assert set().union(*world.words(**span).values()) == {word}


def test_a_pod_that_comes_back_after_a_silence_makes_good_what_was_unknown(world: World) -> None:
    pods = [world.pod("one"), world.pod("other")]
    for minute in range(12):
        world.serve(*pods)
        world.later(60, *(pods[:1] if 3 <= minute < 9 else pods))  # the other cannot reach the service
        if minute == 8:
            assert "unknown" in set().union(*world.words().values())
    world.later(120, *pods)
    assert set().union(*(world.words()[bucket] for bucket in minutes(0, 12))) == {"complete"}
    assert sum(line["accepted"] for line in world.verdicts()) == 2 * 2 * 12
