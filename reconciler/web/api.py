"""The application: routes, and what they share."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from reconciler import __version__
from reconciler.core.times import Micros
from reconciler.serving import ServiceStore
from reconciler.settings import Settings
from reconciler.web import acting, answers, buttons, pages, push, reads
from reconciler.web.access import Gate
from reconciler.web.draining import Draining
from reconciler.web.headers import SafeHeaders
from reconciler.web.library import Library
from reconciler.web.pages.people import People

_DESCRIPTION = """Compares what a pipeline accepted with what it processed.

Times are RFC 3339. Lists come in pages: `next` of one page is the `cursor` of the following one."""


def build_api(store: ServiceStore, settings: Settings, now: Callable[[], Micros]) -> FastAPI:
    """The HTTP face of a ledger. When its lifespan ends, what was pushed and waits is written first."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.recorder.close)

    app = FastAPI(
        title="reconciler",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its pages come from another host, and show nothing where that is out of reach
        redoc_url=None,
    )
    app.state.desk = desk = push.Desk(store, settings, now)
    app.state.gate = Gate(store, settings, now)
    app.state.library = Library(store, settings)
    app.state.buttons = buttons.buttons_of(store, settings, now)
    app.include_router(push.router)
    app.include_router(reads.router)
    app.include_router(buttons.router)
    app.include_router(acting.router)
    app.add_middleware(Draining)
    app.add_middleware(SafeHeaders)
    answers.install(app)
    app.state.people = People(store, settings, app.state.gate)
    app.state.settings, app.state.clock = settings, now
    pages.install(app)
    return app
