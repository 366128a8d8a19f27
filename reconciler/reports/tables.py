"""The report of a day as CSV, a row for each source, group and hop; and any table as CSV for a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reconciler.reports.tally import AMOUNTS
from reconciler.reports.words import Record

HEADS = (
    *("day", "zone", "pipeline", "from_stage", "to_stage", "level", "name", "sources", "verdict", *AMOUNTS),
    *("cells", "unknown", "completeness", "delivered", "proven", "complete_through"),
    *("completeness_yesterday", "completeness_last_week", "objective"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def as_csv(record: Record) -> str:
    """All rows of a report; `level` is `total`, `group` or `source`."""
    return to_csv(HEADS, _rows(record))


def _rows(record: Record) -> Iterator[list[Any]]:
    for pipeline in record["pipelines"]:
        for hop in pipeline["hops"]:
            levels = (("total", [hop["total"]]), ("group", hop["groups"]), ("source", hop["sources"]))
            for level, rows in levels:
                for row in rows:
                    where = (record["day"], record["zone"], pipeline["pipeline"], hop["from_stage"], hop["to_stage"])
                    yield [*where, level, row["source"] or "", *_figures(row), pipeline["objective"]]


def _figures(row: Record) -> Iterator[Any]:
    for name in HEADS[7:-3]:
        yield row[name]
    for name in ("yesterday", "last_week"):
        other = row["before"].get(name)
        yield None if other is None else other["completeness"]


def to_csv(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """RFC 4180, with a line feed at each end of line. No cell of text begins like a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        writer.writerow([safe(one) for one in row])
    return out.getvalue()


def safe(value: Any) -> Any:
    """Text that a spreadsheet would run stands behind an apostrophe; numbers and all other text as they are."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value
