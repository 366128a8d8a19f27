"""Until when data may be read without missing anything, and what stands in the way of more."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from reconciler.core.directory import Directory
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import Ints
from reconciler.core.times import NEVER, Micros, format_time
from reconciler.ports import Store
from reconciler.reports.cells import Asked, cells

SHOWN = 10
"""Sources whose hindrance is named."""


@dataclass(frozen=True, slots=True)
class Completion:
    """How far a pipeline is complete."""

    sources: dict[str, Micros | None]
    """By source: before which instant every bucket is settled and complete at every hop; None: it has none."""
    ended: frozenset[str]
    """Those who have retired and are complete to their end: they keep nobody waiting."""

    @property
    def least(self) -> Micros | None:
        """Before which instant all who have not ended are complete; None where there is nobody."""
        return min((at for name, at in self.sources.items() if at is not None and name not in self.ended), default=None)

    def matching(self, pattern: str) -> list[str]:
        """The sources of this pattern."""
        return [name for name in self.sources if fnmatchcase(name, pattern)]

    def behind(self, pattern: str, through: Micros) -> list[tuple[Micros | None, str]]:
        """Those of these sources who are not complete through this instant, and how far they are; the last first."""
        found = [
            (self.sources[name], name)
            for name in self.matching(pattern)
            if name not in self.ended and ((at := self.sources[name]) is None or at < through)
        ]
        return sorted(found, key=lambda one: (one[0] or 0, one[1]))


def completion_of(directory: Directory, through: Ints, pipeline: Pipeline) -> Completion:
    """How far it is, from the instants of its sources."""
    retired = np.array(directory.retired_at, np.int64)[: len(through)]
    ended = through + pipeline.width > retired
    names = directory.sources[: len(through)]
    reached = {name: None if at == NEVER else at for name, at in zip(names, through.tolist(), strict=True)}
    return Completion(reached, frozenset(name for name, done in zip(names, ended.tolist(), strict=True) if done))


def completion(store: Store, pipeline: Pipeline) -> Completion:
    """How far it is now, as last judged."""
    through = store.reached(pipeline)
    return completion_of(store.directory(pipeline), through, pipeline)


def hindrances(
    store: Store, pipeline: Pipeline, behind: list[tuple[Micros | None, str]]
) -> Iterator[tuple[str, Micros | None, list[dict[str, Any]]]]:
    """Of those who are furthest behind: the source, how far it is, and what was said of its next bucket, hop by hop."""
    for at, source in behind[:SHOWN]:
        said: list[dict[str, Any]] = []
        if at is not None:
            asked = Asked(prefix=source, first=at, end=at + pipeline.width)
            lines, _ = cells(store, {pipeline.name: pipeline}, asked, None, SHOWN * len(pipeline.hops))
            said = [line for line in lines if line["source"] == source]
        yield source, at, said


def in_the_way(source: str, at: Micros | None, said: list[dict[str, Any]]) -> str:
    """One line for people."""
    if at is None:
        return f"{source}: nothing was ever counted"
    until = f"{source}: complete through {format_time(at)}, the bucket from then on"
    if not said:
        return f"{until} is not judged yet"
    words = [
        f"is {line['verdict']} from {line['from_stage']} to {line['to_stage']}{_amounts(line)}"
        for line in said
        if line["verdict"] != "complete" or len(said) == 1
    ]
    return f"{until} {' and '.join(words or ['is complete, and not settled'])}"


def _amounts(line: dict[str, Any]) -> str:
    names = ("lost", "surplus", "retained", "passed_over", "in_flight", "unproven")
    amounts = [f"{line[name]:,} {name.replace('_', ' ')}" for name in names if line[name]]
    evidence = [", ".join(line["evidence"]).replace("_", " ")] if line["evidence"] else []
    return f" ({'; '.join([*amounts, *evidence])})" if amounts or evidence else ""
