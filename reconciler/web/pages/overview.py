"""The overview: what is wrong now, and all sources by time, the worst first."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.times import Micros
from reconciler.reports.boards import Board, board
from reconciler.web.pages.view import Looking, Span, View

router = APIRouter()
SHOWN = 60
"""Rows of sources on the page, over all boards."""
ATTENTION = 6
"""Incidents on the overview."""
SEVERITIES = ("page", "ticket", "info")


@dataclass(frozen=True, slots=True)
class Picture:
    """A pipeline on the overview."""

    pipeline: Pipeline
    judged_at: Micros | None
    boards: list[Board]


@router.get("/")
def overview(view: Looking) -> Response:
    """All pipelines, or the one that is asked for."""
    asked = view.asked("pipeline")
    pipelines = [view.pipeline()] if asked else list(view.pipelines.values())
    span, prefix, page = view.span(), view.asked("source"), page_number(view)
    hops = sum(len(one.hops) for one in pipelines)
    most = SHOWN if hops == 1 else max(8, SHOWN // max(hops, 1))
    pictures = [_picture(view, one, span, prefix, page, most) for one in pipelines]
    return view.page(
        "overview.html", "Overview", span=span, pictures=pictures, prefix=prefix, page=page, most=most,
        incidents=standing(view), attention=ATTENTION, asked=asked,
    )  # fmt: skip


def page_number(view: View) -> int:
    """`?page=`, from 1. Raises 422."""
    text = view.asked("page") or "1"
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 9):
        raise HTTPException(422, f"page is {text[:20]!r}, not a number from 1.")
    return int(text)


def _picture(view: View, pipeline: Pipeline, span: Span, prefix: str, page: int, most: int) -> Picture:
    judged_at = view.library.judged_at(pipeline, view.as_of)

    def one(hop: Hop) -> Board:
        ends = (span.start, span.end)
        skip = (page - 1) * most
        return board(view.store, pipeline, hop, ends, judged_at, view.as_of, prefix=prefix, skip=skip, most=most)

    return Picture(pipeline, judged_at, [one(hop) for hop in pipeline.hops])


def standing(view: View) -> list[dict[str, Any]]:
    """Incidents that are not over, the most severe first, then the newest."""
    lines = view.library.incidents(view.pipelines, view.as_of, everything=view.visitor.caller.everything)
    found = sorted(
        (line for line in lines if line["status"] != "resolved"), key=lambda line: str(line["opened_at"]), reverse=True
    )
    return sorted(found, key=lambda line: SEVERITIES.index(line["severity"]))
