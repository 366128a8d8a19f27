"""Incidents: the list, and one of them from its first sign to its end."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler import deeds
from reconciler.core.acts import ActKind
from reconciler.core.times import HOUR, MINUTE, parse_time
from reconciler.errors import ConfigError
from reconciler.web.library import Line
from reconciler.web.pages import charts, words
from reconciler.web.pages.overview import SEVERITIES, page_number
from reconciler.web.pages.view import Acting, Form, Looking, View, author_of, refused, see_other

router = APIRouter()
AT_ONCE = 50
"""Lines on a page."""
DEEDS: dict[str, ActKind] = {
    "acknowledge": "acknowledge", "confirm": "confirm", "close": "close", "reopen": "reopen",
}  # fmt: skip
"""What people may say of an incident."""
NAMED = 200
"""Sources that are listed on the page of an incident."""


@router.get("/incidents")
def incidents(view: Looking) -> Response:
    """The open ones, or with `?status=all` every one; the open first, then the most severe, then the newest."""
    status, kind, page = view.asked("status") or "open", view.asked("kind"), page_number(view)
    every = lines_of(view)
    found = [line for line in every if status == "all" or (line["status"] == "resolved") == (status == "resolved")]
    found = [line for line in found if kind in ("", line["kind"])]
    if pipeline := view.asked("pipeline"):
        found = [line for line in found if line["pipeline"] == view.pipeline().name == pipeline]
    found.sort(key=lambda line: str(line["opened_at"]), reverse=True)
    found.sort(key=lambda line: (line["status"] == "resolved", SEVERITIES.index(line["severity"])))
    return view.page(
        "incidents.html", "Incidents", lines=found[(page - 1) * AT_ONCE : page * AT_ONCE], count=len(found),
        status=status, kinds=sorted({line["kind"] for line in every}), kind=kind, page=page, at_once=AT_ONCE,
        time=parse_time,
    )  # fmt: skip


def lines_of(view: View) -> list[Line]:
    """What was last said of each incident that the visitor may see."""
    return view.library.incidents(view.pipelines, view.as_of, everything=view.visitor.caller.everything)


@router.get("/incident")
def incident(view: Looking) -> Response:
    """One incident: what, since when, whose, the evidence, what to do, and what was said of it when."""
    found = view.library.incident(view.asked("id"))
    seen = (
        []
        if found is None
        else [one for one in found["changes"] if view.as_of is None or parse_time(one["at"]) <= view.as_of]
    )
    if found is None or not seen or not _may(view, found["incident"]):
        raise HTTPException(404, f"There is no incident {words.name(view.asked('id'))!r}" + _then(view) + _some(view))
    last = seen[-1]
    start, end = parse_time(last["from"]), max(parse_time(last["to"]), parse_time(last["from"]) + MINUTE)
    at = [parse_time(one["at"]) for one in seen]
    drawn, low, high = charts.lines(at, {"lost": [one["lost"] for one in seen]}, (at[0], max(at[-1], at[0] + MINUTE)))
    lost = found["lost_by_source"] if view.as_of is None else {}
    sources = sorted(last["sources"], key=lambda name: (-lost.get(name, 0), name))
    beside = [
        one for one in lines_of(view)
        if one["id"] != last["id"] and one["pipeline"] == last["pipeline"]
        and parse_time(one["from"]) <= end and parse_time(one["to"]) >= start
    ]  # fmt: skip
    return view.page(
        "incident.html", f"{last['kind'].replace('_', ' ')}: {last['pipeline']}", line=last, changes=seen,
        sources=sources[:NAMED], more=max(0, len(sources) - NAMED), lost=lost, start=start, end=end,
        drawn=drawn, high=high, low=low, times=at, beside=beside, time=parse_time, hop=_hop(last),
        around={"from_": words.iso(max(0, start - HOUR)), "to": words.iso(end + HOUR)}, named=_named(view, last),
        acts=[act for act in view.store.acts.all(last["id"]) if view.as_of is None or act.at <= view.as_of],
        deeds=_deeds(last),
    )  # fmt: skip


def _deeds(line: Line) -> list[str]:
    """What may be said of it now."""
    if line["status"] == "resolved":
        return ["reopen", "confirm"]
    return ["acknowledge", "confirm", *(["close"] if line["kind"] not in deeds.ENDS_BY_ITSELF else [])]


@router.post("/incident/{deed}")
def speak(view: Acting, form: Form, deed: str) -> Response:
    """Acknowledge, close, confirm or re-open; the next judgement takes it."""
    found = view.library.incident(form.get("id", ""))
    if found is None or not _may(view, found["incident"]):
        raise HTTPException(404, f"There is no incident {words.name(form.get('id', ''))!r}.")
    if deed not in DEEDS:
        raise HTTPException(404, f"There is no act {words.name(deed)!r}; there are: {', '.join(DEEDS)}.")
    number = found["incident"]["id"]
    try:
        deeds.speak(view.store, DEEDS[deed], number, author_of(view, form), form.get("reason", ""), view.now)
    except ConfigError as error:
        raise refused(error) from None
    return see_other(f"/incident?{urlencode({'id': number})}")


def _may(view: View, line: dict[str, Any]) -> bool:
    return view.visitor.caller.everything or line["pipeline"] in view.pipelines


def _hop(line: Line) -> str:
    return f"{line['from_stage']}>{line['to_stage']}" if "from_stage" in line else ""


def _named(view: View, line: Line) -> bool:
    """Whether the pipeline is still configured, so that its sources have pages."""
    return line["pipeline"] in view.pipelines


def _then(view: View) -> str:
    return "" if view.as_of is None else f" as of {words.instant(view.as_of)}"


def _some(view: View) -> str:
    known = [line["id"] for line in lines_of(view)][-3:]
    return f"; there are: {', '.join(known)}." if known else "; there is none."
