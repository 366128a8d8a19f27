"""What comes out of a count beside its cells: what was refused, and by which engine it is made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from reconciler.connectors._sql_values import halves_joined
from reconciler.counting.definition import Cell, Definition
from reconciler.counting.places import Source
from reconciler.counting.question import FAULTS
from reconciler.reading import RefusedLine

NAMED = 1_000
"""Rows of a file that are named one by one; the rest of it is one line with their number."""
LENGTH = 200
"""Letters of a value that is told."""

Refuse = Callable[[str, RefusedLine], None]
"""Takes a refusal: the file, and what."""


@dataclass(slots=True)
class Totals:
    """Sums over all files."""

    rows: int = 0
    """Rows that were read."""
    outside: int = 0
    """Rows beyond the span that was asked for."""
    refused: int = 0
    """Rows, or whole files, that could not be used."""
    files_refused: list[str] = field(default_factory=list)
    """Of these nothing was counted."""


class Engine(Protocol):
    """Counts files."""

    def take(self, source: Source, refuse: Refuse) -> None:
        """Count one more file. What cannot be used of it is refused."""

    def cells(self) -> Iterator[Cell]:
        """All that was counted, by bucket, source and outcome."""

    @property
    def totals(self) -> Totals:
        """Sums over the files so far."""

    def close(self) -> None:
        """Let go of everything."""


def refusal_of(fault: str, row: int, value: object) -> RefusedLine:
    """The refusal of a row; `row` 0: its number is not known."""
    name, reason = FAULTS[fault]
    return RefusedLine(row, name, reason.format(value=str(value)[:LENGTH]))


def cell_of(row: tuple[Any, ...], asked: Definition) -> Cell:
    """A cell out of a row of `question.summed`."""
    source, bucket, outcome, number, counted, unidentified, high, low = row
    known = asked.id is not None and not int(unidentified)
    digest = halves_joined(int(high), int(low)) if known else None
    return Cell(str(source), int(bucket), str(outcome), int(number), digest, int(counted))
