"""What some connectors can do beside being a `ports.Connector`: remember, note, and name offsets; and what some
notifiers can: show pictures, and hear buttons.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from reconciler.core.identities import Identity, Summary
from reconciler.core.times import Micros


@dataclass(frozen=True, slots=True)
class Note:
    """What a connector found that is no count and spoils none: a file that vanished, one that is listed twice."""

    subject: str
    """The file, or whatever it is."""
    text: str
    """What people should know of it, as the rest of a sentence."""

    def __str__(self) -> str:
        return f"{self.subject} {self.text}"


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets that have not arrived though later ones of the same partition have."""

    source: str
    """``topic/partition``."""
    first: int
    """The first offset that is missing."""
    missing: int
    """How many are missing in a row."""
    after: Micros
    """Accept time of the last record before them."""


@runtime_checkable
class Holed(Protocol):
    """A connector that can name offsets that have not arrived, beside being a `Connector`."""

    def holes(self, start: Micros, end: Micros) -> Sequence[Hole]:
        """Holes after records of [start, end), by partition and offset. Raises `ConnectorFailed`."""


@runtime_checkable
class Identified(Protocol):
    """A connector that can say which events it counted, by their ids, beside being a `Connector`."""

    @property
    def unnamed(self) -> str | None:
        """Why it cannot, as it is configured, as the rest of a sentence; `None`: it can."""

    def summaries(self, start: Micros, end: Micros, slots: int, *, handed_on: bool) -> Iterator[Summary]:
        """What it has of [start, end), by source, bucket and slot of the hash, in any order. Raises `ConnectorFailed`.

        `handed_on`: only what goes on to the next stage; what ended legally is left out.
        """

    def identities(
        self, start: Micros, end: Micros, slots: int, wanted: Sequence[int], *, handed_on: bool
    ) -> Iterator[Identity]:
        """The ids of [start, end) in the `wanted` slots, in order of slot. Raises `ConnectorFailed`."""


@runtime_checkable
class Remembering(Protocol):
    """A connector that must know what it saw before, beside being a `Connector`."""

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take up what the last successful reading remembered; empty before the first."""

    def memory(self) -> dict[str, Any]:
        """What is to be remembered of the reading just made, as JSON; stored together with what it said."""

    def notes(self) -> Sequence[Note]:
        """What the reading just made found beside its counts."""


@runtime_checkable
class Attaching(Protocol):
    """A notifier whose messages can bear pictures, beside being a `Notifier`."""

    @property
    def pictures(self) -> bool:
        """Whether they are wanted."""

    def attach(self, reference: Mapping[str, Any], picture: bytes, title: str) -> None:
        """Put a picture (PNG) beside a message that it took. Raises `NotifyFailed`."""


@runtime_checkable
class Pressed(Protocol):
    """A notifier whose messages have buttons, beside being a `Notifier`."""

    def genuine(self, body: bytes, timestamp: str, signature: str, now: Micros) -> bool:
        """Whether a press was signed by whom it should be, just now."""
