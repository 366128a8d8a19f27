"""Pictures that the server draws as SVG: no script is needed to see them, and none of them says what no text says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import Ints
from reconciler.core.times import Micros
from reconciler.core.verdicts import Verdict
from reconciler.core.volume_glance import Usual
from reconciler.reports.history import History
from reconciler.web.pages import words


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring columns of a strip with the same verdict."""

    x: int
    width: int
    verdict: Verdict
    start: Micros
    end: Micros

    @property
    def label(self) -> str:
        """For people: ``20 Jul 18:45 to 19:30: lost``."""
        return f"{words.clock(self.start)} to {words.clock(self.end, self.start)}: {VERDICTS[self.verdict].word}"


def runs(strip: Sequence[int], start: Micros, step: Micros) -> list[Run]:
    """The stretches of a strip; columns without cells are left out."""
    found: list[Run] = []
    first = 0
    for at in range(1, len(strip) + 1):
        if at == len(strip) or strip[at] != strip[first]:
            if strip[first]:
                ends = (start + first * step, start + at * step)
                found.append(Run(first, at - first, Verdict(strip[first]), *ends))
            first = at
    return found


def spoken(found: Sequence[Run]) -> str:
    """What a strip shows, for those who do not see it: its bad stretches, the worst first."""
    bad = sorted((one for one in found if one.verdict > Verdict.PENDING), key=lambda one: (-one.verdict, one.x))
    if not bad:
        return "nothing is wrong" if found else "no counts"
    more = f", and {len(bad) - 3} more" if len(bad) > 3 else ""
    return "; ".join(one.label for one in bad[:3]) + more


@dataclass(frozen=True, slots=True)
class Meaning:
    """A verdict for people."""

    word: str
    means: str


VERDICTS = {
    Verdict.NONE: Meaning("nothing", "the source has no counts here"),
    Verdict.COMPLETE: Meaning("complete", "nothing is missing"),
    Verdict.OPEN: Meaning("open", "not all counts are in yet"),
    Verdict.PENDING: Meaning("pending", "missing for no longer than usual"),
    Verdict.DELAYED: Meaning("delayed", "late, and all of it may still arrive"),
    Verdict.UNKNOWN: Meaning("unknown", "counts are missing: nothing can be said, and nothing is good"),
    Verdict.SURPLUS: Meaning("surplus", "more came out than went in"),
    Verdict.AT_RISK: Meaning("at risk", "will be deleted or passed over unless somebody acts"),
    Verdict.LOST: Meaning("lost", "gone: nowhere on its way and in no queue"),
}


