"""Who looks at the pages: by a session, by the word of a proxy, or at the machine itself."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from ipaddress import ip_address

from fastapi import Request
from starlette.exceptions import HTTPException

from reconciler.core.times import Micros
from reconciler.serving import ServiceStore
from reconciler.settings import Settings
from reconciler.settings.access import ProxySettings
from reconciler.web.access import Caller, Gate, caller_of

COOKIE = "reconciler"
"""Holds a long random secret: of a session, or of a browser that needs none, for whose forms it stands."""


def is_same(given: str, wanted: str) -> bool:
    """Whether a secret is the one, in a time that tells nothing of it; whoever asks may have sent any letters."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may look."""

    caller: Caller
    name: str
    """For people: the name of the token, or of the user."""
    operates: bool
    """May act: mute, acknowledge, close."""
    secret: str
    """What the cookie holds, or is to hold."""
    logged_in: bool
    """By a session, which can be ended."""
    is_known: bool = True
    """Somebody has said who this is; else it is whoever sits at this machine."""

    @property
    def csrf(self) -> str:
        """What each form of this browser carries; another site can neither read nor guess it."""
        return hashlib.sha256(f"form {self.secret}".encode()).hexdigest()


class People:
    """Lets people in."""

    def __init__(self, store: ServiceStore, settings: Settings, gate: Gate) -> None:
        self._store, self._settings, self._gate = store, settings, gate

    def visitor(self, request: Request, now: Micros) -> Visitor:
        """Who looks; raises 401 where nobody can be told, and 403."""
        secret = request.cookies.get(COOKIE, "")
        if named := self._named_by_proxy(request):
            name, operates = named
            caller = Caller(f"proxy {name}", self._settings.pipelines, everything=True)
            return Visitor(caller, name, operates, secret or secrets.token_urlsafe(32), logged_in=False)
        token = self._store.sessions.find(secret, now) if secret else None
        if token is not None:
            if not token.reads:
                raise HTTPException(403, "this token may not read; make one that may: `reconciler token create --read`")
            return Visitor(caller_of(token, self._settings), token.name, token.operates, secret, logged_in=True)
        caller = self._gate.local(request)
        return Visitor(
            caller, "this machine", True, secret or secrets.token_urlsafe(32), logged_in=False, is_known=False
        )

    def log_in(self, given: str, now: Micros) -> str | None:
        """Begin a session with the secret of a token; none where it does not let anybody in."""
        token = self._store.tokens.find(given.strip())
        if token is None or not token.reads:
            return None
        self._store.tokens.use(token.id, now)
        return self._store.sessions.begin(token.id, now, self._settings.access.session)

    def _named_by_proxy(self, request: Request) -> tuple[str, bool] | None:
        """Who has logged in at the proxy, and whether they may act."""
        proxy = self._settings.access.proxy
        user = request.headers.get(proxy.user, "").strip() if proxy is not None else ""
        if proxy is None or not user or not _comes_from(request, proxy):
            return None
        groups = request.headers.get(proxy.groups, "").split(",") if proxy.groups else []
        names = {user, *(group.strip() for group in groups)}
        return user, not names.isdisjoint(proxy.operators)


def _comes_from(request: Request, proxy: ProxySettings) -> bool:
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return any(address in network for network in proxy.addresses)
