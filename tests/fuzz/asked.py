"""Requests to the HTTP face, pages and all, as a web server would hand them over: none may end in a 5xx."""

import asyncio
import faulthandler
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from reconciler.core.observations import parse as parse_line
from reconciler.core.times import MINUTE, parse_time
from reconciler.service import judge_all
from reconciler.settings import Settings, parse
from reconciler.store import SqlStore, migrate, open_store
from reconciler.web.api import build_api
from tests.integration.shell import LOSS_END, a_loss

NOW = parse_time(LOSS_END) + MINUTE
PATIENCE = 30
"""Seconds in which a request is to be answered."""
CONFIG = "pipelines: {batch: {stages: [ingress, processed], max_sources: 50}, other: {stages: [ingress, processed]}}"
READS = (
    "/v1/verdicts?pipeline=batch&from=2024-01-15T00:00:00Z&to=2024-01-15T00:40:00Z&source=a&limit=7&cursor=",
    "/v1/incidents?status=open&as_of=2024-01-15T00:35:00Z&limit=2",
    "/v1/completeness?pipeline=batch&at=2024-01-15T00:20:00Z",
    "/v1/sources?pipeline=batch&limit=1&cursor=a",
    "/v1/mutes",
    "/",
    "/pipeline?pipeline=batch&from=2024-01-15T00:00:00Z&to=2024-01-15T01:00:00Z&as_of=2024-01-15T00:35:00Z",
    "/source?pipeline=batch&source=a&hop=ingress%3Eprocessed&number=1",
    "/cell?pipeline=batch&source=a&bucket=2024-01-15T00:07:00Z",
    "/incidents?status=all&kind=loss&q=a",
    "/queues?pipeline=batch",
    "/forensics?from=2024-01-15T00:00:00Z&to=2024-01-15T00:40:00Z&format=html",
    "/reports?day=2024-01-15&zone=Europe/Berlin",
    "/report?day=2024-01-15",
    "/report/file?day=2024-01-15&format=csv",
    "/replays?pipeline=batch",
    "/replay?pipeline=batch&number=1",
    "/mutes",
    "/detector",
    "/openapi.json",
    "/static/style.css",
)
COOKIE = "reconciler=x"
FORM = {"csrf": hashlib.sha256(b"form x").hexdigest(), "author": "somebody", "reason": "because"}
LINE = (
    '{"type":"count","pipeline":"batch","stage":"ingress","source":"c","bucket":"2024-01-15T00:30:00Z","count":7,'
    '"at":"2024-01-15T00:31:00Z"}'
)


def requests() -> Iterator[bytes]:
    """One of each, written as below."""
    yield from (f"GET {target}\n\n".encode() for target in READS)
    yield f"POST /v1/observations\ncontent-type: application/x-ndjson\n\n{LINE}".encode()
    yield f"POST /v1/observations\ncontent-type: application/json\n\n[{LINE}]".encode()
    mute = {"author": "a", "reason": "b", "pipeline": "batch", "until": "2024-01-15T02:00:00Z", "sources": "a*"}
    yield f"POST /v1/mutes\ncontent-type: application/json\n\n{json.dumps(mute)}".encode()
    yield b'POST /v1/mutes/1/end\ncontent-type: application/json\n\n{"author":"a","reason":"b"}'
    yield b'POST /v1/incidents/x/acknowledge\ncontent-type: application/json\n\n{"author":"a","reason":"b"}'
    posts = {
        "/mutes": {"pipeline": "batch", "sources": "a", "until": "2024-01-15T02:00:00Z"},
        "/mutes/end": {"number": "1"},
        "/incident/acknowledge": {"id": "x"},
        "/replays": {"pipeline": "batch", "source": "a"},
        "/login": {"token": "x"},
    }
    for place, fields in posts.items():
        head = f"POST {place}\ncontent-type: application/x-www-form-urlencoded\ncookie: {COOKIE}\n\n"
        yield f"{head}{urlencode(FORM | fields)}".encode()


def as_scope(head: bytes) -> dict[str, Any] | None:
    """The head of a request, a line each: method and target, then headers. None: no web server would pass it on."""
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    if not method.isalpha() or not path.startswith(b"/") or not target.isascii() or b" " in target:
        return None
    headers = [(b"host", b"localhost")]
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name.isascii() or not name.replace(b"-", b"").isalnum():
            return None
        headers.append((name.lower(), value.strip()))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method.decode().upper(),
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8080),
    }


class Face:
    """The application on an embedded ledger with a loss in it, in an event loop that runs on."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'ledger.db'}"
        migrate(url)
        settings = parse(f"ledger: {url}\n{CONFIG}\npush: {{rate: 1000000000}}", folder / "reconciler.yaml", {})
        _filled(open_store(url), settings)
        self._app = build_api(open_store(url), settings, lambda: NOW)
        self._loop = asyncio.new_event_loop()
        forever = self._loop.create_future()
        # Threads of the pool live as long as the first task does: one that never ends, as in a web server.
        threading.Thread(target=self._loop.run_until_complete, args=(forever,), daemon=True).start()

    def status(self, scope: dict[str, Any], body: bytes) -> int:
        """What the request is answered with."""
        return asyncio.run_coroutine_threadsafe(self._asked(scope, body), self._loop).result(PATIENCE)

    async def _asked(self, scope: dict[str, Any], body: bytes) -> int:
        statuses: list[int] = []
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(int(message["status"]))

        await self._app(scope, receive, send)  # what is not caught is raised again behind the answer with 500
        return statuses[0]


def _filled(store: SqlStore, settings: Settings) -> None:
    store.record([parse_line(line, settings.pipelines) for line in a_loss()], settings.pipelines)
    judge_all(store, settings.pipelines, NOW - MINUTE)
    store.close()


def asking(folder: Path) -> Callable[[bytes], None]:
    """Try one request."""
    face = Face(folder)

    def attempt(data: bytes) -> None:
        head, _, body = data.partition(b"\n\n")
        scope = as_scope(head)
        if scope is not None:
            try:
                status = face.status(scope, body)
            except TimeoutError:
                faulthandler.dump_traceback()  # of all threads: which of them has not come back
                raise AssertionError(f"no answer within {PATIENCE} s: {data!r}") from None
            assert status < 500, f"{scope['method']} {scope['raw_path']!r}: {status}"

    return attempt
