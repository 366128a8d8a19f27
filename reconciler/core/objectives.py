"""Objectives: which share of the accepted events was promised to come through, what of it is spent, and how fast.

An event that is `lost` spends the error budget; one that is late does not, and one that is recovered gives it back.
Sums are kept from the changes of each judgement, so they cost what changed. Over days they go by the hour of
acceptance. Over hours they go by when it was found out: a loss that is found an hour after its events were accepted
burns now, and would be in no short window otherwise. Where events go to several destinations, each delivery counts.

The burn rate of a window is its share of lost events divided by the share that may be lost: at 1 the budget lasts as
long as its window. Two windows at once tell that it burns too fast: a long one shows that it matters, a short one that
it goes on (multi-window alerts, as in chapter 5 of Google's Site Reliability Workbook).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from reconciler.core.changes import Changes
from reconciler.core.pipelines import Pipeline
from reconciler.core.sheets import PART
from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import DAY, HOUR, MINUTE, Micros

FINE: Micros = 5 * MINUTE
"""By when it was found out."""
FINE_KEPT: Micros = 7 * HOUR
COARSE: Micros = HOUR
"""By when it was accepted."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A pair of windows that must both burn faster than `rate`."""

    long: Micros
    short: Micros
    rate: float
    """Of a budget over 30 days: 14.4 spends 2 % of it in an hour."""
    severity: str


ALERTS = (
    Alert(HOUR, 5 * MINUTE, 14.4, "page"),
    Alert(6 * HOUR, 30 * MINUTE, 6.0, "page"),
    Alert(3 * DAY, 6 * HOUR, 1.0, "ticket"),
)
SPANS = (5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY)
"""Those of the alerts, and those that Sloth asks for."""


