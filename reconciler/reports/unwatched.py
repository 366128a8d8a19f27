"""What a report cannot say of its day, and what nobody watches: in sentences."""

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.core.directory import Directory
from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, format_time
from reconciler.core.verdicts import Verdict
from reconciler.core.wording import many
from reconciler.reports.days import Day
from reconciler.reports.rows import HopDay


def not_known(
    pipeline: Pipeline, hops: Sequence[HopDay], day: Day, judged_at: Micros | None, *, over: bool
) -> Iterator[str]:
    """What is not known of the day."""
    if judged_at is None:
        yield "It was never judged: nothing is known."
        return
    if judged_at <= day.start:
        yield f"Nothing of this day is judged; the last judgement was at {format_time(judged_at)}."
    elif not over:
        yield f"The day is not over; it is judged up to {format_time(judged_at)}."
    elif judged_at < day.end:
        yield f"Nothing was judged after {format_time(judged_at)}; the rest of the day is unknown."
    if day.start % pipeline.width or day.end % pipeline.width:
        yield "A bucket that reaches beyond midnight belongs to the day in which it starts."
    for one in hops:
        yield from _of_hop(one, begun=judged_at > day.start)


def _of_hop(one: HopDay, *, begun: bool) -> Iterator[str]:
    name = f"{one.hop.from_stage} to {one.hop.to_stage}"
    if not one.sources and begun:
        yield f"{name}: no source has a cell on this day."
    if one.total.unknown:
        sources = sum(row.unknown > 0 for row in one.sources)
        cells = many(one.total.unknown, "cell")
        yield f"{name}: {cells} of {many(sources, 'source')} unknown: counts or judgements are missing."
    inferred = sum(row.worst == Verdict.COMPLETE and not row.proven for row in one.sources)
    if inferred:
        verb = "is" if inferred == 1 else "are"
        yield f"{name}: {many(inferred, 'source')} {verb} complete by the counts alone, which is not proof."
    doubtful = one.total.amounts["lost"] - one.total.amounts["lost_proven"]
    if doubtful:
        yield f"{name}: {doubtful:,} of the lost are inferred, not proven."


def blind_spots(incidents: Sequence[dict[str, Any]]) -> Iterator[str]:
    """When it could not see on the day."""
    for line in incidents:
        if line["kind"] == "missing_counts":
            yield f"{line['from']} to {line['to']}: {line['summary']}"


def not_monitored(pipeline: Pipeline, told: Ledger, directory: Directory, learned_at: Micros | None) -> Iterator[str]:
    """What would go unseen, whatever happens; `told`: who reports, and how far."""
    if not pipeline.alert:
        yield "Nobody is paged: mode is observe."
    yield from _stages(pipeline, told)
    for hop in pipeline.hops:
        if not any(queue.hop == hop for queue in pipeline.queues.values()):
            yield f"{hop.from_stage} to {hop.to_stage}: no queue is watched; what waits between them cannot be proven."
    for queue in pipeline.queues.values():
        if queue.policy.retention is None:
            yield f"queue {queue.name}: no policy says how long it must keep; a shortened retention is not noticed."
    if directory.beyond:
        yield f"{many(directory.beyond, 'source')} beyond max_sources are judged together, as one."
    if learned_at is None:
        yield "Its usual volume is not learned yet: events that never came in are not missed."


def _stages(pipeline: Pipeline, told: Ledger) -> Iterator[str]:
    progressed = {stage for stage, _ in told.reporters}
    compared = {stage for hop in pipeline.hops for stage in (hop.from_stage, hop.to_stage)}
    for stage in pipeline.stages:
        if stage not in compared:
            yield f"{stage}: is part of no hop, and compared with nothing."
        elif stage not in progressed and stage not in told.counted_at:
            yield f"{stage}: nothing has ever been counted there."
        elif stage not in progressed:
            yield f"{stage}: nobody says how far it has reported, so it is judged by its counts alone and never proven."
