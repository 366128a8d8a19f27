"""How complete a day was: per pipeline, hop, source and group, from what was last said of each cell.

Nothing is judged here. A bucket without a judgement is unknown, and never good; and where several judgements are asked
for as of a past instant, the same report is made from what had been said by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import NEVER, Micros, format_time, time_of
from reconciler.reports.budgets import Budget, budget
from reconciler.reports.days import Day
from reconciler.reports.maker import maker
from reconciler.reports.quiet import quiet
from reconciler.reports.rows import PAST, HopDay, hop_day
from reconciler.reports.tally import Tally, complete_through, scan
from reconciler.reports.unwatched import blind_spots, not_known, not_monitored
from reconciler.serving import ServiceStore

AGO = dict(zip(PAST, (1, 7), strict=True))
"""Days before the day itself."""


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
    still_open: list[dict[str, Any]] = field(default_factory=list)
    """Incidents of other days that are not resolved."""
    not_monitored: list[str] = field(default_factory=list)
    """What would go unseen, whatever happens."""
    quiet: list[str] = field(default_factory=list)
    """Mutes, planned work and retirements of the day, in sentences."""
    forgotten: bool = False
    """What was known of the day then, or what is known of it at all, has been removed by `retention`."""

    @property
    def would_have_paged(self) -> list[dict[str, Any]]:
        """Incidents that would have paged somebody, were the pipeline not merely observed."""
        return [line for line in self.incidents if line["severity"] == "page" and line["mode"] == "observe"]

    @property
    def budget(self) -> Budget:
        """How the day stands against the objective: of the hop that fares worst."""
        return min((budget(self.pipeline.objective, one.total) for one in self.hops), default=budget(1.0, None))

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "pipeline": self.pipeline.name,
            "mode": "alert" if self.pipeline.alert else "observe",
            "objective": self.pipeline.objective,
            "budget": self.budget.record(),
            "judged_at": time_of(self.judged_at),
            "hops": [one.record() for one in self.hops],
            "incidents": self.incidents,
            "still_open": self.still_open,
            "blind_spots": list(blind_spots(self.incidents)),
            "not_known": self.not_known,
            "not_monitored": self.not_monitored,
            "quiet": self.quiet,
            "forgotten": self.forgotten,
            "would_have_paged": [line["id"] for line in self.would_have_paged],
        }


@dataclass(frozen=True, slots=True)
class Daily:
    """The report of a day."""

    day: Day
    over: bool
    as_of: Micros | None
    """What had been said by then; None: what was said last."""
    made_at: Micros
    pipelines: list[PipelineDay]

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "day": self.day.date.isoformat(),
            "zone": self.day.zone_name,
            "from": format_time(self.day.start),
            "to": format_time(self.day.end),
            "over": self.over,
            "as_of": time_of(self.as_of),
            "made_at": format_time(self.made_at),
            "made_by": maker([one.pipeline for one in self.pipelines]),
            "pipelines": [one.record() for one in self.pipelines],
        }


def daily(
    store: ServiceStore, pipelines: Sequence[Pipeline], day: Day, now: Micros, as_of: Micros | None = None
) -> Daily:  # fmt: skip
    """The report of a day, as it is known now or was known at `as_of`."""
    over = (now if as_of is None else as_of) >= day.end
    found = [pipeline_day(store, pipeline, day, now, as_of, over=over) for pipeline in pipelines]
    return Daily(day, over, as_of, now, found)


def pipeline_day(
    store: ServiceStore, pipeline: Pipeline, day: Day, now: Micros, as_of: Micros | None, *, over: bool
) -> PipelineDay:  # fmt: skip
    """One pipeline over a day."""
    judged_at = store.judged_at(pipeline)
    if judged_at is not None and as_of is not None:
        judged_at = min(judged_at, as_of)
    gone = forgotten(store, pipeline, day, as_of)
    if gone is not None:
        return PipelineDay(pipeline, judged_at, [], [], [gone], forgotten=True)
    end = day.end if over else min(day.end, judged_at or day.start)
    names = store.directory(pipeline).sources
    tallies = [scan(store, pipeline, hop, (day.start, end), judged_at, as_of) for hop in pipeline.hops]
    through = complete_through(tallies)
    hops = [
        hop_day(
            hop,
            tally,
            names,
            through,
            {name: _past(store, pipeline, number, day.before(ago), judged_at, as_of) for name, ago in AGO.items()},
        )
        for number, (hop, tally) in enumerate(zip(pipeline.hops, tallies, strict=True))
    ]
    lines = store.incidents(pipeline.name, NEVER if as_of is None else as_of)
    mine = [line for line in lines if _concerns(line, format_time(day.start), format_time(day.end))]
    others = [line for line in lines if line not in mine and line["status"] != "resolved"]
    said = list(not_known(pipeline, hops, day, judged_at, over=over))
    told = store.reporters(pipeline, now if as_of is None else as_of)
    unseen = list(not_monitored(pipeline, told, store.directory(pipeline), store.learned_at(pipeline)))
    retired = store.retirements(pipeline.name)
    kept = list(quiet(pipeline, store.acts.all(), retired, (day.start, day.end), now if as_of is None else as_of))
    return PipelineDay(pipeline, judged_at, hops, mine, said, others, unseen, kept)


def _past(
    store: ServiceStore, pipeline: Pipeline, hop: int, day: Day, judged_at: Micros | None, as_of: Micros | None
) -> Tally | None:
    """The tally of an earlier day; None where it is forgotten, or nothing had been judged."""
    if judged_at is None or judged_at <= day.start or forgotten(store, pipeline, day, as_of) is not None:
        return None
    span = day.start, min(day.end, judged_at)
    return scan(store, pipeline, pipeline.hops[hop], span, judged_at, as_of, whole=False)


def forgotten(store: ServiceStore, pipeline: Pipeline, day: Day, as_of: Micros | None) -> str | None:
    """The sentence that says what of a day is not remembered any more; None where all is."""
    horizon = store.horizon(pipeline)
    if day.start < horizon.verdicts:
        return f"What was judged before {format_time(horizon.verdicts)} has been removed (`retention.verdicts`)."
    if as_of is not None and day.start < horizon.detail:
        return (
            f"The history of what was known when has been removed for buckets before {format_time(horizon.detail)} "
            f"(`retention.detail`): how this day looked at {format_time(as_of)} cannot be said any more. "
            "Without --as-of it is told as it was last judged."
        )
    return None


def _concerns(line: dict[str, Any], first: str, end: str) -> bool:
    """Whether the incident covers a bucket of the day, or was opened on it. Times are text of one length."""
    covers = str(line["from"]) < end and str(line["to"]) > first
    return covers or first <= str(line["opened_at"]) < end
