"""Instants, durations and the grid of buckets.

Inside the program an instant is an integer number of microseconds since the Unix epoch (`Micros`), so that arrays of
instants are plain ``int64`` and arithmetic is exact. Text is RFC 3339 in UTC.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Micros = int
"""An instant (µs since 1970-01-01T00:00:00Z) or a duration (µs)."""

SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
HOUR: Micros = 60 * MINUTE
DAY: Micros = 24 * HOUR
NEVER: Micros = 2**62
"""Later than every instant; as an array value, "not yet"."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"(\d+)([smhd])", re.ASCII)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


def parse_time(text: str) -> Micros:
    """Read an RFC 3339 instant that names its offset; `ValueError` says what is wrong with any other text."""
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Micros:
    if _RFC3339.fullmatch(text) is None:
        if _RFC3339.fullmatch(text + "Z") is not None:
            raise ValueError(f"is {text!r}, which lacks an offset such as Z")
        raise ValueError(f"is {text!r}, not a time such as 2021-07-20T18:45:00Z")
    try:
        # In UTC too it has to be a time of the calendar: it is written back as one.
        return from_datetime(datetime.fromisoformat(text.upper()).astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is {text!r}, which is no time of the calendar ({error})") from None


def from_datetime(moment: datetime) -> Micros:
    """Convert an aware datetime; a naive one is refused, because it names no instant."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment} has no time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: Micros) -> datetime:
    """The instant as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=int(instant))


@lru_cache(maxsize=4096)
def format_time(instant: Micros) -> str:
    """RFC 3339 in UTC, with a fraction only where there is one: ``2021-07-20T18:45:00Z``."""
    moment = to_datetime(instant)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def time_of(instant: Micros | None) -> str | None:
    """The instant as text; `None` where there is none: `None` or `NEVER`."""
    return None if instant is None or instant >= NEVER else format_time(instant)


def parse_duration(text: object) -> Micros:
    """Read ``90s``, ``5m``, ``12h`` or ``7d``."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None  # a file may say anything
    if match is None:
        raise ValueError(f"is {text!r}, not a duration: a whole number and a unit of s, m, h or d, such as 5m")
    return int(match[1]) * _UNITS[match[2]]


def format_duration(span: Micros) -> str:
    """The span in at most two units, for people: ``14 min``, ``2 h 5 min``, ``7 d``."""
    seconds = round(abs(span) / SECOND)
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, seconds = divmod(seconds, size)
        if amount and len(parts) < 2:
            parts.append(f"{amount} {name}")
    return " ".join(parts) or "0 s"


def compact(span: Micros) -> str:
    """The span in one unit, as in the configuration: ``5m``, ``36h``, ``3d``."""
    for unit in "dhm":
        if span % _UNITS[unit] == 0:
            return f"{span // _UNITS[unit]}{unit}"
    return f"{span // SECOND}s"


def floor_to(instant: Micros, width: Micros) -> Micros:
    """The start of the bucket of this width that holds the instant."""
    return instant - instant % width
