"""What may be pushed, for the OpenAPI document: the observations of the contract as JSON schemas.

The document describes; what is taken and what is refused is decided by `reconciler.core.observations` alone.
"""

from typing import Any

from reconciler.core.observations import OUTCOMES

_TEXT = {"type": "string", "minLength": 1}
_WHOLE = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_TIME = {"type": "string", "format": "date-time"}
_AT = _TIME | {"description": "When the sender read it. Default: the instant of arrival."}
_PLACE = {"at": _AT, "pipeline": _TEXT, "stage": _TEXT}
_REPORTER = {"type": "string", "default": "", "description": "One life of one process."}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _kind(kind: str, about: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": about,
        "required": ["type", *required],
        "properties": {"type": {"const": kind}} | properties,
        "patternProperties": {"^x_": {"description": "The sender's own; ignored."}},
        "additionalProperties": False,
    }


_COUNT = _kind(
    "count",
    "Events of one bucket that one reporter has seen so far.",
    ["pipeline", "stage", "source", "bucket", "count"],
    _PLACE
    | {
        "source": _TEXT,
        "bucket": _TIME | {"description": "Start of the bucket of acceptance."},
        "count": _WHOLE,
        "outcome": {"enum": list(OUTCOMES), "description": "Default: accepted at the first stage, else processed."},
        "reporter": _REPORTER,
        "digest": _or_null({"type": "string", "pattern": r"^[0-9]{1,20}$"}),
        "error": _or_null({"type": "number", "minimum": 0, "description": "Half-width of an approximate count."}),
        "replay": _or_null(_TEXT),
    },
)
_PROGRESS = _kind(
    "progress",
    "The reporter has reported everything that it handled until `through`.",
    ["pipeline", "stage", "through"],
    _PLACE | {"through": _TIME, "reporter": _REPORTER, "final": {"type": "boolean", "default": False}},
)
_QUEUE = _kind(
    "queue",
    "What one partition of a queue holds: start, end and committed offset, or depth where it has no offsets.",
    ["pipeline", "queue"],
    {
        "at": _AT,
        "pipeline": _TEXT,
        "queue": _TEXT,
        "partition": _WHOLE | {"default": 0},
        "oldest_at": _or_null(_TIME),
        "committed_at": _or_null(_TIME),
        "exact": {"type": "boolean", "default": True},
        "epoch": _or_null({"type": ["string", "integer"]}),
    }
    | {name: _or_null(_WHOLE) for name in ("start_offset", "end_offset", "committed_offset", "depth")}
    | {name: _or_null(_WHOLE) for name in ("retention_seconds", "retention_bytes", "replicas", "in_sync_replicas")},
)
_CAPACITY = _kind(
    "capacity",
    "Something finite that pipelines depend on.",
    ["resource", "used", "limit"],
    {
        "at": _AT,
        "resource": _TEXT,
        "used": _WHOLE,
        "limit": _WHOLE | {"minimum": 1},
        "pipelines": {"type": "array", "items": _TEXT, "description": "Default: all."},
    },
)
_LINE = (
    '{"type":"count","pipeline":"batch","stage":"ingress","source":"segment","bucket":"2021-07-20T18:45:00Z",'
    '"count":1234,"reporter":"ingest-01-5f0c9ab4"}'
)

PUSHED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Observations: one JSON object a line, or an array of them; packed with gzip or not.",
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}, "example": _LINE},
            "application/json": {
                "schema": {"type": "array", "items": {"oneOf": [_COUNT, _PROGRESS, _QUEUE, _CAPACITY]}}
            },
        },
    }
}
