"""CSV -> records like those of NDJSON. The header names fields of the contract; an empty cell is an absent field."""

import csv
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from reconciler.reading.lines import LONGEST_LINE, Line

WHOLE = frozenset(
    {"count", "partition", "start_offset", "end_offset", "committed_offset", "depth", "retention_seconds"}
    | {"retention_bytes", "replicas", "in_sync_replicas", "used", "limit"}
)
"""Fields whose cells are whole numbers."""
FLAGS = frozenset({"final", "exact"})
TEXT = frozenset(
    {"type", "at", "pipeline", "stage", "source", "bucket", "outcome", "reporter", "digest", "replay", "through"}
    | {"queue", "oldest_at", "committed_at", "epoch", "resource"}
)
FIELDS = WHOLE | FLAGS | TEXT | {"error", "pipelines"}

_WHOLE = re.compile(r"-?\d{1,30}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_NAMES = ";"
"""Between the names in a cell of `pipelines`."""


class Record(NamedTuple):
    """One row, or why it is none."""

    line: int
    """Where the row begins."""
    values: dict[str, Any] | None
    field: str = ""
    reason: str = ""


def looks_like_header(text: bytes) -> bool:
    """Whether the first line of a file names columns; every kind of observation has `at`."""
    return b"at" in [cell.strip().strip(b'"') for cell in text.split(b",")]


def records(lines: Iterator[Line]) -> Iterator[Record]:
    """The rows under the header, which is the first line. A header that cannot be right refuses the file, once."""
    feed = _Feed(lines)
    header: list[str] | None = None
    for record in _rows(feed):
        if not isinstance(record, _Row):
            yield record
            if header is None:
                return
        elif header is None:
            header = record.cells
            faults = list(_header_faults(record))
            yield from faults
            if faults:
                return
        elif len(record.cells) != len(header):
            yield Record(
                record.line, None, "(line)", f"has {len(record.cells)} cells where the header has {len(header)}"
            )
        else:
            values = {name: _value(name, cell) for name, cell in zip(header, record.cells, strict=True) if cell}
            values.setdefault("type", "count")
            yield Record(record.line, values)


class _Row(NamedTuple):
    line: int
    cells: list[str]


class _Faulty(Exception):  # noqa: N818  it stops one row, not the program
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Feed:
    """Hands lines to the CSV reader. An object and not a generator, for it must go on after it has raised."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self.first: int | None = None
        """Line on which the present row begins."""
        self._size = 0

    def begin(self) -> None:
        self.first, self._size = None, 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if self.first is None:
            self.first = line.number
        self._size += len(line.text)
        if line.fault:
            raise _Faulty(line.fault)
        if self._size > LONGEST_LINE:
            raise _Faulty(f"is a row of more than {LONGEST_LINE} bytes; is a quotation mark missing?")
        try:
            return line.text.decode() + "\n"
        except UnicodeDecodeError as error:
            raise _Faulty(f"is not UTF-8 (byte {error.start + 1})") from None


def _rows(feed: _Feed) -> Iterator[Record | _Row]:
    reader = csv.reader(feed, strict=True)
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _Faulty as fault:
            yield Record(feed.first or 0, None, "(line)", fault.reason)
        except csv.Error as error:
            yield Record(feed.first or 0, None, "(line)", f"is not CSV: {error}")
        else:
            if cells:  # a blank line has none
                yield _Row(feed.first or 0, cells)


def _header_faults(header: _Row) -> Iterator[Record]:
    for place, name in enumerate(header.cells):
        if name not in FIELDS and not name.startswith("x_"):
            yield Record(
                header.line, None, name or "(line)", "names no field in the header; nothing of this file was read"
            )
        elif name in header.cells[:place]:
            yield Record(header.line, None, name, "stands twice in the header; nothing of this file was read")


def _value(name: str, cell: str) -> Any:
    """What a cell says. What cannot be converted stays text, and is refused by name where it is checked."""
    if name in TEXT:
        return cell
    if cell == "null":
        return None
    if name in WHOLE:
        return int(cell) if _WHOLE.fullmatch(cell) else cell
    if name in FLAGS:
        return {"true": True, "false": False}.get(cell.lower(), cell)
    if name == "error":
        return float(cell) if _NUMBER.fullmatch(cell) else cell
    return cell.split(_NAMES) if name == "pipelines" else cell
