"""What is known of one pipeline as of an instant: the working set that the judgement reads.

The backtest keeps one `Ledger` for its whole run; the service loads the tiles that changed or are still open into one,
judges, and writes back what is new. Either way observations enter by `apply`, and the judgement sees the same arrays.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from statistics import median

import numpy as np

from reconciler.core.directory import Directory
from reconciler.core.looked import Looked
from reconciler.core.observations import Capacity, Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.replays import Due
from reconciler.core.tiles import CHUNK, SPAN, CountTile, Ints, Readings, TileKey, VerdictTile
from reconciler.core.times import Micros

ADVANCES = 9
"""How many of a reporter's latest advances are kept to know its usual interval."""


@dataclass(slots=True)
class Reporter:
    """How far one reporter of a stage has reported, as of now."""

    stage: str
    name: str
    heard_at: Micros
    """`at` of its latest progress."""
    through: Micros
    final: bool = False
    advances: tuple[tuple[Micros, Micros], ...] = ()
    """The latest (at, through) pairs in which `through` grew, oldest first, at most `ADVANCES`."""

    def advance(self, seen: Progress) -> None:
        """Take a later progress of this reporter."""
        if not self.advances or seen.through > self.advances[-1][1]:
            self.advances = (*self.advances, (seen.at, seen.through))[-ADVANCES:]
        self.heard_at, self.through, self.final = seen.at, max(self.through, seen.through), seen.final

    @property
    def advanced_at(self) -> Micros:
        """When `through` last grew."""
        return self.advances[-1][0] if self.advances else self.heard_at

    @property
    def usual_interval(self) -> Micros:
        """Median time between its latest advances; 0 while fewer than two were seen."""
        return _usual_interval(self.advances)


@lru_cache(maxsize=4096)
def _usual_interval(advances: tuple[tuple[Micros, Micros], ...]) -> Micros:
    times = [at for at, _ in advances]
    return int(median(later - at for at, later in pairwise(times))) if len(times) > 1 else 0


def _no_dues(ledger: "Ledger") -> list[Due]:
    return []


@dataclass(slots=True)
class Ledger:
    """The working set of one pipeline."""

    pipeline: Pipeline
    directory: Directory = field(default_factory=Directory)
    counts: dict[TileKey, CountTile] = field(default_factory=dict)
    verdicts: dict[TileKey, VerdictTile] = field(default_factory=dict)
    open: set[TileKey] = field(default_factory=set)
    """Verdict tiles with cells of which time alone may still change what is said."""
    touched: set[TileKey] = field(default_factory=set)
    """Count tiles whose current values have changed since they were last judged."""
    spans: range | None = None
    """Only tiles of these spans are to be judged; `None`: all."""
    reporters: dict[tuple[str, str], Reporter] = field(default_factory=dict)
    """By (stage, reporter)."""
    samples: list[QueueSample] = field(default_factory=list)
    """Queue samples since the last judgement (or since `looked`, or the oldest open cell, after a load), in order of
    `at`."""
    looked: Looked | None = None
    """What the samples before them have come to, where that was kept."""
    samples_since: Micros = 0
    """From when on a judgement needs them; 0: whoever judges remembers the others, and nothing is kept of them."""
    capacities: dict[str, list[Capacity]] = field(default_factory=dict)
    """By resource: the latest readings, oldest first."""
    dues: Callable[["Ledger"], list[Due]] = _no_dues
    """Replays whose deadline is near, and what they still lack; asked once the cells are judged. It is given the ledger
    and does not hold it, so that the arrays of a portion are freed as soon as it is judged."""
    counted_at: dict[str, Micros] = field(default_factory=dict)
    """By stage: `at` of its latest count. A stage without progress is judged by it."""

    def apply(self, observations: Iterable[Observation]) -> None:
        """Take observations of this pipeline, in order of arrival."""
        counts: list[Count] = []
        for seen in observations:
            match seen:
                case Count():
                    counts.append(seen)
                case Progress():
                    self._progress(seen)
                case QueueSample():
                    self.samples.append(seen)
                case Capacity():
                    kept = self.capacities.setdefault(seen.resource, [])
                    kept.append(seen)
                    del kept[:-CAPACITY_READINGS]
        for key, batch in group(self.directory, self.pipeline, counts).items():
            tile = self.counts.get(key)
            if tile is None:
                tile = self.counts[key] = CountTile()
            news, stale = tile.apply(batch)
            if (news & ~stale).any():
                self.touched.add(key)
        self._note(counts)

    def _note(self, counts: Iterable[Count]) -> None:
        latest = self.counted_at
        for seen in counts:
            if seen.at > latest.get(seen.stage, 0):
                latest[seen.stage] = seen.at

    def count_tiles(self, stage: str, first: Micros, last: Micros) -> Iterator[tuple[TileKey, CountTile]]:
        """The count tiles of a stage that hold the buckets first to last (inclusive), by span and chunk."""
        width = self.pipeline.width * SPAN
        own = [key for key in self.counts if key.part == stage and first // width <= key.span <= last // width]
        for key in sorted(own, key=lambda one: (one.span, one.chunk)):
            yield key, self.counts[key]

    def _progress(self, seen: Progress) -> None:
        key = (seen.stage, seen.reporter)
        reporter = self.reporters.get(key)
        if reporter is None:
            reporter = self.reporters[key] = Reporter(seen.stage, seen.reporter, seen.at, seen.through)
        elif seen.at < reporter.heard_at:
            return
        reporter.advance(seen)


CAPACITY_READINGS = 60
"""How many readings of a capacity are kept in the working set, to see how fast it fills."""


def group(directory: Directory, pipeline: Pipeline, counts: Sequence[Count]) -> dict[TileKey, Readings]:
    """Sort counts into the tiles that they belong to; new sources and series get their numbers here."""
    if not counts:
        return {}
    source, series = directory.number(counts, pipeline.max_sources)
    bucket = np.array([seen.bucket for seen in counts], np.int64)
    directory.saw(source, bucket)
    ordinal = bucket // pipeline.width
    whole = _readings(counts, series, ordinal % SPAN)
    stages = list(dict.fromkeys(seen.stage for seen in counts))
    numbers = {stage: number for number, stage in enumerate(stages)}
    stage = np.array([numbers[seen.stage] for seen in counts], np.int64)
    place = np.stack([stage, source // CHUNK, ordinal // SPAN])
    order = np.lexsort(place)  # it is stable: within a tile the order of arrival stays
    ranked, whole = place[:, order], whole.take(order)
    edges = (ranked[:, 1:] != ranked[:, :-1]).any(axis=0).nonzero()[0] + 1
    tiles: dict[TileKey, Readings] = {}
    for first, last in pairwise([0, *edges.tolist(), len(counts)]):
        number, chunk, span = ranked[:, first].tolist()
        tiles[TileKey(stages[number], chunk, span)] = whole.take(slice(first, last))
    return tiles


def _readings(counts: Sequence[Count], series: Ints, column: Ints) -> Readings:
    return Readings(
        series=series,
        column=column,
        count=np.array([seen.count for seen in counts], np.int64),
        at=np.array([seen.at for seen in counts], np.int64),
        digest=np.array([seen.digest or 0 for seen in counts], np.uint64),
        digested=np.array([seen.digest is not None for seen in counts], np.bool_),
        error=np.array([seen.error for seen in counts], np.float64),
    )
