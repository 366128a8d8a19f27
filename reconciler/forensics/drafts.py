"""Drafts for people to finish: the account of what happened, and a letter to each entry point. What nobody can read off
the records stands in brackets."""

from collections.abc import Iterator
from typing import Any

from reconciler.core.senders import Way
from reconciler.core.times import Micros, format_duration, format_time, parse_time
from reconciler.forensics.entrances import WORDS, Entrance
from reconciler.forensics.inquiry import Found, Investigation
from reconciler.forensics.tables import lost_by, window_of
from reconciler.forensics.timeline import as_lines
from reconciler.reports.markdown import plain, table

NAMED = 200
"""Sources that are named in a draft; the others are in the tables."""
TOLD = 400
"""Lines of the time line."""


def postmortem(looked: Investigation) -> Iterator[str]:
    """The account of what happened, as Markdown."""
    yield f"# Incident of {format_time(looked.start)} to {format_time(looked.end)}"
    yield ""
    known = "now" if looked.as_of is None else f"at {format_time(looked.as_of)}"
    made = looked.made_by
    yield f"Draft, from what the ledger knows {known} (reconciler {made['version']}, settings {made['settings']})."
    yield ""
    yield "## Impact"
    yield ""
    for found in looked.found:
        yield from _impact(found)
    yield ""
    yield "## When it could be known"
    yield ""
    yield from _detection(looked)
    yield ""
    yield "## Cause"
    yield ""
    yield from _evidence(looked)
    yield "- [What led to it: to be written by those who know.]"
    yield ""
    yield "## Who is affected, and how they recover"
    for found in looked.found:
        for way in found.entrances:
            if lost_by(found, way.sources):
                yield from ("", *_entrance(found, way))
    yield ""
    yield "## Time line (UTC)"
    yield ""
    lines = list(as_lines(looked.timeline))
    rows = [[format_time(one.at), "was known" if one.what == "known" else "happened", plain(names), plain(one.text)]
            for one, names in lines[:TOLD]]  # fmt: skip
    yield from table(["when", "", "pipeline", "what"], rows, left=4)
    if lines[TOLD:]:
        yield ""
        yield f"and {len(lines) - TOLD:,} lines more, in timeline.csv"
    yield ""
    yield "## What is to be done so that it does not happen again"
    yield ""
    yield "- [To be written.]"


def _impact(found: Found) -> Iterator[str]:
    for hop in found.losses:
        bounds, window = hop.bounds(), hop.window
        name = plain(f"{found.pipeline.name} ({hop.hop.replace('>', ' to ')})")
        if window is None:
            waiting = f"; {bounds.upper:,} still wait" if bounds.upper else ""
            yield f"- {name}: nothing of {bounds.accepted:,} accepted events is lost{waiting}."
            continue
        beside = f", beside {bounds.unknown:,} cells without counts." if bounds.unknown else "."
        yield (
            f"- {name}: {bounds.inferred:,} of {bounds.accepted:,} accepted events are lost, in {hop.buckets:,} "
            f"buckets from {format_time(window[0])} to {format_time(window[1])}. At least {bounds.proven:,} (proven), "
            f"at most {bounds.upper:,}{beside}"
        )


def _detection(looked: Investigation) -> Iterator[str]:
    """The first that was said of each kind of incident, beside the first loss."""
    told: list[tuple[dict[str, Any], Micros | None]] = []
    for found in looked.found:
        losses = [hop.window for hop in found.losses if hop.window is not None]
        first = min((window[0] for window in losses), default=None)
        told += [(changes[0], first) for changes in found.incidents]
    for line, first in sorted(told, key=lambda one: (one[0]["at"], one[0]["id"])):
        when = plain(f"{line['at']}: {line['kind'].replace('_', ' ')} ({line['severity']}): {line['summary']}")
        yield f"- {when}{'' if first is None else _distance(line['at'], first)}"


def _distance(said: str, first: Micros) -> str:
    apart = parse_time(said) - first
    return f" ({format_duration(apart)} {'after' if apart >= 0 else 'before'} the first lost event)"


