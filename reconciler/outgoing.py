"""Requests to somebody else's HTTP: only to the host that is configured, wherever it would send us."""

import urllib.request
from http.client import HTTPResponse
from typing import Any, cast

from reconciler.core.times import SECOND, Micros


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect would take the headers with it, and whatever secret is among them."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nowhere; then the redirect is an error."""
        return


def ask(request: urllib.request.Request, timeout: Micros) -> HTTPResponse:
    """Send a request to an address of http or https; raises what `urllib` raises, for a redirect too."""
    return cast(HTTPResponse, urllib.request.build_opener(_Stay).open(request, timeout=timeout / SECOND))
