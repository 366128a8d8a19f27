"""The body of one push, piece by piece -> observations and refusals, in the memory that the limits allow."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from reconciler.core.directory import newcomer
from reconciler.core.observations import Capacity, Count, Observation, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.swift import CountReader
from reconciler.core.times import MINUTE, SECOND, Micros, format_time
from reconciler.reading import LineReader
from reconciler.reading.lines import BOM, LONGEST_LINE, TOO_LONG, Block, Splitter
from reconciler.web.arrays import NoArray, elements
from reconciler.web.unpacking import TooMuch, Unpacker

REASON = 500
"""Letters of a reason; a value of a megabyte is not sent back in full."""
AHEAD: Micros = 5 * MINUTE
"""How far ahead of the service's clock the `at` of a capacity may lie; other kinds ask their pipeline."""
BLANK = 10
"""Lines for each observation that a request may hold: blank ones cost time too."""
_SOME = 500
"""Elements of an array that are looked at together."""
_SPACE = b" \t\r\n"


@dataclass(slots=True)
class Taken:
    """What a body held."""

    observations: list[Observation] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)


class Intake:
    """Reads one body. `scope` is what the sender may write to; `everything`: they may write to all.

    `kept_from` is, by pipeline, the start of the first bucket of which the ledger keeps counts; `closed` has the
    sources of those pipelines that take no new one any more.
    """

    def __init__(
        self,
        scope: Mapping[str, Pipeline],
        now: Micros,
        *,
        everything: bool,
        size: int,
        observations: int,
        kept_from: Mapping[str, Micros],
        closed: Mapping[str, frozenset[str]],
    ) -> None:
        self.taken = Taken()
        self._kept_from, self._closed = kept_from, closed
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
                raise NoArray(fault.partition(";")[0])
            self._elements(b"".join(self._array))
            return self.taken
        if self._rest == self._begin:
            self._lines(self._head.removeprefix(BOM))
        self._block(self._splitter.broken(fault) if fault else self._splitter.finish())
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
        self._block(self._splitter.feed(piece))

    def _elements(self, text: bytes) -> None:
        index = 0
        for some in _batched(elements(text)):
            faults = {place: TOO_LONG for place, one in enumerate(some) if len(one) > LONGEST_LINE}
            self._block(Block(index + 1, some, faults))
            index += len(some)

    def _block(self, block: Block) -> None:
        first, texts, faults = block
        if first + len(texts) > BLANK * self._most:
            raise TooMuch(f"a request may hold {self._most:,} observations, and not so many blank lines")
        for place, (text, count) in enumerate(zip(texts, self._swift(texts), strict=True)):
            sound = count is not None and count.at <= self._now and self._unkept(count) is None
            if count is not None and sound and place not in faults:
                self.taken.observations.append(count)
            else:
                self._take(first - 1 + place, Refusal("(line)", faults[place]) if place in faults else count, text)
        self._room()

    def _take(self, index: int, found: Observation | Refusal | None, text: bytes) -> None:
        """Look at one entry closely."""
        found = found or self._careful(text)
        if found is None:  # a blank line
            return
        if not isinstance(found, Refusal):
            found = self._misplaced(found) or self._unkept(found) or found
        if isinstance(found, Refusal):
            self._refuse(index, found)
        else:
            self.taken.observations.append(found)

    def _refuse(self, index: int, refusal: Refusal) -> None:
        reason = refusal.reason
        if refusal.field == "pipeline" and not self._everything:
            reason = f"is none that this token may write to; it may write to: {', '.join(sorted(self._scope))}"
        entry = {"index": index, "field": _short(refusal.field), "reason": _short(reason)}
        self.taken.refusals.append(entry)

    def _room(self) -> None:
        if len(self.taken.observations) + len(self.taken.refusals) > self._most:
            raise TooMuch(f"a request may hold {self._most:,} observations; send it in parts")

    def _unkept(self, seen: Observation) -> Refusal | None:
        """Why a count is not kept: it comes too late to be compared with anything, or there are too many sources."""
        if not isinstance(seen, Count):
            return None
        if fault := newcomer(seen, self._closed.get(seen.pipeline), self._scope[seen.pipeline].max_sources):
            return fault
        if seen.bucket >= self._kept_from.get(seen.pipeline, 0):
            return None
        first = format_time(self._kept_from[seen.pipeline])
        return Refusal(
            "bucket", f"is {format_time(seen.bucket)}; counts of buckets before {first} are not kept any more"
        )

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


def _batched(entries: Iterator[bytes]) -> Iterator[list[bytes]]:
    while some := list(islice(entries, _SOME)):
        yield some


def _short(text: str) -> str:
    """The text, cut, and with nothing that UTF-8 cannot hold."""
    cut = text if len(text) <= REASON else f"{text[:REASON]}…"
    return cut.encode("utf-8", "backslashreplace").decode()
