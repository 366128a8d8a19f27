"""One request to a channel, and what its failure means. No redirect is followed, and no secret is in any message."""

import email.utils
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http.client import HTTPException

from reconciler.core.times import SECOND, Micros
from reconciler.outgoing import ask
from reconciler.posting import NotifyFailed

MOST = 65_536
"""So much of an answer is read, bytes."""
SHOWN = 200
"""So much of a channel's own words is told."""
TOO_MANY, TOO_EARLY, TIMED_OUT = 429, 425, 408


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls for one channel."""

    channel: str
    timeout: Micros
    secrets: Collection[str] = ()
    """Never repeated, whoever says them."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Send; the text of the answer where it was success. Raises `NotifyFailed`."""
        return self.ask(urllib.request.Request(url, body, dict(headers), method="POST"))  # noqa: S310  the options have seen to http or https

    def get(self, url: str, headers: Mapping[str, str]) -> str:
        """The same without a body."""
        return self.ask(urllib.request.Request(url, None, dict(headers), method="GET"))  # noqa: S310  as above

    def knock(self, url: str) -> str:
        """Whether a server answers there at all, without telling it anything; what it said. Raises `NotifyFailed`."""
        try:
            self.ask(urllib.request.Request(url, None, method="OPTIONS"))  # noqa: S310  as above
        except NotifyFailed as failure:
            if failure.answered is None:
                raise
            return f"answers (HTTP {failure.answered}); whether it takes a notice, `reconciler drill` shows"
        return "answers; whether it takes a notice, `reconciler drill` shows"

    def ask(self, request: urllib.request.Request) -> str:
        """The same for any request."""
        request.add_header("User-Agent", "reconciler")
        try:
            with ask(request, self.timeout) as answer:
                return str(answer.read(MOST).decode(errors="replace"))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except (OSError, HTTPException, ValueError) as error:
            raise self.failure(why(error)) from None

    def failure(self, reason: str, retry_after: Micros | None = None, *, permanent: bool = False) -> NotifyFailed:
        """What the channel's failure is called; a reason may quote anybody."""
        return NotifyFailed(f"channel {self.channel}: {self.clean(reason)}", retry_after, permanent=permanent)

    def clean(self, text: str) -> str:
        """The text without secrets, on one line, and short."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
        return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"

    def _refusal(self, error: urllib.error.HTTPError) -> NotifyFailed:
        try:
            words = error.read(MOST).decode(errors="replace")
        except (OSError, HTTPException):
            words = ""
        for_now = error.code >= 500 or error.code in (TOO_MANY, TOO_EARLY, TIMED_OUT)
        # The words are cleaned before they are cut, so that no half of a secret is left.
        said = f": {self.clean(words)}" if words.strip() else ""
        remedy = "" if for_now else f"; {_REMEDIES.get(error.code, 'check its settings')}"
        retry_after = seconds(error.headers.get("Retry-After"), error.headers.get("Date"))
        failure = self.failure(f"HTTP {error.code}{said}{remedy}", retry_after, permanent=not for_now)
        failure.answered = error.code
        return failure


_REMEDIES = {
    401: "check its token or password",
    403: "check its token and what it may do",
    404: "check its address",
    410: "it has been removed there; make a new one",
}


def why(error: Exception) -> str:
    """A failure of the network in words that bear no address."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return f"cannot be reached: {cause.strerror}"
    return f"cannot be reached: {type(cause).__name__}"


def seconds(retry_after: str | None, date: str | None = None) -> Micros | None:
    """`Retry-After` as µs: seconds, or an instant, which is held against the clock of the answer itself."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.replace(".", "", 1).isdigit() and text.isascii():
        return int(float(text) * SECOND) + SECOND
    try:
        then, now = email.utils.parsedate_to_datetime(text), email.utils.parsedate_to_datetime(date or "")
        return max(int((then - now).total_seconds() * SECOND), 0) + SECOND
    except (TypeError, ValueError):
        return None
