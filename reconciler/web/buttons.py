"""Buttons in Slack: what somebody says of an incident by pressing one. Slack signs each press; no token is needed."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from reconciler import deeds
from reconciler.abilities import Pressed
from reconciler.announce import notifiers_of, routes_of
from reconciler.core.notices import Notice, notice_of
from reconciler.core.outbox import posts
from reconciler.core.times import HOUR, Micros, format_time
from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.ports import Store
from reconciler.settings import Settings

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)

MOST = 262_144
"""Bytes of one press; Slack's are a few kilobytes."""
ACKNOWLEDGE, MUTE = "reconciler_acknowledge", "reconciler_mute"


@dataclass(frozen=True, slots=True)
class Buttons:
    """Obeys those who press."""

    store: Store
    settings: Settings
    now: Callable[[], Micros]
    signers: tuple[Pressed, ...]
    """Notifiers whose messages have buttons."""

    def genuine(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether Slack itself sent this just now."""
        stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
        return any(one.genuine(body, stamp, signature, self.now()) for one in self.signers)

    def obey(self, pressed: Mapping[str, Any]) -> None:
        """Write down what was said, and show it in the message before the next judgement does. Raises `OutOfReach`."""
        user = pressed.get("user") or {}
        author = f"{user.get('username') or user.get('name') or 'somebody'} (Slack {user.get('id', '?')})"
        for action in pressed.get("actions") or ():
            name, incident = str(action.get("action_id")), str(action.get("value", ""))
            if name not in (ACKNOWLEDGE, MUTE):
                continue  # a button that leads somewhere is pressed in Slack alone
            try:
                self._show(self._obey(name, incident, author))
            except OutOfReach:
                raise
            except ReconcilerError as error:
                log.warning("a button could not be obeyed", extra={"incident": incident, "failure": error.message})

    def _obey(self, name: str, incident: str, author: str) -> Notice:
        now, line = self.now(), deeds.incident_line(self.store, incident)
        told, until = notice_of(line), now + HOUR
        if name == ACKNOWLEDGE:
            deeds.speak(self.store, "acknowledge", incident, author, "by the button in Slack", now)
            fact = ("Acknowledged", f"by {author} at {format_time(now)}")
            return replace(told, status="acknowledged", at=now, facts=(*told.facts, fact))
        reason = f"by the button of {incident} in Slack"
        deeds.mute(self.store, author, reason, now, until, pipeline=line["pipeline"], kind=line["kind"])
        fact = ("Muted", f"until {format_time(until)} by {author}: all {line['kind']} of {line['pipeline']}")
        return replace(told, at=now, facts=(*told.facts, fact))

    def _show(self, notice: Notice) -> None:
        told = [replace(one, begins=False) for one in posts(routes_of(self.settings), [notice])]
        self.store.outbox.post(told, self.now())


def buttons_of(store: Store, settings: Settings, now: Callable[[], Micros]) -> Buttons:
    """Of all notifiers that have buttons."""
    signers = tuple(one for one in notifiers_of(settings) if isinstance(one, Pressed))
    return Buttons(store, settings, now, signers)


@router.post("/slack/actions")
async def press(request: Request) -> Response:
    """Slack calls this. Whoever else does learns nothing."""
    buttons: Buttons = request.app.state.buttons
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST:
            return Response(status_code=413)
    if not buttons.genuine(body, request.headers):
        return Response(status_code=401)
    try:
        (payload,) = parse_qs(body.decode())["payload"]
        pressed = json.loads(payload)
    except (ValueError, KeyError):
        return Response(status_code=400)
    if isinstance(pressed, dict):
        try:
            await run_in_threadpool(buttons.obey, pressed)
        except OutOfReach as failure:  # Slack says so beside the button, and whoever pressed it tries again
            log.error("a button could not be obeyed", extra={"failure": failure.message})
            return Response(status_code=503)
    return Response(status_code=200)
