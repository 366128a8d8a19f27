"""Instants, amounts and names as people read them on a telephone."""

from collections.abc import Mapping, Sequence

from reconciler.core.times import DAY, Micros, format_duration, to_datetime

NAMED = 5
"""Sources that are named; the rest is a count."""
LONGEST = 60
"""Letters of a name that are shown."""


def clock(instant: Micros, now: Micros) -> str:
    """``19:05 UTC``, with the day where it is another one."""
    moment = to_datetime(instant)
    day = "" if instant // DAY == now // DAY else f"{moment.day} {moment:%b} "
    year = f"{moment.year} " if abs(now - instant) > 180 * DAY else ""
    return f"{day}{year}{moment:%H:%M} UTC"


def ahead(instant: Micros, now: Micros) -> str:
    """``at 19:05 UTC, in 14 min``."""
    if instant <= now:
        return f"at {clock(instant, now)}, which has passed"
    return f"at {clock(instant, now)}, in {format_duration(instant - now)}"


def stretch(since: Micros, until: Micros, now: Micros) -> str:
    """``18:45 to 19:10 UTC, 25 min``."""
    if until <= since:
        return clock(since, now)
    last = clock(until, now if since // DAY == now // DAY else since)  # where one names its day, both do
    last = last if since // DAY != until // DAY else f"{to_datetime(until):%H:%M} UTC"
    return f"{clock(since, now).removesuffix(' UTC')} to {last}, {format_duration(until - since)}"


def visible(text: object, *, keep: str = "") -> str:
    """The text with whatever cannot be printed, or turns the direction of reading, spelt out; `keep` stays."""
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in str(text)
    )


def many(amount: int, noun: str) -> str:
    """``1 event``, ``2,000 events``."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """``25 %``; what is not nothing is never shown as 0 %, and what is not all never as 100 %."""
    if not whole or part in (0, whole):
        return "100 %" if whole and part else "0 %"
    percent = 100 * part / whole
    if percent < 0.01:
        return "under 0.01 %"
    if percent > 99.99:
        return "over 99.99 %"
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.4g} %" if percent > 99 else f"{percent:.0f} %"


def short(name: str) -> str:
    """A name that somebody else chose, on one line and not too long."""
    line = "".join(letter if letter.isprintable() else "?" for letter in name)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def top(amounts: Mapping[str, int]) -> str:
    """The largest few with their amounts, then how many more there are."""
    order = sorted(amounts.items(), key=lambda one: (-one[1], one[0]))
    named = ", ".join(f"{short(name)} {amount:,}" if amount else short(name) for name, amount in order[:NAMED])
    more = len(order) - NAMED
    return f"{named} and {more:,} more" if more > 0 else named


def listed(names: Sequence[str]) -> str:
    """The first few, then how many more there are."""
    return top(dict.fromkeys(names, 0))
