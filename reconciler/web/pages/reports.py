"""Daily reports: which were sent, each as it was sent, and any day as it is known now or was known at an instant."""

from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler.core.times import parse_time
from reconciler.core.verdicts import Verdict
from reconciler.reports import archive
from reconciler.reports import words as said
from reconciler.reports.days import Day, day_of, zone_name
from reconciler.reports.text import objective
from reconciler.reports.writing import ENDINGS, FORMATS
from reconciler.serving import KeptReport
from reconciler.web.pages import words
from reconciler.web.pages.view import Looking, View

router = APIRouter()
LISTED = 60
"""Reports in the list, and sources in each table."""
TYPES = {
    "html": "text/html; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
}
AS_SENT = "; ".join(
    ("default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'",
     "frame-ancestors 'none'", "sandbox")
)  # fmt: skip
"""A report that was sent brings its own style, may run nothing, and is nobody's page."""
CODES = {one.word: one for one in Verdict}


@router.get("/reports")
def reports(view: Looking) -> Response:
    """Those that were sent, the newest first, and the way to every day."""
    kept = [one for one in reversed(view.store.kept_reports()) if _by_then(view, one)]
    zone = usual_zone(view)
    today = day_of(view.judged_at() or view.now, zone)
    recent = [today.before(ago) for ago in range(8)]
    return view.page(
        "reports.html", "Daily reports", kept=kept[:LISTED] if view.visitor.caller.everything else [],
        more=max(0, len(kept) - LISTED), recent=recent, zone=zone_name(zone), sent={one.day for one in kept},
    )  # fmt: skip


def _by_then(view: View, one: KeptReport) -> bool:
    return view.as_of is None or one.made_at <= view.as_of


def usual_zone(view: View) -> tzinfo:
    """`?zone=`, else the one in which the reports are sent. Raises 422."""
    settings, asked = view.settings.reports, view.asked("zone")
    if not asked:
        return (settings.timezone if settings is not None else None) or UTC
    try:
        return UTC if asked == "UTC" else ZoneInfo(asked)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise HTTPException(422, f"zone is {words.name(asked)!r}, not a time zone such as Europe/Berlin.") from None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which report."""

    day: Day
    record: dict[str, Any]


def asked(view: View) -> Asked:
    """`?day=`, `?zone=`, `?pipeline=`, as it is known now or was at `?as_of=`. Raises 422."""
    zone, text = usual_zone(view), view.asked("day")
    try:
        day = Day(date.fromisoformat(text), zone) if text else day_of(view.judged_at() or view.now, zone).before(1)
        past = [day.before(-1).start, day.before(archive.LOOKS_BACK).start]
    except (ValueError, OverflowError):
        raise HTTPException(422, f"day is {words.name(text)!r}, not a date such as 2021-07-20.") from None
    if min(past) < 0:
        raise HTTPException(422, f"day is {words.name(text)!r}; nothing was counted before 1970.")
    pipelines = [view.pipeline()] if view.asked("pipeline") else list(view.pipelines.values())
    return Asked(day, archive.report(view.store, pipelines, day, view.now, view.as_of))


@router.get("/report")
def report(view: Looking) -> Response:
    """A day: how complete it was, pipeline by pipeline, the worst first."""
    one = asked(view)
    found = sorted(one.record["pipelines"], key=lambda each: (-said.ORDER.index(said.worst(each)), each["pipeline"]))
    kept = view.store.kept_reports(one.day.date.isoformat(), one.day.zone_name)
    seen = [each for each in kept if _by_then(view, each)] if view.visitor.caller.everything else []
    return view.page(
        "report.html", f"Completeness of {one.record['day']}", record=one.record, found=found, day=one.day, kept=seen,
        said=said, codes=CODES, objective=objective, listed=LISTED, formats=list(TYPES), time=parse_time,
    )  # fmt: skip


@router.get("/report/file")
def file(view: Looking) -> Response:
    """A day to take away: `?format=` html, markdown, csv, json or text."""
    kind = view.asked("format") or "html"
    if kind not in TYPES:
        raise HTTPException(404, f"There is no format {words.name(kind)!r}; there are: {', '.join(TYPES)}.")
    one = asked(view)
    name = f"completeness-{one.day.date.isoformat()}.{ENDINGS.get(kind, kind)}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(FORMATS[kind](one.record), media_type=TYPES[kind], headers=headers)


@router.get("/report/sent")
def sent(view: Looking) -> Response:
    """A report letter by letter as it was sent: `?number=`."""
    text = view.asked("number")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    found = view.store.kept_report(number)
    if found is None or not _may(view, found):
        raise HTTPException(404, f"There is no report {words.name(text)!r}; the page of reports lists all.")
    headers = {"Content-Security-Policy": AS_SENT, "Cache-Control": "private, no-store"}
    return Response(found.html, media_type=TYPES["html"], headers=headers)


def _may(view: View, found: KeptReport) -> bool:
    """Whether all that it tells of is for the visitor."""
    names = {one["pipeline"] for one in found.record["pipelines"]}
    return view.visitor.caller.everything or names <= view.pipelines.keys()
