"""What an incident is made of: the cells that are bad, what became of them, and what people said of it."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from reconciler.core.times import DAY, MINUTE, Micros
from reconciler.core.verdicts import Evidence, Verdict

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
    accepted: int = 0
    old_events: int = 0
    old_accepted: int = 0
    held: bool = False
    """All that is missing was seen in the queue."""


class Share(msgspec.Struct, array_like=True, gc=False):  # there is one a source, and each tick reads all
    """What an incident has of one source."""

    bad: int = 0
    """Cells that are bad now."""
    lost: int = 0
    events: int = 0
    """Events in question in the bad cells: missing, or too many."""
    accepted: int = 0
    """Events that were accepted in the bad cells."""


@dataclass(slots=True)
class Incident:
    """One cause, from its first bad cell until it is over; stored as it is."""

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
    unsafe: bool = False
    """At some time of its life some of its events were in question and not seen in the queue."""
    said: dict[str, object] = field(default_factory=dict)
    """How it was last told, as `telling.mark` has it."""
    reopened: int = 0
    """How often it came back after it was over."""
    acknowledged: dict[str, Any] | None = None
    """Who has taken it, as `said_by` of `lifecycle` writes it; so the next three."""
    confirmed: dict[str, Any] | None = None
    """Who says that it is real: nothing is learned from its time."""
    closed: dict[str, Any] | None = None
    """Who says that it is over."""
    muted: dict[str, Any] | None = None
    """Why nobody is told of it now."""
    closed_lost: int = 0
    """What was lost when it was closed."""
    closed_at: Micros = 0
    taken: int = 0
    """The last act of people that it has taken."""
    unseen: bool = False
    """Its queue is looked at no more: whether what was at risk is still there is not known, and that is no end."""

    @property
    def alive(self) -> bool:
        """Whether something is bad now; what was closed is not, until it grows."""
        if self.closed is not None:
            return self.lost > self.closed_lost or self.grew_at > self.closed_at
        return self.bad > 0 or self.unplaced > 0

    @property
    def bad(self) -> int:
        """Cells that are bad now."""
        return sum(share.bad for share in self.shares.values())

    @property
    def lost(self) -> int:
        """Events lost, those included that belong to no source yet."""
        return sum(share.lost for share in self.shares.values()) + self.unplaced

    @property
    def events(self) -> int:
        """Events in question in the cells that are bad now."""
        return sum(share.events for share in self.shares.values()) + self.unplaced

    @property
    def accepted(self) -> int:
        """Events that were accepted in the cells that are bad now."""
        return sum(share.accepted for share in self.shares.values())


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
