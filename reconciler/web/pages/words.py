"""How names, numbers and instants are written on a page; and evidence in words."""

from typing import Any

from reconciler.core.times import DAY, HOUR, MINUTE, NEVER, SECOND, Micros, format_duration, format_time, to_datetime
from reconciler.core.wording import visible

NONE = "–"
LONG = 72
"""Letters of a name that are shown where there are others beside it."""


def name(text: object, most: int = LONG) -> str:
    """A name, its middle left out where it is long."""
    whole = visible(text)
    return whole if len(whole) <= most else f"{whole[: most - 16]}…{whole[-15:]}"


def number(amount: float | None) -> str:
    """With separators; a dash where there is none."""
    return NONE if amount is None else f"{amount:,}"


def share(part: float | None) -> str:
    """A share of one, never rounded up to a whole that it is not."""
    if part is None:
        return NONE
    if part >= 1:
        return "100 %" if part == 1 else f"{part:.2%}".replace("%", " %")
    for digits in (2, 4, 6):
        text = f"{100 * part:.{digits}f}"
        if float(text) < 100:
            return f"{text} %"
    return "> 99.999999 %"


def instant(at: Micros | None) -> str:
    """``20 Jul 2021 18:45 UTC``; seconds where there are any."""
    if at is None or at >= NEVER:
        return NONE
    moment = to_datetime(at)
    seconds = f":{moment.second:02d}" if moment.second else ""
    return f"{moment.day} {moment:%b %Y %H:%M}{seconds} UTC"


def clock(at: Micros | None, beside: Micros | None = None) -> str:
    """``18:45``, with the day where it is another than that of `beside`."""
    if at is None or at >= NEVER:
        return NONE
    moment = to_datetime(at)
    text = f"{moment:%H:%M}" + (f":{moment.second:02d}" if moment.second else "")
    return text if beside is not None and at // DAY == beside // DAY else f"{moment.day} {moment:%b} {text}"


def iso(at: Micros | None) -> str:
    """RFC 3339, for machines."""
    return "" if at is None or at >= NEVER else format_time(at)


def duration(span: Micros | None) -> str:
    """``2 h 5 min``; how long in words."""
    return NONE if span is None else format_duration(span)


def ago(span: Micros) -> str:
    """How long ago, or how long from now."""
    if abs(span) < 5 * SECOND:
        return "just now"
    coarse = abs(span)
    for unit in (DAY, HOUR, MINUTE):
        if coarse >= 10 * unit:
            coarse -= coarse % unit
            break
    return f"{format_duration(coarse)} ago" if span > 0 else f"in {format_duration(coarse)}"


_EXPLAINED = {
    "queue_expired": "the queue deleted them before anybody had read them",
    "passed_expired": "the consumer passed over them, and then the queue deleted them",
    "purged": "the queue was emptied: its start moved to its end",
    "not_enqueued": "fewer records were written to the queue than were accepted",
    "skipped": "the consumer jumped over records that nobody processed",
    "queue_balance": "the gap is larger than all that the queue still holds",
    "overtaken": "later buckets of this source are through, and this one is not",
    "retention_passed": "they are older than anything that the queue keeps",
    "lag_exceeded": "they are older than lag ever explains, while the pipeline moves",
    "shrunk": "a count that was there has become smaller",
    "digest": "the counts are equal, but they are not the same events",
    "misplaced": "a neighbouring bucket has as many too many: they were counted there",
    "forecast": "at the pace of the last 15 minutes they are deleted before they are read",
    "not_reported": "somebody who counts here has not reported: a missing count is unknown, not zero",
}


def explain(word: str) -> str:
    """A piece of evidence in words."""
    return _EXPLAINED.get(word, word.replace("_", " "))


FILTERS: dict[str, Any] = {
    "plain": visible,
    "name": name,
    "number": number,
    "share": share,
    "instant": instant,
    "clock": clock,
    "iso": iso,
    "duration": duration,
    "ago": ago,
    "explain": explain,
}
