"""Tells another watcher that this one is alive; when no call comes any more, that one speaks."""

import logging
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from reconciler.core.times import SECOND
from reconciler.settings.schema import HeartbeatSettings

log = logging.getLogger(__name__)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Only the host that is configured is called, wherever it would send us."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nowhere; then the redirect is an error."""
        return


def call(settings: HeartbeatSettings | None) -> bool:
    """Call the configured address, if there is one; whether it answered with success. A failure is only told."""
    if settings is None:
        return True
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(settings.url, timeout=settings.timeout / SECOND) as answer:
            return 200 <= int(answer.status) < 300
    except (OSError, HTTPException, ValueError) as error:
        reason = error.code if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        log.warning("the heartbeat was not taken", extra={"reason": str(reason)})  # its address may be a secret
        return False
