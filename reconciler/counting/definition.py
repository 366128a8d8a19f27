"""What is counted."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from reconciler.core.observations import Count, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import SECOND, Micros

Unit = Literal["s", "ms", "us"]
UNITS: dict[Unit, int] = {"s": 1, "ms": 1_000, "us": 1_000_000}
"""How many of it make a second."""

_QUOTED = re.compile(r"'(?:[^']|'')*'")
_NAMED = re.compile(r"(?<![\w.\"`])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?!\s*\(|[\w.\"`])")


@dataclass(frozen=True, slots=True)
class Definition:
    """One way to count. `source`, `time`, `outcome` and `id` are columns, or SQL expressions of the engine."""

    source: str
    time: str
    """The accept time: an instant, ISO text (without a zone: UTC), or a number since 1970."""
    outcome: str | None
    id: str | None
    """Equal ids of a cell are one event; with it come digests."""
    unit: Unit
    """What numbers count since 1970."""
    pipeline: Pipeline
    stage: str
    at: Micros
    """The instant of the reading."""
    start: Micros | None
    """Rows of earlier buckets are left out; `None`: none is too early."""
    end: Micros | None
    """Rows of this bucket and later ones are left out."""

    @property
    def usual(self) -> str:
        """The outcome of rows that name none."""
        return self.pipeline.usual_outcome(self.stage)

    @property
    def width(self) -> int:
        """Seconds in a bucket."""
        return self.pipeline.width // SECOND

    @property
    def expressions(self) -> tuple[str, ...]:
        """All that is read of a row."""
        return tuple(one for one in (self.source, self.time, self.outcome, self.id) if one)

    def named(self) -> list[str]:
        """The names in the expressions that may be columns, dotted ones too; words of SQL are among them."""
        found = (_NAMED.findall(_QUOTED.sub("''", one)) for one in self.expressions)
        return sorted({name for names in found for name in names})


@dataclass(frozen=True, slots=True)
class Cell:
    """What was counted of one source, bucket and outcome."""

    source: str
    bucket: int
    """Its start, in seconds since 1970."""
    outcome: str
    count: int
    digest: int | None
    """`None`: no ids were asked for, or a row had none."""
    rows: int
    """Rows behind the count: more than it where ids came twice."""


def flat(path: str) -> str:
    """The column that a dotted name in JSON becomes."""
    return path.replace(".", "__")


def flattened(asked: Definition) -> Definition:
    """The same with dotted names as `flat` names them; texts in quotes stay."""
    return rewritten(asked, outside=lambda piece: _NAMED.sub(lambda name: flat(name[0]), piece))


def rewritten(asked: Definition, text: Callable[[str], str] = str, outside: Callable[[str], str] = str) -> Definition:
    """The same with its expressions rewritten: texts in quotes by the one, what is outside of them by the other."""

    def of(expression: str | None) -> str | None:
        pieces = re.split(f"({_QUOTED.pattern})", expression or "")
        return "".join(text(piece) if piece.startswith("'") else outside(piece) for piece in pieces) or None

    changed = {"source": of(asked.source), "time": of(asked.time), "outcome": of(asked.outcome), "id": of(asked.id)}
    return replace(asked, **changed)  # type: ignore[arg-type]  # source and time are never empty


def count_of(cell: Cell, definition: Definition, reporter: str) -> Count:
    """The observation of a cell."""
    place = definition.pipeline.name, definition.stage
    return Count(
        definition.at, *place, cell.source, cell.bucket * SECOND, cell.count, cell.outcome, reporter, cell.digest
    )


def progress_of(definition: Definition, reporter: str, through: Micros) -> Progress:
    """That everything before `through` is in the counts."""
    return Progress(definition.at, definition.pipeline.name, definition.stage, through, reporter)
