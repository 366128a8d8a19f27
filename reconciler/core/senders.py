"""How each source can send its events again: who does it, how far back, until when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from reconciler.core.times import Micros


class Way(StrEnum):
    """Who brings lost events again."""

    REREAD = "reread"
    """We read them once more from where they were taken (files in a bucket, a table)."""
    PARTNER = "partner"
    """A partner sends them again when asked."""
    CUSTOMER = "customer"
    """Only the customer's own servers can send them again."""
    REWIND = "rewind"
    """They are still in a queue before ours; its consumer is set back."""


@dataclass(frozen=True, slots=True)
class Sender:
    """How the sources of a pattern can send again; plans of replays and what customers are told rest on it."""

    pattern: str
    """Of the source's name."""
    way: Way
    title: str = ""
    """What people call these sources: "Segment", "direct API calls"; empty: the pattern."""
    consent: bool = False
    """Whether each customer has to agree first."""
    horizon: Micros | None = None
    """How long the sender keeps what it sent; what is older cannot come again."""
    until: Micros | None = None
    """The last instant at which it can be sent again, however young it is."""
    identity: str = ""
    """The field by which duplicates are dropped, so that what is sent twice counts once; empty: there is none."""
    contact: str = ""
    """Whom to ask."""
    dedupe: Micros | None = None
    """How long after the first copy of an event a second one is still recognised; `None`: no end is known."""

    @property
    def name(self) -> str:
        """For people."""
        return self.title or self.pattern

    def deadline(self, bucket: Micros) -> Micros | None:
        """The last instant at which events accepted in the bucket that starts here can be sent again."""
        known = [at for at in (self.until, None if self.horizon is None else bucket + self.horizon) if at is not None]
        return min(known, default=None)


def sender_of(senders: Iterable[Sender], source: str) -> Sender | None:
    """The first whose pattern fits; `None`: nobody has said how it can send again."""
    return next((sender for sender in senders if fnmatchcase(source, sender.pattern)), None)


def by_sender(senders: Sequence[Sender], sources: Iterable[str]) -> list[tuple[Sender | None, list[str]]]:
    """The sources by how they send again, in the order of the settings; those of which nothing is known come last."""
    found: dict[Sender | None, list[str]] = {}
    for source in sources:
        found.setdefault(sender_of(senders, source), []).append(source)
    return [(one, found[one]) for one in (*senders, None) if one in found]
