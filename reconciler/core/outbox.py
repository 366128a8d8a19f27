"""What goes to which channel, what a channel still has to say, and when it is tried again. The store keeps it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from reconciler.core.notices import Notice, Step
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros

FIRST_WAIT: Micros = 5 * SECOND
LONGEST_WAIT: Micros = 10 * MINUTE
DEAD_WAIT: Micros = HOUR
"""A dead letter is tried so often: whoever mends the channel need not remember what waits for it."""
OVER_AGAIN: Micros = 15 * MINUTE
"""For so long a channel that forgets is told again that something is over: it may have died before it passed it on."""
JITTER = 0.2
DIGEST = "digest"
"""Kind of the notice that many incidents share."""
DIGEST_LINES = 25
RANKS = {"page": 0, "ticket": 1, "info": 2}
"""The most urgent first."""


@dataclass(frozen=True, slots=True)
class Route:
    """What one channel is told."""

    channel: str
    severities: frozenset[str]
    pipelines: tuple[str, ...] = ("*",)
    """Patterns; what concerns no pipeline has an empty name, which only ``*`` takes."""
    kinds: frozenset[str] | None = None
    """`None`: all but the watchdog, which is for those who ask for it."""

    def takes(self, notice: Notice) -> bool:
        """Whether the channel is to be told of it."""
        kind = notice.kind in self.kinds if self.kinds is not None else notice.kind != "watchdog"
        named = any(fnmatchcase(notice.pipeline, pattern) for pattern in self.pipelines)
        return kind and named and notice.severity in self.severities


@dataclass(frozen=True, slots=True)
class Post:
    """One notice for one channel."""

    channel: str
    notice: Notice
    begins: bool
    """False: only for a channel that was told of the incident before, so that its message does not stand still."""


def posts(routes: Iterable[Route], notices: Iterable[Notice]) -> list[Post]:
    """What goes where. What is over is news only to those who knew that it was there."""
    found = list(notices)
    return [
        Post(route.channel, notice, route.takes(notice) and notice.status != "resolved")
        for route in routes
        for notice in found
    ]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a channel speaks."""

    edits: bool = True
    """It can change what it has said. If not, only news are said, as new messages."""
    resend: Micros = 0
    """What is open is said again so often, for the channel forgets, and for a while what is over; 0: it does not."""
    updates_every: Micros = HOUR
    """Where it cannot edit: an update that changes neither status nor severity is said no more often."""
    digest_above: int = 0
    """Where more incidents are open, new ones that page nobody share one message; 0: each has its own."""
    give_up_after: Micros = DAY
    """What has failed for so long is a dead letter."""
    hold: Micros = MINUTE
    """So long a try may take; meanwhile nobody else tries."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One incident on one channel: the newest notice, and how far it has got."""

    channel: str
    notice: Notice
    wanted: int
    """Version of the notice."""
    sent: int
    """Version that the channel took last; 0: none."""
    sent_at: Micros = 0
    told: str = ""
    """Status and severity of what it took last."""
    reference: Mapping[str, Any] = field(default_factory=dict)
    """What the channel needs to find its message again; empty: it never took one."""
    attempts: int = 0
    """Failures since the last success."""
    failing_since: Micros = 0
    doubt_since: Micros = 0
    """When a try began of which nobody knows how it ended; 0: none."""
    claimed_until: Micros = 0
    digested: str = ""
    """Id of the digest that it was said in; empty: in none."""
    state: str = "pending"
    """`pending`, `sent`, `dead`."""
    error: str = ""


class Deed(Enum):
    """What is to be done with an entry, and so why."""

    SEND = "the channel has not been told of this state"
    AGAIN = "the channel forgets what it is not told again"
    DIGEST = "too much is open for a message of its own"
    WAIT = "the channel cannot edit, and this is no news yet"
    REST = "all is said"


def mood(notice: Notice) -> str:
    """What makes an update news: its status and its severity."""
    return f"{'open' if notice.status == 'updated' else notice.status}/{notice.severity}"


def deed(entry: Entry, manner: Manner, crowd: int, now: Micros) -> Deed:
    """What is to be done; `crowd` incidents are open on the channel."""
    over = entry.notice.status == "resolved"
    if entry.wanted == entry.sent:
        alive = not over or now - entry.notice.at < OVER_AGAIN
        due = bool(manner.resend) and alive and now - entry.sent_at >= manner.resend
        return Deed.AGAIN if due else Deed.REST
    if _shares(entry, manner, crowd):
        return Deed.DIGEST
    if not manner.edits and entry.sent and mood(entry.notice) == entry.told:
        return Deed.SEND if now - entry.sent_at >= manner.updates_every else Deed.WAIT
    return Deed.SEND


def _shares(entry: Entry, manner: Manner, crowd: int) -> bool:
    """Whether it has no message of its own, and needs none."""
    notice = entry.notice
    if not manner.digest_above or entry.reference or entry.doubt_since or notice.severity == "page":
        return False
    if notice.kind == DIGEST:
        return False
    return crowd > manner.digest_above or bool(entry.digested and notice.status == "resolved")


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """What has not failed yet, then the most urgent, then the oldest: a letter that is refused holds up no other."""
    return sorted(
        entries,
        key=lambda one: (one.wanted == one.sent, one.attempts > 0, RANKS[one.notice.severity], one.notice.opened_at),
    )


def wait(attempts: int, seed: str, retry_after: Micros | None = None) -> Micros:
    """How long after the failure of this number (from 1) it is tried again: doubled each time, and never in step."""
    usual = min(FIRST_WAIT << min(attempts - 1, 20), LONGEST_WAIT)
    draw = int.from_bytes(hashlib.sha256(f"{seed}\0{attempts}".encode()).digest()[:4]) / 2**32
    jittered = int(usual * (1 + JITTER * draw))
    return max(jittered, min(retry_after or 0, DAY))


def digest(name: str, entries: Sequence[Entry], now: Micros, public_url: str = "") -> Notice:
    """One notice for all that share a message; its link leads to all that is open."""
    alive = [one.notice for one in in_order(entries) if one.notice.status != "resolved"]
    severity = min((one.severity for one in alive), key=RANKS.__getitem__, default="info")
    over = len(entries) - len(alive)
    title = f"{len(alive):,} incidents are open that have no message of their own here" if alive else "All is resolved"
    facts = [(one.severity, one.title) for one in alive[:DIGEST_LINES]]
    if len(alive) > DIGEST_LINES:
        facts.append(("And", f"{len(alive) - DIGEST_LINES:,} more; `reconciler incidents` lists all"))
    if over:
        facts.append(("Resolved", f"{over:,} of those that were listed here"))
    opened = min((one.notice.opened_at for one in entries), default=now)
    status = "updated" if alive else "resolved"
    todo = (Step("See all of them, the most severe first.", "reconciler incidents"),) if alive else ()
    link = f"{public_url}/incidents" if public_url else ""
    return Notice(name, "", DIGEST, status, severity, now, opened, title, tuple(facts), todo, (), link=link, kept=False)
