"""What is about to run out, or is not looked at any more, from readings alone: for the hours without a ledger."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.core.cases import Condition, Incident
from reconciler.core.conditions import READINGS_MISSED, UNREAD, capacities
from reconciler.core.ledger import CAPACITY_READINGS
from reconciler.core.notices import Notice
from reconciler.core.observations import Capacity
from reconciler.core.outlook import outlook
from reconciler.core.pipelines import Pipeline
from reconciler.core.queues import QueueLedger
from reconciler.core.scene import Scene
from reconciler.core.silence import silent_samplers
from reconciler.core.stakes import RANK
from reconciler.core.steps import steps
from reconciler.core.times import MINUTE, Micros
from reconciler.core.titles import title
from reconciler.core.wording import clock

GROUND = ("How it is known", "readings taken while the ledger is out of reach")
USUAL: Micros = 5 * MINUTE
"""Time between two readings of what no connector of this configuration reads."""

Told = tuple[str, str]
"""Subject and mechanism of a condition."""


@dataclass(slots=True)
class Limits:
    """All finite things that one pipeline depends on, as they are watched from memory."""

    pipeline: Pipeline
    readings: dict[str, list[Capacity]] = field(default_factory=dict)
    """By resource, oldest first."""
    before: Mapping[Told, str] = field(default_factory=dict)
    """How severe each condition was that held when the ledger went away: people have been told of those."""

    def observe(self, reading: Capacity) -> None:
        """Take a reading; one that is older than the latest changes nothing."""
        known = self.readings.setdefault(reading.resource, [])
        if not known or reading.at > known[-1].at:
            known.append(reading)
            del known[:-CAPACITY_READINGS]

    def conditions(self, queues: Mapping[str, QueueLedger], now: Micros) -> list[Condition]:
        """What is wrong now."""
        unseen = (one for one in silent_samplers(self.pipeline, queues, now) if one.subject in queues)
        return [*capacities(self.readings.values(), self.pipeline, now), *unseen]

    def standing(self, queues: Mapping[str, QueueLedger], now: Micros) -> dict[Told, str]:
        """The same, as `before` has it."""
        return {(one.subject, one.mechanism): one.severity for one in self.conditions(queues, now)}


def notices(limits: Limits, queues: Mapping[str, QueueLedger], since: Micros, now: Micros) -> Iterator[Notice]:
    """What people are to be told now; `since`: when the ledger went away."""
    for one in limits.conditions(queues, now) if limits.pipeline.alert else ():
        if RANK[one.severity] > RANK[limits.before.get((one.subject, one.mechanism), "")]:
            yield _notice(limits.pipeline, one, since, now)


def may_end(limits: Limits, queues: Mapping[str, QueueLedger], now: Micros) -> set[str]:
    """Ids of what may be over, if it is not said again: only of what was looked at."""
    name = limits.pipeline.name
    read = [key for key, known in limits.readings.items() if now - known[-1].at < _patience(limits.pipeline, key)]
    prefixes = [watch.prefix.rstrip("/") for watch in limits.pipeline.limits]
    subjects: Collection[Told] = [
        *((key, "used") for key in read),
        *((key, UNREAD) for key in prefixes),
        *((key, "unsampled") for key in queues),
    ]
    return {_id(name, *subject) for subject in subjects}


def weighty(known: Sequence[Capacity]) -> list[Capacity]:
    """As few readings as show the same pace: the lowest, of several the latest, and the last."""
    lowest = min(reversed(known), key=lambda reading: reading.used)
    return [lowest] if lowest is known[-1] else [lowest, known[-1]]


def _patience(pipeline: Pipeline, resource: str) -> Micros:
    own = (watch.every for watch in pipeline.limits if resource.startswith(watch.prefix))
    return READINGS_MISSED * max(own, default=USUAL)


def _notice(pipeline: Pipeline, one: Condition, since: Micros, now: Micros) -> Notice:
    case = Incident(
        "", pipeline.name, one.subject, one.kind, one.mechanism, since, status="open", opened_at=since, since=since,
        detail=one.detail, severity=one.severity, loss_at=one.loss_at,
    )  # fmt: skip
    scene = Scene(pipeline, now)
    ahead = outlook(case, scene)
    facts = (("Since", clock(since, now)), *([("Next", ahead)] if ahead else []), GROUND)
    runbooks = pipeline.runbooks
    return Notice(
        _id(pipeline.name, one.subject, one.mechanism), pipeline.name, one.kind, "open", one.severity, now, since,
        title(case, scene), facts, tuple(steps(case, scene)), (), kept=False,
        runbook=runbooks.get(one.kind) or runbooks.get("default", ""),
    )  # fmt: skip


def _id(pipeline: str, subject: str, mechanism: str) -> str:
    """The same in every process, so that two of them write one message."""
    code = hashlib.sha256(f"{pipeline}\0{subject}\0{mechanism}".encode()).hexdigest()[:12]
    return f"{mechanism.replace('_', '-')}-away-{code}"
