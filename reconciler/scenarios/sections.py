"""Strict reading of a story file: every key is asked for by name, and one that nobody asked for is an error."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from math import inf
from typing import Any

from reconciler.errors import ReconcilerError

_RANGE = re.compile(r"^(?P<stem>.*?)(?P<first>\d+)\.\.(?P=stem)?(?P<last>\d+)$")


class StoryError(ReconcilerError):
    """A story cannot be read or run. The message names the place in the file."""


class Section:
    """One mapping of a story file, with the path by which a message can name it."""

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, Mapping):
            raise StoryError(f"{path}: a mapping is needed, not {data!r}")
        self.path = path
        self._left: dict[str, Any] = {str(key): value for key, value in data.items()}

    def take(self, key: str, default: object = ...) -> Any:
        if key in self._left:
            return self._left.pop(key)
        if default is ...:
            raise StoryError(f"{self.path}.{key}: missing")
        return default

    def has(self, key: str) -> bool:
        return key in self._left

    def text(self, key: str, default: str | None = None) -> str:
        value = self.take(key, ... if default is None else default)
        if not isinstance(value, str):
            raise StoryError(f"{self.path}.{key}: a text is needed, not {value!r}")
        return value

    def whole(self, key: str, default: object = ...) -> int:
        return as_whole(self.take(key, default), f"{self.path}.{key}")

    def whole_or_none(self, key: str, default: object = None) -> int | None:
        value = self.take(key, default)
        return None if value is None else as_whole(value, f"{self.path}.{key}")

    def items(self, key: str) -> list[tuple[object, str]]:
        """The entries of a list, each with its path; none where the key is absent."""
        value = self.take(key, None) or []
        if not isinstance(value, list):
            raise StoryError(f"{self.path}.{key}: a list is needed, not {value!r}")
        return [(entry, f"{self.path}.{key}[{index}]") for index, entry in enumerate(value)]

    def sections(self, key: str) -> "list[Section]":
        """The entries of a list of mappings."""
        return [Section(entry, path) for entry, path in self.items(key)]

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self.take(key, None)
        if value is None:
            return ()
        entries = value if isinstance(value, list) else [value]
        for entry in entries:
            if not isinstance(entry, str):
                raise StoryError(f"{self.path}.{key}: a text is needed, not {entry!r}")
        return tuple(entries)

    def named(self, key: str) -> "dict[str, Section]":
        """The entries of a mapping of mappings, by name."""
        value = self.take(key, None) or {}
        if not isinstance(value, Mapping):
            raise StoryError(f"{self.path}.{key}: a mapping is needed, not {value!r}")
        return {str(name): Section(entry, f"{self.path}.{key}.{name}") for name, entry in value.items()}

    def numbers(self, key: str, names: Iterable[str]) -> dict[str, Fraction]:
        """Numbers by name, abbreviated names (`each`, `a_1..a_9`, `batch_*`) written out; absent names are left out."""
        path = f"{self.path}.{key}"
        entries = expand(self.take(key, None) or {}, tuple(names), path)
        return {name: as_number(value, f"{path}.{name}") for name, value in entries.items()}

    def close(self) -> None:
        """Whatever is left was asked for by nobody."""
        if self._left:
            raise StoryError(f"{self.path}: unknown {', '.join(sorted(self._left))}")


def as_whole(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise StoryError(f"{path}: a whole number is needed, not {value!r}")
    return value


def as_number(value: object, path: str) -> Fraction:
    """The exact number that stands in the file: 249.375 is 249 and three eighths."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise StoryError(f"{path}: a number from 0 is needed, not {value!r}")
    return Fraction(str(value))


def written_out(name: str) -> list[str]:
    """`host_01..host_36` and `streams_1..40` are ranges; any other name is itself."""
    match = _RANGE.match(name)
    if match is None:
        return [name]
    stem, first, last = match["stem"], match["first"], match["last"]
    return [f"{stem}{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]


def expand(entries: object, names: tuple[str, ...], path: str) -> dict[str, object]:
    """Values by full name. What is named outright wins over `each` and patterns, wherever it stands."""
    if not isinstance(entries, Mapping):
        raise StoryError(f"{path}: a mapping is needed, not {entries!r}")
    wide: dict[str, object] = {}
    narrow: dict[str, object] = {}
    for key, value in entries.items():
        plain = [name for name in written_out(str(key)) if name in names]
        chosen = plain or [name for name in names if _covers(str(key), name)]
        if not chosen:
            raise StoryError(f"{path}.{key}: no such name")
        (narrow if plain else wide).update(dict.fromkeys(chosen, value))
    return wide | narrow


def _covers(key: str, name: str) -> bool:
    """`each`, `each host`, `each other host`, `batch_*`."""
    words = key.split()
    if words[:1] != ["each"]:
        return fnmatchcase(name, key)
    stems = [word for word in words[1:] if word != "other"]
    return all(name.startswith(stem) for stem in stems)
