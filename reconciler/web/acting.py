"""What people, and buttons, may say of incidents over HTTP. It needs a token that may write."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from reconciler import deeds
from reconciler.core.times import Micros
from reconciler.web.access import Caller, Reader, Writer
from reconciler.web.answers import said
from reconciler.web.library import library_of, read_time

router = APIRouter(responses=said(400, 401, 403, 404, 409, 422, 503))

Words = Annotated[str, Field(min_length=1, max_length=deeds.TEXT)]
_TIME: dict[str, Any] = {"format": "date-time"}


class Said(BaseModel):
    """What somebody says of an incident."""

    model_config = ConfigDict(extra="forbid")
    author: Words
    """Who says so; kept in the ledger."""
    reason: Words
    """Why; kept in the ledger."""


class Muting(Said):
    """What is to be kept quiet, and until when."""

    until: str = Field(json_schema_extra=_TIME)
    from_: str | None = Field(None, alias="from", json_schema_extra=_TIME)
    pipeline: str = ""
    """Pattern; empty: every pipeline."""
    kind: str = ""
    """Of the incidents; empty: every kind."""
    sources: str = "*"
    """Pattern: incidents that touch other sources too are told."""
    planned: bool = False
    """Announced work: what is lost or at risk is told all the same."""


class Mute(BaseModel):
    """A mute, or planned work."""

    id: int
    holds: bool
    planned: bool
    pipeline: str
    kind: str
    sources: str
    from_: str = Field(alias="from", json_schema_extra=_TIME)
    until: str | None = Field(json_schema_extra=_TIME)
    author: str
    reason: str
    at: str = Field(json_schema_extra=_TIME)


class Mutes(BaseModel):
    """What is kept quiet, now or later."""

    mutes: list[Mute]


class Noted(BaseModel):
    """It is in the ledger; the next judgement takes it."""

    id: int
    incident: str
    kind: str


Deed = Literal["acknowledge", "close", "confirm", "reopen"]


@router.post("/v1/incidents/{incident}/{deed}", response_model=Noted)
def speak(request: Request, caller: Writer, incident: str, deed: Deed, body: Said) -> Any:
    """Acknowledge, close, confirm or re-open an incident. The next judgement takes it."""
    library = library_of(request)
    found = library.incident(incident)
    if found is None or not _may(caller, found["incident"]["pipeline"]):
        raise HTTPException(404, f"there is no incident {incident!r}; /v1/incidents lists all")
    act = deeds.speak(library.store, deed, incident, body.author, body.reason, _now(request))
    return JSONResponse({"id": act.id, "incident": incident, "kind": deed})


@router.get("/v1/mutes", response_model=Mutes)
def mutes(request: Request, _: Reader) -> Any:
    """What is kept quiet now, or will be."""
    now = _now(request)
    found = deeds.mutes(library_of(request).store, now)
    return JSONResponse({"mutes": [deeds.mute_record(act, now) for act in found]})


@router.post("/v1/mutes", response_model=Mute)
def mute(request: Request, caller: Writer, body: Muting) -> Any:
    """Keep incidents that fit quiet until an end."""
    _all_or_own(caller, body.pipeline)
    now = _now(request)
    act = deeds.mute(
        library_of(request).store, body.author, body.reason, now, read_time("until", body.until),
        since=None if body.from_ is None else read_time("from", body.from_), pipeline=body.pipeline, kind=body.kind,
        sources=body.sources, planned=body.planned,
    )  # fmt: skip
    return JSONResponse(deeds.mute_record(act, now))


@router.post("/v1/mutes/{number}/end", response_model=Noted)
def end(request: Request, caller: Writer, number: int, body: Said) -> Any:
    """End a mute now."""
    library, now = library_of(request), _now(request)
    found = next((act for act in deeds.mutes(library.store, now) if act.id == number), None)
    if found is None:
        raise HTTPException(404, f"there is no mute {number} that still holds; /v1/mutes lists all")
    _all_or_own(caller, found.pipeline)
    act = deeds.unmute(library.store, number, body.author, body.reason, now)
    return JSONResponse({"id": act.id, "incident": "", "kind": act.kind})


def _may(caller: Caller, pipeline: str) -> bool:
    return caller.everything or pipeline in caller.pipelines


def _all_or_own(caller: Caller, pipeline: str) -> None:
    """A token for some pipelines mutes those by their names, and no pattern."""
    if not _may(caller, pipeline):
        raise HTTPException(403, "this token is for some pipelines only: name one of them")


def _now(request: Request) -> Micros:
    now: Micros = request.app.state.clock()
    return now
