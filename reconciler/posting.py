"""What telling people needs from the outside world: channels, and the box of what is still to be said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reconciler.core.notices import Notice
from reconciler.core.outbox import Entry, Manner, Post
from reconciler.core.times import Micros
from reconciler.errors import OutOfReach


class NotifyFailed(OutOfReach):
    """A channel did not take a notice. The message says what, where and what to do, and bears no secret."""

    def __init__(
        self,
        message: str,
        retry_after: Micros | None = None,
        *,
        permanent: bool = False,
        reference: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.answered: int | None = None
        """HTTP status of the answer, where there was one."""
        self.reference = reference
        """Of what the channel did take before it failed."""
        self.retry_after = retry_after
        """The channel wants to be left alone for so long, µs; `None`: it did not say."""
        self.permanent = permanent
        """Nothing but a change of configuration, or of the notice, can help."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One state of one incident on its way to a channel."""

    notice: Notice
    version: int
    """Of the notice."""
    now: Micros
    reference: Mapping[str, Any]
    """What the channel gave back when it last took a state of this incident; empty: never."""
    doubt_since: Micros = 0
    """An earlier try of which nobody knows how it ended began then: it may have arrived. 0: there was none."""
    again: bool = False
    """The channel has been told of this very state, and forgets."""


class Notifier(Protocol):
    """Tells people, or a program that does, by one channel. Twice the same is harmless."""

    @property
    def name(self) -> str:
        """Of the channel, as configured."""

    @property
    def manner(self) -> Manner:
        """How it speaks."""

    def send(self, letter: Letter) -> Mapping[str, Any]:
        """Make the channel show this state; returns its new reference (JSON). Raises `NotifyFailed`."""

    def check(self) -> str:
        """Ask the channel whether it would take a notice, without sending one; what it says of itself. Raises
        `NotifyFailed`."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How one channel stands."""

    channel: str
    pending: int
    """Incidents of which it has not been told the newest state."""
    dead: int
    """Of these: dead letters."""
    failing_since: Micros | None
    """Since when the one has been failing that has failed for the longest."""
    sent_at: Micros | None
    """When it last took something."""
    error: str
    """Why the last failure failed."""


class Outbox(Protocol):
    """What is still to be told: one row for each incident and channel, in which the newest state replaces the older."""

    def post(self, posts: Sequence[Post], now: Micros) -> None:
        """Put something in that no judgement says."""

    def introduce(self, posts: Sequence[Post], now: Micros) -> int:
        """Put in what a channel has never been told anything of; all else stays. Returns how many that were."""

    def newest(self, incident: str) -> Notice | None:
        """The state that is to be told last, on whatever channel; `None`: nobody was ever to be told of it."""

    def due(self, channel: str, now: Micros, manner: Manner, most: int) -> list[Entry]:
        """What is to be looked at, the most urgent first, at most so many."""

    def crowd(self, channel: str) -> int:
        """Incidents that the channel was, or is to be, told of, and that are not resolved."""

    def digested(self, channel: str, name: str) -> list[Entry]:
        """What shares the digest of this id, be it resolved."""

    def claim(self, entry: Entry, now: Micros, until: Micros) -> bool:
        """Before a try: nobody else tries until then. `False`: somebody does, or there is a newer state."""

    def delivered(self, entry: Entry, reference: Mapping[str, Any], now: Micros) -> None:
        """The channel took it."""

    def share(self, channel: str, entries: Sequence[Entry], now: Micros) -> str:
        """These are said in the digest that stands, or a new one; returns its id."""

    def wait(self, entry: Entry, until: Micros) -> None:
        """Look at it again then."""

    def failed(self, entry: Entry, failure: NotifyFailed, now: Micros, until: Micros, *, dead: bool) -> None:
        """The channel did not take it; try again at `until`."""

    def wake(self, channel: str, now: Micros) -> None:
        """The channel works again: all that failed is tried now."""

    def backlogs(self) -> list[Backlog]:
        """How each channel stands that was ever told, or is to be told, anything."""

    def sendings(self, incident: str) -> list["Sending"]:
        """What each channel took of one incident, in order."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A channel took a state of an incident, or it was given up."""

    channel: str
    at: Micros
    version: int
    status: str
    severity: str
    what: str
    """`sent`, `digest`, `dead`."""
    posted_at: Micros
    """Instant of the state."""
