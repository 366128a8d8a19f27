"""What is missing from a window: cell by cell, and summed by source, by entry point and by bucket, with bounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Ints, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.core.verdicts import Evidence, Verdict
from reconciler.serving import ServiceStore

GONE = (Verdict.LOST, Verdict.AT_RISK, Verdict.DELAYED, Verdict.PENDING, Verdict.UNKNOWN, Verdict.SURPLUS)
"""Verdicts of cells that are told one by one."""
COLUMNS = ("source", "bucket", "code", "evidence", "accepted", "processed", "accounted", "lost", "lost_proven",
           "waiting", "recovered", "duplicated", "surplus", "loss_at")  # fmt: skip
"""Of a cell. `waiting`: missing, and not lost yet."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many events are lost: no fewer, as far as can be inferred, and no more."""

    proven: int
    """Direct evidence shows them to be lost."""
    inferred: int
    """Lost, as the rules infer; the proven ones are among them."""
    upper: int
    """With all that is missing and not proven to be safe."""
    unknown: int
    """Cells of which counts are missing: nothing bounds them."""
    accepted: int

    def record(self) -> dict[str, int]:
        """For programs."""
        return {name: getattr(self, name) for name in ("accepted", "proven", "inferred", "upper", "unknown")}


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The cells of one hop in a window that are not well, as parallel arrays `(n,)` by the names of `COLUMNS`."""

    pipeline: Pipeline
    hop: str
    names: Sequence[str]
    """Of all sources, by ordinal."""
    cells: dict[str, Ints]
    accepted: Ints
    """By source: events accepted in the window, those of cells that are well too."""

    @property
    def lost(self) -> "Losses":
        """Those with events that are lost."""
        return self.where(self.cells["lost"] > 0)

    def where(self, which: Any) -> "Losses":
        """Some of these cells."""
        own = {name: column[which] for name, column in self.cells.items()}
        return Losses(self.pipeline, self.hop, self.names, own, self.accepted)

    @property
    def window(self) -> tuple[Micros, Micros] | None:
        """From the first bucket with a loss to the end of the last; None: nothing is lost."""
        buckets = self.lost.cells["bucket"]
        return (int(buckets.min()), int(buckets.max()) + self.pipeline.width) if len(buckets) else None

    @property
    def buckets(self) -> int:
        """How many buckets have a loss."""
        return len(np.unique(self.lost.cells["bucket"]))

    def bounds(self, sources: Sequence[int] | None = None) -> Bounds:
        """Of all sources, or of these."""
        mine = self if sources is None else self.where(np.isin(self.cells["source"], sources))
        accepted = self.accepted if sources is None else self.accepted[list(sources)]
        cells = mine.cells
        proven, inferred, waiting = (int(cells[name].sum()) for name in ("lost_proven", "lost", "waiting"))
        unknown = int((cells["code"] == Verdict.UNKNOWN).sum())
        return Bounds(proven, inferred, inferred + waiting, unknown, int(accepted.sum()))

    @property
    def sources(self) -> list[int]:
        """Ordinals of the sources with a cell that is not well, those that have lost most first."""
        found = np.unique(self.cells["source"])
        lost = np.bincount(self.cells["source"], self.cells["lost"], minlength=len(self.names))
        return sorted(found.tolist(), key=lambda one: (-lost[one], self.names[one]))

    def evidence(self) -> dict[str, int]:
        """By kind of evidence: lost events of the cells that bear it, the most first."""
        bits, lost = self.lost.cells["evidence"], self.lost.cells["lost"]
        sums = {flag.name.lower(): int(lost[(bits & flag) > 0].sum()) for flag in Evidence if flag.name}
        return dict(sorted(((name, amount) for name, amount in sums.items() if amount), key=lambda one: -one[1]))

    def ranges(self, sources: Sequence[int] | None = None) -> list[tuple[Micros, Micros, int]]:
        """Stretches of neighbouring buckets with a loss in any of these sources: from, to, events."""
        mine = self.lost if sources is None else self.lost.where(np.isin(self.lost.cells["source"], sources))
        buckets, at = np.unique(mine.cells["bucket"], return_inverse=True)
        if not len(buckets):
            return []
        events = np.bincount(at, mine.cells["lost"]).astype(np.int64)
        edges = np.flatnonzero(np.diff(buckets) != self.pipeline.width) + 1
        firsts, lasts = [0, *edges.tolist()], [*edges.tolist(), len(buckets)]
        return [
            (int(buckets[a]), int(buckets[b - 1]) + self.pipeline.width, int(events[a:b].sum()))
            for a, b in zip(firsts, lasts, strict=True)
        ]

    def by_bucket(self) -> Iterator[tuple[Micros, dict[str, int]]]:
        """By bucket: the sums of the cells that are not well."""
        buckets, at = np.unique(self.cells["bucket"], return_inverse=True)
        names = ("accepted", "processed", "lost", "lost_proven", "waiting", "recovered")
        sums = {name: np.bincount(at, self.cells[name], len(buckets)).astype(np.int64) for name in names}
        for number, bucket in enumerate(buckets.tolist()):
            yield bucket, {name: int(sums[name][number]) for name in names}


def losses(
    store: ServiceStore, pipeline: Pipeline, hop: str, start: Micros, end: Micros, as_of: Micros | None
) -> Losses:  # fmt: skip
    """What is missing from the buckets of [start, end), as last said or as said by `as_of`."""
    names = store.directory(pipeline).sources
    found: dict[str, list[Ints]] = {name: [np.zeros(0, np.int64)] for name in COLUMNS}
    accepted = np.zeros(len(names), np.int64)
    last = end - pipeline.width
    if as_of is None:
        tiles = store.verdict_tiles(pipeline, hop, start, last)
    else:
        tiles = store.verdicts_as_of(pipeline, hop, start, last, as_of)
    for key, tile in tiles:
        _take(found, accepted, key, tile, (start, end), pipeline.width)
    return Losses(pipeline, hop, names, {name: np.concatenate(parts) for name, parts in found.items()}, accepted)


def _take(
    found: dict[str, list[Ints]], accepted: Ints, key: TileKey, tile: VerdictTile, span: tuple[Micros, Micros],
    width: Micros,
) -> None:  # fmt: skip
    starts = (key.span * SPAN + np.arange(SPAN, dtype=np.int64)) * width
    inside = (starts >= span[0]) & (starts < span[1])
    rows = min(CHUNK, len(accepted) - key.chunk * CHUNK)
    accepted[key.chunk * CHUNK : key.chunk * CHUNK + rows] += tile.parts["accepted"][:rows, inside].sum(axis=1)
    row, column = np.nonzero(np.isin(tile.code[:rows], GONE) & inside)
    plain: dict[str, Any] = dict(zip(PARTS, tile.parts.take(row, column), strict=True))
    plain["source"], plain["bucket"] = row + key.chunk * CHUNK, starts[column]
    plain["code"], plain["evidence"] = tile.code[row, column], tile.evidence[row, column]
    plain["waiting"] = sum(plain[name] for name in ("retained", "in_flight", "passed_over", "unproven"))
    plain["loss_at"] = tile.loss_at[row, column]
    for name in COLUMNS:
        found[name].append(plain[name].astype(np.int64))
