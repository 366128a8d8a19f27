"""The pages for people: made on the server, in the language of the contract, from what the ledger holds.

How another page is added:

1. A module here with a router, and a template of its own that extends `base.html`:

       router = APIRouter()

       @router.get("/tides")
       def tides(view: Looking) -> Response:
           span = view.span()                        # ?from=&to=, else the day until the last judgement
           pipeline = view.pipeline()                # ?pipeline=, or the page that says which there are
           return view.page("tides.html", "Tides", span=span, rows=...)

2. Its line in `ROUTERS` below, and in `MENU` of `view.py` if it is reached from every page.

`Looking` lets in who may read and knows `as_of`; `Acting` is for a POST: it lets in who may operate, and checks the
token that `{{ view.csrf_field }}` puts into each form. `await`-less handlers run in threads, so they may ask the store.

Whatever is shown goes through the template, which escapes it. Links are made by `view.link(path, **query)`, which keeps
`as_of`; numbers, instants and names are written by the filters of `words.py` (`| number`, `| instant`, `| name`).
There are no inline styles and scripts: the content policy forbids them. A chart is SVG that the server writes (see
`charts.py`), and it has a table or a text beside it that says the same.
"""

import threading
from importlib.resources import files

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from reconciler.errors import ReconcilerError
from reconciler.web.pages import (
    detector,
    doors,
    forensics,
    incidents,
    mutes,
    overview,
    pipeline,
    queues,
    replays,
    reports,
    source,
)
from reconciler.web.pages.view import templates

ROUTERS = (
    doors.router,
    overview.router,
    pipeline.router,
    source.router,
    incidents.router,
    queues.router,
    reports.router,
    forensics.router,
    replays.router,
    mutes.router,
    detector.router,
)


def install(app: FastAPI) -> None:
    """Add the pages to the application; none of them is part of the published API."""
    doors.install(app)
    for router in ROUTERS:
        app.include_router(router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=str(files("reconciler.web") / "static")), name="static")


def warm(app: FastAPI) -> threading.Thread:
    """Do ahead what the first look would wait for: templates are compiled, and the names of all sources are read.

    It takes a thread of its own, which is returned: a ledger that hangs must not keep anybody from the answer that the
    process lives.
    """
    thread = threading.Thread(target=_warm, args=(app,), name="warm", daemon=True)
    thread.start()
    return thread


def _warm(app: FastAPI) -> None:
    for name in templates().list_templates(extensions=["html"]):
        templates().get_template(name)
    for one in app.state.settings.pipelines.values():
        try:
            app.state.library.store.directory(one)
        except ReconcilerError:  # whoever looks is told; the start is not held up by it
            return
