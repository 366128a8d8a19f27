"""What a process knows of queues and of finite things without its ledger: from samples, and across its own death."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.core import dearth, threats
from reconciler.core.dearth import Limits
from reconciler.core.notices import Notice
from reconciler.core.observations import Capacity, Observation, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.queues import QueueLedger
from reconciler.core.threats import Watched
from reconciler.core.times import DAY, MINUTE, Micros

OLDEST: Micros = DAY
"""What was seen longer ago tells a process that starts nothing of how things stand."""
APART: Micros = 5 * MINUTE
KEPT = 4
"""Of each partition so many samples, so far apart, are kept: they show how fast it is read (`queues.RATE_WINDOW`)."""


class Memory:
    """Takes samples in order of `at`; those that it knows already change nothing."""

    def __init__(self, pipelines: Mapping[str, Pipeline]) -> None:
        self._pipelines = pipelines
        self._queues: dict[tuple[str, str], Watched] = {}
        self._limits = {name: Limits(one) for name, one in sorted(pipelines.items())}
        self._samples: defaultdict[tuple[str, str, int], list[QueueSample]] = defaultdict(list)
        self._guard = threading.Lock()

    @property
    def queues(self) -> int:
        """How many queues are known."""
        return len(self._queues)

    @property
    def resources(self) -> int:
        """How many finite things are known."""
        return len({key for one in self._limits.values() for key in one.readings})

    def hear(self, seen: Iterable[Observation]) -> None:
        """Take what was seen."""
        with self._guard:
            for one in sorted(seen, key=lambda one: one.at):
                if isinstance(one, QueueSample):
                    self._sample(one)
                elif isinstance(one, Capacity):
                    for name in one.pipelines or self._limits:
                        if name in self._limits:
                            self._limits[name].observe(one)
            for watched in self._queues.values():
                watched.ledger.forget(watched.first)

    def _sample(self, sample: QueueSample) -> None:
        pipeline = self._pipelines.get(sample.pipeline)
        queue = pipeline.queues.get(sample.queue) if pipeline else None
        if pipeline is None or queue is None:
            return
        key = (sample.pipeline, sample.queue)
        if key not in self._queues:
            self._queues[key] = Watched(pipeline, QueueLedger(queue, pipeline.width))
        self._queues[key].ledger.observe(sample)
        known = self._samples[*key, sample.partition]
        if known and sample.at <= known[-1].at:
            return
        if len(known) > 1 and known[-1].at - known[-2].at < APART:
            known.pop()
        known.append(sample)
        del known[:-KEPT]

    def mark(self, now: Micros) -> None:
        """The ledger is away from now on: what is wrong by now, people were told."""
        with self._guard:
            self._queues = {
                key: replace(one, expired_before=one.ledger.expired_total, policies_before=tuple(one.broken()))
                for key, one in self._queues.items()
            }
            for name, limits in self._limits.items():
                limits.before = limits.standing(self._of(name), now)

    def kept(self) -> list[Observation]:
        """As few observations as let another process go on from here."""
        with self._guard:
            readings = {
                (one.resource, one.at): one
                for limits in self._limits.values() for known in limits.readings.values()
                for one in dearth.weighty(known)
            }  # fmt: skip
            samples = [one for known in self._samples.values() for one in known]
        return [*samples, *readings.values()]

    def notices(self, since: Micros, now: Micros) -> tuple[list[Notice], set[str]]:
        """What people are to be told, the ledger being away since `since`; and the ids of what may be over."""
        found: list[Notice] = []
        over: set[str] = set()
        with self._guard:
            for _, one in sorted(self._queues.items()):
                found += threats.notices(one, since, now)
                over |= threats.may_end(one, now)
            for name, limits in self._limits.items():
                queues = self._of(name)
                found += dearth.notices(limits, queues, since, now)
                over |= dearth.may_end(limits, queues, now)
        return found, over

    def _of(self, pipeline: str) -> dict[str, QueueLedger]:
        return {queue: one.ledger for (name, queue), one in self._queues.items() if name == pipeline}
