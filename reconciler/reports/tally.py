"""Sums over the verdict tiles of one hop, source by source: of a day, and how far each source is complete."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from reconciler.core.completeness import advance
from reconciler.core.outlines import SUMS, unsettled
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Bools, Ints, TileKey, VerdictTile
from reconciler.core.times import NEVER, Micros, floor_to
from reconciler.core.verdicts import Verdict
from reconciler.ports import Store

AMOUNTS = (*SUMS[:8], "recovered", "duplicated", *SUMS[8:])
"""Sums of events, as in `SUMS`: they add up in each row."""
COURSE = ("accepted", "missing", "lost", "worst")
"""What is summed bucket by bucket over all sources: events, `missing` with those that may still arrive; and the value
of the worst verdict."""
Span = tuple[Micros, Micros]
"""From an instant until before another."""


@dataclass(slots=True)
class Tally:
    """Arrays by source, `(n,)`."""

    day: Span
    """What is summed: starts of buckets in [from, to)."""
    born: Ints
    """Start of the first bucket; `NEVER` where that is found from the cells."""
    retired: Ints
    through: Ints
    """Before it every bucket is settled and complete; `NEVER` while there is none."""
    width: Micros
    amounts: dict[str, Ints] = field(default_factory=dict)
    judged: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Cells of the day that were judged."""
    missing: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Cells of the day that were judged `unknown`."""
    unproven: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Cells of the day that are not proven to be as they are said to be."""
    worst: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Value of the worst verdict of the day; 0: none."""
    cells: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Cells that the source has on the day."""
    course: Ints = field(default_factory=lambda: np.zeros((len(COURSE), 0), np.int64))
    """`(len(COURSE), buckets of the day)`: all sources together."""

    def __post_init__(self) -> None:
        size = len(self.born)
        self.amounts = {name: np.zeros(size, np.int64) for name in AMOUNTS}
        for name in ("judged", "missing", "unproven", "worst", "cells"):
            setattr(self, name, np.zeros(size, np.int64))
        self.course = np.zeros((len(COURSE), max(0, -((self.first - self.day[1]) // self.width))), np.int64)

    @property
    def first(self) -> Micros:
        """Start of the first bucket of the day."""
        return -floor_to(-self.day[0], self.width)

    @property
    def unknown(self) -> Ints:
        """Cells of the day of which nothing is known: not judged, or judged so."""
        unjudged: Ints = np.maximum(self.cells - self.judged, 0)
        return unjudged + self.missing

    def take(self, key: TileKey, tile: VerdictTile) -> None:
        """Add a tile; tiles come in order of their buckets."""
        rows = slice(key.chunk * CHUNK, min((key.chunk + 1) * CHUNK, len(self.born)))
        count = rows.stop - rows.start
        if count <= 0:  # sources that came up while this report was made
            return
        first, code = key.span * SPAN * self.width, tile.code[:count]
        starts = first + np.arange(SPAN, dtype=np.int64) * self.width
        self._be_born(rows, starts, code)
        good = (code == Verdict.COMPLETE) & ~tile.active[:count]
        self.through[rows] = advance(self.through[rows], good, first, self.width)
        inside = (starts >= self.day[0]) & (starts < self.day[1])
        if inside.any():
            self._sum(rows, tile, (code != Verdict.NONE) & inside, starts[inside])

    def _be_born(self, rows: slice, starts: Ints, code: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> None:
        """Where it is not known when a source began, it began with its first cell."""
        new = (self.born[rows] == NEVER) & (code != Verdict.NONE).any(axis=1)
        first = starts[(code != Verdict.NONE).argmax(axis=1)]
        self.born[rows] = np.where(new, first, self.born[rows])
        self.through[rows] = np.where(new, first, self.through[rows])

    def _sum(self, rows: slice, tile: VerdictTile, mine: Bools, starts: Ints) -> None:
        count = len(mine)
        code = np.where(mine, tile.code[:count], 0)
        part = {name: np.where(mine, tile.parts[name][:count], 0) for name in PARTS}
        waits = unsettled(code, part)
        part |= waits
        for name in AMOUNTS:
            self.amounts[name][rows] += part[name].sum(axis=1)
        self.judged[rows] += mine.sum(axis=1)
        self.missing[rows] += (code == Verdict.UNKNOWN).sum(axis=1)
        self.unproven[rows] += (mine & ~tile.proven[:count]).sum(axis=1)
        self.worst[rows] = np.maximum(self.worst[rows], code.max(axis=1))
        here = (starts - self.first) // self.width
        missing = sum(waits.values(), part["lost"])
        columns = slice(int(here[0]), int(here[-1]) + 1)
        inside = starts // self.width % SPAN
        for number, amount in enumerate((part["accepted"], missing, part["lost"])):
            self.course[number, columns] += amount[:, inside].sum(axis=0)
        self.course[3, columns] = np.maximum(self.course[3, columns], code[:, inside].max(axis=0))

    def close(self) -> None:
        """Count the cells that there are, judged or not; one that nobody judged is unknown, never good."""
        start = np.maximum(self.born, floor_to(self.day[0], self.width))
        end = np.minimum(self.retired, -floor_to(-self.day[1], self.width))
        self.cells = np.maximum((np.where(start == NEVER, end, end - start)) // self.width, 0)
        self.cells[self.born == NEVER] = 0
        unjudged = np.maximum(self.cells - self.judged, 0)
        self.unproven += unjudged
        self.worst = np.where(unjudged > 0, np.maximum(self.worst, Verdict.UNKNOWN), self.worst)


def complete_through(tallies: Sequence[Tally]) -> Ints:
    """By source: until when every bucket is settled and complete at every hop; `NEVER` where it has no bucket."""
    born = np.minimum.reduce([tally.born for tally in tallies])
    # At a hop of which less was said, it is not complete even where it began.
    through: Ints = np.minimum.reduce([np.where(tally.born == born, tally.through, born) for tally in tallies])
    return through


def scan(
    store: Store, pipeline: Pipeline, hop: Hop, day: Span, judged_at: Micros | None, as_of: Micros | None,
    *, whole: bool = True,
) -> Tally:  # fmt: skip
    """Go once over all cells of a hop that were ever judged, in order.

    Not `whole`: over those of the day only, and then nothing is known of how far sources are complete.
    """
    directory = store.directory(pipeline)
    born = np.array(directory.first_bucket, np.int64)
    # Who was known when, the directory does not say: of the past, a source begins with the first cell said by then.
    began = born if as_of is None else np.full(len(born), NEVER, np.int64)
    tally = Tally(day, began.copy(), np.array(directory.retired_at, np.int64), began.copy(), pipeline.width)
    if len(born) and judged_at is not None and born.min() < NEVER:
        first, last = (int(born.min()), max(judged_at, day[1])) if whole else (day[0], day[1] - 1)
        for key, tile in _tiles(store, pipeline, hop, first, last, as_of):
            tally.take(key, tile)
    tally.close()
    return tally


def _tiles(
    store: Store, pipeline: Pipeline, hop: Hop, first: Micros, last: Micros, as_of: Micros | None
) -> Iterator[tuple[TileKey, VerdictTile]]:
    name = hop.part
    if as_of is None:
        return store.verdict_tiles(pipeline, name, first, last)
    return store.verdicts_as_of(pipeline, name, first, last, as_of)
