"""Instants and counts on their way into and out of a database, which may keep them in many forms."""

import re
from collections.abc import Callable
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from reconciler.core.observations import LIMIT
from reconciler.core.times import SECOND, Micros, from_datetime, to_datetime

Bind = Literal["datetime", "naive", "iso", "epoch", "epoch_ms"]

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)\s?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII)
_EPOCH = re.compile(r"-?\d{9,16}(\.\d+)?", re.ASCII)
_FAR = 2**53 * SECOND
"""µs; a number beyond it is no instant of anybody's events."""


def to_database(instant: Micros, bind: Bind, zone: tzinfo, dialect: str) -> Any:
    """The instant as the value that `:start` or `:end` stands for."""
    moment = to_datetime(instant)
    if bind == "epoch":
        return instant // SECOND
    if bind == "epoch_ms":
        return instant // (SECOND // 1000)
    if bind == "iso":
        # Without fraction and zone it sorts before every text of the same second, so that ranges of text are right.
        return moment.strftime("%Y-%m-%dT%H:%M:%S")
    if bind == "naive":
        moment = moment.astimezone(zone).replace(tzinfo=None)
    # SQLite has no instants, only text; this sorts before every text of the same second that has a space in it.
    return moment.strftime("%Y-%m-%d %H:%M:%S") if dialect == "sqlite" else moment


def instant_reader(bind: Bind, zone: tzinfo) -> Callable[[object], Micros]:
    """A function from whatever a driver returned to an instant; it raises `ValueError` with the reason.

    Times without a zone are of `zone`; numbers count seconds, or milliseconds where that is what is bound.
    """
    unit = SECOND // 1000 if bind == "epoch_ms" else SECOND

    @lru_cache(maxsize=65_536)
    def from_text(text: str) -> Micros:
        match = _ISO.fullmatch(text.strip())
        if match is None:
            if _EPOCH.fullmatch(text):
                return _from_number(Decimal(text), unit)
            raise ValueError(f"is {text[:80]!r}, not a time")
        day, clock, offset = match.groups()
        return read(datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset or ''}"))

    def read(value: object) -> Micros:
        if isinstance(value, datetime):
            return from_datetime(value if value.tzinfo else value.replace(tzinfo=zone))
        if isinstance(value, str):
            return from_text(value)
        if isinstance(value, date):
            return from_datetime(datetime(value.year, value.month, value.day, tzinfo=zone))
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return _from_number(value, unit)
        raise ValueError("is NULL" if value is None else f"is a {type(value).__name__}, not a time")

    return read


def _from_number(value: float | Decimal, unit: Micros) -> Micros:
    number = Decimal(value)
    if not number.is_finite() or abs(number) > _FAR // unit:
        raise ValueError(f"is {value}, which is no time")
    return round(number * unit)


def whole_number(value: object) -> int:
    """A count as a database gives it: sums often come as decimals. `ValueError` says what is wrong with any other."""
    if type(value) is int and 0 <= value < LIMIT:  # nearly every one
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("is NULL" if value is None else f"is {value!r}, not a number")
    number = Decimal(value)
    if not number.is_finite() or abs(number) >= LIMIT or number % 1:
        raise ValueError(f"is {value}, not a whole number below 2^63")
    if number < 0:
        raise ValueError(f"is {value}, less than nothing")
    return int(number)


def digest_of(value: object) -> int:
    """A digest as a database gives it: a whole number or its digits, below 2^64."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value % 1 or not 0 <= value < 2**64:
        raise ValueError(f"is {value!r}, not a whole number below 2^64")
    return int(value)


def halves_joined(high: int, low: int) -> int:
    """The digest, of the sums of the first and the second four bytes of all hashes."""
    return ((high << 32) + low) % 2**64


def name_of(value: object) -> str:
    """The name of a source; numbers and UUIDs that identify customers are names too."""
    if isinstance(value, str):
        if not value:
            raise ValueError("is empty")
        if "\x00" in value:
            raise ValueError("holds a NUL, which no database can keep")
        return value
    if isinstance(value, int | UUID) and not isinstance(value, bool):
        return str(value)
    raise ValueError("is NULL" if value is None else f"is a {type(value).__name__}, not a name")
