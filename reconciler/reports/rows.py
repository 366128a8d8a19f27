"""The rows of a report: a source, all sources under a prefix of their names, or all of a hop."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reconciler.core.pipelines import Hop
from reconciler.core.tiles import Ints
from reconciler.core.times import HOUR, NEVER, Micros, format_time, time_of
from reconciler.core.verdicts import Verdict
from reconciler.reports.tally import AMOUNTS, COURSE, Tally

PAST = ("yesterday", "last_week")
"""Days that a row is held against: the day before, and the same weekday of the week before."""


@dataclass(frozen=True, slots=True)
class Row:
    """A source in one hop over a day, or the sum of several."""

    source: str | None
    """None: the sum of all. Of a group: the prefix of the names in it."""
    amounts: dict[str, int]
    """Events by the names of `AMOUNTS`."""
    cells: int
    """Buckets of the day that the source has, up to the last judgement or the end of the day."""
    unknown: int
    """Cells of which nothing is known: counts are missing, or nobody has judged them."""
    worst: Verdict
    proven: bool
    """Evidence shows each cell to be as it is said to be: complete, waiting in a queue, or lost."""
    complete_through: Micros | None
    """Every bucket of the source before this instant is settled and complete, at every hop; None before its first."""
    sources: int = 1
    """How many sources it is the sum of."""
    before: dict[str, "Row | None"] = field(default_factory=dict)
    """By the names of `PAST`: the same of that day; None where it has no cell there or is forgotten."""

    @property
    def completeness(self) -> float | None:
        """Share of the accepted that is processed or accounted for. What came twice stands for nothing missing."""
        return self._share(self.amounts["processed"] + self.amounts["accounted"] - self.amounts["surplus"])

    @property
    def delivered(self) -> float | None:
        """Share of the accepted that is processed, surplus left out."""
        return self._share(self.amounts["processed"] - self.amounts["surplus"])

    def _share(self, events: int) -> float | None:
        return events / self.amounts["accepted"] if self.amounts["accepted"] else None

    def record(self) -> dict[str, Any]:
        """For programs."""
        through = self.complete_through
        return {
            "source": self.source,
            "sources": self.sources,
            "verdict": self.worst.word,
            **self.amounts,
            "cells": self.cells,
            "unknown": self.unknown,
            "completeness": self.completeness,
            "delivered": self.delivered,
            "proven": self.proven,
            "complete_through": time_of(through),
            "before": {name: None if row is None else _brief(row) for name, row in self.before.items()},
        }


def _brief(row: Row) -> dict[str, Any]:
    return {
        "verdict": row.worst.word,
        "accepted": row.amounts["accepted"],
        "lost": row.amounts["lost"],
        "completeness": row.completeness,
    }


@dataclass(frozen=True, slots=True)
class Hour:
    """All sources of a hop over an hour of the day."""

    start: Micros
    accepted: int
    missing: int
    """Neither processed nor accounted for; the lost are among them."""
    lost: int
    worst: Verdict

    def record(self) -> dict[str, Any]:
        """For programs."""
        plain = {"accepted": self.accepted, "missing": self.missing, "lost": self.lost}
        return {"from": format_time(self.start), "verdict": self.worst.word, **plain}


@dataclass(frozen=True, slots=True)
class HopDay:
    """One hop over a day."""

    hop: Hop
    total: Row
    sources: list[Row]
    """The worst first."""
    groups: list[Row]
    """By prefix of the names, up to each `/`, where there are such: the worst first."""
    hours: list[Hour]

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "from_stage": self.hop.from_stage,
            "to_stage": self.hop.to_stage,
            "total": self.total.record(),
            "sources": [row.record() for row in self.sources],
            "groups": [row.record() for row in self.groups],
            "hours": [hour.record() for hour in self.hours],
        }


def hop_day(
    hop: Hop, tally: Tally, names: Sequence[str], through: Ints | None, past: dict[str, Tally | None]
) -> HopDay:  # fmt: skip
    """The rows of a hop; `past`: the same hop on other days."""
    rows = _rows(tally, names, through)
    others = {name: None if other is None else _rows(other, names, None) for name, other in past.items()}
    total = summed(None, rows)
    groups = _groups(rows)
    for name, other in others.items():
        known = {} if other is None else {row.source: row for row in other}
        grouped = {} if other is None else {row.source: row for row in _groups(other)}
        for row in rows:
            row.before[name] = known.get(row.source)
        for row in groups:
            row.before[name] = grouped.get(row.source)
        total.before[name] = summed(None, other) if other else None
    return HopDay(hop, total, sorted(rows, key=worst_first), sorted(groups, key=worst_first), _hours(tally))


def _rows(tally: Tally, names: Sequence[str], through: Ints | None) -> list[Row]:
    return [
        Row(
            names[number],
            {name: int(tally.amounts[name][number]) for name in AMOUNTS},
            int(tally.cells[number]),
            int(tally.unknown[number]),
            Verdict(int(tally.worst[number])),
            bool(tally.unproven[number] == 0),
            None if through is None or through[number] == NEVER else int(through[number]),
        )
        for number in np.flatnonzero(tally.cells).tolist()
    ]


def worst_first(row: Row) -> tuple[int, int, int, int, str]:
    """Key of the order in which people want to see rows."""
    return -row.worst, -row.amounts["lost"], -row.amounts["late"], -row.unknown, str(row.source)


def summed(name: str | None, rows: Iterable[Row]) -> Row:
    """The sum of rows."""
    rows = list(rows)
    return Row(
        name,
        {name: sum(row.amounts[name] for row in rows) for name in AMOUNTS},
        sum(row.cells for row in rows),
        sum(row.unknown for row in rows),
        max((row.worst for row in rows), default=Verdict.NONE),
        bool(rows) and all(row.proven for row in rows),
        min((row.complete_through for row in rows if row.complete_through is not None), default=None),
        len(rows),
    )


def prefixes(name: str) -> list[str]:
    """``a/b/c`` is part of ``a`` and of ``a/b``."""
    parts = name.split("/")[:DEEPEST]
    return ["/".join(parts[: at + 1]) for at in range(len(parts) - 1)]


DEEPEST = 5
"""Sources are rolled up to so many levels less one: a name of ten thousand slashes makes no more."""


def _groups(rows: Iterable[Row]) -> list[Row]:
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for prefix in prefixes(str(row.source)):
            members[prefix].append(row)
    return [summed(prefix, found) for prefix, found in members.items()]


def _hours(tally: Tally) -> list[Hour]:
    first = tally.first
    starts = first + np.arange(tally.course.shape[1], dtype=np.int64) * tally.width
    which = (starts - tally.day[0]) // max(HOUR, tally.width)
    found: list[Hour] = []
    for number in np.unique(which).tolist():
        mine = tally.course[:, which == number]
        start = int(starts[which == number][0])
        sums = {name: int(mine[at].sum()) for at, name in enumerate(COURSE[:-1])}
        found.append(Hour(start, **sums, worst=Verdict(int(mine[-1].max()))))
    return found
