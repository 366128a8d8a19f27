"""How complete a day was: per pipeline, hop and source, from what was last said of each cell.

Nothing is judged here. A bucket without a judgement is unknown, and never good; and where several judgements are asked
for as of a past instant, the same report is made from what had been said by then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.tiles import Ints
from reconciler.core.times import DAY, NEVER, Micros, format_time
from reconciler.core.verdicts import Verdict
from reconciler.ports import Store
from reconciler.reports.tally import AMOUNTS, Tally, complete_through, scan


@dataclass(frozen=True, slots=True)
class Row:
    """A source in one hop over a day, or the sum of all of them."""

    source: str | None
    """None: the sum."""
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
            "verdict": self.worst.word,
            **self.amounts,
            "cells": self.cells,
            "unknown": self.unknown,
            "completeness": self.completeness,
            "delivered": self.delivered,
            "proven": self.proven,
            "complete_through": None if through is None else format_time(through),
        }


@dataclass(frozen=True, slots=True)
class HopDay:
    """One hop over a day."""

    hop: Hop
    total: Row
    sources: list[Row]
    """The worst first."""


@dataclass(frozen=True, slots=True)
class PipelineDay:
    """One pipeline over a day."""

    pipeline: Pipeline
    judged_at: Micros | None
    hops: list[HopDay]
    incidents: list[dict[str, Any]]
    """Lines of contract §5 that have to do with the day, as last told."""
    not_known: list[str]
    """What this report cannot say, in sentences."""

    @property
    def would_have_paged(self) -> list[dict[str, Any]]:
        """Incidents that would have paged somebody, were the pipeline not merely observed."""
        return [line for line in self.incidents if line["severity"] == "page" and line["mode"] == "observe"]

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "pipeline": self.pipeline.name,
            "mode": "alert" if self.pipeline.alert else "observe",
            "objective": self.pipeline.objective,
            "judged_at": None if self.judged_at is None else format_time(self.judged_at),
            "hops": [
                {
                    "from_stage": one.hop.from_stage,
                    "to_stage": one.hop.to_stage,
                    "total": one.total.record(),
                    "sources": [row.record() for row in one.sources],
                }
                for one in self.hops
            ],
            "incidents": self.incidents,
            "not_known": self.not_known,
            "would_have_paged": [line["id"] for line in self.would_have_paged],
        }


@dataclass(frozen=True, slots=True)
class Daily:
    """The report of a day."""

    day: Micros
    """Its beginning."""
    over: bool
    as_of: Micros | None
    """What had been said by then; None: what was said last."""
    pipelines: list[PipelineDay]

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "day": format_time(self.day)[:10],
            "over": self.over,
            "as_of": None if self.as_of is None else format_time(self.as_of),
            "pipelines": [one.record() for one in self.pipelines],
        }


def daily(store: Store, pipelines: Sequence[Pipeline], day: Micros, now: Micros, as_of: Micros | None = None) -> Daily:
    """The report of the day that begins at `day`, as it is known now or was known at `as_of`."""
    over = (now if as_of is None else as_of) >= day + DAY
    return Daily(day, over, as_of, [_pipeline(store, pipeline, day, as_of, over=over) for pipeline in pipelines])


def _pipeline(store: Store, pipeline: Pipeline, day: Micros, as_of: Micros | None, *, over: bool) -> PipelineDay:
    judged_at = store.judged_at(pipeline)
    if judged_at is not None and as_of is not None:
        judged_at = min(judged_at, as_of)
    end = day + DAY if over else min(day + DAY, judged_at or day)
    names = store.directory(pipeline).sources
    tallies = [scan(store, pipeline, hop, (day, end), judged_at, as_of) for hop in pipeline.hops]
    through = complete_through(tallies)
    hops = [_hop(hop, tally, names, through) for hop, tally in zip(pipeline.hops, tallies, strict=True)]
    incidents = [
        line
        for line in store.incidents(pipeline.name, NEVER if as_of is None else as_of)
        if _concerns(line, format_time(day), format_time(day + DAY))
    ]
    said = list(_not_known(pipeline, hops, day, judged_at, over=over))
    return PipelineDay(pipeline, judged_at, hops, incidents, said)


def _hop(hop: Hop, tally: Tally, names: Sequence[str], through: Ints) -> HopDay:
    rows = [
        Row(
            names[number],
            {name: int(tally.amounts[name][number]) for name in AMOUNTS},
            int(tally.cells[number]),
            int(tally.unknown[number]),
            Verdict(int(tally.worst[number])),
            bool(tally.unproven[number] == 0),
            None if through[number] == NEVER else int(through[number]),
        )
        for number in np.flatnonzero(tally.cells).tolist()
    ]
    rows.sort(key=lambda row: (-row.worst, -row.amounts["lost"], -row.amounts["late"], -row.unknown, str(row.source)))
    return HopDay(hop, _sum(rows), rows)


def _sum(rows: Sequence[Row]) -> Row:
    return Row(
        None,
        {name: sum(row.amounts[name] for row in rows) for name in AMOUNTS},
        sum(row.cells for row in rows),
        sum(row.unknown for row in rows),
        max((row.worst for row in rows), default=Verdict.NONE),
        bool(rows) and all(row.proven for row in rows),
        min((row.complete_through for row in rows if row.complete_through is not None), default=None),
    )


def _concerns(line: dict[str, Any], first: str, end: str) -> bool:
    """Whether the incident covers a bucket of the day, or was opened on it. Times are text of one length."""
    covers = str(line["from"]) < end and str(line["to"]) > first
    return covers or first <= str(line["opened_at"]) < end


def _not_known(
    pipeline: Pipeline, hops: Sequence[HopDay], day: Micros, judged_at: Micros | None, *, over: bool
) -> Iterator[str]:  # fmt: skip
    if judged_at is None:
        yield "It was never judged: nothing is known."
        return
    if judged_at <= day:
        yield f"Nothing of this day is judged; the last judgement was at {format_time(judged_at)}."
    elif not over:
        yield f"The day is not over; it is judged up to {format_time(judged_at)}."
    elif judged_at < day + DAY:
        yield f"Nothing was judged after {format_time(judged_at)}; the rest of the day is unknown."
    for one in hops:
        name = f"{one.hop.from_stage} to {one.hop.to_stage}"
        if not one.sources and judged_at > day:
            yield f"{name}: no source has a cell on this day."
        if one.total.unknown:
            sources = sum(row.unknown > 0 for row in one.sources)
            cells = _many(one.total.unknown, "cell")
            yield f"{name}: {cells} of {_many(sources, 'source')} unknown: counts or judgements are missing."
        inferred = sum(row.worst == Verdict.COMPLETE and not row.proven for row in one.sources)
        if inferred:
            verb = "is" if inferred == 1 else "are"
            yield f"{name}: {_many(inferred, 'source')} {verb} complete by the counts alone, which is not proof."
        doubtful = one.total.amounts["lost"] - one.total.amounts["lost_proven"]
        if doubtful:
            yield f"{name}: {doubtful:,} of the lost are inferred, not proven."


def _many(amount: int, noun: str) -> str:
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"
