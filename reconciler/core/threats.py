"""What queues are about to lose, from their samples alone: for the hours in which the ledger itself is out of reach."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from reconciler.core.cases import Incident
from reconciler.core.conditions import queue_policies
from reconciler.core.notices import Notice, Step
from reconciler.core.pipelines import Pipeline
from reconciler.core.queues import QueueLedger
from reconciler.core.scene import Scene
from reconciler.core.steps import policy, raise_retention, restart, steps
from reconciler.core.times import Micros
from reconciler.core.verdicts import Evidence
from reconciler.core.wording import ahead, clock, many

MECHANISMS = ("retention", "replicas", "in_sync")
"""Parts of a queue's policy, as `conditions` names them."""
GROUND = ("How it is known", "samples taken while the ledger is out of reach; whose events they are is not known")


@dataclass(frozen=True, slots=True)
class Watched:
    """One queue as it is watched from memory."""

    pipeline: Pipeline
    ledger: QueueLedger
    expired_before: int = 0
    """What it had lost when the ledger went away, records."""
    policies_before: Collection[str] = ()
    """Which parts of its policy it broke then: people have been told of those."""

    @property
    def first(self) -> int:
        """Ordinal of the first bucket that matters: of the oldest record that is still to be read."""
        return min((part.ptr for part in self.ledger.partitions.values()), default=0)

    def broken(self) -> dict[str, str]:
        """The parts of its policy that it breaks now, and how."""
        return {one.mechanism: one.detail for one in queue_policies(self.pipeline, [self.ledger])}


def notices(one: Watched, since: Micros, now: Micros) -> Iterator[Notice]:
    """What people are to be told of a queue now; `since`: when the ledger went away."""
    if one.pipeline.alert and one.ledger.partitions:
        yield from _at_risk(one, since, now)
        yield from _loss(one, since, now)
        yield from _policy(one, since, now)


def may_end(one: Watched, now: Micros) -> set[str]:
    """Ids of what may be over, if it is not said again: only of a queue that was looked at. A loss stays one."""
    parts = one.ledger.partitions.values()
    if not parts or not all(part.fresh(now, one.ledger.width) for part in parts):
        return set()
    return {_id(one, "at_risk"), *(_id(one, "queue_policy", mechanism) for mechanism in MECHANISMS)}


def _at_risk(one: Watched, since: Micros, now: Micros) -> Iterator[Notice]:
    pipeline, ledger = one.pipeline, one.ledger
    parts = ledger.partitions.values()
    if any(part.seen.committed_offset is None for part in parts):
        return  # nobody is known to read it
    kept = min((span for part in parts if (span := part.retention()) is not None), default=None)
    last = max(now // pipeline.width, one.first) + 1
    seen = ledger.facts(one.first, last, now, pipeline.reaction_for(ledger.queue, kept))
    if not seen.threatened.any():
        return
    unread, first = int(seen.unread[seen.threatened].sum()), int(seen.deleted_at[seen.threatened].min())
    hop = ledger.queue.hop.part
    case = Incident("", pipeline.name, hop, "at_risk", "at_risk", since, status="open", since=since)
    case.evidence = Evidence.FORECAST
    title = f"{pipeline.name}: {many(unread, 'record')} of {ledger.queue.name} will be deleted before they are read"
    when = f"first records are deleted {ahead(first, now)}" if first > now else "records are being deleted now"
    todo = steps(case, Scene(pipeline, now, {ledger.queue.name: ledger}))
    yield _notice(one, "at_risk", "page", title, (("Since", clock(since, now)), ("Next", when)), todo, (since, now))


def _loss(one: Watched, since: Micros, now: Micros) -> Iterator[Notice]:
    expired, queue = one.ledger.expired_total - one.expired_before, one.ledger.queue
    if expired <= 0:
        return
    title = f"{one.pipeline.name}: {queue.name} has deleted {many(expired, 'record')} before they were read"
    facts = (
        ("Since", clock(since, now)),
        ("Lost", many(expired, "record")),
        ("How sure", "Proven: offsets show it"),
        ("Next", "more is lost while reading stands still; the ledger says whose it was once it is back"),
    )
    todo = [raise_retention(queue, Scene(one.pipeline, now, {queue.name: one.ledger})), restart(queue)]
    yield _notice(one, "loss", "page", title, facts, todo, (since, now))


def _policy(one: Watched, since: Micros, now: Micros) -> Iterator[Notice]:
    queue = one.ledger.queue
    for mechanism, detail in one.broken().items():
        if mechanism in one.policies_before:
            continue
        todo = [policy(queue, mechanism, Scene(one.pipeline, now, {queue.name: one.ledger}))]
        title = f"{one.pipeline.name}: queue {queue.name} {detail}"
        facts = (
            ("Since", clock(since, now)),
            ("Next", "events are lost if reading stops for longer than it keeps them"),
        )
        yield _notice(one, "queue_policy", "ticket", title, facts, todo, (since, now), mechanism)


def _notice(
    one: Watched, kind: str, severity: str, title: str, facts: tuple[tuple[str, str], ...], todo: list[Step],
    times: tuple[Micros, Micros], mechanism: str = "",
) -> Notice:  # fmt: skip
    since, now = times
    runbooks = one.pipeline.runbooks
    return Notice(
        _id(one, kind, mechanism), one.pipeline.name, kind, "open", severity, now, since, title, (*facts, GROUND),
        tuple(todo), (), kept=False, runbook=runbooks.get(kind) or runbooks.get("default", ""),
    )  # fmt: skip


def _id(one: Watched, kind: str, mechanism: str = "") -> str:
    """The same in every process, so that two of them write one message."""
    code = hashlib.sha256(f"{one.pipeline.name}\0{one.ledger.queue.name}\0{mechanism}".encode()).hexdigest()[:12]
    return f"{kind}-away-{code}".replace("_", "-")
