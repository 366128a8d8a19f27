"""Holes: neighbouring bad cells of one source, as ranges of buckets."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN, Ints, VerdictTile
from reconciler.core.times import Micros, format_time
from reconciler.core.verdicts import Verdict
from reconciler.ports import Store

WAITING = ("retained", "in_flight", "passed_over", "unproven")
"""Parts of a gap that may still arrive."""
_IN_QUESTION = {
    Verdict.LOST: ("lost",),
    Verdict.SURPLUS: ("surplus",),
    Verdict.AT_RISK: WAITING,
    Verdict.DELAYED: WAITING,
    Verdict.UNKNOWN: (),
}
"""Verdicts that make a hole, and the parts whose events are in question."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Neighbouring buckets of a source of which the same bad thing is said."""

    hop: str
    """``from>to``."""
    source: str
    verdict: Verdict
    start: Micros
    """Start of the first bucket."""
    end: Micros
    """End of the last bucket."""
    events: int
    """How many are in question; 0 where that is not known."""

    def __str__(self) -> str:
        """One line for people."""
        from_stage, to_stage = self.hop.split(">")
        where = f"{from_stage} to {to_stage}, {self.source}"
        events = f"{self.events:,} " if self.verdict != Verdict.UNKNOWN else ""
        what = f"{events}{self.verdict.word.replace('_', ' ')}"
        return f"{format_time(self.start)} to {format_time(self.end)}  {where}: {what}"


def holes(store: Store, pipeline: Pipeline, start: Micros, end: Micros) -> list[Hole]:
    """All holes of [start, end), the worst first."""
    names = store.directory(pipeline).sources
    found: list[Hole] = []
    for hop in (hop.part for hop in pipeline.hops):
        cells = [np.zeros((4, 0), np.int64)]
        for key, tile in store.verdict_tiles(pipeline, hop, start, end - pipeline.width):
            cells.append(_bad(tile, key.chunk * CHUNK, key.span * SPAN))
        found += ranges(np.concatenate(cells, axis=1), hop, names, pipeline.width, (start, end))
    return sorted(found, key=lambda hole: (-hole.verdict, -hole.events, hole.start, hole.source))


def _bad(tile: VerdictTile, first_source: int, first_bucket: int) -> Ints:
    """Source, verdict, ordinal of the bucket and events of each bad cell of a tile: `(4, n)`."""
    row, column = np.nonzero(np.isin(tile.code, list(_IN_QUESTION)))
    code = tile.code[row, column].astype(np.int64)
    events = np.zeros(len(row), np.int64)
    for verdict, parts in _IN_QUESTION.items():
        for part in parts:
            events += np.where(code == verdict, tile.parts[part][row, column], 0)
    return np.stack([row + first_source, code, column + first_bucket, events])


def ranges(cells: Ints, hop: str, names: list[str], width: Micros, within: tuple[Micros, Micros]) -> Iterator[Hole]:
    """Neighbouring cells of a source and verdict as one hole; `cells` (4, n): source, verdict, ordinal, events."""
    inside = (cells[2] * width >= within[0]) & (cells[2] * width < within[1])
    cells = cells[:, inside]
    source, code, bucket, events = cells[:, np.lexsort((cells[2], cells[1], cells[0]))]
    if not len(source):
        return
    fresh = (np.diff(source) != 0) | (np.diff(code) != 0) | (np.diff(bucket) != 1)
    first = np.concatenate([[0], np.flatnonzero(fresh) + 1])
    last = np.concatenate([first[1:], [len(source)]]) - 1
    for begin, stop, amount in zip(first, last, np.add.reduceat(events, first), strict=True):
        start, end = int(bucket[begin]) * width, (int(bucket[stop]) + 1) * width
        yield Hole(hop, names[int(source[begin])], Verdict(int(code[begin])), start, end, int(amount))
