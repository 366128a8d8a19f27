"""The contract of connectors, held by the Prometheus connector against a real Prometheus."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.core.times import MINUTE, SECOND, Micros, parse_time
from tests.contract.suite import SECRET, CountingContract
from tests.servers.prometheus import Sample, running_prometheus

START = parse_time("2021-07-20T18:30:00Z")
EVERY = 15


def scraped(source: str, pace: float, minutes: int = 16) -> list[Sample]:
    """A counter that was scraped every 15 s, 4 s after the minute first; it counts so many events a second."""
    times = [START // SECOND + 4 + EVERY * step for step in range(minutes * 60 // EVERY)]
    labels = {"job": "ingest", "instance": "one", "source": source}
    return [Sample(at, round(pace * (at - START // SECOND)), labels) for at in times]


@dataclass
class PrometheusCounterpart:
    """A server that starts when it is filled; before that nobody answers."""

    stack: ExitStack
    kind: str = "prometheus"
    now: Micros = field(default_factory=lambda: parse_time("2021-07-20T18:45:58Z"))
    pipeline: dict[str, Any] = field(default_factory=dict)
    url: str = "http://127.0.0.1:1"

    @property
    def options(self) -> dict[str, Any]:
        return {"stage": "ingress", "url": self.url, "counter": 'events_total{job="ingest"}', "window": "10m"}

    @property
    def away(self) -> dict[str, Any]:
        return {"url": "http://127.0.0.1:1", "headers": {"Authorization": f"Bearer {SECRET}"}}

    def fill(self) -> dict[tuple[str, Micros], int]:
        self.url = self.stack.enter_context(running_prometheus(scraped("a", 10) + scraped("b", 2)))
        buckets = [parse_time("2021-07-20T18:35:00Z") + minute * MINUTE for minute in range(11)]
        # The last minute was counted for 49 of its 60 s.
        whole = {(source, bucket): 60 * pace for source, pace in (("a", 10), ("b", 2)) for bucket in buckets}
        return whole | {("a", buckets[-1]): 490, ("b", buckets[-1]): 98}


@pytest.fixture
def counterpart() -> Iterator[PrometheusCounterpart]:
    with ExitStack() as stack:
        yield PrometheusCounterpart(stack)


class TestPrometheus(CountingContract):
    pass
