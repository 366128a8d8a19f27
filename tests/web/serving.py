"""The application on a real server, on loopback."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, parse_time
from reconciler.settings import Settings, parse
from reconciler.store import SqlStore
from reconciler.web.api import build_api
from tests.lines import COUNT as SENT

NOW = parse_time("2021-07-20T18:46:30Z")
CONFIG = "pipelines: {batch: {stages: [ingress, processed]}, other: {stages: [ingress, processed]}}\n"
PAGE = {"Accept": "text/html"}
COUNT = SENT | {"reporter": "ingest-01"}


@dataclass(slots=True)
class Clock:
    """A clock that stands until it is moved."""

    instant: Micros = NOW

    def __call__(self) -> Micros:
        return self.instant


@dataclass(slots=True)
class Service:
    """A running service."""

    url: str
    store: SqlStore
    settings: Settings
    clock: Clock
    client: httpx.Client = field(repr=False)

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        return self.settings.pipelines

    def push(self, *lines: Mapping[str, Any] | str | bytes, **options: Any) -> httpx.Response:
        """Push lines as they are, or as JSON."""
        return self.client.post("/v1/observations", content=ndjson(lines), **options)

    def token(self, *, reads: bool = False, writes: bool = False, pipelines: tuple[str, ...] = ()) -> dict[str, str]:
        """A header with a new token."""
        secret = self.store.tokens.create("a test", NOW, reads=reads, writes=writes, pipelines=pipelines)
        return {"Authorization": f"Bearer {secret}"}


def ndjson(lines: Iterable[Mapping[str, Any] | str | bytes]) -> bytes:
    """One line each."""
    return b"\n".join(
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    )


def configured(store: SqlStore, more: str = "", config: str = CONFIG) -> Settings:
    """Settings that name the ledger of the store."""
    url = store.database.url.render_as_string(hide_password=False)
    return parse(f"ledger: {json.dumps(url.replace('+psycopg', ''))}\n{config}{more}", Path("reconciler.yaml"), {})


@contextmanager
def serving(app: Any, host: str = "127.0.0.1") -> Iterator[str]:
    """Run an application until the end of the block; yields its address."""
    config = uvicorn.Config(app, host=host, port=0, log_level="warning", lifespan="on", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    began = threading.Event()
    startup = server.startup

    async def started(*arguments: Any, **options: Any) -> None:
        await startup(*arguments, **options)
        began.set()

    server.startup = started  # type: ignore[method-assign]  # to be told, instead of asking again and again
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert began.wait(30)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def service(store: SqlStore, more: str = "", *, needs_token: bool = False, config: str = CONFIG) -> Iterator[Service]:
    """The service of a ledger; with `needs_token` as a shared ledger is, else as an embedded one."""
    settings, clock = configured(store, more, config), Clock()
    with serving(build_api(store, settings, clock)) as url, httpx.Client(base_url=url, timeout=60) as client:
        made = Service(url, store, settings, clock, client)
        if not settings.ledger.startswith("sqlite") and not needs_token:
            client.headers.update(made.token(reads=True, writes=True))
        yield made


def look(running: Service, path: str, **query: str) -> httpx.Response:
    """What a browser is answered."""
    return running.client.get(path, params=query or None, headers=PAGE)
