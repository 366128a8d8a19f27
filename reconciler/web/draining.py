"""An answer that comes before the body was read is often never seen: the connection is cut under the sender's hands.

So where a request is turned away, what is left of its body is read and thrown away first, within limits.
"""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 64_000_000
"""Bytes that are read for the sake of an answer."""

PATIENCE = 10
"""Seconds in which it has to come."""


class Draining:
    """ASGI middleware; see above."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and read its body to the end before the answer begins."""
        if scope["type"] != "http" or (b"expect", b"100-continue") in scope["headers"]:
            await self._app(scope, receive, send)
            return
        more = True

        async def watched() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await drained()
            await send(message)

        async def drained() -> None:
            left = MOST
            while more and left > 0:
                left -= len((await watched()).get("body", b""))

        await self._app(scope, watched, answered)
