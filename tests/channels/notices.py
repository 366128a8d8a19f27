"""Notices to tell, settings to tell them by."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reconciler.announce import notifiers_of
from reconciler.core.notices import Notice, Step
from reconciler.core.times import MINUTE, Micros, parse_time
from reconciler.posting import Letter, Notifier
from reconciler.settings import Settings, parse

NOW: Micros = parse_time("2021-07-20T19:05:00Z")


def notice(**changed: Any) -> Notice:
    """The page of the morning of the incident."""
    values: dict[str, Any] = {
        "id": "loss-0a1b2c3d4e5f",
        "pipeline": "batch",
        "kind": "loss",
        "status": "open",
        "severity": "page",
        "at": NOW,
        "opened_at": NOW,
        "title": "batch (ingress>processed): 18,204 events lost since 2021-07-20T18:45:00Z",
        "facts": (("Since", "2021-07-20T18:45:00Z, 20 min ago"), ("Lost", "18,204 of 365,000 events")),
        "steps": (
            Step(
                "Raise the retention of batch-events now; check the free disk first.",
                "kafka-configs.sh --alter --topic batch-events --add-config retention.ms=604800000",
            ),
            Step("Then get the consumer going, from its committed offset, never from the newest."),
        ),
        "sources": ("direct/acme", "partner/braze", "partner/segment"),
        "link": "https://reconciler.example.com/incident?id=loss-0a1b2c3d4e5f",
        "runbook": "https://wiki.example.com/runbooks/loss",
    }
    return Notice(**(values | changed))


def letter(told: Notice, reference: Mapping[str, Any] | None = None, **more: Any) -> Letter:
    """The notice on its way."""
    values = {"version": 1, "now": told.at} | more
    return Letter(told, reference=reference or {}, **values)


def settings(notifiers: Mapping[str, Any], base: Path, **more: Any) -> Settings:
    """Settings with these notifiers, as the configuration file would give them."""
    config = {"pipelines": {"batch": {"stages": ["ingress", "processed"], "mode": "alert"}}, "notifiers": notifiers}
    return parse(yaml.safe_dump(config | more), base / "reconciler.yaml", {})


def built(options: Mapping[str, Any], base: Path = Path()) -> Notifier:
    """One notifier, as the service would build it; what takes seconds takes tenths."""
    (one,) = notifiers_of(settings({"oncall": options}, base))
    return one


def impatient(notifier: Any) -> Any:
    """The same, waiting a fifth of a second for an answer: a test hangs on purpose."""
    hurried = notifier.options.model_copy(update={"timeout": 200_000})
    return type(notifier)(notifier.name, hurried)


__all__ = ["MINUTE", "NOW", "built", "impatient", "letter", "notice", "settings"]
