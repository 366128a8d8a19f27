"""What customers can be told of an incident, in each of its phases: a draft, to be read by a person before it goes out.

It never says that no data is lost unless the queue was seen to hold all of it, and it says of each way in what those
who send must do, and until when.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.core.senders import Sender, Way, by_sender
from reconciler.core.times import Micros, parse_time
from reconciler.core.wording import clock, listed, many, share

Line = Mapping[str, Any]

INVESTIGATING, IDENTIFIED, MONITORING, RESOLVED = "investigating", "identified", "monitoring", "resolved"
PHASES = (INVESTIGATING, IDENTIFIED, MONITORING, RESOLVED)
"""As status pages have them."""


_NOW_SENT = {
    "loss": "Events that you send now may be affected too. ",
    "at_risk": "Events that you send now may be affected too. ",
    "delay": "Events that you send now may be late too. ",
}
"""While nobody has said that it is mended nothing better is known."""


def phase_of(line: Line) -> str:
    """The phase that an incident is in, by what was last said of it."""
    if line["status"] == "resolved":
        return RESOLVED
    return IDENTIFIED if line["kind"] in ("loss", "at_risk") else INVESTIGATING


def draft(line: Line, senders: Sequence[Sender], now: Micros, phase: str, *, safe: bool) -> str:
    """The text for a status page. `safe`: the queue was seen to hold all that is missing, and nothing was lost."""
    parts = [_head(line, now, phase), *_state(line, now, phase, safe=safe)]
    if line["kind"] in ("loss", "at_risk"):
        parts += _ways(line, senders, now)
    return "\n\n".join(parts) + "\n"


def _head(line: Line, now: Micros, phase: str) -> str:
    since = clock(parse_time(str(line["from"])), now)
    until = clock(parse_time(str(line["to"])), now)
    what = {
        "loss": "Events that were not processed",
        "at_risk": "Delayed events",
        "delay": "Delayed events",
        "low_volume": "Fewer events than usual",
        "surplus": "Events counted more than once",
        "rejects": "Events dropped by processing",
    }.get(str(line["kind"]), "Event processing")
    span = f"since {since}" if phase != RESOLVED else f"{since} to {until}"
    return f"{phase.capitalize()} - {what}, {span} ({line['pipeline']})"


def _state(line: Line, now: Micros, phase: str, *, safe: bool) -> Iterator[str]:
    kind = str(line["kind"])
    if kind == "loss":
        yield from _loss(line, phase)
    elif kind in ("delay", "at_risk"):
        yield from _late(line, now, phase, safe=safe)
    elif kind == "surplus":
        yield "Some events accepted in this time are counted more than once. We are removing the extra ones."
    elif kind in ("low_volume", "rejects"):
        yield "We see fewer usable events of this time than usual, and are finding out why."
    else:
        yield "We cannot tell at the moment whether all events are processed, and are restoring our measurements."
    if phase != RESOLVED:
        now_sent = _NOW_SENT.get(kind, "") if phase != MONITORING else ""
        yield f"{now_sent}We will write again when we know more, within the hour."


def _loss(line: Line, phase: str) -> Iterator[str]:
    lost, accepted = int(line["lost"]), int(line.get("accepted") or 0)
    of = f" of {accepted:,} ({share(lost, accepted)})" if accepted else ""
    sure = "" if line.get("proven") else " as far as we can tell"
    if not lost:
        yield "All events of this time that had been missing have arrived since."
    elif phase == RESOLVED:
        yield f"{many(lost, 'event')}{of} accepted in this time were lost{sure} and have not been sent again."
    else:
        yield f"{many(lost, 'event')}{of} accepted in this time are lost{sure}: they will not arrive by themselves."


def _late(line: Line, now: Micros, phase: str, *, safe: bool) -> Iterator[str]:
    if phase == RESOLVED and line["kind"] == "delay" and safe:
        yield "All delayed events have been processed. No data is lost."
    elif phase == RESOLVED:
        yield "Processing has caught up. We are checking whether every event of this time has arrived."
    elif line["kind"] == "at_risk":
        until = parse_time(str(line["loss_at"])) if line.get("loss_at") else None
        if until is not None and until <= now:
            yield "Events of this time are delayed, and some may be lost by now. We are finding out which."
        else:
            before = f" before {clock(until, now)}" if until else ""
            yield f"Events of this time are delayed, and some may be lost unless they are processed{before}."
    elif safe:
        yield "Events of this time are delayed. All of them are stored, and will be processed."
    else:
        yield "Events of this time are delayed. We do not know yet whether all of them can still be processed."


def _ways(line: Line, senders: Sequence[Sender], now: Micros) -> Iterator[str]:
    """What those who send have to do, way in by way in."""
    first = parse_time(str(line["from"]))
    groups = by_sender(senders, list(line["sources"]))
    if line["kind"] == "at_risk" and groups:
        yield "You need not do anything yet. Should events be lost after all:"
    elif not groups:
        yield "We do not know yet whose events these are."
    for sender, sources in groups:
        yield _way(sender, sources, first, now)


def _way(sender: Sender | None, sources: Sequence[str], first: Micros, now: Micros) -> str:
    if sender is None:
        return f"{listed(sources)}: we do not know yet how these events can be sent again, and will tell you."
    until = sender.deadline(first)
    by = "" if until is None else f" This works until {clock(until, now)}."
    if until is not None and until <= now:
        return f"{sender.name}: it was possible to send these events again until {clock(until, now)}; no longer."
    asked = {
        Way.REREAD: "you need not do anything: we read these events again.",
        Way.REWIND: "you need not do anything: these events are still stored before our queue, and we read them again.",
        Way.PARTNER: "we ask the partner to send these events again.",
        Way.CUSTOMER: "please send the events of this time again.",
    }[sender.way]
    consent = " We need your consent first." if sender.consent else ""
    once = ""
    if sender.way is Way.CUSTOMER:
        once = (
            f" Keep `{sender.identity}` as it was, so that nothing counts twice."
            if sender.identity
            else " What had arrived would count twice: ask us before you send it."
        )
    contact = f" Contact: {sender.contact}." if sender.contact else ""
    return f"{sender.name}: {asked}{consent}{once}{by}{contact}"
