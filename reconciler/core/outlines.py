"""A verdict tile in outline: the worst verdict and the sums of each quarter of its buckets, source by source.

An outline is a fiftieth of its tile. What looks at many tiles at once (ten thousand sources over a day) reads outlines.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import CHUNK, PARTS, SPAN, Ints, VerdictTile
from reconciler.core.verdicts import Verdict

QUARTERS = 4
QUARTER = SPAN // QUARTERS
"""Buckets in a quarter: a quarter of an hour of one-minute buckets."""
SUMS = (
    "accepted",
    "processed",
    "accounted",
    "late",
    "at_risk",
    "undetermined",
    "lost",
    "lost_proven",
    "surplus",
    "misplaced",
)
"""Events. `late`: may still arrive. `at_risk`: passed over, or unread and about to be deleted. `undetermined`: missing
where counts are unknown. They add up, as in a day's report: accepted = processed + accounted + late + at_risk +
undetermined + lost − surplus + misplaced."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One tile; rows are sources, columns the quarters of its buckets."""

    worst: NDArray[np.uint8]
    """`(CHUNK, QUARTERS)`: value of the worst verdict; 0: no cell was judged."""
    cells: NDArray[np.uint8]
    """`(CHUNK, QUARTERS)`: how many cells were judged."""
    sums: Ints
    """`(len(SUMS), CHUNK, QUARTERS)`, events."""


def outline(tile: VerdictTile) -> Outline:
    """What a tile comes to."""
    code = tile.code.reshape(CHUNK, QUARTERS, QUARTER)
    sums = np.zeros((len(SUMS), CHUNK, QUARTERS), np.int64)
    for number, name in enumerate(SUMS):
        if name in PARTS and not tile.parts.is_blank(name):
            sums[number] = _quartered(tile.parts[name])
    open_ones = ("retained", "in_flight", "passed_over", "unproven")
    if any(tile.parts[name].any() for name in open_ones):
        for name, plane in unsettled(tile.code, {name: tile.parts[name] for name in open_ones}).items():
            sums[SUMS.index(name)] = _quartered(plane)
    cells = (code != Verdict.NONE).sum(axis=2, dtype=np.uint8)
    return Outline(code.max(axis=2), cells, sums)


def unsettled(code: NDArray[np.uint8], parts: Mapping[str, Ints]) -> dict[str, Ints]:
    """`late`, `at_risk` and `undetermined` of each cell, events; `code` and the planes of `parts` are of one shape."""
    unknown, passed = code == Verdict.UNKNOWN, parts["passed_over"]
    missing = parts["retained"] + parts["in_flight"] + parts["unproven"] + passed
    risked = passed + np.where(code == Verdict.AT_RISK, parts["retained"], 0)
    return {
        "late": np.where(unknown, 0, missing - risked),
        "at_risk": np.where(unknown, 0, risked),
        "undetermined": np.where(unknown, missing, 0),
    }


def _quartered(plane: Ints) -> Ints:
    sums: Ints = plane.reshape(CHUNK, QUARTERS, QUARTER).sum(axis=2)
    return sums
