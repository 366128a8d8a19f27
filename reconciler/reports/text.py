"""The report of a day as plain text."""

from collections.abc import Iterator, Sequence

from reconciler.reports.words import (
    HEADS,
    RESULTS,
    Record,
    columns,
    compared,
    heading,
    hop_name,
    rest_line,
    share,
    short,
    split,
)

SHOWN = 50
"""Sources of a hop that are named."""


def as_text(record: Record) -> Iterator[str]:
    """The lines of the report, from its record."""
    yield heading(record)
    for one in record["pipelines"]:
        yield ""
        yield from _pipeline(one)
    yield from _section("restated since they were reported", [one["text"] for one in record.get("restated", [])])
    changed = record.get("changed")
    if changed is not None:
        yield from _section(changed["since"], changed["lines"] or ["nothing"])


def _pipeline(found: Record) -> Iterator[str]:
    observed = "" if found["mode"] == "alert" else " (mode: observe; nobody is paged)"
    last = "never judged" if found["judged_at"] is None else f"judged as of {found['judged_at']}"
    yield f"{found['pipeline']}{observed}, {last}"
    for one in found["hops"]:
        if one["sources"]:
            yield ""
            yield from _hop(one)
    if not found["forgotten"]:
        yield from _section("objective", [objective(found)])
    for title, lines in sections(found):
        yield from _section(title.lower(), lines)
    if found["mode"] == "observe":
        paging = [line for line in found["incidents"] if line["id"] in found["would_have_paged"]]
        paged = [f"{line['opened_at']}  {line['summary']}" for line in paging]
        yield from _section("this would have paged", paged or ["nobody: there was no reason to"])


def sections(found: Record) -> Iterator[tuple[str, Sequence[str]]]:
    """What is said of a pipeline beside its hops and its objective: titles, and lines under them."""
    yield "Incidents", [incident(line) for line in found["incidents"]]
    yield "Still open from other days", [incident(line) for line in found["still_open"]]
    yield "Blind spots", found["blind_spots"]
    yield "Not known", found["not_known"]
    yield "Not monitored", found["not_monitored"]
    yield "Kept quiet", found.get("quiet", [])


def objective(found: Record) -> str:
    """How a pipeline stands against its objective, in a sentence."""
    budget = found["budget"]
    unknown = max((hop["total"]["unknown"] for hop in found["hops"]), default=0)
    blind = f", and nothing at all is known of {unknown:,} cells" if unknown else ""
    spent = "" if budget["spent"] is None else f", {_budgets(budget['spent'])} of the budget"
    return (
        f"{RESULTS[budget['result']]}: {budget['objective']:.4%} allows {budget['allowed']:,} missing events; "
        f"{budget['lost']:,} are lost{spent}, {budget['waiting']:,} still wait or are not known{blind}"
    )


def _budgets(spent: float) -> str:
    return f"{int(spent * 1000) / 10}%" if spent < 10 else f"{spent:,.0f} times all"


def _hop(found: Record) -> Iterator[str]:
    shown, rest = split(found["sources"], SHOWN)
    amounts = columns(found["total"])
    unknown = ["unknown"] if found["total"]["unknown"] else []
    heads = [*amounts, *unknown, "complete", "delivered", "proven", "complete through", "yesterday", "last week"]
    count = len(found["sources"])
    rows = [(f"all {count:,} sources" if count > 1 else "all, 1 source", found["total"])]
    rows += [(f"{short(row['source'], 40)}/ ({row['sources']:,})", row) for row in found["groups"][:SHOWN]]
    rows += [(short(row["source"]), row) for row in shown]
    yield from _table(hop_name(found), heads, [(name, _cells(row, amounts, unknown)) for name, row in rows])
    for group in rest:
        yield rest_line(group)


def _cells(row: Record, amounts: Sequence[str], unknown: Sequence[str]) -> list[str]:
    through = row["complete_through"]
    return [
        *(f"{row[name]:,}" for name in amounts),
        *(f"{row['unknown']:,}" for _ in unknown),
        share(row["completeness"]),
        share(row["delivered"]),
        "yes" if row["proven"] else "no",
        "-" if through is None else through,
        compared(row, "yesterday"),
        compared(row, "last_week"),
    ]


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    heads = [HEADS.get(name, name) for name in names]
    first = max(len(title), *(len(name) for name, _ in rows))
    widths = [max(len(head), *(len(cells[at]) for _, cells in rows)) for at, head in enumerate(heads)]
    for name, cells in [(title, heads), *rows]:
        yield "  ".join([name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])


def incident(line: Record) -> str:
    """An incident in a line."""
    return f"{line['severity']} {line['id']} ({line['status']}): {line['summary']}"


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)
