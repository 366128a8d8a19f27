"""Which engine made a report: its version, and a fingerprint of the settings that its judgement goes by."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from reconciler import __version__
from reconciler.core.pipelines import Pipeline


def maker(pipelines: Sequence[Pipeline]) -> dict[str, str]:
    """Version and fingerprint, for programs."""
    return {"version": __version__, "settings": fingerprint(pipelines)}


def fingerprint(pipelines: Sequence[Pipeline]) -> str:
    """The same for the same settings, in every process; it shows nothing of them."""
    text = json.dumps([_plain(one) for one in sorted(pipelines, key=lambda one: one.name)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(str(one) for one in value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
