"""From verdicts to incidents: one cause, one incident, from its first bad cell until it is over.

A cause is a pipeline, a hop, a kind and a mechanism. Cells come in as changes, so the cost follows what changed; an
incident keeps, by source, how many of its cells are bad and how many events they have lost.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.times import DAY, MINUTE, Micros
from reconciler.core.verdicts import DIRECT, Evidence, Verdict

RESOLVE_AFTER: Micros = 15 * MINUTE
SAME_WITHIN: Micros = DAY
STRAY_CELLS = 2
"""Fewer bad cells than this are a stray, unless they last."""
STRAY_LASTS: Micros = 15 * MINUTE

KINDS = {
    Verdict.LOST: "loss",
    Verdict.AT_RISK: "at_risk",
    Verdict.DELAYED: "delay",
    Verdict.SURPLUS: "surplus",
    Verdict.UNKNOWN: "missing_counts",
}
_MECHANISMS = (
    (Evidence.QUEUE_EXPIRED | Evidence.PASSED_EXPIRED | Evidence.PURGED, "deleted"),
    (Evidence.NOT_ENQUEUED, "not_enqueued"),
    (Evidence.SHRUNK, "shrunk"),
    (Evidence.DIGEST, "digest"),
)


def mechanism(kind: str, evidence: Evidence) -> str:
    """What brought it about: cells that differ in it belong to different incidents."""
    if kind == "at_risk":
        return "skipped" if Evidence.SKIPPED in evidence else "unread"
    if kind == "loss":
        return next((name for flags, name in _MECHANISMS if evidence & flags), "inferred")
    return kind


@dataclass(frozen=True, slots=True)
class CellChange:
    """One cell of which something new is said; `old` is what was said before."""

    source: str
    bucket: Micros
    verdict: Verdict
    evidence: Evidence
    lost: int
    events: int
    """Events in question: the gap, or the surplus."""
    old_verdict: Verdict
    old_evidence: Evidence
    old_lost: int


@dataclass(slots=True)
class Share:
    """What an incident has of one source."""

    bad: int = 0
    """Cells that are bad now."""
    lost: int = 0


@dataclass(slots=True)
class Incident:
    """One cause, from its first bad cell until it is over."""

    id: str
    pipeline: str
    hop: str
    """``from>to``; the queue or resource for what concerns no cell."""
    kind: str
    mechanism: str
    seen_at: Micros
    """When the cause was first seen."""
    status: str = "pending"
    """`pending` until it is told of; then as in the contract."""
    opened_at: Micros = 0
    since: Micros = 0
    """Start of the first bucket that it covers."""
    until: Micros = 0
    """End of the last bucket that it covers."""
    shares: dict[str, Share] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=lambda: Evidence(0))
    loss_at: Micros = 0
    last_bad: Micros = 0
    """When there was last a bad cell."""
    grew_at: Micros = 0
    """When the last bad cell was added."""
    unplaced: int = 0
    """Events proven lost that no source could be given yet."""
    follows: str | None = None
    detail: str = ""
    """What a condition that concerns no cell says of itself."""
    severity: str = ""
    told: str = ""
    """Fingerprint of what was last told."""

    @property
    def bad(self) -> int:
        """Cells that are bad now."""
        return sum(share.bad for share in self.shares.values())

    @property
    def lost(self) -> int:
        """Events lost, those included that belong to no source yet."""
        return sum(share.lost for share in self.shares.values()) + self.unplaced

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in {"shares", "evidence"}}
        shares = {source: [share.bad, share.lost] for source, share in self.shares.items()}
        return plain | {"shares": shares, "evidence": int(self.evidence)}

    @classmethod
    def restore(cls, stored: Mapping[str, Any]) -> "Incident":
        """What `dump` gave."""
        shares = {source: Share(*pair) for source, pair in stored["shares"].items()}
        known = {name: stored[name] for name in cls.__slots__ if name in stored}
        return cls(**(known | {"shares": shares, "evidence": Evidence(stored["evidence"])}))


@dataclass(frozen=True, slots=True)
class Condition:
    """Something wrong that no cell shows: a policy that is not kept, a sequence about to end."""

    subject: str
    """The queue or resource."""
    kind: str
    mechanism: str
    detail: str
    severity: str
    loss_at: Micros = 0


class Register:
    """All incidents of a pipeline that are not long over."""

    def __init__(self, pipeline: str, width: Micros) -> None:
        self.pipeline = pipeline
        self.width = width
        self.incidents: dict[str, Incident] = {}
        self.dropped: list[Incident] = []
        """Those that came to nothing, or are long over; the next judgement need not load them."""

    def take(self, hop: str, changes: Iterable[CellChange], now: Micros) -> None:
        """Move changed cells out of the incidents that they were in and into those that they are in now."""
        for change in changes:
            self._leave(hop, change)
            self._join(hop, change, now)

    def _leave(self, hop: str, change: CellChange) -> None:
        kind = KINDS.get(change.old_verdict)
        if kind is None:
            return
        incident = self._find(hop, kind, mechanism(kind, change.old_evidence), change.bucket)
        share = incident.shares.get(change.source) if incident else None
        if share is not None:
            share.bad = max(0, share.bad - 1)
            share.lost = max(0, share.lost - change.old_lost)

    def _join(self, hop: str, change: CellChange, now: Micros) -> None:
        kind = KINDS.get(change.verdict)
        if kind is None:
            return
        how = mechanism(kind, change.evidence)
        incident = self._find(hop, kind, how, change.bucket)
        if incident is None or self._another(incident, change, now):
            incident = self._begin(hop, kind, how, change.bucket, now)
        share = incident.shares.setdefault(change.source, Share())
        was_in = KINDS.get(change.old_verdict) == kind and mechanism(kind, change.old_evidence) == how
        incident.grew_at = incident.grew_at if was_in else now
        share.bad, share.lost = share.bad + 1, share.lost + change.lost
        incident.since = min(incident.since, change.bucket)
        incident.until = max(incident.until, change.bucket + self.width)
        incident.evidence |= change.evidence

    def _another(self, incident: Incident, change: CellChange, now: Micros) -> bool:
        """A bad cell long after the last one, and outside what the incident covers, is another cause."""
        quiet = now - incident.grew_at > SAME_WITHIN
        inside = incident.since <= change.bucket < incident.until
        return not inside and (quiet or (incident.status == "resolved" and now - incident.last_bad > SAME_WITHIN))

    def _find(self, subject: str, kind: str, how: str, bucket: Micros | None = None) -> Incident | None:
        found = [i for i in self.incidents.values() if (i.hop, i.kind, i.mechanism) == (subject, kind, how)]
        if bucket is not None:
            covering = [incident for incident in found if incident.since <= bucket < incident.until]
            found = covering or found
        return max(found, key=lambda incident: incident.seen_at, default=None)

    def _begin(self, subject: str, kind: str, how: str, bucket: Micros, now: Micros) -> Incident:
        name = f"{self.pipeline}\\0{subject}\\0{kind}\\0{how}\\0{now}"
        code = hashlib.sha256(name.encode()).hexdigest()[:12]
        incident = Incident(
            f"{kind.replace('_', '-')}-{code}", self.pipeline, subject, kind, how, now, since=bucket, until=bucket,
            last_bad=now, grew_at=now,
        )  # fmt: skip
        self.incidents[incident.id] = incident
        return incident

    def at_risk(self, hop: str) -> list[Incident]:
        """The incidents of events of the hop that may still be saved."""
        return [
            one for one in self.incidents.values()
            if (one.kind, one.hop) == ("at_risk", hop) and one.status != "resolved"
        ]  # fmt: skip

    def hold(self, conditions: Iterable[Condition], now: Micros) -> None:
        """Take the conditions that hold now; those that hold no more end by themselves."""
        for condition in conditions:
            incident = self._find(condition.subject, condition.kind, condition.mechanism)
            if incident is None or (incident.status == "resolved" and now - incident.last_bad > SAME_WITHIN):
                incident = self._begin(condition.subject, condition.kind, condition.mechanism, now, now)
            incident.detail, incident.severity, incident.loss_at = (
                condition.detail,
                condition.severity,
                condition.loss_at,
            )
            incident.until, incident.last_bad = now, now

    def explain(self, subject: str, kind: str, detail: Callable[[], str]) -> None:
        """Say more of the incident of this kind, if there is one; without detail, what was said stands."""
        if (found := self._find(subject, kind, kind)) and (found.bad or found.status != "resolved"):
            found.detail = detail() or found.detail

    def rejects(
        self, hop: str, cells: Sequence[tuple[str, Micros]], usual: Iterable[str], width: Micros, now: Micros
    ) -> None:  # fmt: skip
        """Take cells (source, bucket) whose share of legal ends is unusual, and sources that are usual again."""
        self.shares(hop, "rejects", cells, usual, width, now)

    def shares(
        self, hop: str, kind: str, cells: Sequence[tuple[str, Micros]], usual: Iterable[str], width: Micros, now: Micros
    ) -> None:  # fmt: skip
        """Take cells (source, bucket) that a model finds unusual, and sources that are usual again."""
        incident = self._find(hop, kind, kind)
        if cells and (incident is None or (incident.status == "resolved" and now - incident.last_bad > SAME_WITHIN)):
            incident = self._begin(hop, kind, kind, cells[0][1], now)
        if incident is None:
            return
        for source, bucket in cells:
            incident.shares.setdefault(source, Share()).bad = 1
            incident.since, incident.until = min(incident.since, bucket), max(incident.until, bucket + width)
        for source in set(usual) - {source for source, _ in cells}:
            if source in incident.shares:
                incident.shares[source].bad = 0

    def unplaced(self, hop: str, events: int, now: Micros) -> None:
        """Events that a queue deleted unread and that no source can be given yet: the incident opens with the total."""
        incident = self._find(hop, "loss", "deleted")
        if events and (incident is None or incident.status == "resolved"):
            incident = self._begin(hop, "loss", "deleted", now, now)
            incident.evidence = Evidence.QUEUE_EXPIRED
        if incident is not None:
            incident.unplaced = events

    def settle(self, now: Micros) -> list[Incident]:
        """Open what has become sure, resolve what is over, drop what is long over; returns those of which to tell."""
        told: list[Incident] = []
        for incident in sorted(self.incidents.values(), key=lambda one: one.id):
            before = incident.status
            alive = incident.bad > 0 or incident.unplaced > 0
            if alive:
                incident.last_bad = now
            self._step(incident, now, alive=alive or incident.last_bad == now)
            fingerprint = _fingerprint(incident)
            if incident.status != "pending" and (incident.status != before or fingerprint != incident.told):
                if incident.status == before == "open":
                    incident.status = "updated"
                incident.told = fingerprint
                told.append(incident)
        over = {"resolved": SAME_WITHIN, "pending": 0}
        for name, incident in list(self.incidents.items()):
            if now - incident.last_bad > over.get(incident.status, now):
                self.dropped.append(self.incidents.pop(name))
        return told

    def _step(self, incident: Incident, now: Micros, *, alive: bool) -> None:
        if incident.status == "pending" and alive and self._sure(incident, now):
            incident.status, incident.opened_at = "open", now
            if incident.kind == "loss":
                incident.follows = self._foretold(incident)
        elif incident.status == "resolved" and alive:
            incident.status = "updated"
        elif incident.status in {"open", "updated"} and now - incident.last_bad >= RESOLVE_AFTER:
            incident.status = "resolved"

    def _sure(self, incident: Incident, now: Micros) -> bool:
        """Direct evidence opens at once; the rest must hold at two ticks running and be more than a stray cell."""
        if incident.kind in {"queue_policy", "capacity", "missing_counts", "replay"} or incident.evidence & DIRECT:
            return True
        lasting = now - incident.seen_at
        if incident.kind == "rejects":
            return lasting > 0
        return lasting > 0 and (incident.bad >= STRAY_CELLS or lasting >= STRAY_LASTS)

    def _foretold(self, loss: Incident) -> str | None:
        """The `at_risk` incident that has come true."""
        risks = [
            one for one in self.incidents.values()
            if one.kind == "at_risk" and one.hop == loss.hop and one.opened_at and one.since < loss.until
        ]  # fmt: skip
        latest = max(risks, key=lambda one: one.opened_at, default=None)
        return latest.id if latest else None


def _fingerprint(incident: Incident) -> str:
    sources = ",".join(sorted(incident.shares))
    facts = (incident.since, incident.until if incident.shares else 0, incident.lost, int(incident.evidence))
    return hashlib.sha256(f"{facts}{sources}{incident.detail}{incident.severity}".encode()).hexdigest()[:16]
