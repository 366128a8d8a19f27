"""A notice as an alert of Prometheus' Alertmanager: labels that say which, annotations that say what."""

import hashlib
import json
from typing import Any

from reconciler.core.notices import Notice
from reconciler.core.times import Micros, format_time
from reconciler.notifiers import _text

TEXT = 2000
"""Characters of one annotation."""
SOURCES = 50


def labels(notice: Notice) -> dict[str, str]:
    """What an alert is known and routed by. The severity is one of them: another severity is another alert."""
    found = {
        "alertname": f"reconciler_{notice.kind}",
        "incident": notice.id,
        "pipeline": notice.pipeline,
        "severity": notice.severity,
    } | ({"drill": "true"} if notice.drill else {})
    return {name: value for name, value in found.items() if value}


def annotations(notice: Notice) -> dict[str, str]:
    """What people read."""
    found = {
        "summary": notice.title,
        "description": "\n".join(f"{label}: {value}" for label, value in _text.facts(notice)),
        "steps": "\n".join(f"{text} {command}".strip() for text, command in _text.steps(notice)),
        "sources": ", ".join(notice.sources[:SOURCES]),
        "source_count": str(len(notice.sources)) if notice.sources else "",
        "state": notice.status,
        "runbook_url": notice.runbook,
    }
    return {name: _text.cut(value, TEXT) for name, value in found.items() if value}


def alert(notice: Notice, ends_at: Micros) -> dict[str, Any]:
    """All of it."""
    return {
        "labels": labels(notice),
        "annotations": annotations(notice),
        "startsAt": format_time(notice.opened_at),
        "endsAt": format_time(max(ends_at, notice.opened_at)),
        "generatorURL": notice.link,
    }


def key_of(incident: str, most: int = 200) -> str:
    """The id, or what stands for one that is too long for a channel."""
    return incident if len(incident) <= most else hashlib.sha256(incident.encode(errors="replace")).hexdigest()


def packed(value: Any) -> bytes:
    """As JSON in ASCII: whatever a name holds, it can be sent."""
    return json.dumps(value, separators=(",", ":")).encode()
