"""Answers that are not the one hoped for: plain messages, one shape."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.web.shapes import Problem

COME_AGAIN = {"Retry-After": "5"}
"""Seconds; with 503."""
_MEANING = {
    400: "The body cannot be read at all; nothing was kept.",
    401: "No token, or none that is known.",
    403: "The token may not do this.",
    404: "There is no such thing.",
    408: "The body did not arrive in time; nothing was kept.",
    409: "The ledger and the configuration do not go together.",
    413: "More than one request may hold; nothing was kept.",
    415: "Packed in a way that is not understood; nothing was kept.",
    422: "A parameter is wrong.",
    429: "Too much at once; nothing was kept. Come again after `Retry-After` seconds.",
    503: "The ledger cannot be reached just now; what was sent is to be sent again.",
}
_WAITING = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def said(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides, for the OpenAPI document."""
    described: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        described[code] = {"model": Problem, "description": _MEANING[code]}
        if code in (429, 503):
            described[code]["headers"] = _WAITING
    return described


def problem(code: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer that says what is wrong."""
    return JSONResponse({"error": message}, code, headers=headers)


def install(app: FastAPI) -> None:
    """Give every failure its answer."""
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(ReconcilerError, ours)


def http(_: Request, error: Exception) -> JSONResponse:
    """What an `HTTPException` says."""
    if not isinstance(error, HTTPException):
        raise error
    return problem(error.status_code, str(error.detail), error.headers)


def parameters(_: Request, error: Exception) -> JSONResponse:
    """Which parameters are wrong."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors()]
    return problem(422, "; ".join(faults))


def ours(_: Request, error: Exception) -> JSONResponse:
    """What the ledger could not do."""
    if isinstance(error, OutOfReach):
        return problem(503, error.message, COME_AGAIN)
    return problem(409, str(error))
