"""`reconciler missing --ids`: which events, where both sides of a hop can name them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from reconciler.abilities import Identified
from reconciler.commands.terminal import counting
from reconciler.core.identities import Identity, Oddity, Summary, compare, prints, slots_for, stretches
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.times import Micros, floor_to, format_time
from reconciler.ports import Connector

EXAMPLES = 3
"""Ids that the text names for each source, bucket and reason; `--json` names all."""


@dataclass(frozen=True, slots=True)
class Side:
    """Those who count one stage of a hop."""

    connectors: tuple[Identified, ...]
    handed_on: bool
    """The side before the hop."""

    def summaries(self, start: Micros, end: Micros, slots: int) -> Iterator[Summary]:
        """What all of them have, in no order."""
        for one in self.connectors:
            yield from one.summaries(start, end, slots, handed_on=self.handed_on)

    def identities(self, start: Micros, end: Micros, slots: int, wanted: Sequence[int]) -> Iterator[Identity]:
        """The ids of all of them, in order of slot."""
        each = (one.identities(start, end, slots, wanted, handed_on=self.handed_on) for one in self.connectors)
        return merge(*each, key=lambda one: one.slot)


@dataclass(slots=True)
class Search:
    """What was found of a hop, and what could not be looked for."""

    hop: Hop
    unable: list[str] = field(default_factory=list)
    """Why nothing, or not everything, can be said; sentences."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.hop.from_stage} to {self.hop.to_stage}"

    def run(self, pipeline: Pipeline, connectors: Sequence[Connector], start: Micros, end: Micros) -> Iterator[Oddity]:
        """All ids of [start, end) that are odd, by stretches of buckets; only where the sides differ are any read."""
        before, after = (self._side(connectors, stage) for stage in (self.hop.from_stage, self.hop.to_stage))
        if before is None or after is None:
            return
        start, end = floor_to(start, pipeline.width), -floor_to(-end, pipeline.width)
        found = prints(before.summaries(start, end, 1), after.summaries(start, end, 1), lambda one: one.bucket)
        if found.unidentified:
            self.unable.append(f"{self.name}: {found.unidentified:,} events without an id were left out")
        where = list(stretches(found, pipeline.width))
        with counting("ids", sum(ids for _, _, ids in where)) as (_, advance):
            for first, last, ids in where:
                yield from _look(before, after, first, last, slots_for(ids))
                advance(ids)

    def _side(self, connectors: Iterable[Connector], stage: str) -> Side | None:
        own = [one for one in connectors if one.stage == stage]
        able = [one for one in own if isinstance(one, Identified) and one.unnamed is None]
        for one in own:
            if not isinstance(one, Identified):
                self.unable.append(f"{self.name}: connector {one.name} cannot name events")
            elif one.unnamed is not None:
                self.unable.append(f"{self.name}: connector {one.name} {one.unnamed}")
        if not own:
            self.unable.append(f"{self.name}: no connector counts {stage}, so nobody can be asked for ids")
        return Side(tuple(able), stage == self.hop.from_stage) if own and len(able) == len(own) else None


def _look(before: Side, after: Side, start: Micros, end: Micros, slots: int) -> Iterator[Oddity]:
    wanted = [0]
    if slots > 1:
        told = before.summaries(start, end, slots), after.summaries(start, end, slots)
        wanted = prints(*told, key=lambda one: one.slot).differing()
    if wanted:
        yield from compare(before.identities(start, end, slots, wanted), after.identities(start, end, slots, wanted))


def sentence(one: Oddity, hop: Hop) -> str:
    """What is odd of an id, as the rest of a sentence."""
    if one.reason == "double":
        return f"is {one.copies:,} times at {hop.to_stage}"
    if one.reason == "extra":
        return f"is at {hop.to_stage}, and never was at {hop.from_stage}"
    if one.reason == "moved" and one.there is not None:
        return f"is at {hop.to_stage} as of {one.there[0]}, {format_time(one.there[1])}"
    return f"is at {hop.from_stage}, and not at {hop.to_stage}"


def in_short(found: Iterable[tuple[Hop, Oddity]]) -> Iterator[str]:
    """For people: how many by source, bucket and reason, and some of them by name."""
    several: dict[tuple[str, Micros, str, Hop], tuple[int, list[str], Oddity]] = {}
    for hop, one in found:
        key = (one.source, one.bucket, one.reason, hop)
        number, names, first = several.get(key, (0, [], one))
        several[key] = (number + 1, names if len(names) >= EXAMPLES else [*names, one.id], first)
    for (source, bucket, reason, hop), (number, names, first) in sorted(several.items(), key=lambda one: one[0][:3]):
        more = f" and {number - len(names):,} more" if number > len(names) else ""
        what = (
            sentence(first, hop) if number == 1 or reason != "double" else f"are there more than once at {hop.to_stage}"
        )
        what = what if number == 1 else what.replace("is at", "are at", 1).replace("never was", "never were")
        yield f"{format_time(bucket)} {source}: {number:,} {reason}: {', '.join(names)}{more} {what}"


def record(pipeline: str, hop: Hop, one: Oddity) -> dict[str, Any]:
    """For programs."""
    return {
        "pipeline": pipeline,
        "name": one.id,
        "source": one.source,
        "at": format_time(one.bucket),
        "reason": one.reason,
        "events": one.copies - 1 if one.reason == "double" else 1,
        "text": sentence(one, hop),
        "from_stage": hop.from_stage,
        "to_stage": hop.to_stage,
    }
