"""The HTTP face of the agent: it takes what the service takes, and answers the same way."""

import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, Request, Response
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from reconciler import __version__
from reconciler.agent.forwarder import Forwarder
from reconciler.agent.meters import Meters
from reconciler.agent.spool import Spool
from reconciler.core.times import Micros
from reconciler.settings import Settings
from reconciler.web import answers, push
from reconciler.web.access import Caller, why_not_local
from reconciler.web.draining import Draining


class AgentGate:
    """Lets senders in: those with the one token that is asked for, or, where none is, programs on the same machine."""

    def __init__(self, settings: Settings, token: str | None) -> None:
        self._settings, self._token = settings, token

    def enter(
        self, request: Request, given: HTTPAuthorizationCredentials | None, later: BackgroundTasks, *, writes: bool
    ) -> Caller:
        """The sender behind a request; raises 401. See `web.access.Gate`."""
        who = request.client.host if request.client else ""
        if self._token is None:
            if fault := why_not_local(request):
                raise _unauthorised(f"without a token only programs on the same machine are answered, and {fault}")
        elif given is None or not hmac.compare_digest(given.credentials.encode(), self._token.encode()):
            raise _unauthorised("this agent asks for the token that it was started with, and this is not it")
        return Caller(who, dict(self._settings.pipelines), everything=True)


def _unauthorised(message: str) -> HTTPException:
    return HTTPException(401, message, {"WWW-Authenticate": "Bearer"})


def build_face(
    spool: Spool, settings: Settings, now: Callable[[], Micros], forwarder: Forwarder, meters: Meters, token: str | None
) -> FastAPI:
    """The application. When its lifespan ends, what was pushed and waits is in the spool."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.recorder.close)

    app = FastAPI(
        title="reconciler agent",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.desk = desk = push.Desk(spool, settings, now)
    app.state.gate = AgentGate(settings, token)
    app.include_router(push.router)
    app.add_middleware(Draining)
    answers.install(app)

    @app.get("/healthz")
    def healthz(response: Response) -> dict[str, bool]:
        """Whether the process lives. It does while the centre is away, for a restart would not help then."""
        alive = forwarder.alive()
        response.status_code = 200 if alive else 503
        return {"alive": alive}

    @app.get("/metrics")
    def metrics() -> Response:
        """What can be measured; no source is named."""
        return Response(meters.text(), media_type=CONTENT_TYPE_LATEST)

    return app
