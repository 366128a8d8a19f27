"""A pipeline: how far its stages have reported, how late events usually are, its queues and limits."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from reconciler.core.lanes import Lane, lanes_of
from reconciler.core.pipelines import Pipeline
from reconciler.core.stages import Stage, stage_now
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros
from reconciler.reports.boards import board
from reconciler.web.pages.overview import Picture
from reconciler.web.pages.queues import shelves
from reconciler.web.pages.view import Looking, View

router = APIRouter()
AGES = (
    SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY,
)  # fmt: skip
"""At which the lag curve is told."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a stage has reported."""

    stage: Stage
    reporters: int
    """Heard, and not ended."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How late the events of a lane usually are."""

    hop: str
    queues: tuple[str, ...]
    rows: list[tuple[Micros, float]]
    """Age since it was read, and the share of events that are processed by then."""
    points: str
    """For a polyline over 0 to 100 each way; the ages lie at equal steps."""
    longest: Micros
    seen: float


@router.get("/pipeline")
def pipeline(view: Looking) -> Response:
    """One pipeline from its first stage to its last."""
    one = view.pipeline()
    span = view.span(one)
    judged_at = view.library.judged_at(one, view.as_of)
    at = view.as_of if view.as_of is not None else (judged_at if judged_at is not None else view.now)
    ledger = view.store.reporters(one, at)
    heard = [each.stage for each in ledger.reporters.values() if not each.final]
    stages = [Reach(stage_now(ledger, name, at), heard.count(name)) for name in one.stages]
    ends = (span.start, span.end)
    boards = [board(view.store, one, hop, ends, judged_at, view.as_of, most=8) for hop in one.hops]
    lines = view.library.incidents({one.name: one}, view.as_of, everything=False)
    return view.page(
        "pipeline.html", one.name, one=Picture(one, judged_at, boards), span=span, stages=stages, most=8, prefix="",
        page=1, asked="", through=view.library.through(one, view.as_of)[1], curves=list(_curves(view, one)), at=at,
        shelf=shelves(view, one, span), incidents=[line for line in lines if line["status"] != "resolved"],
    )  # fmt: skip


def _curves(view: View, one: Pipeline) -> Iterator[Curve]:
    """The lag that was learned, lane by lane, where there is anything to tell."""
    stored = view.store.state(one.name).get("lanes", [])
    for hop, lanes in zip(one.hops, stored, strict=False):
        for names, dumped in zip(lanes_of(one, hop), lanes, strict=False):
            lane = Lane(hop, names)
            lane.restore(dumped)
            if lane.read.seen:
                done = 1 - lane.read.missing(np.array(AGES, np.int64))
                rows = [(age, float(share)) for age, share in zip(AGES, done.tolist(), strict=True)]
                step = 100 / (len(rows) - 1)
                points = " ".join(
                    f"{number * step:.2f},{100 - 100 * share:.2f}" for number, (_, share) in enumerate(rows)
                )
                yield Curve(hop.part, names, rows, points, lane.read.longest, lane.read.seen)
