"""What a setting may be: durations, shares, names, instants; and the base of every section.

The text under each setting is its description in the published JSON schema.
"""

import re
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from reconciler.core.times import DAY, Micros, from_datetime, parse_duration, parse_time

LONGEST: Micros = 3_660 * DAY
"""No setting is longer than ten years."""

_ADDRESS = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})", re.ASCII)
_PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%?)", re.ASCII)


def _duration(value: object) -> Micros:
    span = parse_duration(value)  # it says itself what is wrong with anything but text
    if span > LONGEST:
        raise ValueError(f"is {value!r}, longer than ten years")
    return span


def _positive(span: Micros) -> Micros:
    if span <= 0:
        raise ValueError("is zero; it needs a length")
    return span


def _share(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"is {value!r}, not a share such as 99.99% or 0.9999")
    # Rounded, because 99.99 / 100 is not quite 0.9999 in binary.
    return round(float(match[1]) / (100 if match[2] else 1), 12)


def _whole(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)  # as it comes from an environment variable
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"is {value!r}, not a whole number")
    return value


def _objective(value: float) -> float:
    if not 0 < value <= 1:
        hint = f"; {value:g}% needs its percent sign" if 2 <= value <= 100 else ""
        raise ValueError(f"is {value:g}, not above 0 and at most 1 (100%){hint}")
    return value


def _ratio(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"is {value:g}, not between 0 and 1 (100%), 1 left out")
    return value


def _name(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"is {value!r}; a name needs letters and nothing that cannot be printed")
    return value


def _stage(value: str) -> str:
    if ">" in value:
        raise ValueError(f"is {value!r}; > stands between the two stages of a hop and cannot be part of a name")
    return value


def http_url(value: str) -> str:
    """An http or https address."""
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("is no address such as https://host.example/path")
    return value


def address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if match is None or int(match[2]) > 65_535:
        raise ValueError(f"is {value!r}, not an address and a port such as 127.0.0.1:8080 or [::1]:8080")
    return value


DURATION_PATTERN = r"^\d+[smhd]$"
_DURATION_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": DURATION_PATTERN, "examples": ["90s", "5m", "12h", "7d"]}
)
_SHARE_SCHEMA = WithJsonSchema({"type": ["string", "number"], "examples": ["99.99%", 0.9999]})

AnyDuration = Annotated[Micros, BeforeValidator(_duration), _DURATION_SCHEMA]
"""A number and a unit of s, m, h, d; may be zero. Inside the program: µs."""
Duration = Annotated[Micros, BeforeValidator(_duration), AfterValidator(_positive), _DURATION_SCHEMA]
"""The same, above zero."""
Objective = Annotated[float, BeforeValidator(_share), AfterValidator(_objective), _SHARE_SCHEMA]
Ratio = Annotated[float, BeforeValidator(_share), AfterValidator(_ratio), _SHARE_SCHEMA]
Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Positive = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
StageName = Annotated[Name, AfterValidator(_stage)]
Url = Annotated[str, AfterValidator(http_url)]
"""An address that begins with http:// or https://."""


class Section(BaseModel):
    """Base of every section: unknown settings are refused, and what was read never changes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True, allow_inf_nan=False
    )


def _zone(value: object) -> ZoneInfo:
    try:
        return ZoneInfo(value)  # type: ignore[arg-type]  # it refuses anything but text itself
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ValueError(f"is {value!r}, not a time zone such as Europe/Berlin") from error


def _instant(value: object) -> Micros:
    if isinstance(value, datetime):  # YAML has read it already
        if value.tzinfo is None:
            raise ValueError(f"is {value.isoformat()}, without a zone; a Z at the end says UTC")
        return from_datetime(value)
    if isinstance(value, str):
        return parse_time(value)
    raise ValueError(f"is {value!r}, not a time such as 2024-05-17T22:00:00Z")


Zone = Annotated[ZoneInfo, BeforeValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]
Instant = Annotated[Micros, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
