"""The adoption ladder: what each way of counting proves, and what it cannot. A hop is as high as its lower stage."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from reconciler.core.pipelines import Hop, Pipeline


class Level(IntEnum):
    """How much is known of each event, lowest first."""

    OFFSETS = 1
    """Its place in the queue."""
    BROKER_TIME = 2
    """When it was written to the queue."""
    ACCEPT_TIME = 3
    """When it was accepted, and from whom."""
    IDS = 4
    """Which event it is."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One level in words."""

    level: Level
    name: str
    proves: str
    cannot: str
    next: str
    """How to get one rung higher; empty at the top."""


QUEUE_PROVES = "where late events are: unread, jumped over by the consumer, or deleted before they were read"
"""What samples of the queue between two stages prove at any level."""
RUNGS = {
    rung.level: rung
    for rung in (
        Rung(
            Level.OFFSETS,
            "offsets only",
            "which offsets never reached the table, though later ones did",
            "say whose events they were, nor see what was lost before the queue",
            "count by the time of the record in the queue, and by source if the table has it",
        ),
        Rung(
            Level.BROKER_TIME,
            "the broker's timestamp",
            "that what the queue took was stored, minute by minute, and tells late from lost",
            "see what was accepted and never written to the queue",
            "let ingress stamp its accept time into a header or column, and count there too",
        ),
        Rung(
            Level.ACCEPT_TIME,
            "an accept time",
            "source by source and minute by minute, that as many events came out as were accepted",
            "see a loss that a duplicate hides in the same minute",
            "give `id` (or a digest) at both ends",
        ),
        Rung(
            Level.IDS, "ids", "that the same events came out that were accepted", "see what ingress never counted", ""
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How high one hop stands."""

    hop: Hop
    rung: Rung
    held_by: tuple[str, ...]
    """The stages that hold it down there."""
    queue: bool
    """Whether the queue between its stages is looked at: then what is late is proven to be safe or not."""


def standings(pipeline: Pipeline, fed: Mapping[str, Collection[Level]], *, broker: bool) -> list[Standing]:
    """How high each hop stands; `fed`: by stage the levels of the connectors that count there.

    Where no connector counts, senders do: with the accept time, for without it they could name no bucket. Digests that
    they send raise their cells, and are not known beforehand. `broker`: it is the broker that stamps the accept time.
    """
    found: list[Standing] = []
    for hop in pipeline.hops:
        levels = {stage: _level(fed.get(stage, ()), broker=broker) for stage in (hop.from_stage, hop.to_stage)}
        lowest = min(levels.values())
        held = tuple(stage for stage, level in levels.items() if level == lowest)
        queue = any(one.hop == hop and one.sampler for one in pipeline.queues.values())
        found.append(Standing(hop, RUNGS[lowest], held, queue))
    return found


def _level(found: Collection[Level], *, broker: bool) -> Level:
    lowest = min(found, default=Level.ACCEPT_TIME)
    return min(lowest, Level.BROKER_TIME) if broker else lowest
