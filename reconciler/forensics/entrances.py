"""Entry points: sources that came in the same way, and so can send again in the same way."""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.core.senders import Sender, Way, by_sender
from reconciler.core.times import Micros
from reconciler.settings import Settings

WORDS = {
    Way.REREAD: "we read them again from where they were taken",
    Way.PARTNER: "the partner sends them again when asked",
    Way.CUSTOMER: "only the customer's own servers can send them again",
    Way.REWIND: "they are still in a queue before ours, whose consumer is set back",
    None: "nobody has said yet how they can be sent again",
}


@dataclass(frozen=True, slots=True)
class Entrance:
    """Sources that can send again in one way."""

    name: str
    sources: tuple[str, ...]
    sender: Sender | None

    @property
    def way(self) -> Way | None:
        """Who sends again; None: nobody has said."""
        return None if self.sender is None else self.sender.way

    def deadline(self, first: Micros) -> Micros | None:
        """Until when events accepted from `first` on can all be sent again."""
        return None if self.sender is None else self.sender.deadline(first)


def entrances(settings: Settings, sources: Iterable[str]) -> list[Entrance]:
    """The sources by how they can send again; those of which nothing is known by the first part of their names."""
    found: list[Entrance] = []
    for sender, names in by_sender(settings.senders, sources):
        if sender is not None:
            found.append(Entrance(sender.name, tuple(names), sender))
            continue
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(name.partition("/")[0], []).append(name)
        found += [Entrance(group, tuple(own), None) for group, own in groups.items()]
    return found
