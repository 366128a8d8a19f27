"""What an incident says to people in one line each: what happened, and what to do now."""

from reconciler.core.incidents import Incident
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, format_duration, format_time
from reconciler.core.verdicts import DIRECT, Evidence

NAMED_SOURCES = 3


def summary(incident: Incident) -> str:
    """One line: what, how many, whose, since when."""
    where = f"{incident.pipeline} ({incident.hop})"
    if incident.kind in {"queue_policy", "capacity"} or incident.mechanism in {"unsampled", "unread_capacity"}:
        noun = "resource" if incident.kind == "capacity" or incident.mechanism == "unread_capacity" else "queue"
        return f"{incident.pipeline}: {noun} {incident.hop} {incident.detail}"
    if incident.kind == "replay":
        return f"{incident.pipeline}: {incident.hop} {incident.detail}"
    since = f"since {format_time(incident.since)}"
    who = _who(incident)
    if incident.kind == "loss":
        how = "lost" if incident.evidence & DIRECT else "lost, as far as can be inferred"
        return f"{where}: {incident.lost:,} events {how} {since}, {who}: {_LOSS[incident.mechanism]}"
    detail = f": {incident.detail}" if incident.detail else ""
    return f"{where}: {_KINDS[incident.kind]} {since}, {who}{detail}"


def advice(incident: Incident, pipeline: Pipeline, now: Micros) -> str:
    """What to do now, the most urgent first."""
    if incident.kind == "at_risk" and incident.unseen:
        return f"The queue is seen no more: look at it by hand. {_at_risk(incident, pipeline, now)}"
    if incident.kind == "at_risk":
        return _at_risk(incident, pipeline, now)
    if incident.kind == "loss":
        return _LOSS_ADVICE[incident.mechanism]
    if incident.kind == "queue_policy" and incident.mechanism == "retention":
        return f"Raise the retention of {incident.hop} to its policy (check the free disk first): a stop loses data."
    if incident.kind == "capacity" and incident.loss_at:
        when = format_time(incident.loss_at)
        return f"At the present pace it ends at {when}. {_ADVICE['capacity']}" if incident.loss_at > now else _USED_UP
    if incident.kind == "capacity" and incident.mechanism == "sources":
        return "Let sources be those who send, not those they send of (no user, no event); or raise max_sources."
    return _ADVICE.get(incident.mechanism) or _ADVICE[incident.kind]


def _who(incident: Incident) -> str:
    names = sorted(source for source, share in incident.shares.items() if share.bad) or sorted(incident.shares)
    if not names:
        return "sources not known yet"
    shown = ", ".join(names[:NAMED_SOURCES])
    more = f" and {len(names) - NAMED_SOURCES:,} more" if len(names) > NAMED_SOURCES else ""
    return f"{'source' if len(names) == 1 else 'sources'} {shown}{more}"


def _at_risk(incident: Incident, pipeline: Pipeline, now: Micros) -> str:
    queues = [name for name, queue in pipeline.queues.items() if queue.hop.part == incident.hop]
    queue = " and ".join(queues) or "the queue"
    until = "soon"
    if incident.loss_at:
        left = incident.loss_at - now
        until = f"at {format_time(incident.loss_at)}" + (f", in {format_duration(left)}" if left > 0 else ", now")
    first = f"First records are deleted {until}. Raise the retention of {queue} now (check the free disk first)"
    if Evidence.SKIPPED in incident.evidence:
        return f"{first}; then rewind the consumer to before {format_time(incident.since)} and let it read again."
    return f"{first}; then get the consumer going, from its committed offset, never from the newest."


_KINDS = {
    "at_risk": "events will be deleted before they are processed,",
    "delay": "events are late beyond normal lag",
    "surplus": "more processed than accepted",
    "missing_counts": "counts are missing, nothing can be said",
    "rejects": "an unusual share of events ends as legal drops",
    "low_volume": "less accepted than expected",
}
_LOSS = {
    "deleted": "the queue deleted them before they were processed",
    "not_enqueued": "accepted, and never written to the queue",
    "shrunk": "they had been counted, and are there no more",
    "digest": "counts agree, but they are not the same events",
    "inferred": "nothing holds them and lag no longer explains the gap",
}
_LOSS_ADVICE = {
    "deleted": "Raise the retention now to save what is left; keep the window and ask the sources to send it again.",
    "not_enqueued": "Stop acknowledging what is not written: look at the producer's errors, then ask for it again.",
    "shrunk": "Find what removed stored events (a retention job, a failed rewrite) and restore them.",
    "digest": "Compare the event ids of the window: some are missing, others are there twice.",
    "inferred": "Look at the consumer's errors and dead letters for this window; then ask the sources to send again.",
}
_ADVICE = {
    "delay": "Find out why processing is behind; all of these events may still arrive.",
    "surplus": "Look for duplicates: a replay, a retry without deduplication, a counter that counts twice.",
    "missing_counts": "Bring back the silent reporter, or say that it has ended; until then this is unknown, not good.",
    "unsampled": "Ask its connector by hand (`reconciler check-config --connect`) and mend what it says.",
    "unread_capacity": "Ask its connector by hand (`reconciler check-config --connect`) and mend what it says.",
    "rejects": "Look at why events are dropped: a schema change, a filter, a new client version.",
    "queue_policy": "Bring the queue back to its policy.",
    "capacity": "Make room before it ends: a larger type, a larger disk, a clean-up, a vacuum.",
    "replay": "Ask the senders that `reconciler replay show` names, before it is too late; or close what is final.",
    "low_volume": "Ask the senders; nothing inside the pipeline is missing.",
}
_USED_UP = (
    "What needs it fails now. Make room (a larger type or disk, a clean-up, a vacuum), then look for what is missing."
)
