"""Tells another watcher that this one is alive; when no call comes any more, that one speaks."""

import logging
import urllib.error
import urllib.request
from http.client import HTTPException

from reconciler.outgoing import ask
from reconciler.settings.schema import HeartbeatSettings

log = logging.getLogger(__name__)


def call(settings: HeartbeatSettings | None) -> bool:
    """Call the configured address, if there is one; whether it answered with success. A failure is only told."""
    if settings is None:
        return True
    try:
        with ask(urllib.request.Request(settings.url), settings.timeout) as answer:  # noqa: S310  http or https: validated
            return 200 <= int(answer.status) < 300
    except (OSError, HTTPException, ValueError) as error:
        reason = error.code if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        log.warning("the heartbeat was not taken", extra={"reason": str(reason)})  # its address may be a secret
        return False
