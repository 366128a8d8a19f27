"""What comes in: absolute readings of counts, progress, queues and capacities, validated field by field.

A reading is never an increment; saying it twice changes nothing. Whatever does not fit is refused with the field and
the reason, never guessed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, SECOND, Micros, format_time, parse_time

LEGAL_ENDS = ("deduplicated", "filtered", "rejected", "quarantined", "erased", "sampled_out")
"""The ways for an event to end that account for it without its being processed."""
OUTCOMES = ("accepted", "processed", *LEGAL_ENDS)
LIMIT = 2**63
FOREVER: Micros = 1000 * 365 * DAY
"""Longer retentions are this long: "without end" is written as the largest number, which no calendar holds."""


class Refusal(Exception):  # noqa: N818  it is an answer to the sender, not a fault
    """Why an observation was not taken: the field, and what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Count(msgspec.Struct, frozen=True, gc=False):
    """Events of one bucket that one reporter has seen so far.

    There are many of them, and this kind of class is made in a twentieth of the time that a dataclass takes.
    """

    at: Micros
    pipeline: str
    stage: str
    source: str
    bucket: Micros
    """Start of the bucket of acceptance."""
    count: int
    outcome: str
    reporter: str = ""
    digest: int | None = None
    """Sum modulo 2^64 of the first eight bytes of SHA-256 of each event id."""
    error: float = 0.0
    """Half-width of an approximate count, in events."""
    replay: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The reporter has reported everything that it handled until `through`."""

    at: Micros
    pipeline: str
    stage: str
    through: Micros
    reporter: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class QueueSample:
    """What one partition of a queue held at an instant; offsets, or a depth where the queue has none."""

    at: Micros
    pipeline: str
    queue: str
    partition: int = 0
    start_offset: int | None = None
    """The first record that can still be read."""
    end_offset: int | None = None
    """The next record to be written."""
    committed_offset: int | None = None
    """The next record that the consumer will read; ``None``: no consumer is known."""
    depth: int | None = None
    oldest_at: Micros | None = None
    committed_at: Micros | None = None
    retention: Micros | None = None
    retention_bytes: int | None = None
    replicas: int | None = None
    in_sync_replicas: int | None = None
    exact: bool = True
    """One record is one event; where false, offsets give bounds and never proof."""
    epoch: str | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """Something finite that pipelines depend on, and how much of it is used."""

    at: Micros
    resource: str
    used: int
    limit: int
    pipelines: tuple[str, ...] = ()


Observation = Count | Progress | QueueSample | Capacity

_FIELDS = {
    "count": {"at", "pipeline", "stage", "source", "bucket", "count"}
    | {"outcome", "reporter", "digest", "error", "replay"},
    "progress": {"at", "pipeline", "stage", "through", "reporter", "final"},
    "queue": {"at", "pipeline", "queue", "partition", "start_offset", "end_offset", "committed_offset", "depth"}
    | {"oldest_at", "committed_at", "retention_seconds", "retention_bytes", "replicas", "in_sync_replicas"}
    | {"exact", "epoch"},
    "capacity": {"at", "resource", "used", "limit", "pipelines"},
}


def parse(record: object, pipelines: Mapping[str, Pipeline]) -> Observation:
    """Turn one decoded JSON object into an observation; raises `Refusal` for whatever contract §2.5 refuses."""
    if not isinstance(record, dict):
        raise Refusal("(line)", "is not a JSON object")
    kind = record.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise Refusal("type", f"is {kind!r}, not one of {', '.join(_FIELDS)}")
    known = _FIELDS[kind]
    for name in record:
        if name not in known and name != "type" and not name.startswith("x_"):
            raise Refusal(name, f"is not a field of {kind}; fields of your own begin with x_")
    return _PARSERS[kind](record, pipelines)


def _count(record: dict[str, Any], pipelines: Mapping[str, Pipeline]) -> Count:
    pipeline, stage = _stage(record, pipelines)
    at, bucket = _time(record, "at"), _time(record, "bucket")
    if bucket % pipeline.width:
        width = pipeline.width // SECOND
        raise Refusal("bucket", f"{record['bucket']} is off the grid of {width} s buckets that start at the epoch")
    if bucket > at + pipeline.clock_allowance:
        allowed = pipeline.clock_allowance // SECOND
        raise Refusal("bucket", f"{record['bucket']} lies ahead of at ({record['at']}) by more than {allowed} s")
    default = "accepted" if stage == pipeline.stages[0] else "processed"
    outcome = record.get("outcome", default)
    if outcome not in OUTCOMES:
        raise Refusal("outcome", f"is {outcome!r}, not one of {', '.join(OUTCOMES)}")
    replay = record.get("replay")
    return Count(
        at=at,
        pipeline=pipeline.name,
        stage=stage,
        source=_text(record, "source"),
        bucket=bucket,
        count=_whole(record, "count"),
        outcome=outcome,
        reporter=_text(record, "reporter", ""),
        digest=read_digest(record.get("digest")),
        error=_error(record.get("error")),
        replay=None if replay is None else _text(record, "replay"),
    )


def _progress(record: dict[str, Any], pipelines: Mapping[str, Pipeline]) -> Progress:
    pipeline, stage = _stage(record, pipelines)
    at, through = _time(record, "at"), _time(record, "through")
    if through > at + pipeline.clock_allowance:
        raise Refusal("through", f"{format_time(through)} lies ahead of at ({record['at']})")
    return Progress(
        at, pipeline.name, stage, through, _text(record, "reporter", ""), _flag(record, "final", default=False)
    )


def _queue(record: dict[str, Any], pipelines: Mapping[str, Pipeline]) -> QueueSample:
    pipeline = _pipeline(record, pipelines)
    start, end = _whole_or_none(record, "start_offset"), _whole_or_none(record, "end_offset")
    depth = _whole_or_none(record, "depth")
    if (start is None) != (end is None):
        missing = "start_offset" if start is None else "end_offset"
        raise Refusal(missing, "is missing; a queue sample gives start_offset and end_offset, or depth")
    if start is None and depth is None:
        raise Refusal("start_offset", "is missing; a queue sample gives start_offset and end_offset, or depth")
    if start is not None and end is not None and start > end:
        raise Refusal("start_offset", f"{start} lies after end_offset {end}")
    if start is not None and "committed_offset" not in record:
        raise Refusal("committed_offset", "is missing; give null where no consumer is known")
    retention = _whole_or_none(record, "retention_seconds")
    return QueueSample(
        at=_time(record, "at"),
        pipeline=pipeline.name,
        queue=_text(record, "queue"),
        partition=_whole(record, "partition", 0),
        start_offset=start,
        end_offset=end,
        committed_offset=_whole_or_none(record, "committed_offset"),
        depth=depth,
        oldest_at=_time_or_none(record, "oldest_at"),
        committed_at=_time_or_none(record, "committed_at"),
        retention=None if retention is None else min(retention * SECOND, FOREVER),
        retention_bytes=_whole_or_none(record, "retention_bytes"),
        replicas=_whole_or_none(record, "replicas"),
        in_sync_replicas=_whole_or_none(record, "in_sync_replicas"),
        exact=_flag(record, "exact", default=True),
        epoch=_epoch(record),
    )


def _capacity(record: dict[str, Any], pipelines: Mapping[str, Pipeline]) -> Capacity:
    names = record.get("pipelines", [])
    if not isinstance(names, list):
        raise Refusal("pipelines", "is not a list of pipeline names")
    for name in names:
        if not isinstance(name, str) or name not in pipelines:
            raise Refusal("pipelines", f"{name!r} is not a configured pipeline")
    limit = _whole(record, "limit")
    if limit == 0:
        raise Refusal("limit", "is 0; a limit is a positive whole number")
    return Capacity(_time(record, "at"), _text(record, "resource"), _whole(record, "used"), limit, tuple(names))


_PARSERS: dict[str, Callable[[dict[str, Any], Mapping[str, Pipeline]], Observation]] = {
    "count": _count,
    "progress": _progress,
    "queue": _queue,
    "capacity": _capacity,
}


def _pipeline(record: dict[str, Any], pipelines: Mapping[str, Pipeline]) -> Pipeline:
    name = _text(record, "pipeline")
    if name not in pipelines:
        raise Refusal("pipeline", f"{name!r} is not configured; known: {', '.join(sorted(pipelines)) or 'none'}")
    return pipelines[name]


def _stage(record: dict[str, Any], pipelines: Mapping[str, Pipeline]) -> tuple[Pipeline, str]:
    pipeline = _pipeline(record, pipelines)
    stage = _text(record, "stage")
    if stage not in pipeline.stages:
        raise Refusal("stage", f"{stage!r} is no stage of {pipeline.name}; known: {', '.join(pipeline.stages)}")
    return pipeline, stage


def _text(record: dict[str, Any], name: str, default: str | None = None) -> str:
    value = record.get(name, default)
    if value is None:
        raise Refusal(name, "is missing")
    if not isinstance(value, str):
        raise Refusal(name, f"is {value!r}, not text")
    if "\x00" in value or not (value.isascii() or _encodable(value)):
        raise Refusal(name, "holds a NUL or half a surrogate pair, which no database can keep")
    if not value and default is None:
        raise Refusal(name, "is empty")
    return value


def _encodable(text: str) -> bool:
    """Whether UTF-8 can hold it: half of a surrogate pair it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(record: dict[str, Any], name: str, default: int | None = None) -> int:
    value = record.get(name, default)
    if value is None:
        raise Refusal(name, "is missing")
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(name, f"is {value!r}, not a whole number")
    if not 0 <= value < LIMIT:
        raise Refusal(name, f"is {value}, not between 0 and 2^63 - 1")
    return value


