"""Who may: a bearer token, or, on a ledger that never had one, a program on the same machine.

Without any token an embedded ledger (SQLite) answers to programs on the same machine, so that trying it needs nothing.
A web page in a browser there is no such program, and neither is a proxy that passes on what others ask: both are told
apart by their headers. A ledger on PostgreSQL is shared, and answers to nobody until there is a token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import BackgroundTasks, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros
from reconciler.errors import OutOfReach
from reconciler.ports import Store, Token
from reconciler.settings import Settings

PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers by which a proxy is known."""
_CREATE = "make one with `reconciler token create`, and send it as `Authorization: Bearer TOKEN`"
_SCHEME = HTTPBearer(auto_error=False, description="A token, as `reconciler token create` prints it.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may."""

    key: str
    """Whom rates are counted for."""
    pipelines: dict[str, Pipeline]
    """Those that they may."""
    everything: bool
    """All pipelines, those too that are yet to come."""


def caller_of(token: Token, settings: Settings) -> Caller:
    """What the token is for."""
    allowed = settings.pipelines
    if token.pipelines:
        allowed = {name: found for name, found in allowed.items() if name in token.pipelines}
    return Caller(token.id, allowed, not token.pipelines)


class Gate:
    """Lets callers in."""

    def __init__(self, store: Store, settings: Settings, now: Callable[[], Micros]) -> None:
        self._store, self._settings, self._now = store, settings, now
        self._noted: dict[str, Micros] = {}
        """By id of the token: when its use was last noted by this process."""
        self._embedded = settings.ledger.startswith("sqlite")

    def enter(
        self, request: Request, given: HTTPAuthorizationCredentials | None, later: BackgroundTasks, *, writes: bool
    ) -> Caller:
        """The caller behind a request; raises 401 and 403."""
        if given is None:
            return self.local(request)
        token = self._store.tokens.find(given.credentials)
        if token is None:
            raise _unauthorised("the token is not known, or was revoked; `reconciler token list` lists all")
        if not (token.writes if writes else token.reads):
            may = "write" if writes else "read"
            raise HTTPException(403, f"this token may not {may}; make one that may: `reconciler token create --{may}`")
        now = self._now()
        if now - max(token.used_at or 0, self._noted.get(token.id, 0)) >= MINUTE:
            self._noted[token.id] = now
            later.add_task(self._note_use, token, now)
        return caller_of(token, self._settings)

    def local(self, request: Request) -> Caller:
        """Somebody on the same machine, where an embedded ledger never had a token; raises 401 for all others."""
        if self._store.tokens.any():
            raise _unauthorised(f"a token is needed; {_CREATE}")
        if not self._embedded:
            raise _unauthorised(f"a shared ledger answers to nobody without a token, and there is none yet; {_CREATE}")
        if fault := why_not_local(request):
            raise _unauthorised(
                f"without a token only programs on the same machine are answered, and {fault}; {_CREATE}"
            )
        return Caller(request.client.host if request.client else "", self._settings.pipelines, True)

    def _note_use(self, token: Token, now: Micros) -> None:
        try:
            self._store.tokens.use(token.id, now)
        except OutOfReach:
            return  # the next use is noted; the answer to this one is given already


def _unauthorised(message: str) -> HTTPException:
    return HTTPException(401, message, {"WWW-Authenticate": "Bearer"})


def why_not_local(request: Request) -> str:
    """Why the request does not come from a program on this machine; empty where it does."""
    address = request.client.host if request.client else ""
    if not _loops_back(address):
        return f"this comes from {address or 'nobody knows where'}"
    if any(name in request.headers for name in PASSED_ON):
        return "this was passed on by a proxy"
    if not _loops_back(request.url.hostname or ""):
        return f"this is meant for {request.url.hostname}"
    origin = request.headers.get("origin")
    if origin is not None and not _loops_back(urlsplit(origin).hostname or ""):
        return "this was sent by a web page"
    return ""


def _loops_back(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


def _reader(request: Request, later: BackgroundTasks, given: Annotated[Any, Security(_SCHEME)]) -> Caller:
    return _gate(request).enter(request, given, later, writes=False)


def _writer(request: Request, later: BackgroundTasks, given: Annotated[Any, Security(_SCHEME)]) -> Caller:
    return _gate(request).enter(request, given, later, writes=True)


Reader = Annotated[Caller, Security(_reader)]
Writer = Annotated[Caller, Security(_writer)]
