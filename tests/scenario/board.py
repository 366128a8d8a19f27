"""The state of every cell of a story at each instant: as a detector said it, and as it truly is."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.scenarios import Story, Truth
from reconciler.scenarios.cells import Name, Parts
from reconciler.scenarios.checks import VERDICTS
from reconciler.scenarios.expressions import Expression

UNSAID = -1  # no verdict about this cell so far
TRUE_PARTS = ("accepted", "processed", "accounted", "retained", "working", "passed_over", "lost", "surplus")
Event = Mapping[str, Any]


class Said:
    """What the detector says of the cells of one source."""

    def __init__(self, cells: int) -> None:
        self.verdict = np.full(cells, UNSAID, dtype=np.int8)
        self.proven = np.zeros(cells, dtype=bool)
        self.evidence: dict[str, NDArray[np.bool_]] = {}
        self.line: dict[int, Event] = {}  # the last line about a cell

    def hear(self, cell: int, line: Event) -> None:
        self.verdict[cell] = VERDICTS.index(line["verdict"])
        self.proven[cell] = is_proven(line)
        for known in self.evidence.values():
            known[cell] = False
        for kind in line.get("evidence", ()):
            self.evidence.setdefault(kind, np.zeros(len(self.verdict), dtype=bool))[cell] = True
        self.line[cell] = line

    def shows(self, kinds: Sequence[str]) -> NDArray[np.bool_]:
        """Which cells have at least one of these kinds of evidence."""
        shown = np.zeros(len(self.verdict), dtype=bool)
        for kind in kinds:
            shown |= self.evidence.get(kind, False)
        return shown


class Board:
    """Both sides, moved on minute by minute. Cells are numbered by their bucket."""

    def __init__(self, story: Story, truth: Truth) -> None:
        self.story, self.width = story, story.bucket
        self._offset = story.t0 // 60 % self.width
        self._first = self._start(story.first)
        last = max((bucket for _, bucket in truth.changes), default=story.first)
        self.buckets = np.arange(self._first, self._start(last) + 1, self.width)
        self.said = {source: Said(len(self.buckets)) for source in story.sources}
        self.true = {source: self._parts() for source in story.sources}
        self._now: dict[Name, Parts] = {}
        self._matched: dict[tuple[str, ...], list[str]] = {}
        self._changes = truth.by_time()
        self._end = {source: np.zeros(len(self.buckets), dtype=np.int64) for source in story.sources}
        for (source, bucket), changes in truth.changes.items():
            self._end[source][self.cell(bucket)] += changes[-1][1].lost

    def cell(self, bucket: int) -> int:
        return (self._start(bucket) - self._first) // self.width

    def minute(self, time: str) -> float:
        """The minute of the story at this instant."""
        return (_seconds(time) - self.story.t0) / 60

    def sources(self, match: Iterable[str]) -> list[str]:
        """The sources that one of the patterns names, and no pattern with `!` in front."""
        patterns = tuple(match)
        if patterns not in self._matched:
            self._matched[patterns] = self._match(patterns)
        return self._matched[patterns]

    def _match(self, patterns: tuple[str, ...]) -> list[str]:
        wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
        unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        return [name for name in self.story.sources if _any(name, wanted) and not _any(name, unwanted)]

    def move_to(self, now: int) -> None:
        """Let become true what became so at this instant."""
        for name, parts in self._changes.get(now, ()):
            arrays, cell, before = self.true[name[0]], self.cell(name[1]), self._now.get(name)
            for part in TRUE_PARTS:
                arrays[part][cell] += getattr(parts, part) - (getattr(before, part) if before else 0)
            self._now[name] = parts

    def hear(self, line: Event) -> None:
        """One verdict line of the detector, of a known source."""
        cell = self.cell(int(self.minute(line["bucket"])))
        if 0 <= cell < len(self.buckets):
            self.said[line["source"]].hear(cell, line)

    def choose(self, where: Expression, source: str, now: int) -> NDArray[np.bool_]:
        """The cells of the source that the expression means."""
        values: dict[str, Any] = {"b": self.buckets, "t": now}
        if not where.names <= values.keys():
            true = self.true[source]
            values |= true
        if "doomed" in where.names:
            values["doomed"] = np.minimum(true["retained"], np.maximum(0, self._end[source] - true["lost"]))
        return np.broadcast_to(np.asarray(where(values), dtype=bool), self.buckets.shape)

    def judged(self, now: int) -> NDArray[np.bool_]:
        """A bucket that ended less than three minutes ago is not judged by the story."""
        old: NDArray[np.bool_] = self.buckets + self.width + 3 <= now
        return old

    def _start(self, bucket: int) -> int:
        return (bucket + self._offset) // self.width * self.width - self._offset

    def _parts(self) -> dict[str, NDArray[np.int64]]:
        return {part: np.zeros(len(self.buckets), dtype=np.int64) for part in TRUE_PARTS}


def is_proven(line: Event) -> bool:
    """Whether the queue was seen to hold all that is missing: as the line says, else by its parts."""
    if "proven" in line:
        return bool(line["proven"])
    return line.get("retained", 0) > 0 and not line.get("unproven", 0) and not line.get("in_flight", 0)


@lru_cache(maxsize=4096)
def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _any(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
