"""Mutes and planned work: what nobody is told of, until when, who said so and why."""

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler import deeds
from reconciler.core.acts import Act
from reconciler.core.times import Micros, parse_duration
from reconciler.errors import ConfigError
from reconciler.web.pages import words
from reconciler.web.pages.incidents import lines_of
from reconciler.web.pages.view import Acting, Form, Looking, View, author_of, read_instant, refused, see_other

router = APIRouter()
PAST = 50
"""Mutes that are over and are still listed."""


@router.get("/mutes")
def mutes(view: Looking) -> Response:
    """What holds, what will, and what is over; whoever may act can add one and end one."""
    at = view.now if view.as_of is None else view.as_of
    acts = [act for act in view.store.acts.all() if act.at <= at and not act.incident and _seen(view, act)]
    standing = deeds.standing(acts, at)
    ends = {act.ends: act for act in acts if act.kind == "unmute"}
    over = [act for act in reversed(acts) if act.is_mute and act not in standing]
    quiet = [line for line in lines_of(view) if line["status"] != "resolved" and line.get("muted")]
    return view.page(
        "mutes.html", "Mutes and planned work", standing=standing, over=over[:PAST], more=max(0, len(over) - PAST),
        ends=ends, at=at, kinds=deeds.KINDS, quiet=quiet, all_of_them=view.visitor.caller.everything,
    )  # fmt: skip


def _seen(view: View, act: Act) -> bool:
    """A visitor for some pipelines sees the mutes of these, and those that concern every one."""
    return view.visitor.caller.everything or not act.pipeline or act.pipeline in view.pipelines


@router.post("/mutes")
def add(view: Acting, form: Form) -> Response:
    """Keep what fits quiet until an end."""
    pipeline, kind = form.get("pipeline", "").strip(), form.get("kind", "")
    if kind and kind not in deeds.KINDS:
        raise HTTPException(422, f"There is no kind {words.name(kind)!r}.")
    _all_or_own(view, pipeline)
    since = read_instant("from", form.get("from", "").strip())
    try:
        deeds.mute(
            view.store, author_of(view, form), form.get("reason", ""), view.now, _end(view, form, since), since=since,
            pipeline=pipeline, kind=kind, sources=form.get("sources", "").strip() or "*",
            planned=form.get("planned") == "yes",
        )  # fmt: skip
    except ConfigError as error:
        raise refused(error) from None
    return see_other("/mutes")


@router.post("/mutes/end")
def end(view: Acting, form: Form) -> Response:
    """End one before its end."""
    text = form.get("number", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    found = next((act for act in deeds.mutes(view.store, view.now) if act.id == number), None)
    if found is None:
        raise HTTPException(404, "There is no such mute that still holds; perhaps somebody has just ended it.")
    _all_or_own(view, found.pipeline)
    try:
        deeds.unmute(view.store, number, author_of(view, form), form.get("reason", ""), view.now)
    except ConfigError as error:
        raise refused(error) from None
    return see_other("/mutes")


def _end(view: View, form: dict[str, str], since: Micros | None) -> Micros:
    until = read_instant("until", form.get("until", "").strip())
    if until is not None:
        return until
    try:
        return (view.now if since is None else since) + parse_duration(form.get("for", "").strip())
    except ValueError as error:
        raise HTTPException(
            422, f"A mute needs an end: an instant such as 2021-07-20T18:45:00Z, or a length such as 2h ({error})."
        ) from None


def _all_or_own(view: View, pipeline: str) -> None:
    """Whoever may see some pipelines only mutes those by their names, and no pattern."""
    if not view.visitor.caller.everything and pipeline not in view.pipelines:
        raise HTTPException(403, "You may act for some pipelines only: name one of them.")
