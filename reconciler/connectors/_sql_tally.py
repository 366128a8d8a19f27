"""The rows of a counting query, added up by cell; what makes no sense is refused row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reconciler.connectors._sql_values import digest_of, halves_joined, name_of, whole_number
from reconciler.core.observations import OUTCOMES, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, floor_to, format_time
from reconciler.ports import ConnectorFailed

REFUSALS = 1_000
"""Rows that are named one by one before the rest is only counted."""
_NEEDED = {"source", "count"}
_WHEN = {"bucket", "time"}
_KNOWN = _NEEDED | _WHEN | {"outcome", "digest"}
_HALVES = {"unidentified", "digest_high", "digest_low"}
"""As the queries that are made of a table's columns tell of ids."""

Key = tuple[str, Micros, str]
"""Source, start of the bucket, outcome."""
Failure = Callable[[str, str], ConnectorFailed]


@dataclass(slots=True)
class Cell:
    """What was counted in one cell."""

    count: int = 0
    digest: int | None = 0
    """Modulo 2^64; `None` where it is not known of all events."""
    error: int = 0
    """Half-width of a count that is only bounded, in events."""

    def add(self, count: int, digest: int | None) -> None:
        """Take one more row."""
        self.count += count
        known = self.digest is not None and digest is not None
        self.digest = (self.digest + digest) % 2**64 if known else None  # type: ignore[operator]  # both are numbers here


class Tally:
    """One answer, as it is read."""

    def __init__(
        self, target: Pipeline, stage: str, span: tuple[Micros, Micros], read: Callable[[object], Micros], fail: Failure
    ) -> None:
        self.cells: dict[Key, Cell] = {}
        self.unnamed = 0
        self._refused: list[Refusal] = []
        self._width, self._span, self._read, self._fail = target.width, span, read, fail
        self._usual = target.usual_outcome(stage)

    @property
    def refused(self) -> list[Refusal]:
        """The rows that were not taken; those beyond the first so many are one line."""
        more = [Refusal("(rows)", f"and {self.unnamed} more rows of the query were refused")] if self.unnamed else []
        return [*self._refused, *more]

    def take(self, result: sa.CursorResult[Any]) -> None:
        """Add up all rows."""
        columns = self._columns(list(result.keys()))
        sums = "time" in columns
        for number, row in enumerate(result, 1):
            try:
                self._row(row, columns, sums=sums)
            except Refusal as refusal:
                self.refuse(number, refusal)

    def refuse(self, number: int, refusal: Refusal) -> None:
        """Note a row that was not taken."""
        if len(self._refused) < REFUSALS:
            self._refused.append(Refusal(refusal.field, f"of row {number} of the query {refusal.reason}"))
        else:
            self.unnamed += 1

    def _row(self, row: sa.Row[Any], columns: dict[str, int], *, sums: bool) -> None:
        source = field("source", name_of, row[columns["source"]])
        count = field("count", whole_number, row[columns["count"]])
        bucket = self.bucket(row[columns["time" if sums else "bucket"]], raw=sums)
        outcome = field("outcome", _outcome, row[columns["outcome"]]) if "outcome" in columns else self._usual
        self._add((source, bucket, outcome), count, _digest(row, columns), sums=sums)

    def put(self, source: str, bucket: Micros, count: int, error: int) -> None:
        """Take one cell that was counted by offsets."""
        self.cells[source, bucket, self._usual] = Cell(count, None, error)

    def _columns(self, names: Sequence[str]) -> dict[str, int]:
        columns = {name.lower(): place for place, name in enumerate(names)}
        known = _KNOWN - {"digest"} | _HALVES if columns.keys() >= _HALVES else _KNOWN
        missing, unknown = _NEEDED - columns.keys(), columns.keys() - known
        if missing or unknown or len(_WHEN & columns.keys()) != 1 or len(columns) != len(names):
            remedy = "Let it give source, count, and either bucket or time; outcome too where it is not the usual one."
            raise self._fail(f"the query gives the columns {', '.join(names)}", remedy)
        return columns

    def bucket(self, value: object, *, raw: bool) -> Micros:
        """The bucket that a value of the query means; a `raw` one is any instant within it."""
        instant = field("time" if raw else "bucket", self._read, value)
        bucket = floor_to(instant, self._width)
        if bucket != instant and not raw:
            raise Refusal(
                "bucket", f"is {format_time(instant)}, not the start of a bucket; a column named time need not be one"
            )
        if not self._span[0] <= bucket < self._span[1]:
            asked = f"{format_time(self._span[0])} to {format_time(self._span[1])}"
            reason = (
                f"is {format_time(instant)}, outside of {asked}: compare accept times with :start and :end; see `bind`"
            )
            raise Refusal("time" if raw else "bucket", reason)
        return bucket

    def _add(self, key: Key, count: int, digest: int | None, *, sums: bool) -> None:
        if key in self.cells and not sums:
            what = f"the query gives {key[0]!r}, {format_time(key[1])}, {key[2]} twice"
            raise self._fail(what, "Group by source and bucket (and outcome) only.")
        self.cells.setdefault(key, Cell()).add(count, digest)


def field(name: str, read: Callable[[object], Any], value: object) -> Any:
    """The value as it is to be; a `Refusal` names the column where it cannot be."""
    try:
        return read(value)
    except (ValueError, OverflowError) as error:
        raise Refusal(name, str(error)) from None


def _outcome(value: object) -> str:
    if value not in OUTCOMES:
        raise ValueError(f"is {value!r}, not one of {', '.join(OUTCOMES)}")
    return str(value)


def _digest(row: sa.Row[Any], columns: dict[str, int]) -> int | None:
    """The digest of a row, where the query gives one and knows it."""
    if "digest_high" in columns:
        if field("unidentified", whole_number, row[columns["unidentified"]]):
            return None
        high, low = (_half(row[columns[name]], name) for name in ("digest_high", "digest_low"))
        return halves_joined(high, low)
    if "digest" in columns and row[columns["digest"]] is not None:
        found: int = field("digest", digest_of, row[columns["digest"]])
        return found
    return None


def _half(value: object, name: str) -> int:
    found: int = field(name, whole_number, value)
    return found
