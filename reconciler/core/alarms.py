"""What the detector tells of itself: that it is blind, that it lives, and what it would have said."""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.core.notices import OBSERVED, SELF_ALARM, WATCHDOG, Notice, Step
from reconciler.core.times import DAY, Micros, format_time
from reconciler.core.wording import clock, many

BLIND, AWAY, ALIVE = "self-alarm", "self-alarm-ledger", "watchdog"
"""Ids: there is one of each."""
NAMED = 10
"""Faults and incidents that are named."""
UNSEEN = "until it sees again no loss is found and nobody is told of any"


def blind(faults: Sequence[str], opened: Micros, now: Micros) -> Notice:
    """It cannot see, though its ledger is there."""
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    facts = (("Since", clock(opened, now)), *(("Wrong", fault) for fault in faults[:NAMED]), ("Next", UNSEEN))
    todo = (
        Step("See what it says of itself, and then its log.", "reconciler status"),
        Step("Ask each connector by hand, and mend what it says.", "reconciler check-config --connect"),
    )
    return _self(BLIND, f"reconciler is blind: {faults[0]}{more}", facts, todo, opened, now)


def ledger_away(failure: str, known: tuple[int, int], opened: Micros, now: Micros) -> Notice:
    """It cannot reach its own ledger; so many queues and so many finite things are watched from memory."""
    kinds = [many(amount, noun) for amount, noun in zip(known, ("queue", "resource"), strict=True) if amount]
    watched = f"{' and '.join(kinds)} watched from memory meanwhile" if kinds else "nothing is watched meanwhile"
    facts = (
        ("Since", clock(opened, now)),
        ("Wrong", failure.splitlines()[0]),
        ("Next", f"counts are not compared until it is back; {watched}"),
    )
    todo = (
        Step("Bring back the database of the ledger. What was sampled meanwhile is stored then by itself."),
        Step("See whether it answers again.", "reconciler status"),
    )
    return _self(AWAY, "reconciler is blind: its ledger cannot be used", facts, todo, opened, now)


def _self(
    name: str, title: str, facts: tuple[tuple[str, str], ...], todo: tuple[Step, ...], opened: Micros, now: Micros
) -> Notice:
    status = "updated" if now > opened else "open"
    return Notice(name, "", SELF_ALARM, status, "page", now, opened, title, facts, todo, (), kept=False)


def alive(judged: Mapping[str, Micros | None], opened: Micros, now: Micros) -> Notice:
    """A sign of life, for whoever misses it when it stops."""
    known = [at for at in judged.values() if at is not None]
    through = format_time(min(known)) if known else "never"
    title = f"reconciler lives: {many(len(judged), 'pipeline')}, all judged as of {through}"
    return Notice(ALIVE, "", WATCHDOG, "updated", "info", now, opened, title, (), (), (), kept=False)


def observed(pipeline: str, lines: Sequence[Mapping[str, Any]], day: Micros, now: Micros) -> Notice:
    """What a pipeline that is only observed would have said of the day that began at `day`; `lines`: the last line of
    each of its incidents. One message a pipeline, so that people can trust it before it pages.
    """
    first, end = format_time(day), format_time(day + DAY)
    own = [one for one in lines if first <= str(one["opened_at"]) < end]
    told = {severity: [one for one in own if one["severity"] == severity] for severity in ("page", "ticket")}
    would = " and ".join(many(len(some), severity) for severity, some in told.items() if some)
    facts = [(str(one["severity"]), str(one["summary"])) for some in told.values() for one in some]
    if len(facts) > NAMED:
        rest = f"{len(facts) - NAMED:,} more: `reconciler incidents --all --pipeline {pipeline}`"
        facts = [*facts[:NAMED], ("And", rest)]
    said = f"it would have sent {would or 'no message'}"
    return Notice(
        f"observed-{pipeline}", pipeline, OBSERVED, "updated", "info", now, now,
        f"{pipeline} is only observed. On {first[:10]} {said}", tuple(facts),
        (Step("If this is what you want to be told, set `mode: alert` for this pipeline."),),
        tuple(sorted({source for one in own for source in one["sources"]})),
        changed=f"{first[:10]}: {said}", kept=False,
    )  # fmt: skip
