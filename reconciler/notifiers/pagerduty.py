"""Incidents in PagerDuty by its Events API v2. The id of ours is the key of theirs, so twice the same is harmless."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator

from reconciler.core.notices import Notice
from reconciler.core.times import format_time
from reconciler.notifiers import _http, _shapes, _text
from reconciler.notifiers._addresses import base_url
from reconciler.notifiers._alerts import key_of, packed
from reconciler.posting import Letter
from reconciler.settings.notifying import NotifierOptions, Secret, Severity

SUMMARY, NAME, DETAIL = 1024, 255, 2000
"""Characters that PagerDuty takes, and, in DETAIL, that we say of one fact."""
FACTS, SOURCES = 30, 50
_SEVERITIES = {"page": "critical", "ticket": "warning", "info": "info"}
_ACTIONS = {"open": "trigger", "updated": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}


class Options(NotifierOptions):
    """One integration of one service."""

    severities: tuple[Severity, ...] = ("page",)
    """Incidents of these severities page somebody. `info` never does."""
    routing_key: Secret
    """Integration key of an "Events API v2" integration."""
    url: Annotated[str, AfterValidator(base_url)] = "https://events.pagerduty.com"
    """https://events.eu.pagerduty.com for accounts in the EU."""


def build(name: str, options: Options) -> "PagerDuty":
    """The notifier as configured."""
    return PagerDuty(name, options)


@dataclass(frozen=True, slots=True)
class PagerDuty(_shapes.Plain):
    """One integration."""

    name: str
    options: Options

    def send(self, letter: Letter) -> Mapping[str, Any]:
        """Trigger, acknowledge or resolve. Nobody is woken for what is only for information or is over already."""
        notice, known = letter.notice, dict(letter.reference)
        action = _ACTIONS[notice.status]
        if not known and action != "resolve" and notice.severity == "info":
            return {}
        if action == "acknowledge" and not known:
            self._send(notice, "trigger")
        elif action == "acknowledge" and known.get("severity") != notice.severity:
            self._send(notice, "trigger")  # an acknowledgement bears no text
        self._send(notice, action)
        return {"key": key_of(notice.id), "severity": notice.severity, "action": action}

    def check(self) -> str:
        """End something that never began: that needs a key, and wakes nobody."""
        self._event({"event_action": "resolve", "dedup_key": "reconciler-check-config"})
        return f"{self.options.url} takes events with this key"

    def _send(self, notice: Notice, action: str) -> None:
        event: dict[str, Any] = {"event_action": action, "dedup_key": key_of(notice.id)}
        if action == "trigger":
            event |= {"payload": payload(notice), "links": links(notice), "client": "reconciler"}
            event |= {"client_url": notice.link} if notice.link else {}
        self._event(event)

    def _event(self, event: Mapping[str, Any]) -> None:
        key = self.options.routing_key.get_secret_value()
        caller = _http.Caller(self.name, self.options.timeout, [key])
        headers = {"Content-Type": "application/json"}
        caller.post(f"{self.options.url}/v2/enqueue", packed({"routing_key": key} | dict(event)), headers)


def payload(notice: Notice) -> dict[str, Any]:
    """What the person who is woken sees."""
    details = {label: _text.cut(value, DETAIL) for label, value in _text.facts(notice)[:FACTS]}
    done = {
        f"Step {number}": _text.cut(f"{text} {command}".strip(), DETAIL)
        for number, (text, command) in enumerate(_text.steps(notice), 1)
    }
    drill = "DRILL: " if notice.drill else ""
    return {
        "summary": _text.cut(f"{drill}{notice.title}", SUMMARY) or notice.id,
        "source": _text.cut(notice.pipeline or "reconciler", NAME),
        "severity": _SEVERITIES[notice.severity],
        "timestamp": format_time(notice.opened_at),
        "component": _text.cut(notice.pipeline, NAME),
        "class": notice.kind,
        "custom_details": details | done | {"sources": list(notice.sources[:SOURCES])},
    }


def links(notice: Notice) -> list[dict[str, str]]:
    """Where more is to be read."""
    named = (("The incident", notice.link), ("Runbook", notice.runbook))
    return [{"href": url, "text": text} for text, url in named if url.startswith(("http://", "https://"))]
