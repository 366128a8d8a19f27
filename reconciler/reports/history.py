"""One source bucket by bucket: what was accepted and processed, and what each gap consists of."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Bools, Ints
from reconciler.core.times import Micros
from reconciler.core.verdicts import Evidence, Verdict
from reconciler.serving import ServiceStore

MOST = 44_640
"""Buckets that are looked at, at most: a month of minutes."""


@dataclass(frozen=True, slots=True)
class History:
    """Arrays by bucket, `(n,)`; the first bucket starts at `start`."""

    start: Micros
    width: Micros
    code: NDArray[np.uint8]
    evidence: Ints
    parts: Ints
    """`(len(PARTS), n)`, events."""
    loss_at: Ints
    proven: Bools

    def part(self, name: str) -> Ints:
        """One of `PARTS`."""
        amounts: Ints = self.parts[PARTS.index(name)]
        return amounts

    def sums(self) -> dict[str, int]:
        """Over all buckets."""
        return dict(zip(PARTS, self.parts.sum(axis=1).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring buckets of which the same is said."""

    start: Micros
    end: Micros
    verdict: Verdict
    evidence: tuple[str, ...]
    buckets: int
    sums: dict[str, int]
    loss_at: Micros | None
    """The earliest."""
    proven: bool


def history(
    store: ServiceStore, pipeline: Pipeline, hop: Hop, source: int, span: tuple[Micros, Micros], as_of: Micros | None
) -> History:
    """What was last said, or had been said by `as_of`, of the buckets that start in the span."""
    width = pipeline.width
    first = -(-span[0] // width)
    last = min(max(-(-span[1] // width), first + 1), first + MOST)
    size = last - first
    found = History(
        first * width, width, np.zeros(size, np.uint8), np.zeros(size, np.int64),
        np.zeros((len(PARTS), size), np.int64), np.zeros(size, np.int64), np.zeros(size, np.bool_),
    )  # fmt: skip
    name, row = hop.part, source % CHUNK
    for number, tile in store.source_tiles(pipeline, name, source, first * width, (last - 1) * width, as_of):
        low, high = max(first, number * SPAN), min(last, (number + 1) * SPAN)
        here, there = slice(low - first, high - first), slice(low - number * SPAN, high - number * SPAN)
        found.code[here], found.evidence[here] = tile.code[row, there], tile.evidence[row, there]
        found.parts[:, here] = tile.parts.row(row)[:, there]
        found.loss_at[here], found.proven[here] = tile.loss_at[row, there], tile.proven[row, there]
    return found


def stretches(found: History) -> list[Stretch]:
    """The history as stretches, in order; buckets without a cell are left out."""
    same = (found.code[1:] == found.code[:-1]) & (found.evidence[1:] == found.evidence[:-1])
    edges = [0, *(np.flatnonzero(~same) + 1).tolist(), len(found.code)]
    told: list[Stretch] = []
    for low, high in pairwise(edges):
        if found.code[low] == Verdict.NONE:
            continue
        sums = dict(zip(PARTS, found.parts[:, low:high].sum(axis=1).tolist(), strict=True))
        ends = found.loss_at[low:high]
        soonest = int(ends[ends > 0].min()) if (ends > 0).any() else None
        told.append(
            Stretch(
                found.start + low * found.width, found.start + high * found.width, Verdict(int(found.code[low])),
                tuple(Evidence(int(found.evidence[low])).words()), high - low, sums, soonest,
                bool(found.proven[low:high].all()),
            )
        )  # fmt: skip
    return told
