"""What people are told of an incident: its present state as one value, which every notifier renders in its own way."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reconciler.core.times import Micros, format_time, parse_time

WATCHDOG = "watchdog"
SELF_ALARM = "self_alarm"
OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do now."""

    text: str
    """One sentence, plain text."""
    command: str = ""
    """To be copied into a shell; empty: none."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The present state of one incident as people are told of it; the newest replaces the older ones."""

    id: str
    """Of the incident; one message per id and channel, edited in place."""
    pipeline: str
    """Empty for what concerns none: the watchdog, the detector itself."""
    kind: str
    """A kind of incident (contract §5), or `WATCHDOG`, `SELF_ALARM`, `OBSERVED`."""
    status: str
    """`open`, `updated`, `acknowledged`, `resolved`."""
    severity: str
    """`page`, `ticket`, `info`."""
    at: Micros
    """Instant of this state."""
    opened_at: Micros
    title: str
    """One line: the incident's summary."""
    facts: tuple[tuple[str, str], ...]
    """Label, value: since, how many of how many, sources, evidence, next and when."""
    steps: tuple[Step, ...]
    sources: tuple[str, ...]
    """Sorted; may be thousands."""
    link: str = ""
    """To the page of the incident; empty: no public URL is configured."""
    runbook: str = ""
    drill: bool = False
    changed: str = ""
    """One line: what this update says anew, for a thread."""
    kept: bool = True
    """It is an incident of the ledger: it can be acknowledged and muted. False: a drill, or what the detector tells of
    itself."""


def quiet(line: Mapping[str, Any]) -> str:
    """Why nobody is told of this incident line: `observe`, `muted`; empty: people are told.

    Something that was told before and is muted later is told no more, until the mute ends or the incident is resolved.
    """
    if line.get("mode") == "observe":
        return "observe"
    return "muted" if line.get("muted") and line["status"] != "resolved" else ""


def notice_of(
    line: Mapping[str, Any], *, public_url: str = "", runbook: str = "", drill: bool = False, changed: str = ""
) -> Notice:
    """The notice of an incident line of the contract (§5); `runbook` where the line names none.

    `public_url` is where the pages are seen by people, without a slash at its end.
    """
    acknowledged = line.get("acknowledged") and line["status"] != "resolved"
    facts = line.get("facts")
    steps = line.get("steps")
    return Notice(
        id=str(line["id"]),
        pipeline=str(line["pipeline"]),
        kind=str(line["kind"]),
        status="acknowledged" if acknowledged else str(line["status"]),
        severity=str(line["severity"]),
        at=parse_time(str(line["at"])),
        opened_at=parse_time(str(line["opened_at"])),
        title=str(line.get("title") or line["summary"]),
        facts=tuple((str(label), str(value)) for label, value in (_plain_facts(line) if facts is None else facts)),
        steps=(Step(str(line["advice"])),) if steps is None else _steps(steps),
        sources=tuple(line["sources"]),
        link=f"{public_url}/incident?id={line['id']}" if public_url else "",
        runbook=str(line.get("runbook") or runbook),
        drill=drill,
        changed=changed or str(line.get("changed") or ""),
    )


def dump(notice: Notice) -> str:
    """As text, to be stored."""
    return json.dumps(asdict(notice), ensure_ascii=False, separators=(",", ":"))


def load(stored: str) -> Notice:
    """What `dump` gave."""
    plain = json.loads(stored)
    facts = tuple((label, value) for label, value in plain["facts"])
    return Notice(**(plain | {"facts": facts, "steps": _steps(plain["steps"]), "sources": tuple(plain["sources"])}))


def _steps(steps: Sequence[Mapping[str, str]]) -> tuple[Step, ...]:
    return tuple(Step(one["text"], one.get("command", "")) for one in steps)


def _plain_facts(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a line says that bears no facts of its own: one of before they were written."""
    facts = [("Since", str(line["from"]))]
    if line["lost"]:
        facts.append(("Lost", f"{line['lost']:,} events"))
    if line["evidence"]:
        facts.append(("Evidence", ", ".join(line["evidence"])))
    if line.get("loss_at"):
        facts.append(("Deleted from", format_time(parse_time(str(line["loss_at"])))))
    return facts
