"""A replay and its proof, for people and for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from reconciler.core.replays import Part, Proof, Replay
from reconciler.core.senders import Way
from reconciler.core.times import Micros, format_duration, format_time, time_of

SHOWN = 5
"""Windows of a source, and partitions of a queue, that are written out in text; programs get all."""
WAYS = {
    Way.REREAD: "we read it again from where it was taken",
    Way.PARTNER: "a partner sends it again when asked",
    Way.CUSTOMER: "only the customer can send it again",
    Way.REWIND: "the consumer is set back",
    None: "not known",
}
_COLUMNS = ("lost then", "sent", "recovered", "already there", "duplicated", "under way", "missing")


def record(replay: Replay) -> dict[str, Any]:
    """A replay for programs."""
    return {
        "replay": replay.id,
        "pipeline": replay.pipeline,
        "state": replay.state,
        "created_at": format_time(replay.created_at),
        "due": time_of(replay.due),
        "events": sum(part.events for part in replay.parts),
        "sources": [_planned(part) for part in replay.parts],
    }


def _planned(part: Part) -> dict[str, Any]:
    from_stage, to_stage = part.hop.split(">")
    return {
        "source": part.source,
        "from_stage": from_stage,
        "to_stage": to_stage,
        "state": part.state,
        "label": part.label,
        "events": part.events,
        "windows": [
            {"from": format_time(one.start), "to": format_time(one.end), "events": one.events} for one in part.windows
        ],
        "way": part.way,
        "who": part.who,
        "contact": part.contact,
        "consent": part.consent,
        "dedupe": {"by": part.identity or None, "until": time_of(part.copies_until), "rule": part.rule},
        "until": time_of(part.until),
        "rewind": [asdict(one) | {"until": time_of(one.until)} for one in part.rewinds],
        "warnings": list(part.warnings),
    }


def part_record(part: Part, proof: Proof, now: Micros) -> dict[str, Any]:
    """What came of one source, for programs."""
    return _planned(part) | asdict(proof) | {"under_way": proof.under_way, "outcome": outcome(part, proof, now)}


def outcome(part: Part, proof: Proof, now: Micros) -> str:
    """In a word or two: what a person would say of it."""
    if proof.unknown:
        return "not known"
    if not proof.missing and not proof.waiting:
        return "duplicates" if proof.duplicated else "whole"
    if part.state == "closed":
        return "lost for good"
    if part.until is not None and part.until <= now:
        return "too late"
    return "missing" if part.state == "planned" else "under way"


def plan_text(replay: Replay) -> Iterator[str]:
    """A plan for people."""
    events, many = sum(part.events for part in replay.parts), len(replay.parts)
    yield f"{replay.id} of {replay.pipeline} ({replay.state}): {events:,} events of {many:,} sources are to come again"
    for part in replay.parts:
        yield ""
        yield from _part_text(part)
    warned: dict[str, list[str]] = {}
    for part in replay.parts:
        for warning in part.warnings:
            warned.setdefault(warning, []).append(part.source)
    for warning, sources in warned.items():
        who = ", ".join(sources[:SHOWN]) + (f" and {len(sources) - SHOWN:,} more" if len(sources) > SHOWN else "")
        yield from ["", f"WARNING  {who}: {warning}"]


def _part_text(part: Part) -> Iterator[str]:
    yield f"{part.source}: {part.events:,} events, {part.hop.replace('>', ' to ')} ({part.state})"
    for window in part.windows[:SHOWN]:
        yield f"  window   {format_time(window.start)} to {format_time(window.end)}  {window.events:,}"
    if len(part.windows) > SHOWN:
        yield f"           and {len(part.windows) - SHOWN:,} more windows (--json has all)"
    who = f"{part.who}: " if part.who else ""
    yield f"  way      {who}{WAYS[part.way]}{f'; ask {part.contact}' if part.contact else ''}"
    if part.consent:
        yield "  consent  each customer has to agree first"
    for one in part.rewinds[:SHOWN]:
        until = f", before {format_time(one.until)}" if one.until is not None else ""
        yield f"  rewind   {one.queue}/{one.partition} to offset {one.first}, until {one.end}{until}"
    if len(part.rewinds) > SHOWN:
        yield f"           and {len(part.rewinds) - SHOWN:,} more partitions (--json has all)"
    yield f"  copies   {part.rule}"
    yield f"  by       {time_of(part.until) or 'no deadline is known'}"
    yield f"  label    {part.label}"


def proof_text(replay: Replay, proofs: Sequence[tuple[Part, Proof]], now: Micros) -> Iterator[str]:
    """What came of it, as a table; no sum over sources that recover in different ways."""
    width = max([len("source"), *(min(40, len(part.source)) for part, _ in proofs)])
    yield f"{replay.id} of {replay.pipeline} ({replay.state}), as of {format_time(now)}"
    yield f"{'source':<{width}}" + "".join(f" {name:>13}" for name in _COLUMNS) + "  by when"
    for part, proof in proofs:
        amounts = (
            part.events, proof.sent, proof.recovered, proof.already_there, proof.duplicated, proof.under_way,
            proof.missing,
        )  # fmt: skip
        row = f"{part.source:<{width}}" + "".join(f" {amount:>13,}" for amount in amounts)
        yield f"{row}  {time_of(part.until) or '-'}  {outcome(part, proof, now)}"
    accepted = sum(proof.live_accepted for _, proof in proofs)
    processed = sum(proof.live_processed for _, proof in proofs)
    yield f"live events of these windows, in none of the columns: {accepted:,} accepted, {processed:,} processed then"
    for part, proof in proofs:
        yield from _what_now(part, proof, now)


def _what_now(part: Part, proof: Proof, now: Micros) -> Iterator[str]:
    if proof.unknown:
        yield f"{part.source}: of {proof.unknown:,} buckets nothing can be said now: counts are missing"
    if proof.waiting:
        yield f"{part.source}: {proof.waiting:,} may still be on their way"
    if proof.dropped:
        yield f"{part.source}: {proof.dropped:,} of what was sent again ended otherwise (filtered, rejected, …)"
    if proof.duplicated:
        yield f"{part.source}: {proof.duplicated:,} count twice; drop them by source and accept time"
    if proof.missing and part.until is not None and part.until > now and part.state != "closed":
        left = format_duration((part.until - now) // 60_000_000 * 60_000_000)
        yield f"{part.source}: {proof.missing:,} are still missing, with {left} left"
    elif proof.missing and part.until is not None and part.state != "closed":
        yield f"{part.source}: {proof.missing:,} were not sent again by {format_time(part.until)}: close what is final"


def list_text(replays: Sequence[Replay]) -> Iterator[str]:
    """All replays, one a line."""
    if not replays:
        yield "no replay is open"
        return
    yield f"{'replay':<20} {'state':<8} {'due':<20} {'events':>13} {'sources':>8}  pipeline"
    for one in replays:
        events = f"{sum(part.events for part in one.parts):,}"
        row = f"{one.id:<20} {one.state:<8} {time_of(one.due) or '-':<20} {events:>13} {len(one.parts):>8,}"
        yield f"{row}  {one.pipeline}"
