"""What connectors answer when they are asked by hand: `check-config --connect` and `--permissions`."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reconciler.abilities import Remembering
from reconciler.announce import notifiers_of
from reconciler.collect import connectors_of
from reconciler.core.observations import Count, Observation, Progress, QueueSample, Refusal
from reconciler.core.times import Micros, floor_to, format_time, time_of
from reconciler.errors import OutOfReach, Refused
from reconciler.ports import Connector, ConnectorFailed
from reconciler.posting import Notifier, NotifyFailed
from reconciler.settings import Settings

SHOWN = 5
"""Refusals of a connector that are named."""


@dataclass(slots=True)
class Answer:
    """What one connector said of the last whole bucket, or of the present."""

    connector: str
    start: Micros
    said: Counter[str] = field(default_factory=Counter)
    """Observations by type."""
    events: int = 0
    """All counts added up."""
    through: Micros | None = None
    queues: Counter[str] = field(default_factory=Counter)
    """Partitions by queue."""
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: ConnectorFailed | None = None

    def take(self, entry: Observation | Refusal) -> None:
        """Note one more thing that it said."""
        if isinstance(entry, Refusal):
            self.refused.append(str(entry))
            return
        self.said[_WORDS[type(entry).__name__]] += 1
        if isinstance(entry, Count):
            self.events += entry.count
        elif isinstance(entry, Progress):
            self.through = max(self.through or 0, entry.through)
        elif isinstance(entry, QueueSample):
            self.queues[entry.queue] += 1

    @property
    def exit_code(self) -> int:
        """Of the command, were this the only connector."""
        if self.failure is not None:
            return OutOfReach.exit_code
        return Refused.exit_code if self.refused else 0

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "connector": self.connector,
            "said": dict(self.said),
            "events": self.events,
            "through": time_of(self.through),
            "queues": dict(self.queues),
            "refused": self.refused,
            "notes": self.notes,
            "failure": None if self.failure is None else self.failure.message,
        }

    def text(self) -> Iterator[str]:
        """For people."""
        yield ""
        if self.failure is not None:
            yield f"{self.connector} cannot be read: {self.failure.message}"
            return
        kinds = ", ".join(f"{number:,} {what}" for what, number in self.said.items() if what != "progress")
        yield f"{self.connector} answers: {kinds or 'no counts'}"
        if self.said["counts"]:
            yield f"  {self.events:,} events in the bucket {format_time(self.start)}"
        for queue, partitions in self.queues.items():
            yield f"  queue {queue}: {partitions:,} partitions"
        if self.through is not None:
            yield f"  whole through {format_time(self.through)}"
        yield from (f"  {note}" for note in self.notes[:SHOWN])
        yield from (f"  refused: {refusal}" for refusal in self.refused[:SHOWN])
        if len(self.refused) > SHOWN:
            yield f"  and {len(self.refused) - SHOWN:,} more were refused"


_WORDS = {"Count": "counts", "Progress": "progress", "QueueSample": "queue samples", "Capacity": "capacities"}


def ask_all(settings: Settings, now: Micros) -> list[Answer]:
    """Ask every connector for the last whole bucket, or, where it takes samples, for the present; nothing is stored."""
    return [ask(connector, settings.pipelines[connector.pipeline].width, now) for connector in connectors_of(settings)]


def ask(connector: Connector, width: Micros, now: Micros) -> Answer:
    """Ask one."""
    start = floor_to(now, width) - (0 if connector.stage is None else width)
    answer = Answer(connector.name, start)
    try:
        for entry in connector.collect(start, start + width, now):
            answer.take(entry)
        answer.notes = [str(note) for note in connector.notes()] if isinstance(connector, Remembering) else []
    except ConnectorFailed as failure:
        answer.failure = failure
    return answer


@dataclass(frozen=True, slots=True)
class Reply:
    """What one channel said when it was asked whether it would take a notice; none was sent."""

    channel: str
    said: str
    failure: NotifyFailed | None = None

    @property
    def exit_code(self) -> int:
        """Of the command, were this the only channel."""
        return 0 if self.failure is None else OutOfReach.exit_code

    def record(self) -> dict[str, Any]:
        """For programs."""
        failure = None if self.failure is None else self.failure.message
        return {"channel": self.channel, "said": self.said, "failure": failure}

    def text(self) -> Iterator[str]:
        """For people."""
        yield ""
        if self.failure is None:
            yield f"channel {self.channel}: {self.said}"
        else:
            yield f"would not take a notice: {self.failure.message}"


def ask_channels(settings: Settings) -> list[Reply]:
    """Ask every channel; nobody is told anything."""
    return [_ask_channel(notifier) for notifier in notifiers_of(settings)]


def _ask_channel(notifier: Notifier) -> Reply:
    try:
        return Reply(notifier.name, notifier.check())
    except NotifyFailed as failure:
        return Reply(notifier.name, "", failure)


def permissions_text(settings: Settings) -> Iterator[str]:
    """The rights that each connector needs, as an administrator would type them."""
    for connector in connectors_of(settings):
        yield f"# {connector.name}"
        yield from connector.permissions()


def permissions_json(settings: Settings) -> str:
    """The same for programs."""
    return json.dumps({one.name: list(one.permissions()) for one in connectors_of(settings)}, indent=2)
