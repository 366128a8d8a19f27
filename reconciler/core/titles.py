"""The first line of a message about an incident: what a person who is woken reads before opening it."""

from reconciler.core.cases import Incident
from reconciler.core.scene import Scene
from reconciler.core.verdicts import DIRECT, Evidence
from reconciler.core.wording import clock, many, short

_CAUSES = {
    "deleted": "the queue deleted them unread",
    "not_enqueued": "they never reached the queue",
    "shrunk": "they were there, and are gone",
    "digest": "counts agree, but not the events",
}
_NO_MORE = "No longer"
READ = frozenset({"queue_policy", "capacity", "replay"})
"""Kinds whose detail says all of it."""


def title(incident: Incident, scene: Scene) -> str:
    """One line: whose, what, how many, since when; in the past tense once it is over."""
    where = place(incident, scene)
    if incident.kind in READ or (not incident.shares and incident.detail and ">" not in incident.hop):
        said = f"{where} {incident.detail}"
        return f"{said}. {_NO_MORE}" if incident.status == "resolved" else said
    said = _over(incident, scene) if incident.status == "resolved" else _now(incident, scene)
    return f"{where}: {said}"


def place(incident: Incident, scene: Scene) -> str:
    """The pipeline; with the hop where there are several, or the queue or resource that it is about."""
    name = incident.pipeline
    if ">" in incident.hop:
        start, end = incident.hop.split(">", 1)
        return name if len(scene.pipeline.hops) == 1 else f"{name} ({start} to {end})"
    noun = (
        ""
        if incident.kind == "replay" or incident.mechanism == "sources"
        else "resource "
        if incident.kind == "capacity"
        else "queue "
    )
    noun = "resource " if incident.mechanism == "unread_capacity" else noun
    return f"{name}: {noun}{short(incident.hop)}"


def _now(incident: Incident, scene: Scene) -> str:
    since = f"since {clock(incident.since, scene.now)}"
    some = many(incident.events, "event") if incident.events else "events"
    if incident.kind == "loss":
        cause = f": {_CAUSES[incident.mechanism]}" if incident.mechanism in _CAUSES else ""
        sure = "" if incident.evidence & DIRECT else ", as far as can be inferred"
        return f"{many(incident.lost, 'event')} lost {since}{sure}{cause}"
    if incident.kind == "at_risk" and incident.unseen:
        return f"events {since} may be deleted unread: their queue is seen no more"
    if incident.kind == "at_risk" and incident.shares and not incident.bad:
        return f"events were about to be deleted unread {since}; at present none is seen to be"
    if incident.kind == "at_risk":
        first = f", the first at {clock(incident.loss_at, scene.now)}" if incident.loss_at > scene.now else ""
        passed = "were passed over and " if Evidence.SKIPPED in incident.evidence else ""
        return f"{some} {passed}will be deleted before they are processed{first}"
    if incident.kind == "missing_counts":
        return f"counts are missing {since}: until they come nobody knows what is lost"
    return {
        "delay": f"{some} late {since}",
        "surplus": f"{many(incident.events, 'event')} more processed than accepted {since}",
        "rejects": f"an unusual share of events is dropped {since}",
        "low_volume": f"less is accepted than expected {since}",
    }.get(incident.kind, f"{incident.kind.replace('_', ' ')} {since}")


def _over(incident: Incident, scene: Scene) -> str:
    since = f"since {clock(incident.since, scene.now)}"
    also = " Some of them are lost" if scene.lost_beside else ""
    if incident.kind == "at_risk" and incident.unseen and incident.closed:  # not to see them is no good news
        return f"closed, though the queue of events about to be deleted {since} is seen no more.{also}"
    if incident.kind == "loss":
        left = incident.lost
        if not left:
            return f"what was lost {since} has come again"
        return f"closed, with {many(left, 'event')} lost {since}"
    return {
        "at_risk": f"events were about to be deleted unread {since}. None is any more.{also}",
        "delay": f"events were late {since}. None is any more.{also}",
        "missing_counts": f"counts were missing {since}. They are there",
        "surplus": f"more was processed than accepted {since}. No more",
        "rejects": f"an unusual share of events was dropped {since}. It is usual again",
        "low_volume": f"less was accepted than expected {since}. It is as expected again",
    }.get(incident.kind, f"{incident.kind.replace('_', ' ')} {since}. {_NO_MORE}").rstrip(".")
