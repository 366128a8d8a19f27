"""Gathers an incident from the ledger: nothing is judged, everything has been said or recorded before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.core.observations import Capacity, Observation, Progress, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, NEVER, Micros, format_time
from reconciler.errors import ConfigError
from reconciler.forensics.entrances import Entrance, entrances
from reconciler.forensics.losses import Losses, losses
from reconciler.forensics.offsets import Holding, Move, Range, holdings, moves, ranges, window
from reconciler.forensics.standing import Standing, standings
from reconciler.forensics.timeline import (
    Entry,
    in_order,
    of_capacities,
    of_incidents,
    of_losses,
    of_queues,
    of_reporters,
    of_retention,
    of_standing,
)
from reconciler.reports.maker import maker
from reconciler.serving import ServiceStore
from reconciler.settings import Settings

BEFORE: Micros = DAY
"""So long before the window the causes are looked for."""
AFTER: Micros = DAY
"""So long after it, what became of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one pipeline."""

    pipeline: Pipeline
    losses: list[Losses]
    """By hop."""
    standing: list[Standing]
    moves: list[Move]
    offsets: list[Range]
    """Deleted ones, and those of the windows that are lost or were skipped."""
    holdings: list[Holding]
    incidents: list[list[dict[str, Any]]]
    """All that was said of each, in order."""
    entries: list[Entry]
    entrances: list[Entrance]
    """Those with a cell that is not well."""


@dataclass(frozen=True, slots=True)
class Investigation:
    """What is known of a window of all pipelines."""

    start: Micros
    end: Micros
    as_of: Micros | None
    """What had been said and seen by then; None: all."""
    found: list[Found]
    made_by: dict[str, str]

    @property
    def timeline(self) -> list[Entry]:
        """Of all pipelines, in order."""
        return in_order(entry for one in self.found for entry in one.entries)


def investigate(
    store: ServiceStore, settings: Settings, pipelines: Sequence[Pipeline], start: Micros, end: Micros,
    as_of: Micros | None = None,
) -> Investigation:  # fmt: skip
    """All that the ledger knows of the buckets of [start, end), now or as of a past instant."""
    if end <= start:
        raise ConfigError(f"the window ends at {format_time(end)}, which is not after its start, {format_time(start)}")
    found = [_pipeline(store, settings, pipeline, (start, end), as_of) for pipeline in pipelines]
    return Investigation(start, end, as_of, found, maker(pipelines))


def _pipeline(
    store: ServiceStore, settings: Settings, pipeline: Pipeline, span: tuple[Micros, Micros], as_of: Micros | None
) -> Found:  # fmt: skip
    kept = store.horizon(pipeline)
    if span[0] < (kept.verdicts if as_of is None else kept.detail):
        instant = format_time(kept.verdicts if as_of is None else kept.detail)
        raise ConfigError(f"{pipeline.name}: what was known of buckets before {instant} has been removed (`retention`)")
    seen = list(store.observations(pipeline, span[0] - BEFORE, min(span[1] + AFTER, as_of or NEVER), counts=False))
    samples = [one for one in seen if isinstance(one, QueueSample)]
    found = [losses(store, pipeline, hop.part, *span, as_of) for hop in pipeline.hops]
    until = NEVER if as_of is None else as_of
    told = [list(standings(store, pipeline, hop.part, span, until)) for hop in pipeline.hops]
    shown = moves(samples)
    deleted = ranges(shown)
    changes = _changes(store, pipeline, span, until)
    names = {one.names[number] for one in found for number in one.sources}
    return Found(
        pipeline,
        found,
        [one for standing in told for one in standing],
        shown,
        [*deleted, *_windows(pipeline, found, samples)],
        holdings(_latest(store, pipeline, samples, as_of)),
        changes,
        in_order(_entries(pipeline, seen, shown, deleted, found, told, changes)),
        entrances(settings, sorted(names)),
    )


def _entries(
    pipeline: Pipeline, seen: Sequence[Observation], shown: Sequence[Move], deleted: Sequence[Range],
    found: Iterable[Losses], told: Iterable[Iterable[Standing]], changes: Iterable[Sequence[dict[str, Any]]],
) -> Iterable[Entry]:  # fmt: skip
    first: dict[str, tuple[Micros, Micros | None]] = {}
    for one in seen:
        if isinstance(one, QueueSample):
            first.setdefault(one.queue, (one.at, one.retention))
    yield from of_retention(pipeline, first)
    yield from of_queues(pipeline, shown, deleted)
    yield from of_capacities(pipeline, [one for one in seen if isinstance(one, Capacity)])
    yield from of_reporters(pipeline, [one for one in seen if isinstance(one, Progress)])
    for lost in found:
        yield from of_losses(pipeline, lost)
    for standing in told:
        yield from of_standing(pipeline, standing)
    yield from of_incidents(pipeline.name, changes)


def _changes(
    store: ServiceStore, pipeline: Pipeline, span: tuple[Micros, Micros], until: Micros
) -> list[list[dict[str, Any]]]:  # fmt: skip
    """All that was said until then of each incident that has to do with the window, or stood when it began."""
    first, last = format_time(span[0]), format_time(span[1])
    found = []
    for line in store.incidents(pipeline.name, NEVER):
        changes = [one for one in store.incident_changes(line["id"]) if one["at"] <= _text(until)]
        if not changes:
            continue
        covers = any(one["from"] < last and one["to"] > first for one in changes)
        opened, latest = changes[0], changes[-1]
        stood = opened["at"] < last and (latest["status"] != "resolved" or latest["at"] >= first)
        if covers or stood:
            found.append(changes)
    return found


def _text(instant: Micros) -> str:
    """The instant so that texts of times compare with it."""
    return "9999" if instant >= NEVER else format_time(instant)


def _windows(pipeline: Pipeline, found: Iterable[Losses], samples: Sequence[QueueSample]) -> list[Range]:
    """The offsets of each stretch of buckets with a loss, in the queues of its hop."""
    made: list[Range] = []
    for one in found:
        for name, queue in pipeline.queues.items():
            if queue.hop.part == one.hop:
                own = [sample for sample in samples if sample.queue == name]
                for start, end, _ in one.ranges():
                    made += window(own, start, end, "lost")
    return made


def _latest(
    store: ServiceStore, pipeline: Pipeline, samples: Sequence[QueueSample], as_of: Micros | None
) -> Iterable[QueueSample]:  # fmt: skip
    """The samples that say what the queues hold now, or held then."""
    last = as_of if as_of is not None else store.judged_at(pipeline)
    if last is None:
        return samples
    known = max((sample.at for sample in samples), default=0)
    recent = store.observations(pipeline, last - HOUR, last, counts=False)
    return [*samples, *(one for one in recent if isinstance(one, QueueSample) and one.at > known)]
