"""The read API: verdicts, incidents, completeness and sources, a page at a time."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import NEVER, Micros, parse_time, time_of
from reconciler.core.verdicts import Verdict
from reconciler.reports.cells import Asked, cells
from reconciler.reports.cells import Mark as CellMark
from reconciler.web import paging, shapes
from reconciler.web.access import Caller, Reader
from reconciler.web.answers import said
from reconciler.web.library import Line, library_of, read_time
from reconciler.web.paging import Cursor, Limit

router = APIRouter(responses=said(401, 403, 404, 409, 422, 503))

PipelineName = Annotated[str | None, Query(description="Of this pipeline only.")]
Prefix = Annotated[str, Query(description="Sources whose names begin so: `partner/`.")]
Words = Annotated[list[shapes.Verdict], Query(description="Only these; may be repeated.")]
_TIME = {"format": "date-time"}
From = Annotated[str | None, Query(alias="from", description="From this instant on.", json_schema_extra=_TIME)]
To = Annotated[str | None, Query(description="Before this instant.", json_schema_extra=_TIME)]
AsOf = Annotated[str | None, Query(description="As it had been said by this instant.", json_schema_extra=_TIME)]


@router.get("/v1/verdicts", response_model=shapes.Verdicts)
def verdicts(
    request: Request,
    caller: Reader,
    pipeline: PipelineName = None,
    hop: Annotated[str | None, Query(description="`from>to`.", examples=["ingress>processed"])] = None,
    source: Prefix = "",
    verdict: Words = [],  # noqa: B006  FastAPI copies it
    from_: From = None,
    to: To = None,
    as_of: AsOf = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Any:
    """What was last said of each cell, in order of pipeline, hop, bucket and source. `from` and `to` limit buckets."""
    found = _pipelines(caller, pipeline)
    asked = Asked(
        hop=hop,
        prefix=source,
        verdicts=tuple(Verdict[word.upper()] for word in verdict),
        first=_time("from", from_) or 0,
        end=_or_never(_time("to", to)),
        as_of=_or_never(_time("as_of", as_of)),
    )
    mark = paging.read(cursor, str, int, int, str)
    after = None if mark is None else cast(CellMark, tuple(mark))
    page, end = cells(library_of(request).store, found, asked, after, limit)
    return JSONResponse({"verdicts": page, "next": paging.write(None if end is None else list(end))})


@router.get("/v1/incidents", response_model=shapes.Incidents)
def incidents(
    request: Request,
    caller: Reader,
    pipeline: PipelineName = None,
    status: Annotated[list[str], Query(description="`open`, `updated` or `resolved`; may be repeated.")] = [],  # noqa: B006  FastAPI copies it
    kind: Annotated[list[str], Query(description="Only these kinds; may be repeated.")] = [],  # noqa: B006  FastAPI copies it
    source: Prefix = "",
    from_: From = None,
    to: To = None,
    as_of: AsOf = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Any:
    """What was last said of each incident, the oldest first; of those that cover a bucket between `from` and `to`."""
    found = _pipelines(caller, pipeline)
    first, end = _time("from", from_) or 0, _or_never(_time("to", to))
    lines = library_of(request).incidents(
        found, _time("as_of", as_of), everything=caller.everything and pipeline is None
    )
    lines = [
        line
        for line in lines
        if line["status"] in (status or [line["status"]])
        and line["kind"] in (kind or [line["kind"]])
        and (not source or any(name.startswith(source) for name in line["sources"]))
        and parse_time(line["from"]) < end
        and parse_time(line["to"]) > first
    ]
    mark = paging.read(cursor, str, str)
    if mark is not None:
        lines = [line for line in lines if [line["opened_at"], line["id"]] > mark]
    more = len(lines) > limit
    page = lines[:limit]
    end_mark = [page[-1]["opened_at"], page[-1]["id"]] if more else None
    return JSONResponse({"incidents": page, "next": paging.write(end_mark)})


@router.get("/v1/incidents/{incident}", response_model=shapes.IncidentInFull)
def incident(request: Request, caller: Reader, incident: str) -> Any:
    """One incident: what was last said of it, all that was said before, and what each source has lost."""
    found = library_of(request).incident(incident)
    if found is None or not (caller.everything or found["incident"]["pipeline"] in caller.pipelines):
        raise HTTPException(404, f"there is no incident {incident!r}; /v1/incidents lists all")
    return JSONResponse(found)


@router.get("/v1/completeness", response_model=shapes.Completeness)
def completeness(
    request: Request,
    caller: Reader,
    pipeline: PipelineName = None,
    source: Prefix = "",
    as_of: AsOf = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Any:
    """Until when data may be read without missing anything, per pipeline and source.

    Every bucket before `complete_through` is settled and complete at every hop; it never jumps over a hole.
    """
    library, then = library_of(request), _time("as_of", as_of)
    found = _pipelines(caller, pipeline)
    through = {name: library.through(one, then) for name, one in found.items()}
    pipelines = [
        {
            "pipeline": name,
            "judged_at": time_of(library.judged_at(one, then)),
            "complete_through": time_of(through[name][1]),
        }
        for name, one in found.items()
    ]
    every = (
        {"pipeline": name, "source": one, "complete_through": time_of(at)}
        for name, (sources, _) in through.items()
        for one, at in sorted(sources.items())
        if one.startswith(source)
    )
    page, end = _page(every, cursor, limit)
    return JSONResponse({"pipelines": pipelines, "sources": page, "next": end})


@router.get("/v1/sources", response_model=shapes.Sources)
def sources(
    request: Request,
    caller: Reader,
    pipeline: PipelineName = None,
    source: Prefix = "",
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Any:
    """Every source that was ever counted, since when, and who answers for it."""
    library = library_of(request)
    every = (
        line
        for one in _pipelines(caller, pipeline).values()
        for name, line in sorted(library.sources(one).items())
        if name.startswith(source)
    )
    page, end = _page(every, cursor, limit)
    return JSONResponse({"sources": page, "next": end})


def _page(lines: Iterator[Line], cursor: str | None, limit: int) -> tuple[list[Line], str | None]:
    """Of lines in order of pipeline and source those of one page, and the cursor of the next."""
    mark = paging.read(cursor, str, str)
    page: list[Line] = []
    for line in lines:
        if mark is not None and [line["pipeline"], line["source"]] <= mark:
            continue
        if len(page) == limit:
            return page, paging.write([page[-1]["pipeline"], page[-1]["source"]])
        page.append(line)
    return page, None


def _pipelines(caller: Caller, name: str | None) -> Mapping[str, Pipeline]:
    """Those that are asked for and that the caller may see, in order of name."""
    if name is not None and name not in caller.pipelines:
        known = ", ".join(sorted(caller.pipelines)) or "none"
        raise HTTPException(404, f"there is no pipeline {name!r} that you may read; there are: {known}")
    return {key: caller.pipelines[key] for key in sorted(caller.pipelines) if name in (None, key)}


def _or_never(instant: Micros | None) -> Micros:
    return NEVER if instant is None else instant


def _time(name: str, text: str | None) -> Micros | None:
    return None if text is None else read_time(name, text)