def _evidence(looked: Investigation) -> Iterator[str]:
    for found in looked.found:
        for hop in found.losses:
            for name, amount in hop.evidence().items():
                meaning = EVIDENCE.get(name, name.replace("_", " "))
                yield f"- {plain(found.pipeline.name)}: {amount:,} of the lost events are in cells where {meaning}."


EVIDENCE = {
    "queue_expired": "the queue deleted records before they were read",
    "passed_expired": "the consumer passed records over, and the queue deleted them later",
    "purged": "the queue was emptied",
    "not_enqueued": "fewer records were written to the queue than events were accepted",
    "skipped": "the consumer jumped over records that nobody processed",
    "queue_balance": "the gap is larger than what the queue still holds",
    "overtaken": "later buckets are through, and these are not",
    "retention_passed": "all is older than the queue keeps anything",
    "lag_exceeded": "the gap is older than lag explains",
    "shrunk": "a count that was there became smaller",
    "digest": "the counts agree, and they are not the same events",
}


def _entrance(found: Found, way: Entrance) -> Iterator[str]:
    window = window_of(found, way.sources)
    yield f"### {plain(way.name)}"
    yield ""
    yield f"- {lost_by(found, way.sources):,} events of {_names(way)}."
    yield f"- How: {WORDS[way.way]}."
    sender = way.sender
    if sender is not None:
        until = None if window is None else way.deadline(window[0])
        yield f"- Until: {'[not known]' if until is None else format_time(until)}."
        if sender.consent:
            yield "- Each customer has to agree first."
        yield f"- Duplicates: {_identity(sender.identity)}."
        if sender.contact:
            yield f"- Ask: {plain(sender.contact)}."


def _names(way: Entrance) -> str:
    shown = ", ".join(plain(name, 80) for name in way.sources[:NAMED])
    more = len(way.sources) - NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _identity(field: str) -> str:
    if field:
        return f"events are told apart by `{field}`, so what is sent twice counts once"
    return "nothing tells events apart; what had arrived already has to be filtered out afterwards"


_ASK = {
    Way.REREAD: "We can read these events again from where we took them. You need not do anything. [By when.]",
    Way.PARTNER: "Your events reach us through a partner, who can send them again when asked. [State of that.]",
    Way.CUSTOMER: "These events came from your own servers, and only they can send them again. Please do so",
    Way.REWIND: "These events are still with us, before the point where they were lost. You need not do anything.",
    None: "[Nobody has said yet how these events can be sent again. Please say what can be done.]",
}


def letters(looked: Investigation) -> Iterator[tuple[str, list[str]]]:
    """For each entry point that has lost something: its name, and the draft of a letter as Markdown."""
    for found in looked.found:
        for way in found.entrances:
            amount, window = lost_by(found, way.sources), window_of(found, way.sources)
            if amount and window is not None:
                yield way.name, list(_letter(found, way, amount, window))


def _letter(found: Found, way: Entrance, amount: int, window: tuple[Micros, Micros]) -> Iterator[str]:
    yield f"Subject: Events accepted from {format_time(window[0])} to {format_time(window[1])} are missing"
    yield ""
    yield "[Name],"
    yield ""
    yield (
        f"between {format_time(window[0])} and {format_time(window[1])} (UTC) we accepted events from you that we then "
        "lost. They are not in your reports. We are sorry for that."
    )
    yield ""
    total = f"In all, {amount:,} events that came in by {plain(way.name)} are concerned."
    yield f"{total} Your own: [number for this customer, from sources.csv], by minute in buckets.csv."
    yield ""
    yield "".join(_what_to_do(way, window))
    yield ""
    yield "[What is not affected: to be said by those who have looked.]"
    yield ""
    yield "[Signature]"


def _what_to_do(way: Entrance, window: tuple[Micros, Micros]) -> Iterator[str]:
    sender = way.sender
    yield _ASK[way.way]
    if sender is None:
        return
    until = way.deadline(window[0])
    if way.way is Way.CUSTOMER:
        yield " [by when]." if until is None else f" by {format_time(until)}."
    elif until is not None:
        yield f" That is possible until {format_time(until)}."
    if sender.consent:
        yield " We need your consent for that: please answer this letter."
    if way.way in (Way.CUSTOMER, Way.PARTNER):
        yield f" Events keep their original time. {_identity(sender.identity).capitalize()}."
