"""`POST /v1/observations`: what is answered with success is in the ledger, durably."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from reconciler.core.times import Micros
from reconciler.settings import Settings
from reconciler.web.access import Caller, Writer
from reconciler.web.answers import said
from reconciler.web.arrays import NoArray
from reconciler.web.bodies import PUSHED
from reconciler.web.intake import Intake, Taken
from reconciler.web.rates import Rates
from reconciler.web.recorder import Recorder, Records
from reconciler.web.shapes import Pushed
from reconciler.web.unpacking import PIECE, TooMuch

PATIENCE = 60
"""Seconds in which a body has to arrive; who is slower keeps a place from others."""
MEGABYTE = 1_000_000

router = APIRouter()


class Desk:
    """Where pushes are taken in: limits, and the recorder behind them."""

    def __init__(self, store: Records, settings: Settings, now: Callable[[], Micros]) -> None:
        self._store, self._limits, self._now = store, settings.push, now
        self._rates = Rates(settings.push.rate)
        self._reading = 0
        self.recorder = Recorder(store, settings)

    async def take(self, request: Request, caller: Caller) -> Taken:
        """Read, validate and record one body; raises whatever has to be answered instead."""
        self._look_ahead(request, caller)
        with self._place():
            taken = await self._read(request, caller)
            self._rates.charge(caller.key, len(taken.observations) + len(taken.refusals), self._now())
            # Whoever goes away now is not answered, but what they sent is recorded all the same.
            await asyncio.shield(asyncio.wrap_future(self.recorder.submit(taken.observations)))
        return taken

    def _look_ahead(self, request: Request, caller: Caller) -> None:
        """What can be said before the body is read."""
        packing = request.headers.get("content-encoding", "identity").lower()
        if packing not in ("identity", "gzip", "x-gzip"):
            raise HTTPException(415, f"Content-Encoding {packing!r} is not understood; send gzip, or nothing packed")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.megabytes * MEGABYTE:
            raise HTTPException(413, f"a request may hold {self._limits.megabytes} MB; send it in parts")
        wait = self._rates.wait(caller.key, self._now())
        if wait:
            rate = f"{self._limits.rate:,} observations a second"
            raise _later(f"that was more than {rate}; come again in {wait} s", wait)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._reading >= self._limits.at_once:
            raise _later(f"{self._reading} requests are being read; come again in 1 s", 1)
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1

    def _kept_from(self, caller: Caller) -> dict[str, Micros]:
        return {name: self._store.horizon(pipeline).detail for name, pipeline in caller.pipelines.items()}

    def _closed(self, caller: Caller) -> dict[str, frozenset[str]]:
        found = {name: self._store.closed(pipeline) for name, pipeline in caller.pipelines.items()}
        return {name: names for name, names in found.items() if names is not None}

    async def _read(self, request: Request, caller: Caller) -> Taken:
        kept_from = await run_in_threadpool(self._kept_from, caller)
        closed = await run_in_threadpool(self._closed, caller)
        intake = Intake(
            caller.pipelines,
            self._now(),
            everything=caller.everything,
            size=self._limits.megabytes * MEGABYTE,
            observations=self._limits.observations,
            kept_from=kept_from,
            closed=closed,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await _feed(request, intake)
            return await run_in_threadpool(intake.finish)
        except TooMuch as error:
            raise HTTPException(413, f"{error}; nothing was kept") from None
        except NoArray as error:
            raise HTTPException(
                400, f"the body begins with [ and is no array of JSON: {error}; nothing was kept"
            ) from None
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {PATIENCE} s; nothing was kept") from None
        except ClientDisconnect:
            raise HTTPException(400, "the body broke off; nothing was kept") from None


async def _feed(request: Request, intake: Intake) -> None:
    """Hand the body on in pieces that are worth the way to another thread."""
    waiting: list[bytes] = []
    async for chunk in request.stream():
        waiting.append(chunk)
        if sum(map(len, waiting)) >= PIECE:
            await run_in_threadpool(intake.feed, b"".join(waiting))
            waiting.clear()
    await run_in_threadpool(intake.feed, b"".join(waiting))


def _later(message: str, seconds: int) -> HTTPException:
    return HTTPException(429, f"{message}; nothing was kept", {"Retry-After": str(seconds)})


@router.post(
    "/v1/observations",
    response_model=Pushed,
    responses={
        422: {"model": Pushed, "description": "Some were refused, each with its reason. All others are kept, durably."},
        **said(400, 401, 403, 408, 409, 413, 415, 429, 503),
    },
    openapi_extra=PUSHED,
)
async def push(request: Request, caller: Writer) -> Any:
    """Push observations. 200: all of them are in the ledger, durably. 422: those not named in `refusals` are.

    An observation is an absolute reading, so sending it twice changes nothing: after 429, 503 or no answer at all, send
    the same again.
    """
    desk: Desk = request.app.state.desk
    taken = await desk.take(request, caller)
    answer = {"kept": len(taken.observations), "refused": len(taken.refusals), "refusals": taken.refusals}
    return JSONResponse(answer, 422 if taken.refusals else 200)
