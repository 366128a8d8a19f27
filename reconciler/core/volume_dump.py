"""The model at rest: its arrays as bytes, under a version. What is warm changes by the bucket, the week by the day."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.times import Micros
from reconciler.core.volume import Model
from reconciler.core.volume_profile import Profiles

VERSION = 2
"""Of this form. A model of another version is not read but learned anew."""
_WEEK = ("by_class", "by_slot")


def dump_warm(model: Model) -> bytes:
    """All but the profiles."""
    named = [(name, array) for name, array in _arrays(model) if name.rpartition(".")[2] not in _WEEK]
    return _pack(named, {"width": model.width, "sources": model.sources, "steps": model.steps})


def dump_week(model: Model) -> bytes:
    """The profiles."""
    return _pack([(name, getattr(model.profiles, name)) for name in _WEEK], {"sources": model.sources})


def restore(warm: bytes, week: bytes) -> Model | None:
    """What the two dumps gave; `None` where they were written by another version."""
    head, arrays = _unpack(warm)
    profile_head, profiles = _unpack(week)
    if head.get("version") != VERSION or profile_head.get("version") != VERSION:
        return None
    width: Micros = head["width"]
    model = Model.fresh(head["sources"], width)
    _fill(model, arrays, "")
    model.steps = head["steps"]
    size = model.profiles.by_slot.shape[1]
    model.profiles = Profiles(*(_grown(profiles[name], model.sources, size) for name in _WEEK))
    return model


def places(head: bytes, row: int) -> list[tuple[int, int]]:
    """Where the profiles of one source lie in a dump of the week: offset and length of each, in bytes.

    `head` is the beginning of the dump, its first line at least. Empty: it has none, or is of another version.
    """
    line, _, _ = head.partition(b"\n")
    told: dict[str, Any] = json.loads(line) if line else {}
    found: list[tuple[int, int]] = []
    place = len(line) + 1
    for _, kind, shape in told.get("arrays", []):
        size = np.dtype(kind).itemsize
        found.append((place + size * shape[1] * row, size * shape[1]))
        place += size * math.prod(shape)
    return found if told.get("version") == VERSION and row < told["sources"] else []


def restore_row(warm: bytes, week: Sequence[bytes], row: int, copies: int) -> Model | None:
    """A model of one source alone, so many times side by side: to look at so many buckets of it at once.

    `week`: its profiles, cut out of the dump at `places`. `None`: it has none, or another version wrote them.
    """
    head, arrays = _unpack(warm)
    if head.get("version") != VERSION or row >= head["sources"] or len(week) != len(_WEEK):
        return None
    model = Model.fresh(copies, head["width"])
    _fill(model, {name: np.repeat(array[..., row : row + 1], copies, axis=-1) for name, array in arrays.items()}, "")
    model.profiles = Profiles(*(np.tile(np.frombuffer(one, np.float32), (copies, 1)) for one in week))
    return model


def _grown(profile: NDArray[Any], sources: int, slots: int) -> NDArray[Any]:
    """Sources that came after the profiles were written have none yet."""
    grown = np.full((sources, slots), 1e-4, np.float32)
    grown[: len(profile)] = profile
    return grown


def _arrays(value: Any, path: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    for part in fields(value):
        inner = getattr(value, part.name)
        if isinstance(inner, np.ndarray):
            yield f"{path}{part.name}", inner
        elif is_dataclass(inner):
            yield from _arrays(inner, f"{path}{part.name}.")


def _fill(value: Any, arrays: dict[str, NDArray[Any]], path: str) -> None:
    for part in fields(value):
        inner = getattr(value, part.name)
        if isinstance(inner, np.ndarray) and f"{path}{part.name}" in arrays:
            setattr(value, part.name, arrays[f"{path}{part.name}"])
        elif is_dataclass(inner):
            _fill(inner, arrays, f"{path}{part.name}.")


def _pack(named: list[tuple[str, NDArray[Any]]], head: dict[str, Any]) -> bytes:
    parts = [[name, array.dtype.str, list(array.shape)] for name, array in named]
    text = json.dumps(head | {"version": VERSION, "arrays": parts}, separators=(",", ":"))
    # Joined as they lie in memory: one copy, for the state of ten thousand sources is 200 MB.
    flat: list[memoryview] = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for _, array in named]
    return b"".join([text.encode(), b"\n", *flat])


def _unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    line, _, body = payload.partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    arrays, place = {}, 0
    for name, kind, shape in head["arrays"]:
        dtype = np.dtype(kind)
        size = dtype.itemsize * math.prod(shape)
        arrays[name] = np.frombuffer(body[place : place + size], dtype).reshape(shape).copy()
        place += size
    return head, arrays


def grow(model: Model, sources: int) -> None:
    """Make room for sources that are new."""
    if sources > model.sources:
        _join(model, Model.fresh(sources - model.sources, model.width))


def _join(value: Any, more: Any, path: str = "") -> None:
    for part in fields(value):
        inner = getattr(value, part.name)
        if isinstance(inner, np.ndarray):
            axis = 0 if part.name in _WEEK else -1
            setattr(value, part.name, np.concatenate([inner, getattr(more, part.name)], axis=axis))
        elif is_dataclass(inner):
            _join(inner, getattr(more, part.name))
