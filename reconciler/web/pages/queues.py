"""Queues as ledgers, and limits: what is kept, until when, and what is about to end."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from reconciler.core.observations import Capacity
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, NEVER, Micros
from reconciler.reports.shelves import Stand, stands
from reconciler.web.pages import charts
from reconciler.web.pages.view import Looking, Span, View

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Limit:
    """Something finite, as it was last read."""

    last: Capacity
    share: float
    ends_at: Micros | None
    """At its pace over the readings that are kept; none where it does not grow."""


@dataclass(frozen=True, slots=True)
class Store:
    """What one pipeline has between its stages."""

    pipeline: Pipeline
    queues: list[tuple[Stand, list[charts.Line], str, str]]
    """Each with its lines, and the areas between them: what waited, and what was deleted before it was read."""
    limits: list[Limit]


@router.get("/queues")
def queues(view: Looking) -> Response:
    """Of all pipelines, or of the one that is asked for."""
    asked = view.asked("pipeline")
    pipelines = [view.pipeline()] if asked else list(view.pipelines.values())
    span = view.span(*pipelines, usual=DAY)
    found = [shelves(view, one, span, view.asked("queue")) for one in pipelines]
    return view.page("queues.html", "Queues and limits", span=span, found=found, asked=asked)


def shelves(view: View, pipeline: Pipeline, span: Span, queue: str = "") -> Store:
    """What is between the stages of a pipeline, over a stretch of time."""
    until = NEVER if view.as_of is None else view.as_of
    told = stands(view.store, pipeline, (span.start, span.end), until)
    told = [one for one in told if queue in ("", one.queue.name)]
    drawn = [(one, *_lines(one, span)) for one in told]
    at = span.end if view.as_of is None else view.as_of
    return Store(pipeline, drawn, limits(view, pipeline, at))


def _lines(one: Stand, span: Span) -> tuple[list[charts.Line], str, str]:
    series: dict[str, Any] = {"written": one.end, "read": one.committed, "deleted": one.start}
    ends = (span.start, span.end)
    kept = [max(read, start) for read, start in zip(one.committed, one.start, strict=True)]
    scale = {"written": one.end, "kept": kept, "read": one.committed, "deleted": one.start}
    return (
        charts.lines(one.at, series, ends)[0],
        charts.area(one.at, scale, ("kept", "written"), ends),
        charts.area(one.at, scale, ("read", "kept"), ends),
    )


def limits(view: View, pipeline: Pipeline, at: Micros) -> list[Limit]:
    """What the pipeline depends on, the fullest first."""
    found = [_limit(readings) for readings in view.store.capacities(pipeline.name, at).values()]
    return sorted(found, key=lambda one: (-one.share, one.last.resource))


def _limit(readings: list[Capacity]) -> Limit:
    first, last = readings[0], readings[-1]
    grown, time = last.used - first.used, last.at - first.at
    ends = last.at + int((last.limit - last.used) * time / grown) if grown > 0 and time >= HOUR // 60 else None
    return Limit(last, last.used / last.limit, ends if ends is None or ends < NEVER else None)
