"""Alerts in Prometheus' Alertmanager. It forgets what it is not told again, so what is open is sent again in time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from reconciler.core.outbox import Manner
from reconciler.core.times import MINUTE, format_time
from reconciler.notifiers import _http
from reconciler.notifiers._addresses import base_url
from reconciler.notifiers._alerts import alert, labels, packed
from reconciler.posting import Letter, NotifyFailed
from reconciler.settings.notifying import NotifierOptions, Secret
from reconciler.settings.schema import Duration, Name

LIVES = 4
"""An alert outlives so many times the interval of re-sending: three may fail."""


class Options(NotifierOptions):
    """One Alertmanager, or all members of a cluster, each of which is told everything."""

    urls: Annotated[tuple[Annotated[str, AfterValidator(base_url)], ...], Field(min_length=1)]
    """Addresses such as http://alertmanager.example.com:9093; the API v2 is added."""
    headers: dict[Name, Secret] = Field(default_factory=dict, repr=False)
    """Sent with every request, such as `Authorization`."""
    resend: Duration = MINUTE
    """What is open is sent again so often. Without a word for four times as long, Alertmanager resolves it."""


def build(name: str, options: Options) -> "Alertmanager":
    """The notifier as configured."""
    return Alertmanager(name, options)


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """The members of one cluster."""

    name: str
    options: Options

    @property
    def manner(self) -> Manner:
        """It forgets."""
        return self.options.manner(resend=self.options.resend)

    def send(self, letter: Letter) -> Mapping[str, Any]:
        """Tell every member; one that takes it is enough, for the others hear it with the next re-sending."""
        notice, now = letter.notice, letter.now
        over = notice.status == "resolved"
        alerts = [alert(notice, notice.at if over else now + LIVES * self.options.resend)]
        former = letter.reference.get("labels")
        if former and former != labels(notice):  # its severity has changed: the alert of the former one ends
            alerts.append(alerts[0] | {"labels": former, "endsAt": format_time(max(notice.at, notice.opened_at))})
        failures = [failure for url in self.options.urls if (failure := self._tell(url, packed(alerts)))]
        if len(failures) == len(self.options.urls):
            raise failures[0]
        return {"labels": labels(notice)}

    def check(self) -> str:
        """Ask each member for its version."""
        versions = []
        for url in self.options.urls:
            try:
                status = json.loads(self._caller().get(f"{url}/api/v2/status", self._headers()))
                versions.append(f"{url} is Alertmanager {status['versionInfo']['version']}")
            except (ValueError, KeyError, TypeError):
                raise self._caller().failure("the answer is none of Alertmanager", permanent=True) from None
        return ", ".join(versions)

    def _tell(self, url: str, body: bytes) -> NotifyFailed | None:
        headers = self._headers() | {"Content-Type": "application/json"}
        try:
            self._caller().post(f"{url}/api/v2/alerts", body, headers)
        except NotifyFailed as failure:
            return failure
        return None

    def _headers(self) -> dict[str, str]:
        return {name: value.get_secret_value() for name, value in self.options.headers.items()}

    def _caller(self) -> _http.Caller:
        return _http.Caller(self.name, self.options.timeout, list(self._headers().values()))