def _whole_or_none(record: dict[str, Any], name: str) -> int | None:
    return None if record.get(name) is None else _whole(record, name)


def _time(record: dict[str, Any], name: str) -> Micros:
    if name not in record:
        raise Refusal(name, "is missing")
    if not isinstance(record[name], str):
        raise Refusal(name, f"is {record[name]!r}, not a time such as 2021-07-20T18:45:00Z")
    try:
        return parse_time(record[name])
    except ValueError as error:
        raise Refusal(name, str(error)) from None


def _time_or_none(record: dict[str, Any], name: str) -> Micros | None:
    return None if record.get(name) is None else _time(record, name)


def _flag(record: dict[str, Any], name: str, *, default: bool) -> bool:
    value = record.get(name, default)
    if not isinstance(value, bool):
        raise Refusal(name, f"is {value!r}, not true or false")
    return value


def _epoch(record: dict[str, Any]) -> str | None:
    value = record.get("epoch")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return None if value is None else str(value)
    return _text(record, "epoch")


def read_digest(value: object) -> int | None:
    """A digest as a number; `None` where there is none."""
    if value is None:
        return None
    readable = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20
    if not isinstance(value, str) or not readable or int(value) >= 2**64:
        raise Refusal("digest", f"is {value!r}, not a decimal string below 2^64")
    return int(value)


def _error(value: object) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LIMIT:
        raise Refusal("error", f"is {value!r}, not a number of events, 0 or more")
    return float(value)
