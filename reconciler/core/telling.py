"""What an incident tells people, fact by fact: since when, how many of how many, whose, how sure, what comes next."""

from collections.abc import Iterator

from reconciler.core.cases import Incident
from reconciler.core.outlook import outlook
from reconciler.core.scene import Scene
from reconciler.core.stakes import RANK
from reconciler.core.times import format_duration, parse_time
from reconciler.core.titles import READ
from reconciler.core.verdicts import DIRECT, Evidence
from reconciler.core.wording import clock, listed, many, share, short, stretch, top

Facts = Iterator[tuple[str, str]]

_EVIDENCE = {
    Evidence.QUEUE_EXPIRED: "records were deleted before they were read",
    Evidence.PASSED_EXPIRED: "records were passed over, then deleted",
    Evidence.PURGED: "the queue was emptied",
    Evidence.NOT_ENQUEUED: "fewer records were written than events accepted",
    Evidence.SKIPPED: "the consumer jumped over records that nobody processed",
    Evidence.QUEUE_BALANCE: "more is missing than the queue still holds",
    Evidence.OVERTAKEN: "later minutes of the source are through",
    Evidence.RETENTION_PASSED: "it is older than the queue keeps anything",
    Evidence.LAG_EXCEEDED: "lag no longer explains it, while the pipeline moves",
    Evidence.SHRUNK: "counts that were there have become smaller",
    Evidence.DIGEST: "counts agree, the events do not",
    Evidence.MISPLACED: "part of it was counted next door",
    Evidence.FORECAST: "deletion overtakes reading",
    Evidence.NOT_REPORTED: "reporters are silent",
}


def facts(incident: Incident, scene: Scene) -> list[tuple[str, str]]:
    """Label and value, the most important first."""
    what = (*_when(incident, scene), *_seen(incident, scene), *_amount(incident), *_whose(incident))
    return [*what, *_sure(incident), *_next(incident, scene), *_budget(incident, scene), *_people(incident, scene)]


def _when(incident: Incident, scene: Scene) -> Facts:
    if incident.shares:
        yield "Events of", stretch(incident.since, incident.until, scene.now)
    else:
        yield "Since", clock(incident.since, scene.now)


def _seen(incident: Incident, scene: Scene) -> Facts:
    """What a model or a reader found, in its own words, where the title does not say it."""
    if incident.shares and incident.detail and incident.kind not in READ:
        yield "Seen", incident.detail
    if incident.kind == "missing_counts" and scene.silent and incident.status != "resolved":
        silent = [f"{short(name)} of {stage}" if name else f"all of {stage}" for stage, name in scene.silent]
        yield "Silent", listed(silent)


def _amount(incident: Incident) -> Facts:
    accepted, events = incident.accepted, incident.events
    if incident.kind == "loss" and (incident.lost or incident.status != "resolved"):
        yield "Lost", _of(incident.lost, accepted)
        if incident.unplaced:
            yield "Not known yet whose", many(incident.unplaced, "event")
    elif incident.kind == "at_risk" and events:
        yield "At risk", _of(events, accepted)
    elif incident.kind == "delay" and events:
        yield "Late", _of(events, accepted)
    elif incident.kind == "surplus" and events:
        yield "Too many", f"{many(events, 'event')} beyond {accepted:,} accepted"


def _of(events: int, accepted: int) -> str:
    if not accepted:
        return many(events, "event")
    return f"{events:,} of {accepted:,} accepted ({share(events, accepted)})"


def _whose(incident: Incident) -> Facts:
    bad = {source: one for source, one in incident.shares.items() if one.bad} or incident.shares
    if not bad:
        return
    losing = incident.kind == "loss"
    weighed = incident.kind in {"loss", "at_risk", "delay", "surplus"}
    amounts = {source: (one.lost if losing else one.events) if weighed else 0 for source, one in bad.items()}
    yield ("Source" if len(bad) == 1 else f"{len(bad):,} sources"), top(amounts)


def _sure(incident: Incident) -> Facts:
    told = [_EVIDENCE[flag] for flag in Evidence if flag in incident.evidence]
    if incident.kind == "loss":
        how = "Proven" if incident.evidence & DIRECT else "Inferred, not proven"
        yield "How sure", f"{how}: {'; '.join(told)}" if told else how
    elif told:
        yield "Evidence", "; ".join(told)


def _next(incident: Incident, scene: Scene) -> Facts:
    if incident.status == "resolved":
        if incident.kind in {"at_risk", "delay"} and scene.lost_beside:
            yield "Not all were saved", f"see {scene.lost_beside}"
        return
    said = outlook(incident, scene)
    if said:
        yield "Next", said
    if incident.follows:
        yield "Foretold by", incident.follows


def _budget(incident: Incident, scene: Scene) -> Facts:
    standing = scene.standing
    if incident.kind != "loss" or standing is None or not standing.lost or not standing.accepted:
        return
    promised = f"{100 * standing.objective:g} % over {format_duration(standing.window)}"
    if standing.left < 0:
        spent = f"missed by {many(-standing.left, 'event')}"
    else:
        spent = f"{standing.lost:,} of {standing.budget:,} events that may be lost"
    yield "Objective", f"{promised}: {spent}"


def _people(incident: Incident, scene: Scene) -> Facts:
    if incident.reopened:
        yield "Came back", f"{many(incident.reopened, 'time')} within a day of being over"
    for label, said in (("Acknowledged", incident.acknowledged), ("Confirmed", incident.confirmed),
                        ("Closed", incident.closed), ("Muted", incident.muted)):  # fmt: skip
        if said:
            until = f", until {clock(parse_time(said['until']), scene.now)}" if "until" in said else ""
            yield label, f"by {said['author']}{until}: {said['reason']}"


def changed(incident: Incident, was: dict[str, object]) -> str:
    """One line of what is new since it was last told; empty: nothing that people need to know, or all of it is new."""
    if not was:
        return ""
    news = []
    if incident.status == "resolved":
        news.append("it is over")
    elif was.get("reopened", 0) != incident.reopened:
        news.append("it is back")
    before, lost = _whole(was.get("lost")), incident.lost
    if lost > before:
        news.append(f"{many(lost - before, 'event')} more lost, {lost:,} in all")
    elif lost < before:
        news.append(f"{many(before - lost, 'event')} recovered, {lost:,} still lost")
    more = len(incident.shares) - _whole(was.get("sources"))
    if more > 0:
        news.append(f"{many(more, 'source')} more")
    if RANK[incident.severity] > RANK[str(was.get("severity", ""))]:
        news.append(f"it is a {incident.severity} now")
    for word in ("acknowledged", "confirmed", "muted"):
        said = getattr(incident, word)
        if said and not was.get(word):
            news.append(f"{word} by {said['author']}")
    return "; ".join(news)


def mark(incident: Incident) -> dict[str, object]:
    """What `changed` compares with: how the incident was told last."""
    return {
        "lost": incident.lost,
        "sources": len(incident.shares),
        "severity": incident.severity,
        "reopened": incident.reopened,
        "acknowledged": bool(incident.acknowledged),
        "confirmed": bool(incident.confirmed),
        "muted": bool(incident.muted),
    }


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
