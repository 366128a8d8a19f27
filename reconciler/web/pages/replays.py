"""Replays: who sends what again, by when, how nothing counts twice; and the proof of what came of it."""

from dataclasses import asdict

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler.core.replays import Proof, Replay
from reconciler.core.times import DAY, NEVER, Micros
from reconciler.errors import ConfigError
from reconciler.replaying import ReplayAct
from reconciler.reports import replay_deeds
from reconciler.reports.replay_deeds import Deed
from reconciler.reports.replay_text import WAYS, outcome
from reconciler.reports.replays import prove
from reconciler.web.pages import words
from reconciler.web.pages.view import Acting, Form, Looking, View, author_of, read_instant, refused, see_other

router = APIRouter()
LISTED = 300
"""Sources of a replay that are listed, those that are due first at the top."""
_ORDER = ("too late", "lost for good", "missing", "not known", "under way", "duplicates", "whole")
"""Outcomes, the worst first."""


@router.get("/replays")
def replays(view: Looking) -> Response:
    """All of them, those that are due first at the top; and, for those who may act, the form for a new one."""
    at = view.now if view.as_of is None else view.as_of
    found = [_then(view, one) for one in view.store.replays.all() if one.pipeline in view.pipelines]
    found = [one for one in found if one.created_at <= at]
    found.sort(key=lambda one: (one.state == "closed", one.due or NEVER, one.id))
    losses = [
        line for line in view.library.incidents(view.pipelines, view.as_of, everything=False)
        if line["kind"] in ("loss", "at_risk") and line["status"] != "resolved"
    ]  # fmt: skip
    planned = {one.id: sum(part.events for part in one.parts) for one in found}
    return view.page(
        "replays.html", "Replays", found=found, events=planned, losses=losses[::-1][:20], at=at, day=DAY,
        incident=view.asked("incident"),
    )  # fmt: skip


@router.get("/replay")
def replay(view: Looking) -> Response:
    """One of them: the plan, source by source, what came of it, and what was done."""
    at = view.now if view.as_of is None else view.as_of
    found = _found(view, view.asked("id"))
    if found.created_at > at:
        raise HTTPException(404, f"{found.id} was planned {words.instant(found.created_at)}, which is later.")
    acts = [act for act in view.store.replays.acts(found.id) if act.at <= at]
    found = _then(view, found)
    proofs = prove(view.store, view.pipelines[found.pipeline], found, view.as_of)
    rows = [(part, proof, outcome(part, proof, at)) for part, proof in proofs]
    rows.sort(key=lambda row: (_ORDER.index(row[2]), row[0].until or NEVER, -row[1].missing, row[0].source))
    warned: dict[str, list[str]] = {}
    for part in found.parts:
        for warning in part.warnings:
            warned.setdefault(warning, []).append(part.source)
    return view.page(
        "replay.html", found.id, found=found, rows=rows[:LISTED], more=max(0, len(rows) - LISTED), acts=acts, at=at,
        sums=_sums([proof for _, proof, _ in rows]), warned=warned, ways=WAYS, told=_told, day=DAY,
        hops=len({part.hop for part in found.parts}), patterns=_patterns(found),
    )  # fmt: skip


def _sums(proofs: list[Proof]) -> dict[str, int]:
    """Over all sources: what stands above the table, which tells them apart."""
    names = [*asdict(proofs[0]), "under_way"] if proofs else []
    return {name: sum(getattr(proof, name) for proof in proofs) for name in names}


def _told(act: ReplayAct) -> str:
    """What was done, in words."""
    sources = act.payload.get("sources", [])
    if act.act == "plan":
        return f"planned: {act.payload.get('events', 0):,} events are to come again"
    if act.act == "verify":
        missing = sum(one["missing"] + one["waiting"] for one in sources)
        return f"verified: {sum(one['recovered'] for one in sources):,} recovered, {missing:,} not yet"
    names = ", ".join(words.name(one, 40) for one in sources[:3]) + (f" and {len(sources) - 3}" * (len(sources) > 3))
    final = act.payload.get("final")
    lost = "" if final is None else f"; {sum(final.values()):,} missing for good"
    return f"{'started' if act.act == 'start' else 'closed'}: {names}{lost}"


def _patterns(found: Replay) -> list[str]:
    """What a form offers: everything, and each way of sending, by the names of its sources."""
    return ["*", *sorted({part.source for part in found.parts if part.state != "closed"})[:40]]


def _then(view: View, found: Replay) -> Replay:
    if view.as_of is None:
        return found
    return replay_deeds.as_of(found, view.store.replays.acts(found.id), view.as_of)


def _found(view: View, name: str) -> Replay:
    """A replay of a pipeline that the visitor may see. Raises 404."""
    found = view.store.replays.find(name)
    if found is None or found.pipeline not in view.pipelines:
        raise HTTPException(404, f"There is no replay {words.name(name)!r}; the page of replays lists all.")
    return found


@router.post("/replays")
def plan(view: Acting, form: Form) -> Response:
    """Plan one, of an incident or of a stretch of time."""
    pattern, deed = form.get("sources", "").strip() or "*", _deed(view, form)
    try:
        name, start, end = _window(view, form)
        if name not in view.pipelines:
            raise HTTPException(404, f"There is no pipeline {words.name(name)!r} that you may see.")
        made = replay_deeds.plan(view.store, view.settings.senders, view.pipelines[name], (start, end), pattern, deed)
    except ConfigError as error:
        raise refused(error) from None
    return see_other(f"/replay?id={made.id}")


def _window(view: View, form: dict[str, str]) -> tuple[str, Micros, Micros]:
    if incident := form.get("incident", "").strip():
        return replay_deeds.of_incident(view.store, incident)
    start, end = (read_instant(name, form.get(name, "").strip()) for name in ("from", "to"))
    if start is None or not form.get("pipeline"):
        raise HTTPException(422, "Say which incident, or which pipeline and from when.")
    return form["pipeline"], start, view.now if end is None else end


@router.post("/replay/{act}")
def act(view: Acting, form: Form, act: str) -> Response:
    """Start, verify or close one."""
    found, pattern, deed = _found(view, form.get("id", "")), form.get("sources", "").strip() or "*", _deed(view, form)
    try:
        if act == "start":
            label = form.get("label", "").strip() or None
            consented = form.get("consented") == "yes"
            replay_deeds.start(view.store, found.id, pattern, label, deed, consented=consented)
        elif act == "verify":
            replay_deeds.verify(view.store, view.pipelines, found.id, deed)
        elif act == "close":
            if not deed.reason:
                raise HTTPException(422, "Say why nothing more is expected; it is kept.")
            replay_deeds.close(view.store, view.pipelines, found.id, pattern, deed)
        else:
            raise HTTPException(404, "There is no such act; one can start, verify and close.")
    except ConfigError as error:
        raise refused(error) from None
    return see_other(f"/replay?id={found.id}")


def _deed(view: View, form: dict[str, str]) -> Deed:
    reason, author = form.get("reason", "").strip(), author_of(view, form)
    for text in (reason, author):
        if len(text) > replay_deeds.TEXT or not text.isprintable():
            raise HTTPException(422, f"A name or a reason holds {replay_deeds.TEXT:,} letters at most, in one line.")
    return Deed(author, view.now, reason)
