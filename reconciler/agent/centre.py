"""The centre, as the agent speaks to it: one POST, and what became of it."""

import gzip
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Sequence

TIMEOUT = 30.0
"""Seconds that one request may take."""
_MOST = 10_000_000
"""Bytes of an answer that are read."""


class Away(Exception):  # noqa: N818  the fault lies elsewhere
    """Nothing is known to be kept: say the same again, after `wait` seconds at least."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Centre:
    """Where reports go. `token` is sent with each, and shown nowhere."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url, self._token = f"{url.rstrip('/')}/v1/observations", token

    def post(self, lines: Sequence[str]) -> dict[int, str]:
        """Send lines; all are kept but those that are returned, each with the reason. Raises `Away`."""
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = gzip.compress("\n".join(lines).encode(), 1)
        request = urllib.request.Request(self.url, body, headers, method="POST")  # noqa: S310  the URL is the operator's own
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  the same
                said = json.loads(answer.read(_MOST))
                if not isinstance(said, dict) or said.get("kept") != len(lines):
                    raise Away("the answer is none of reconciler's; is the address right?")
                return {}
        except urllib.error.HTTPError as error:
            return _refused(error)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Away(str(error) or type(error).__name__) from None


def _refused(error: urllib.error.HTTPError) -> dict[int, str]:
    said = error.read(_MOST)
    if error.code == 422:
        try:
            return {int(one["index"]): f"{one['field']} {one['reason']}" for one in json.loads(said)["refusals"]}
        except (ValueError, KeyError, TypeError):
            raise Away("422, and the answer is none of reconciler's") from None
    after = error.headers.get("Retry-After", "")
    text = said[:500].decode(errors="replace")
    raise Away(f"{error.code}: {text}", float(after) if after.isdigit() else 0.0) from None
