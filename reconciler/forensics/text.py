"""An investigation as plain text."""

from collections.abc import Iterator

from reconciler.core.times import format_time
from reconciler.forensics.entrances import WORDS
from reconciler.forensics.inquiry import Found, Investigation
from reconciler.forensics.tables import lost_by, window_of
from reconciler.forensics.timeline import as_lines
from reconciler.reports.words import short

SHOWN = 50
"""Lines of each kind; all are in the files."""


def as_text(looked: Investigation) -> Iterator[str]:
    """The lines for people."""
    known = "" if looked.as_of is None else f", as it was known at {format_time(looked.as_of)}"
    yield f"{format_time(looked.start)} to {format_time(looked.end)}{known}"
    yield ""
    yield "what happened (-) and what was known (*)"
    for entry, names in as_lines(looked.timeline):
        mark = "*" if entry.what == "known" else "-"
        severity = f"{entry.severity} " if entry.severity else ""
        told = entry.text.removeprefix(f"{entry.pipeline}: ")
        yield f"  {format_time(entry.at)} {mark} {short(names, 60)}: {severity}{short(told, 300)}"
    for found in looked.found:
        yield ""
        yield from _pipeline(found)


def _pipeline(found: Found) -> Iterator[str]:
    yield found.pipeline.name
    for hop in found.losses:
        bounds, window = hop.bounds(), hop.window
        name = hop.hop.replace(">", " to ")
        if window is None:
            yield f"  {name}: nothing of {bounds.accepted:,} is lost; {bounds.upper:,} still wait"
            continue
        yield (
            f"  {name}: {bounds.inferred:,} of {bounds.accepted:,} lost (proven {bounds.proven:,}, at most "
            f"{bounds.upper:,}) in {hop.buckets:,} buckets, {format_time(window[0])} to {format_time(window[1])}"
        )
        if bounds.unknown:
            yield f"  {name}: {bounds.unknown:,} cells without counts; nothing bounds what they have lost"
        for number in hop.sources[:SHOWN]:
            own = hop.bounds([number])
            yield f"    {short(hop.names[number])}: {own.inferred:,} lost, proven {own.proven:,}, at most {own.upper:,}"
        if len(hop.sources) > SHOWN:
            yield f"    and {len(hop.sources) - SHOWN:,} more sources"
        yield f"    evidence: {', '.join(f'{why} {amount:,}' for why, amount in hop.evidence().items())}"
    yield from _recovery(found)
    yield from _queues(found)


def _recovery(found: Found) -> Iterator[str]:
    for way in found.entrances:
        window = window_of(found, way.sources)
        if window is not None:
            until = way.deadline(window[0])
            by = "" if until is None else f", until {format_time(until)}"
            lost = f"{lost_by(found, way.sources):,} of {len(way.sources):,} sources"
            yield f"  {short(way.name)}: {lost}: {WORDS[way.way]}{by}"


def _queues(found: Found) -> Iterator[str]:
    for one in found.offsets[:SHOWN]:
        about = "" if one.exact else "about "
        yield (
            f"  {short(one.queue)}/{one.partition}: {one.kind.replace('_', ' ')}: {about}offsets {one.first:,} to "
            f"{one.last - 1:,} ({format_time(one.since)} to {format_time(one.until)})"
        )
    if found.offsets[SHOWN:]:
        yield f"  and {len(found.offsets) - SHOWN:,} more ranges of offsets"
    for held in found.holdings[:SHOWN]:
        unread = "no consumer is known" if held.unread is None else f"{held.unread:,} unread, {held.behind:,} behind it"
        until = "" if held.kept_until is None else f"; the first is kept until {format_time(held.kept_until)}"
        yield f"  {short(held.queue)}/{held.partition} holds at {format_time(held.at)}: {unread}{until}"
    if found.holdings[SHOWN:]:
        yield f"  and {len(found.holdings) - SHOWN:,} more partitions"
