"""What comes out of a count beside its cells: what was refused, and by which engine it is made."""

from collections.abc import Callable, Iterator, Sequence
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
Advance = Callable[[int], None]
"""Hears how many bytes more were counted."""


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


def refuse_file(name: str, reason: object, totals: Totals, refuse: Refuse) -> None:
    """Say that nothing of a file is counted."""
    totals.refused += 1
    totals.files_refused.append(name)
    refuse(name, RefusedLine(0, "(file)", str(reason)))


def refuse_rest(name: str, more: int, refuse: Refuse) -> None:
    """Say how many rows of a file are refused and not named."""
    if more > 0:
        refuse(name, RefusedLine(0, "(rows)", f"and {more:,} more rows are refused"))


class Engine(Protocol):
    """Counts files."""

    def take(self, sources: Sequence[Source], refuse: Refuse, advance: Advance) -> None:
        """Count these files. What cannot be used of them is refused; a file counts in full or not at all."""

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
