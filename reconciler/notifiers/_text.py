"""A notice in words, for every channel: how its status is called, and all of it as plain lines."""

from collections.abc import Iterator

from reconciler.core import wording
from reconciler.core.notices import Notice
from reconciler.core.times import format_time

NAMED = 10
"""Sources that are named; the others are counted."""
_STATUS = {"open": "", "updated": "", "acknowledged": "acknowledged", "resolved": "resolved"}
_KINDS = {
    "loss": "events are lost",
    "at_risk": "events are at risk",
    "delay": "events are late",
    "surplus": "more than was accepted",
    "low_volume": "low volume",
    "rejects": "unusual rejects",
    "missing_counts": "counts are missing",
    "queue_policy": "a queue breaks its policy",
    "capacity": "something runs out",
    "replay": "the time to send again runs out",
    "watchdog": "watchdog",
    "self_alarm": "the detector itself",
    "observed": "seen while only observing",
    "digest": "many incidents",
}
WORDS = {"page": "PAGE", "ticket": "TICKET", "info": "INFO"}


def heading(notice: Notice) -> str:
    """What it is, in a few words: ``PAGE · events are lost · batch``."""
    kind = _KINDS.get(notice.kind, notice.kind.replace("_", " "))
    return " · ".join(filter(None, (urgency(notice), kind, notice.pipeline)))


def urgency(notice: Notice) -> str:
    """Whether it is for now: ``DRILL · PAGE acknowledged``, ``RESOLVED``."""
    mood = _STATUS[notice.status]
    first = mood.upper() if notice.status == "resolved" else " ".join(filter(None, (WORDS[notice.severity], mood)))
    return " · ".join(filter(None, ("DRILL" if notice.drill else "", first)))


def people(notice: Notice) -> str:
    """The first sources, and how many more; empty where a fact names them already."""
    if not notice.sources or any("source" in label.lower() for label, _ in notice.facts):
        return ""
    rest = len(notice.sources) - NAMED
    return ", ".join(notice.sources[:NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Label and value; the sources too."""
    named = people(notice)
    return [*notice.facts, *([("Sources", named)] if named else [])]


def steps(notice: Notice) -> tuple[tuple[str, str], ...]:
    """What to do, and the command; nothing once it is over."""
    return () if notice.status == "resolved" else tuple((step.text, step.command) for step in notice.steps)


def foot(notice: Notice) -> str:
    """Where it comes from: ``loss-1f2e3d, as of 2021-07-20T19:05:00Z``."""
    return f"{plain(notice.id)}, as of {format_time(notice.at)}"


def lines(notice: Notice) -> Iterator[str]:
    """All of it; names may be anybody's, and cannot steer a terminal."""
    yield plain(heading(notice))
    yield plain(notice.title)
    for label, value in facts(notice):
        yield f"  {plain(label)}: {plain(value)}"
    for number, (text, command) in enumerate(steps(notice), 1):
        yield f"  {number}. {plain(text)}"
        if command:
            yield f"     $ {plain(command)}"
    for label, value in (("Open", notice.link), ("Runbook", notice.runbook)):
        if value:
            yield f"  {label}: {plain(value)}"
    yield f"  {plain(foot(notice))}"


def plain(text: str) -> str:
    """The text without what a terminal or a mail program would act on; line breaks are spaces."""
    return visible(" ".join(text.splitlines()))


def visible(text: str) -> str:
    """The text with whatever cannot be printed, or turns the direction of reading, spelt out; line breaks stay."""
    return wording.visible(text, keep="\n")


def cut(text: str, most: int) -> str:
    """At most so many characters, and a mark where something is left out."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
