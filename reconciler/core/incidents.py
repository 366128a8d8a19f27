"""From verdicts to incidents: one cause, one incident, from its first bad cell until it is over.

A cause is a pipeline, a hop, a kind and a mechanism; buckets and sources are never part of it, so an incident grows and
shrinks in place. Its neighbours are parted from it by these rules, and by no other:

- another hop, another kind, or another way in which it came about (`mechanism`) is another cause, be it in the same
  minutes;
- a bad cell within the buckets that an incident covers belongs to it, however late it is found;
- a bad cell outside of them belongs to it if its last new bad cell is at most a day (`SAME_WITHIN`) ago: a cause that
  goes on is one incident, and one that comes back within a day is the same one, re-opened and counted;
- later than that it is another cause;
- what is at risk on a hop is one cause, be it unread or passed over: a consumer that is set to the newest record makes
  the one of the other, and the same events wait for the same deletion;
- what is at risk in a queue that is seen no more is not over while any of it is missing: it may be deleted or saved,
  and nobody knows; it ends once the queue is seen again, or its cells are judged otherwise;
- a delay beside events of the same hop that are at risk or were deleted is the same stoppage seen at another age: it
  becomes an incident of its own only if it lasts (`STRAY_LASTS`).

Cells come in as changes, so the cost follows what changed; an incident keeps, by source, how many of its cells are bad,
how many events are in question, and how many are lost.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence, Set

from reconciler.core.acts import Act
from reconciler.core.cases import (
    KINDS,
    SAME_WITHIN,
    CellChange,
    Condition,
    Incident,
    Share,
    mechanism,
)
from reconciler.core.lifecycle import fingerprint, hear, patience, reopen, sure
from reconciler.core.times import Micros
from reconciler.core.verdicts import Evidence

__all__ = ["KINDS", "CellChange", "Condition", "Incident", "Register", "Share", "mechanism"]

Names = Callable[[], Set[str]]
"""Of sources; asked only where an incident goes by them."""


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
            share.events = max(0, share.events - change.old_events)
            share.accepted = max(0, share.accepted - change.old_accepted)

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
        share.events, share.accepted = share.events + change.events, share.accepted + change.accepted
        incident.since = min(incident.since, change.bucket)
        incident.until = max(incident.until, change.bucket + self.width)
        incident.evidence |= change.evidence
        incident.unsafe |= not change.held

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

    def doubt(self, hop: str, waits: Callable[[Incident], bool] | None, now: Micros) -> None:
        """Keep open what was at risk on a hop whose queue is seen no more, while any `waits`; `None`: it is seen."""
        for incident in self.at_risk(hop):
            if incident.status in {"open", "updated"}:
                waiting = waits is not None and waits(incident)
                incident.unseen = waiting or (incident.unseen and waits is not None)
                incident.last_bad = now if waiting else incident.last_bad

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
        self, hop: str, cells: Sequence[tuple[str, Micros]], usual: Names, width: Micros, now: Micros
    ) -> None:  # fmt: skip
        """Take cells (source, bucket) whose share of legal ends is unusual, and sources that are usual again."""
        self.shares(hop, "rejects", cells, usual, width, now)

    def shares(
        self, hop: str, kind: str, cells: Sequence[tuple[str, Micros]], usual: Names, width: Micros, now: Micros
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
        for source in usual() - {source for source, _ in cells}:
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

    def hear(self, acts: Sequence[Act], now: Micros) -> None:
        """Take what people said until now: who has an incident, that it is over, that nobody is to be told."""
        for incident in self.incidents.values():
            hear(incident, acts, now)

    def settle(self, now: Micros) -> list[Incident]:
        """Open what has become sure, resolve what is over, drop what is long over; returns those of which to tell."""
        told: list[Incident] = []
        for incident in sorted(self.incidents.values(), key=lambda one: one.id):
            before = incident.status
            alive = incident.alive
            if alive:
                incident.last_bad = now
            self._step(incident, now, alive=alive or incident.last_bad == now)
            mark = fingerprint(incident)
            if incident.status != "pending" and (incident.status != before or mark != incident.told):
                if incident.status == before == "open":
                    incident.status = "updated"
                incident.told = mark
                told.append(incident)
        over = {"resolved": SAME_WITHIN, "pending": 0}
        for name, incident in list(self.incidents.items()):
            if now - incident.last_bad > over.get(incident.status, now):
                self.dropped.append(self.incidents.pop(name))
        return told

    def _step(self, incident: Incident, now: Micros, *, alive: bool) -> None:
        if incident.status == "pending" and alive and sure(incident, now, beside=self._beside(incident)):
            incident.status, incident.opened_at = "open", now
            if incident.kind == "loss":
                incident.follows = self._foretold(incident)
        elif incident.status == "resolved" and alive:
            reopen(incident)
        elif incident.status in {"open", "updated"}:
            over = incident.closed is not None or now - incident.last_bad >= patience(incident)
            incident.status = "resolved" if over else incident.status

    def _beside(self, incident: Incident) -> bool:
        """Whether a delay has a worse incident of the same stoppage beside it."""
        return incident.kind == "delay" and any(
            one.kind == "at_risk" or one.mechanism == "deleted"
            for one in self.incidents.values()
            if one.hop == incident.hop and one.alive and one.opened_at
        )

    def _foretold(self, loss: Incident) -> str | None:
        """The `at_risk` incident that has come true."""
        risks = [
            one for one in self.incidents.values()
            if one.kind == "at_risk" and one.hop == loss.hop and one.opened_at and one.since < loss.until
        ]  # fmt: skip
        latest = max(risks, key=lambda one: one.opened_at, default=None)
        return latest.id if latest else None