@dataclass(slots=True)
class Sums:
    """Accepted and lost events by time, over the time that is kept."""

    width: Micros
    kept: Micros
    first: int = 0
    """Ordinal of the first column."""
    events: Ints = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    """`(accepted, lost)` by column."""

    def move(self, now: Micros) -> None:
        """Make room up to `now`, and forget what is older than is kept."""
        last = now // self.width
        first = last - self.kept // self.width
        if first == self.first and self.events.shape[1] == last + 1 - first:
            return
        moved = np.zeros((2, last + 1 - first), np.int64)
        low, high = max(first, self.first), min(last + 1, self.first + self.events.shape[1])
        if low < high:
            moved[:, low - first : high - first] = self.events[:, low - self.first : high - self.first]
        self.first, self.events = first, moved

    def add(self, buckets: Ints, accepted: Ints, lost: Ints) -> None:
        """Add what changed of buckets (by their start); those before what is kept are too old to matter."""
        column = np.minimum(buckets // self.width - self.first, self.events.shape[1] - 1)
        if (known := column >= 0).all():
            known = slice(None)
        np.add.at(self.events[0], column[known], accepted[known])
        if lost.any():
            np.add.at(self.events[1], column[known], lost[known])

    def over(self, span: Micros) -> tuple[int, int]:
        """Accepted and lost events of the last `span`, the column that holds the present included."""
        columns = max(1, span // self.width)
        return int(self.events[0, -columns:].sum()), max(0, int(self.events[1, -columns:].sum()))


@dataclass(frozen=True, slots=True)
class Standing:
    """How one objective stands."""

    pipeline: str
    pattern: str
    """Of the sources; empty: all of the pipeline."""
    objective: float
    window: Micros
    accepted: int
    """Over the window; deliveries, where there are several destinations."""
    lost: int
    spans: tuple[tuple[Micros, int, int], ...]
    """(how long back, accepted, lost), the shortest first."""

    @property
    def burns(self) -> tuple[tuple[Micros, float], ...]:
        """How long back, and how fast the budget burned over it."""
        return tuple((span, _rate(accepted, lost, self.objective)) for span, accepted, lost in self.spans)

    @property
    def completeness(self) -> float | None:
        """Share that is not lost; `None` where nothing was accepted."""
        return 1 - self.lost / self.accepted if self.accepted else None

    @property
    def budget(self) -> int:
        """Events that may be lost in the window, by what was accepted so far."""
        return int(self.accepted * (1 - self.objective) + 1e-9)

    @property
    def left(self) -> int:
        """Of the budget; negative: the objective is missed."""
        return self.budget - self.lost

    def burning(self) -> str:
        """`page`, `ticket`, or empty: whether it burns too fast, by the first pair of windows that says so."""
        rates = dict(self.burns)
        return next((one.severity for one in ALERTS if min(rates[one.long], rates[one.short]) >= one.rate), "")


class Objectives:
    """The objectives of a pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.promised = (("", pipeline.objective), *pipeline.objectives)
        spans = ((FINE, FINE_KEPT), (COARSE, max(pipeline.budget_window, 3 * DAY)))
        self._sums = {name: tuple(Sums(*span) for span in spans) for name, _ in self.promised}
        self._now: Micros = 0
        self._fits: dict[str, list[bool]] = {name: [] for name, _ in pipeline.objectives}

    def move(self, now: Micros) -> None:
        """Time has passed."""
        self._now = now
        for some in self._sums.values():
            for sums in some:
                sums.move(now)

    def take(self, hop: str, changes: Changes, sources: Sequence[str]) -> None:
        """Take what a judgement said anew of a hop."""
        if not len(changes.source):
            return
        accepted = changes.parts[PART["accepted"]] - changes.old_accepted
        if hop.split(">")[0] != self.pipeline.stages[0]:
            accepted = np.zeros_like(accepted)  # counted where they came in
        lost = changes.parts[PART["lost"]] - changes.old_lost
        for name, some in self._sums.items():
            which = self._of(name, changes.source, sources)
            fine, coarse = some
            own = changes.bucket[which], accepted[which], lost[which]
            fine.add(np.array([self._now]), own[1].sum(keepdims=True), own[2].sum(keepdims=True))
            coarse.add(*own)

    def _of(self, pattern: str, source: Ints, sources: Sequence[str]) -> Bools | slice:
        if not pattern:
            return slice(None)
        fits = self._fits[pattern]
        fits += [fnmatchcase(name, pattern) for name in sources[len(fits) :]]
        return np.array(fits, np.bool_)[source]

    def standings(self) -> list[Standing]:
        """All of them: that of the pipeline, then those of sources in the order of the settings."""
        return [self._standing(name, objective) for name, objective in self.promised]

    def _standing(self, name: str, objective: float) -> Standing:
        fine, coarse = self._sums[name]
        spans = [(span, *(fine if span < FINE_KEPT else coarse).over(span)) for span in SPANS]
        pipeline = self.pipeline
        over = coarse.over(pipeline.budget_window)
        return Standing(pipeline.name, name, objective, pipeline.budget_window, *over, tuple(spans))

    def burning(self) -> bool:
        """Whether the pipeline's objective burns so fast that somebody should be woken."""
        if not any(sums.events[1].any() for sums in self._sums[""]):
            return False
        return self._standing("", self.pipeline.objective).burning() == "page"

    def dump(self) -> dict[str, Any]:
        """As plain values, to be remembered."""
        return {name: [[one.first, one.events.tolist()] for one in some] for name, some in self._sums.items()}

    def restore(self, stored: Mapping[str, Any]) -> None:
        """What `dump` gave. An objective that is new begins with what is judged from now on."""
        for name, some in self._sums.items():
            for sums, (first, events) in zip(some, stored.get(name, ()), strict=False):
                sums.first, sums.events = first, np.array(events, np.int64).reshape(2, -1)


def _rate(accepted: int, lost: int, objective: float) -> float:
    if not lost:
        return 0.0
    allowed = accepted * (1 - objective)
    return lost / allowed if allowed > 0 else float("inf")
