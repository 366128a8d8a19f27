"""The report of a day as plain text."""

from collections.abc import Iterator, Sequence

from reconciler.core.times import format_time
from reconciler.core.verdicts import Verdict
from reconciler.reports.daily import Daily, HopDay, PipelineDay, Row

SHOWN = 50
"""Sources of a hop that are named."""
_ALWAYS = ("accepted", "processed", "accounted", "late", "lost")
_WHERE_ANY = ("lost_proven", "at_risk", "undetermined", "recovered", "duplicated", "surplus")
"""Columns that are left out where nothing stands in them."""
_HEADS = {"lost_proven": "proven lost", "at_risk": "at risk", "unknown": "unknown cells"}


def as_text(report: Daily) -> Iterator[str]:
    """The lines of the report."""
    day = format_time(report.day)[:10]
    known = "" if report.as_of is None else f", as it was known at {format_time(report.as_of)}"
    yield f"{day} (UTC){known}{'' if report.over else ': the day is not over'}"
    for one in report.pipelines:
        yield ""
        yield from _pipeline(one)


def _pipeline(found: PipelineDay) -> Iterator[str]:
    observed = "" if found.pipeline.alert else " (mode: observe; nobody is paged)"
    last = "never judged" if found.judged_at is None else f"judged as of {format_time(found.judged_at)}"
    yield f"{found.pipeline.name}{observed}, {last}"
    for one in found.hops:
        if one.sources:
            yield ""
            yield from _hop(one)
    yield from _section("incidents", [_incident(line) for line in found.incidents])
    yield from _section("not known", found.not_known)
    if not found.pipeline.alert:
        paged = [f"{line['opened_at']}  {line['summary']}" for line in found.would_have_paged]
        yield from _section("this would have paged", paged or ["nobody: there was no reason to"])


def _hop(found: HopDay) -> Iterator[str]:
    shown, rest = found.sources[:SHOWN], found.sources[SHOWN:]
    amounts = [*_ALWAYS, *(name for name in _WHERE_ANY if found.total.amounts[name])]
    unknown = ["unknown"] if found.total.unknown else []
    heads = [*amounts, *unknown, "complete", "delivered", "proven", "complete through"]
    title = f"{found.hop.from_stage} to {found.hop.to_stage}"
    count = len(found.sources)
    rows = [(f"all {count:,} sources" if count > 1 else "all, 1 source", found.total)]
    rows += [(str(row.source), row) for row in shown]
    yield from _table(title, heads, [(name, _cells(row, amounts, unknown)) for name, row in rows])
    if rest:
        complete = sum(row.worst == Verdict.COMPLETE for row in rest)
        words = "complete" if complete == len(rest) else f"of which {complete:,} are complete"
        yield f"and {len(rest):,} more, {'all ' if complete == len(rest) else ''}{words}"


def _cells(row: Row, amounts: Sequence[str], unknown: Sequence[str]) -> list[str]:
    through = row.complete_through
    return [
        *(f"{row.amounts[name]:,}" for name in amounts),
        *(f"{row.unknown:,}" for _ in unknown),
        _share(row.completeness),
        _share(row.delivered),
        "yes" if row.proven else "no",
        "-" if through is None else format_time(through),
    ]


def _share(share: float | None) -> str:
    """In per cent, cut off and not rounded: what is not whole never looks whole."""
    return "-" if share is None else f"{int(share * 1_000_000) / 10_000:.4f}%"


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    heads = [_HEADS.get(name, name) for name in names]
    first = max(len(title), *(len(name) for name, _ in rows))
    widths = [max(len(head), *(len(cells[at]) for _, cells in rows)) for at, head in enumerate(heads)]
    for name, cells in [(title, heads), *rows]:
        yield "  ".join([name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])


def _incident(line: dict[str, object]) -> str:
    return f"{line['severity']} {line['id']} ({line['status']}): {line['summary']}"


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)
