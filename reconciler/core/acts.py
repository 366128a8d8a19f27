"""What people say of incidents: that they have one, that it is over, that nobody is to be told. Nothing is erased."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from reconciler.core.cases import Incident
from reconciler.core.times import Micros

ActKind = Literal["mute", "unmute", "acknowledge", "close", "confirm", "reopen", "planned"]

PLANNED_QUIETS = frozenset({"delay", "low_volume", "missing_counts", "rejects", "queue_policy", "capacity", "surplus"})
"""Kinds of incident that announced work keeps quiet. What is at risk or lost is told all the same."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody said, and why."""

    at: Micros
    author: str
    kind: ActKind
    reason: str
    id: int = 0
    """In order of saying; 0: not stored yet."""
    pipeline: str = ""
    """Pattern of the pipelines of a mute, or the pipeline of the incident; empty: every one."""
    incident: str = ""
    """The incident that it is about; empty for a mute."""
    incident_kind: str = ""
    """Of the incidents that a mute is for; empty: every kind."""
    sources: str = "*"
    """Pattern of the sources that a mute is for: an incident that touches others too is told."""
    since: Micros = 0
    """From when a mute holds."""
    until: Micros | None = None
    """Until when a mute holds; each has an end."""
    ends: int = 0
    """The mute that `unmute` ends."""

    @property
    def is_mute(self) -> bool:
        """Whether it keeps incidents quiet while it holds."""
        return self.kind in ("mute", "planned")

    def fits(self, incident: Incident) -> bool:
        """Whether a mute is for this incident."""
        if self.kind == "planned" and incident.kind not in PLANNED_QUIETS:
            return False
        if not fnmatchcase(incident.pipeline, self.pipeline or "*") or self.incident_kind not in ("", incident.kind):
            return False
        bad = [source for source, share in incident.shares.items() if share.bad] or list(incident.shares)
        if not bad:
            return self.sources == "*"
        return all(fnmatchcase(source, self.sources) for source in bad)


def holding(acts: Iterable[Act], now: Micros) -> list[Act]:
    """The mutes that hold now, the longest lasting first."""
    known = [act for act in acts if act.at <= now]
    ended = {act.ends for act in known if act.kind == "unmute"}
    found = [
        act for act in known
        if act.is_mute and act.id not in ended and act.since <= now and (act.until is None or now < act.until)
    ]  # fmt: skip
    return sorted(found, key=lambda act: (-(act.until or 0), act.id))


def mute_of(acts: Sequence[Act], incident: Incident, now: Micros) -> Act | None:
    """The mute that keeps an incident quiet now; of several, the one that lasts longest."""
    return next((act for act in holding(acts, now) if act.fits(incident)), None)
