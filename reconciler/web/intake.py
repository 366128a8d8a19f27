"""The body of one push, piece by piece -> observations and refusals, in the memory that the limits allow."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from reconciler.core.observations import Capacity, Observation, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.swift import CountReader
from reconciler.core.times import MINUTE, SECOND, Micros, format_time
from reconciler.reading import LineReader
from reconciler.reading.lines import BOM, LONGEST_LINE, Line, Splitter
from reconciler.web.unpacking import TooMuch, Unpacker

REASON = 500
"""Letters of a reason; a value of a megabyte is not sent back in full."""
AHEAD: Micros = 5 * MINUTE
"""How far ahead of the service's clock the `at` of a capacity may lie; other kinds ask their pipeline."""
_SPACE = b" \t\r\n"


class NoArray(Exception):  # noqa: N818  it is an answer to the sender, not a fault
    """The body begins like an array of JSON and is none: nothing of it can be used."""


@dataclass(slots=True)
class Taken:
    """What a body held."""

    observations: list[Observation] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)


class Intake:
    """Reads one body. `scope` is what the sender may write to; `everything`: they may write to all."""

    def __init__(
        self, scope: Mapping[str, Pipeline], now: Micros, *, everything: bool, size: int, observations: int
    ) -> None:  # fmt: skip
        self.taken = Taken()
        self._scope, self._everything, self._now, self._most = scope, everything, now, observations
        self._swift = CountReader(scope).read
        self._careful = LineReader(scope, at=format_time(now)).read
        self._unpacker = Unpacker(size)
        self._splitter = Splitter()
        self._head = b""
        self._rest: Callable[[bytes], None] = self._begin
        self._array: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes as they came; raises `TooMuch`."""
        for piece in self._unpacker.feed(chunk):
            self._rest(piece)

    def finish(self) -> Taken:
        """All that the body held; raises `TooMuch` and `NoArray`."""
        for piece in self._unpacker.finish():
            self._rest(piece)
        fault = self._unpacker.fault
        if self._array:
            if fault:
                raise NoArray(f"the array {fault.partition(';')[0]}; nothing was kept")
            self._elements(b"".join(self._array))
            return self.taken
        if self._rest == self._begin:
            self._lines(self._head.removeprefix(BOM))
        for line in [self._splitter.broken(fault)] if fault else self._splitter.finish():
            self._line(line)
        return self.taken

    def _begin(self, piece: bytes) -> None:
        """Wait for the first byte that says something."""
        self._head += piece
        text = self._head.removeprefix(BOM)
        first = text.lstrip(_SPACE)[:1]
        if first and not BOM.startswith(self._head):
            self._rest = self._array.append if first == b"[" else self._lines
            self._head = b""
            self._rest(text)

    def _lines(self, piece: bytes) -> None:
        for line in self._splitter.feed(piece):
            self._line(line)

    def _line(self, line: Line) -> None:
        index = line.number - 1
        if line.fault:
            self._refuse(index, Refusal("(line)", line.fault))
        else:
            self._take(index, line.text)

    def _elements(self, text: bytes) -> None:
        for index, element in enumerate(_cut(text)):
            if len(element) > LONGEST_LINE:
                self._refuse(index, Refusal("(line)", f"is longer than {LONGEST_LINE} bytes"))
            else:
                self._take(index, element)

    def _take(self, index: int, text: bytes) -> None:
        found = self._swift(text) or self._careful(text)
        if found is None:  # a blank line
            return
        if not isinstance(found, Refusal):
            found = self._misplaced(found) or found
        if isinstance(found, Refusal):
            self._refuse(index, found)
        else:
            self._room()
            self.taken.observations.append(found)

    def _refuse(self, index: int, refusal: Refusal) -> None:
        self._room()
        reason = refusal.reason
        if refusal.field == "pipeline" and not self._everything:
            reason = f"is none that this token may write to; it may write to: {', '.join(sorted(self._scope))}"
        entry = {"index": index, "field": _short(refusal.field), "reason": _short(reason)}
        self.taken.refusals.append(entry)

    def _room(self) -> None:
        if len(self.taken.observations) + len(self.taken.refusals) >= self._most:
            raise TooMuch(f"a request may hold {self._most:,} observations; send it in parts")

    def _misplaced(self, seen: Observation) -> Refusal | None:
        """Why a sound observation may not come this way."""
        if isinstance(seen, Capacity):
            allowance = AHEAD
            if not seen.pipelines and not self._everything:
                return Refusal("pipelines", "is empty, which means all; name those that this token may write to")
        elif seen.at <= self._now:
            return None
        else:
            allowance = self._scope[seen.pipeline].clock_allowance
        if seen.at > self._now + allowance:
            ahead = f"lies ahead of the service's clock ({format_time(self._now)}) by more than {allowance // SECOND} s"
            return Refusal("at", f"{format_time(seen.at)} {ahead}")
        return None


def _cut(array: bytes) -> Iterator[bytes]:
    """The elements of an array of JSON, unread."""
    try:
        return map(bytes, msgspec.json.decode(array, type=list[msgspec.Raw]))
    except (msgspec.DecodeError, RecursionError) as error:
        why = _fault(array) or str(error)
        raise NoArray(f"the body begins with [ and is no array of JSON: {why}; nothing was kept") from None


def _fault(array: bytes) -> str:
    """What is wrong with it and where, in the words of the decoder that lines are read by."""
    try:
        json.loads(array)
    except json.JSONDecodeError as error:
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        return ""
    return ""


def _short(text: str) -> str:
    """The text, cut, and with nothing that UTF-8 cannot hold."""
    cut = text if len(text) <= REASON else f"{text[:REASON]}…"
    return cut.encode("utf-8", "backslashreplace").decode()
