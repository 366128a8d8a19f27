"""Forensics: what happened in a window of the past, what was known when, whose it is, who can mend it."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import HOUR, Micros, parse_time
from reconciler.errors import ConfigError
from reconciler.forensics import drafts, tables
from reconciler.forensics.entrances import WORDS
from reconciler.forensics.export import export
from reconciler.forensics.inquiry import Investigation, investigate
from reconciler.forensics.timeline import as_lines
from reconciler.reports.tables import to_csv
from reconciler.web.pages import words
from reconciler.web.pages.incidents import lines_of
from reconciler.web.pages.view import Looking, View

router = APIRouter()
MOST_CELLS = 8_000_000
"""Sources times buckets of a window that are looked into in one answer; more takes memory that the service needs."""
LISTED = 100
"""Lines of each table on the page; the files have all."""
TOLD = 300
"""Lines of the time line."""
TABLES = {make.__name__: make for make in tables.TABLES}


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked into."""

    pipelines: list[Pipeline]
    start: Micros
    end: Micros


@router.get("/forensics")
def forensics(view: Looking) -> Response:
    """The window that is asked for, or, where none is, the incidents that one may look into."""
    chosen = window(view)
    if chosen is None:
        lines = [line for line in reversed(lines_of(view)) if line["pipeline"] in view.pipelines]
        lines.sort(key=lambda line: line["kind"] not in ("loss", "at_risk"))
        offered = [(line, *around(line)) for line in lines[:20]]
        return view.page("forensics_start.html", "Forensics", offered=offered, more=len(lines) - len(offered))
    looked = look(view, chosen)
    course = list(as_lines(looked.timeline))
    return view.page(
        "forensics.html", "What happened, and what was known when", looked=looked, lines=course[:TOLD],
        more=max(0, len(course) - TOLD), listed=LISTED, ways=list(_ways(looked)), tables=list(TABLES),
        sources=_records(looked, "sources"), postmortem="\n".join(drafts.postmortem(looked)),
        letters=[(name, "\n".join(text)) for name, text in drafts.letters(looked)], meanings=drafts.EVIDENCE,
        pipeline=view.asked("pipeline"),
    )  # fmt: skip


def around(line: dict[str, Any]) -> tuple[Micros, Micros]:
    """The window of an incident, and an hour before and after it."""
    start = parse_time(line["from"])
    return max(0, start - HOUR), max(parse_time(line["to"]), start + HOUR) + HOUR


def window(view: View) -> Window | None:
    """`?from=`, `?to=` and `?pipeline=` (none: all that the visitor may see); none where no start is given."""
    if not view.asked("from"):
        return None
    pipelines = [view.pipeline()] if view.asked("pipeline") else list(view.pipelines.values())
    span = view.span(*pipelines)
    for one in pipelines:
        cells = len(view.store.directory(one).sources) * (span.length // one.width)
        if cells > MOST_CELLS:
            raise HTTPException(
                422, f"These are {cells:,} cells of {one.name}, and a page looks into {MOST_CELLS:,} at once. Ask for "
                "a shorter window, or use `reconciler forensics --from … --to … --output FOLDER`.",
            )  # fmt: skip
    return Window(pipelines, span.start, span.end)


def look(view: View, chosen: Window) -> Investigation:
    """What the ledger knows of the window. Raises 422 where it has been forgotten."""
    try:
        return investigate(view.store, view.settings, chosen.pipelines, chosen.start, chosen.end, view.as_of)
    except ConfigError as error:
        raise HTTPException(422, error.message) from None


def _ways(looked: Investigation) -> Iterator[dict[str, Any]]:
    """By entry point that has lost something: how it can be sent again, and until when."""
    for found in looked.found:
        for way in found.entrances:
            span = tables.window_of(found, way.sources)
            if span is not None:
                sender = way.sender
                yield {
                    "pipeline": found.pipeline.name,
                    "name": way.name,
                    "sources": len(way.sources),
                    "lost": tables.lost_by(found, way.sources),
                    "start": span[0],
                    "end": span[1],
                    "how": WORDS[way.way],
                    "consent": sender is not None and sender.consent,
                    "identity": sender.identity if sender is not None else "",
                    "contact": sender.contact if sender is not None else "",
                    "until": way.deadline(span[0]),
                }


def _records(looked: Investigation, name: str) -> list[dict[str, Any]]:
    table = TABLES[name](looked)
    return [dict(zip(table.heads, row, strict=True)) for row in table.rows]


@router.get("/forensics/file")
def file(view: Looking) -> Response:
    """One table as CSV (`?table=`), all as JSON (`?table=json`), or everything in one archive (`?table=zip`)."""
    name, chosen = view.asked("table"), window(view)
    if chosen is None or name not in (*TABLES, "json", "zip"):
        known = ", ".join((*TABLES, "json", "zip"))
        raise HTTPException(404, f"There is no table {words.name(name)!r} of that window; there are: {known}.")
    looked = look(view, chosen)
    label = f"forensics-{words.iso(chosen.start)[:16].replace(':', '')}"
    if name == "zip":
        return _attached(_archive(looked), f"{label}.zip", "application/zip")
    if name == "json":
        text = json.dumps(tables.record(looked), ensure_ascii=False)
        return _attached(text.encode(), f"{label}.json", "application/json")
    table = TABLES[name](looked)
    return _attached(to_csv(table.heads, table.written()).encode(), f"{label}-{name}.csv", "text/csv; charset=utf-8")


def _archive(looked: Investigation) -> bytes:
    """What `--output` writes; Parquet where what writes it is installed."""
    parquet = all(find_spec(library) is not None for library in ("duckdb", "pandas"))
    packed = io.BytesIO()
    with TemporaryDirectory(prefix="reconciler-") as folder, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as into:
        for path in export(looked, Path(folder), parquet=parquet):
            into.write(path, path.relative_to(folder))
    return packed.getvalue()


def _attached(content: bytes, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(content, media_type=kind, headers=headers)
