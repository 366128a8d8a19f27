"""Files of observations, NDJSON or CSV, packed or not -> observations and refusals, one by one in constant memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from reconciler.core.observations import Observation, Refusal, parse
from reconciler.core.pipelines import Pipeline
from reconciler.core.swift import CountReader
from reconciler.reading.lines import STDIN, Block, Line, blocks, opened
from reconciler.reading.table import looks_like_header, records

__all__ = ["STDIN", "Refuse", "RefusedLine", "read"]

Refuse = Callable[[Observation], Refusal | None]
"""Why a sound observation is not taken all the same."""

_SPACE = " \t\r\n"
"""What JSON takes for space; the decoder is called below the level that would look for it in a slower way."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """Something in a file that was not taken."""

    line: int
    """From 1; of a row over several lines the first."""
    field: str
    """The field that is at fault, or `(line)`."""
    reason: str


def read(
    path: str,
    pipelines: Mapping[str, Pipeline],
    on_bytes: Callable[[int], None] | None = None,
    refuse: Refuse = lambda _: None,
) -> Iterator[Observation | RefusedLine]:
    """All of a file (``-``: standard input) in its order; `on_bytes` hears how many bytes of it were read.

    `refuse` is asked of each observation when its line is reached, so it may go by what became of those before.
    Whether it is packed, and whether it is NDJSON or CSV, is seen from what it begins with. Raises `ConfigError` where
    it cannot be opened.
    """
    with opened(path, on_bytes) as stream:
        found = blocks(stream)
        begun = next((block for block in found if block.faults or any(text.strip() for text in block.texts)), None)
        if begun is None:
            return
        whole = chain([begun], found)
        if _is_table(path, begun):
            entries = _from_table((line for block in whole for line in block.lines()), pipelines)
        else:
            entries = _from_json(whole, pipelines)
        for line, entry in entries:
            if isinstance(entry, Refusal):
                yield RefusedLine(line, entry.field, entry.reason)
            elif fault := refuse(entry):
                yield RefusedLine(line, fault.field, fault.reason)
            else:
                yield entry


def _is_table(path: str, begun: Block) -> bool:
    """By the first line that says anything."""
    first = next(line.text for line in begun.lines() if line.fault or line.text.strip())
    named = path.endswith((".csv", ".csv.gz")) or looks_like_header(first.removesuffix(b"\r"))
    return named and not first.lstrip().startswith(b"{")


_Entries = Iterator[tuple[int, Observation | Refusal]]
"""By line, from 1."""


def _from_json(whole: Iterable[Block], pipelines: Mapping[str, Pipeline]) -> _Entries:
    swift, careful = CountReader(pipelines).read, LineReader(pipelines).read
    for first, texts, faults in whole:
        for place, (text, count) in enumerate(zip(texts, swift(texts), strict=True)):
            found: Observation | Refusal | None = count
            if place in faults:
                found = Refusal("(line)", faults[place])
            elif found is None:
                found = careful(text)
            if found is not None:
                yield first + place, found


class LineReader:
    """Reads one JSON object a line with care: whatever is wrong with it is said.

    `at` is given to those that do not say it; without it they are refused.
    """

    def __init__(self, pipelines: Mapping[str, Pipeline], at: str | None = None) -> None:
        self._pipelines, self._at = pipelines, at
        self._decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).raw_decode

    def read(self, text: bytes) -> Observation | Refusal | None:
        """What the line says, or why it is refused; `None` where it is blank."""
        try:
            line = text.decode().strip(_SPACE)
            if not line:
                return None
            record, end = self._decode(line)
            if end < len(line):
                return Refusal("(line)", f"is not JSON: Extra data (column {end + 1})")
            if self._at is not None and isinstance(record, dict):
                record.setdefault("at", self._at)
            return parse(record, self._pipelines)
        except Refusal as refusal:
            return refusal
        except UnicodeDecodeError as error:
            return Refusal("(line)", f"is not UTF-8 (byte {error.start + 1})")
        except json.JSONDecodeError as error:
            return Refusal("(line)", f"is not JSON: {error.msg} (column {error.colno})")
        except ValueError:
            return Refusal("(line)", "has a number of more digits than can be read")
        except RecursionError:
            return Refusal("(line)", "is nested too deeply")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refusal(twice, "is said twice")
    return record


def _no_constant(name: str) -> None:
    raise Refusal("(line)", f"has {name}, which is no number of JSON")


def _from_table(rows: Iterator[Line], pipelines: Mapping[str, Pipeline]) -> _Entries:
    for row in records(rows):
        if row.values is None:
            yield row.line, Refusal(row.field, row.reason)
            continue
        try:
            yield row.line, parse(row.values, pipelines)
        except Refusal as refusal:
            yield row.line, refusal