def ticks(start: Micros, end: Micros, most: int = 8) -> list[tuple[float, Micros]]:
    """Instants that divide a stretch evenly, on round times, each with its place between 0 and 1."""
    steps = [
        60,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        10800,
        21600,
        43200,
        86400,
        172800,
        604800,
        1209600,
        2592000,
        31536000,
    ]
    length = max(end - start, 1)
    step = next((one * 1_000_000 for one in steps if length <= most * one * 1_000_000), length)
    first = -(-start // step) * step
    return [((at - start) / length, at) for at in range(first, end + 1, step)]


def marks(start: Micros, end: Micros, most: int = 6) -> list[Micros]:
    """Where parts of equal length begin: what stands above a strip."""
    return [start + (end - start) * part // most for part in range(most)]


@dataclass(frozen=True, slots=True)
class Bar:
    """One column of `Gaps`; heights are shares of the tallest, between 0 and 100."""

    x: int
    start: Micros
    end: Micros
    accepted: float
    parts: tuple[tuple[str, float, float], ...]
    """Name of the part, where it begins and how high it is, from the bottom."""
    label: str


@dataclass(frozen=True, slots=True)
class Gaps:
    """What was accepted by time, and where it is: a stack that is as high as what was accepted."""

    bars: list[Bar]
    top: int
    """Events that the full height stands for."""
    strip: tuple[int, ...]
    """By column: the worst verdict."""
    start: Micros
    step: Micros
    usual: str = ""
    """The band of what is usual, for a polygon in columns and shares; empty: nobody knows yet."""
    outside: int = 0
    """Columns in which what was accepted lies beyond the band."""

    @property
    def end(self) -> Micros:
        """Of the last column."""
        return self.start + len(self.strip) * self.step


def middles(found: History, most: int) -> list[Micros]:
    """One bucket of each column of `gaps`: the one in its middle."""
    each = -(-len(found.code) // most)
    last = len(found.code) - 1
    return [found.start + min(at + each // 2, last) * found.width for at in range(0, len(found.code), each)]


STACK = ("processed", "accounted", "in_flight", "retained", "unproven", "passed_over", "lost")
"""The parts of what was accepted, from the bottom."""


def gaps(found: History, most: int, usual: Usual | None = None) -> Gaps:
    """A history as at most so many columns; `usual`: of one bucket in each."""
    each = -(-len(found.code) // most)
    edges = np.arange(0, len(found.code), each)
    sums = {name: np.add.reduceat(found.part(name), edges) for name in ("accepted", "surplus", *STACK)}
    worst = np.maximum.reduceat(found.code, edges)
    sizes = np.diff([*edges, len(found.code)])
    highest = 0 if usual is None else int((usual.high * sizes).max(initial=0))
    top = max(int(max(sums["accepted"].max(initial=0), sums["processed"].max(initial=0))), highest, 1)
    bars: list[Bar] = []
    for at in range(len(edges)):
        ends = (found.start + at * each * found.width, found.start + (at + 1) * each * found.width)
        amounts = {name: int(sums[name][at]) for name in sums}
        below, parts = 0.0, []
        for name in STACK:
            height = 100 * amounts[name] / top
            if height:
                parts.append((name, below, height))
                below += height
        told = ", ".join(f"{name.replace('_', ' ')} {amount:,}" for name, amount in amounts.items() if amount)
        label = f"{words.clock(ends[0])} to {words.clock(ends[1], ends[0])}: {told or 'nothing'}"
        bars.append(Bar(at, *ends, 100 * amounts["accepted"] / top, tuple(parts), label))
    drawn, outside = _band(usual, sizes, sums["accepted"], worst, top)
    return Gaps(bars, top, tuple(worst.tolist()), found.start, each * found.width, drawn, outside)


def _band(usual: Usual | None, sizes: Ints, accepted: Ints, worst: NDArray[np.uint8], top: int) -> tuple[str, int]:
    """A polygon around what is usual, and how many columns with counts lie beyond it."""
    if usual is None:
        return "", 0
    low, high = usual.low * sizes, usual.high * sizes
    beyond = ((accepted < low) | (accepted > high)) & (worst > Verdict.NONE) & (worst != Verdict.OPEN)
    upper = [f"{at + side},{100 - 100 * value / top:.2f}" for at, value in enumerate(high.tolist()) for side in (0, 1)]
    lower = [f"{at + side},{100 - 100 * value / top:.2f}" for at, value in enumerate(low.tolist()) for side in (0, 1)]
    return " ".join([*upper, *reversed(lower)]), int(beyond.sum())


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart."""

    name: str
    points: str
    """For a polyline over 0 to 100 each way."""
    last: int


def lines(
    at: Sequence[Micros], series: Mapping[str, Sequence[int]], span: tuple[Micros, Micros]
) -> tuple[list[Line], int, int]:
    """Amounts over time as steps of lines, with the least and the greatest amount."""
    low, high = _range(series)
    drawn = []
    for name, values in series.items():
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in _points(at, values, (low, high), span))
        drawn.append(Line(name, points, values[-1] if values else 0))
    return drawn, low, high


def area(
    at: Sequence[Micros], series: Mapping[str, Sequence[int]], between: tuple[str, str], span: tuple[Micros, Micros]
) -> str:
    """A polygon between two of the series, on the scale of all; empty where they never lie apart."""
    lower, upper = (series[name] for name in between)
    if all(one >= other for one, other in zip(lower, upper, strict=True)):
        return ""
    ends = _range(series)
    around = [*_points(at, upper, ends, span), *reversed(_points(at, lower, ends, span))]
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in around)


def _range(series: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    every = [value for values in series.values() for value in values]
    return min(every, default=0), max(every, default=1)


def _points(
    at: Sequence[Micros], values: Sequence[int], ends: tuple[int, int], span: tuple[Micros, Micros]
) -> list[tuple[float, float]]:
    """Places between 0 and 100, of so many of the amounts as can be told apart."""
    wide, tall = max(span[1] - span[0], 1), max(ends[1] - ends[0], 1)
    kept = list(zip(at, values, strict=True))
    kept = kept[:: max(1, -(-len(at) // 240))] + kept[-1:]
    return [(100 * (one - span[0]) / wide, 100 - 100 * (value - ends[0]) / tall) for one, value in kept]


GLOBALS: dict[str, Any] = {"VERDICTS": VERDICTS, "runs": runs, "spoken": spoken, "ticks": ticks, "marks": marks}
"""For the templates."""
