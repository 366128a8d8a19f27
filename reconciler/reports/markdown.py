"""The report of a day as Markdown, for a ticket or a wiki."""

import re
from collections.abc import Iterator, Sequence

from reconciler.reports.text import objective, sections
from reconciler.reports.words import (
    HEADS,
    LONGEST_LINE,
    Record,
    columns,
    compared,
    heading,
    hop_name,
    proof,
    rest_line,
    share,
    short,
    split,
    word,
)

SHOWN = 50
_SPECIAL = re.compile(r"([\\`*_\[\]<>#!|~@&$])")
"""With these escaped no name becomes a link, a table, a mention or HTML."""


def plain(text: object, longest: int = LONGEST_LINE) -> str:
    """Text that Markdown leaves as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", short(text, longest))


def as_markdown(record: Record) -> Iterator[str]:
    """The lines of the report, from its record."""
    yield f"# Completeness of {plain(heading(record))}"
    for one in record["pipelines"]:
        yield from ("", *_pipeline(one))
    yield from _list("Days restated since they were reported", [one["text"] for one in record.get("restated", [])])
    changed = record.get("changed")
    if changed is not None:
        yield from _list(changed["since"], changed["lines"] or ["nothing"])
    made = record["made_by"]
    yield ""
    yield f"Made at {record['made_at']} by reconciler {made['version']}, settings {made['settings']}."


def _pipeline(found: Record) -> Iterator[str]:
    yield f"## {plain(found['pipeline'])}"
    yield ""
    last = "never judged" if found["judged_at"] is None else f"judged as of {found['judged_at']}"
    yield last + ("" if found["mode"] == "alert" else "; mode: observe, nobody is paged")
    for one in found["hops"]:
        if one["sources"]:
            yield from ("", f"### {plain(hop_name(one))}", "", *_hop(one))
    if not found["forgotten"]:
        yield from _list("Objective", [objective(found)])
    for title, lines in sections(found):
        yield from _list(title, lines)


def _hop(found: Record) -> Iterator[str]:
    shown, rest = split(found["sources"], SHOWN)
    amounts = columns(found["total"])
    heads = ["", "verdict", *amounts, "complete", "delivered", "", "against yesterday", "against last week"]
    rows = [("**all**", found["total"])]
    rows += [(f"{plain(row['source'], 60)}/ ({row['sources']:,})", row) for row in found["groups"][:SHOWN]]
    rows += [(plain(row["source"], 60), row) for row in shown]
    cells = [[name, *_cells(row, amounts)] for name, row in rows]
    yield from table([HEADS.get(head, head) for head in heads], cells)
    for group in rest:
        yield ""
        yield plain(rest_line(group))


def _cells(row: Record, amounts: Sequence[str]) -> list[str]:
    return [
        word(row["verdict"]),
        *(f"{row[name]:,}" for name in amounts),
        share(row["completeness"]),
        share(row["delivered"]),
        proof(row),
        compared(row, "yesterday"),
        compared(row, "last_week"),
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> Iterator[str]:
    """A table; the first columns to the left, the others to the right. Cells are Markdown already."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * left}{'---:|' * (len(heads) - left)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"**{plain(title)}**", "")
        yield from (f"- {plain(line)}" for line in lines)
