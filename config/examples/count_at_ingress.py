"""Count what an HTTP ingress accepts, with FastAPI or Flask.

The ingress stamps each event with the time of its acceptance, in a header of the message, so that every later stage can
count it in the same minute. Counting comes after the event is safely handed on: what was not accepted is not counted.
"""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from reconciler.client import Counter

Publish = Callable[[bytes, dict[str, str]], None]
"""Hands an event with its headers on to the queue, and returns once that is durable."""


def counter(url: str) -> Counter:
    """One for the process."""
    return Counter(url, "batch", "ingress", token=os.environ.get("RECONCILER_TOKEN"))


def fastapi_app(publish: Publish, counting: Counter) -> Any:
    """An ingress with FastAPI."""
    from fastapi import FastAPI, Request

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        counting.start()  # so that a quiet ingress is known to have accepted nothing
        yield
        counting.close()  # after the last request: tells what is left, and that this process has ended

    app = FastAPI(lifespan=lifespan)

    @app.post("/events/{source:path}", status_code=202)
    async def accept(source: str, request: Request) -> None:
        accepted = time.time()
        publish(await request.body(), {"accepted_at": str(accepted)})
        counting.add(source, accepted=accepted)

    return app


def flask_app(publish: Publish, counting: Counter) -> Any:
    """The same with Flask. `close` is called at exit; with gunicorn call it in `worker_exit`."""
    from flask import Flask, request

    app = Flask(__name__)

    @app.post("/events/<path:source>")
    def accept(source: str) -> tuple[str, int]:
        accepted = time.time()
        publish(request.get_data(), {"accepted_at": str(accepted)})
        counting.add(source, accepted=accepted)
        return "", 202

    return app
