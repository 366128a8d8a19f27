"""Watching the watcher: is the process alive, does it see, and what does it measure?"""

from typing import Annotated

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from reconciler.running.health import Health
from reconciler.running.meters import Meters


class Alive(BaseModel):
    """Whether the process lives."""

    alive: bool
    reason: Annotated[str | None, Field(description="What is stuck, where a restart would help.")] = None


class Ready(BaseModel):
    """Whether the service sees."""

    ready: bool
    reasons: Annotated[list[str], Field(description="Why it is blind.")] = []


def watch_router(health: Health, meters: Meters) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`; none of them needs a token, and none names an event or a source."""
    router = APIRouter(tags=["watch"])

    @router.get("/healthz", responses={503: {"model": Alive, "description": "It is stuck: restart it."}})
    def healthz(response: Response) -> Alive:
        """Whether the process lives. It does while the database is away, for a restart would not help then."""
        stuck = health.stuck()
        response.status_code = 200 if stuck is None else 503
        return Alive(alive=stuck is None, reason=stuck)

    @router.get("/readyz", responses={503: {"model": Ready, "description": "It is blind, and says why."}})
    def readyz(response: Response) -> Ready:
        """Whether it sees: the ledger is in reach, and every pipeline was judged lately. Gaps do not matter here."""
        reasons = health.blind()
        response.status_code = 503 if reasons else 200
        return Ready(ready=not reasons, reasons=reasons)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
    )
    def metrics() -> Response:
        """What the process measures, for Prometheus."""
        return Response(meters.text(), media_type=CONTENT_TYPE_LATEST)

    return router
