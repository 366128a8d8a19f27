"""A web hook of one's own: Alertmanager's payload, signed, so that whatever takes that takes this."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import Field

from reconciler.core.notices import Notice
from reconciler.core.times import SECOND, Micros, format_time
from reconciler.notifiers import _http, _shapes
from reconciler.notifiers._addresses import SecretUrl, host_of, secret_parts
from reconciler.notifiers._alerts import alert, packed
from reconciler.posting import Letter
from reconciler.settings.notifying import NotifierOptions, Secret
from reconciler.settings.schema import Name

NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager says that an alert has not ended."""
SIGNATURE, TIMESTAMP, DELIVERY = "X-Reconciler-Signature", "X-Reconciler-Timestamp", "X-Reconciler-Delivery"


class Options(NotifierOptions):
    """A POST for each state."""

    url: SecretUrl
    """Where it goes. Its path may be a secret, so that nothing but its host is ever printed."""

    secret: Secret | None = None
    """Key of the signature: HMAC-SHA256 over `TIMESTAMP.BODY`, in hex, after `v1=`. Without it nothing is signed."""
    headers: dict[Name, Secret] = Field(default_factory=dict, repr=False)
    """Sent with every request, such as `Authorization`."""


def build(name: str, options: Options) -> "Webhook":
    """The notifier as configured."""
    return Webhook(name, options)


@dataclass(frozen=True, slots=True)
class Webhook(_shapes.Plain):
    """One address."""

    name: str
    options: Options

    def send(self, letter: Letter) -> Mapping[str, Any]:
        """One state. The delivery's name tells whether it was here before."""
        body = packed(payload(self.name, letter.notice))
        headers = {name: value.get_secret_value() for name, value in self.options.headers.items()}
        headers |= {"Content-Type": "application/json", DELIVERY: f"{quote(letter.notice.id)[:200]}/{letter.version}"}
        if self.options.secret is not None:
            headers |= signed(self.options.secret.get_secret_value(), body, letter.now)
        self._caller().post(self.options.url.get_secret_value(), body, headers)
        return {"version": letter.version}

    def check(self) -> str:
        """Whether somebody is there; what it does with a notice only a notice can show."""
        url = self.options.url.get_secret_value()
        return f"{host_of(url)} {self._caller().knock(url)}"

    def _caller(self) -> _http.Caller:
        options = self.options
        secrets = [value.get_secret_value() for value in (*options.headers.values(), options.secret) if value]
        secrets += secret_parts(options.url.get_secret_value())
        return _http.Caller(self.name, options.timeout, secrets)


def payload(receiver: str, notice: Notice) -> dict[str, Any]:
    """One alert as Alertmanager's web hook has it, version 4."""
    over = notice.status == "resolved"
    one = alert(notice, notice.at) | {"status": "resolved" if over else "firing"}
    one["endsAt"] = one["endsAt"] if over else NEVER
    one["fingerprint"] = hashlib.sha256(notice.id.encode()).hexdigest()[:16]
    return {
        "version": "4",
        "groupKey": f'{{}}:{{incident="{notice.id}"}}',
        "truncatedAlerts": 0,
        "status": one["status"],
        "receiver": receiver,
        "groupLabels": {"incident": notice.id},
        "commonLabels": one["labels"],
        "commonAnnotations": one["annotations"],
        "externalURL": notice.link,
        "alerts": [one],
        "at": format_time(notice.at),
    }


def signed(secret: str, body: bytes, now: Micros) -> dict[str, str]:
    """Headers by which the receiver knows who sent it, and when."""
    stamp = str(now // SECOND)
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP: stamp, SIGNATURE: f"v1={digest}"}
