"""Slack by an incoming web hook, for those who may not install an app: each piece of news is a message of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.notifiers import _http, _shapes
from reconciler.notifiers._addresses import SecretUrl, host_of, secret_parts
from reconciler.notifiers._alerts import packed
from reconciler.notifiers._blocks import blocks, fallback
from reconciler.posting import Letter
from reconciler.settings.notifying import OnceOptions

NOTE = (
    "Sent by an incoming web hook, which cannot change this message: what comes later is a new one, growing numbers "
    "are said once in a while, and there is no thread, no button and no chart. The notifier `slack` can do all that."
)


class Options(OnceOptions):
    """One incoming web hook of one channel."""

    url: SecretUrl
    """https://hooks.slack.com/services/... Whoever knows it can write there: it is a secret."""


def build(name: str, options: Options) -> "SlackWebhook":
    """The notifier as configured."""
    return SlackWebhook(name, options)


@dataclass(frozen=True, slots=True)
class SlackWebhook(_shapes.Plain):
    """One channel of one workspace."""

    name: str
    options: Options

    def send(self, letter: Letter) -> Mapping[str, Any]:
        """A message of its own."""
        said = {"text": fallback(letter.notice), "blocks": blocks(letter.notice, note=NOTE)}
        url = self.options.url.get_secret_value()
        self._caller().post(url, packed(said), {"Content-Type": "application/json"})
        return {"version": letter.version}

    def check(self) -> str:
        """Whether somebody is there; a hook cannot be tried without a message."""
        url = self.options.url.get_secret_value()
        return f"{host_of(url)} {self._caller().knock(url)}"

    def _caller(self) -> _http.Caller:
        url = self.options.url.get_secret_value()
        return _http.Caller(self.name, self.options.timeout, secret_parts(url))
