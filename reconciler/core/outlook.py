"""What happens next, and when, if nobody does anything."""

from collections.abc import Callable

from reconciler.core.cases import Incident
from reconciler.core.scene import Scene
from reconciler.core.wording import ahead


def outlook(incident: Incident, scene: Scene) -> str:
    """Half a sentence; empty where there is nothing to be said."""
    made = _MADE.get(incident.kind)
    return (
        made(incident, scene) if made else _SAID.get((incident.kind, incident.mechanism), _SAID.get(incident.kind, ""))
    )


def _at_risk(incident: Incident, scene: Scene) -> str:
    if incident.unseen:
        due = f"the first were to be deleted {ahead(incident.loss_at, scene.now)}" if incident.loss_at else ""
        unknown = "whether they are still there nobody knows until the queue is seen again"
        return f"{due}; {unknown}" if due else unknown
    if not incident.loss_at:
        return "they are deleted; when is not known"
    soon = f"first records are deleted {ahead(incident.loss_at, scene.now)}"
    return soon if incident.loss_at > scene.now else "records are being deleted now"


def _capacity(incident: Incident, scene: Scene) -> str:
    if incident.mechanism == "sources":
        return "what is lost of one of those is not told apart, and a surplus of another hides it"
    if not incident.loss_at:
        return "when it ends is not known, for it has no steady pace; what needs it fails then"
    if incident.loss_at <= scene.now:
        return "it has ended: what needs it fails until there is room"
    return f"it ends {ahead(incident.loss_at, scene.now)}; what needs it fails then"


def _replay(incident: Incident, scene: Scene) -> str:
    if not incident.loss_at or incident.loss_at <= scene.now:
        return "what was not sent again stays lost"
    return f"it can be sent again no more {ahead(incident.loss_at, scene.now)}"


def _loss(incident: Incident, scene: Scene) -> str:
    deletes = incident.mechanism == "deleted" and scene.unread(incident.hop)
    grows = "; more will be, while the queue deletes what waits unread" if deletes else ""
    return f"they stay lost until they are sent again{grows}"


def _delay(incident: Incident, scene: Scene) -> str:
    until = scene.unread_until(incident.hop)
    if until is None:
        return "all of it may still arrive; until when it is kept is not known"
    return f"all of it may still arrive; the first unread record is deleted {ahead(until, scene.now)}"


_MADE: dict[str, Callable[[Incident, Scene], str]] = {
    "at_risk": _at_risk,
    "capacity": _capacity,
    "replay": _replay,
    "loss": _loss,
    "delay": _delay,
}
_SAID: dict[str | tuple[str, str], str] = {
    ("queue_policy", "retention"): (
        "nothing while all is read in time; if reading stops for longer than it keeps, events are lost"
    ),
    "queue_policy": "nothing while its brokers live; with fewer copies one that dies may take events with it",
    ("missing_counts", "unsampled"): "until it is sampled what is in it proves nothing, and nobody is warned in time",
    ("missing_counts", "unread_capacity"): "until it is read nobody is warned before it runs out",
    "missing_counts": "until they report nothing is known: what is missing meanwhile is not seen",
    "surplus": "duplicates hide losses: what is missing in the same minutes is not seen",
    "low_volume": "what was never accepted can only come from its senders",
    "rejects": "the books balance, but the dropped events are nowhere downstream",
}
