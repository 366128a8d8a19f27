"""How objectives stand, and the same rules for Prometheus, Sloth and OpenSLO, on the metrics that `/metrics` shows."""

import hashlib
from collections.abc import Sequence
from typing import Any

import yaml

from reconciler.core.objectives import ALERTS, Alert, Objectives, Standing
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, compact, format_duration
from reconciler.ports import Store

STATE = "objectives"
"""Name under which the engine remembers them."""
LOST = "reconciler_objective_lost_events"
SLUG = 40
"""Letters of a name; Kubernetes takes 63, and a word goes before it."""
ACCEPTED = "reconciler_objective_accepted_events"


def standings(store: Store, pipeline: Pipeline) -> list[Standing]:
    """All objectives of a pipeline as of its last judgement."""
    found = Objectives(pipeline)
    found.restore(store.remembered(pipeline).get(STATE, {}))
    return found.standings()


def record(one: Standing) -> dict[str, Any]:
    """For programs."""
    return {
        "pipeline": one.pipeline,
        "sources": one.pattern or None,
        "objective": one.objective,
        "window_days": one.window / DAY,
        "accepted": one.accepted,
        "lost": one.lost,
        "completeness": one.completeness,
        "budget": one.budget,
        "left": one.left,
        "burn": {compact(span): None if rate == float("inf") else round(rate, 3) for span, rate in one.burns},
        "burning": one.burning() or None,
    }


def exported(form: str, pipelines: Sequence[Pipeline]) -> str:
    """YAML for `prometheus` (alerting rules), `sloth` or `openslo`."""
    objectives = [(one, name, share) for one in pipelines for name, share in (("", one.objective), *one.objectives)]
    if form == "prometheus":
        rules = [_rule(one, name, share, alert) for one, name, share in objectives for alert in ALERTS]
        return _yaml({"groups": [{"name": "reconciler-objectives", "rules": rules}]})
    if form == "sloth":
        slos = [_sloth(one, name, share) for one, name, share in objectives]
        return _yaml({"version": "prometheus/v1", "service": "reconciler", "slos": slos})
    return "---\n".join(_yaml(_openslo(one, name, share)) for one, name, share in objectives)


def _select(metric: str, pipeline: str, sources: str, window: str) -> str:
    labels = f"pipeline={_quote(pipeline)},sources={_quote(sources)},window={_quote(window)}"
    return f"{metric}{{{labels}}}"


def _ratio(pipeline: str, sources: str, window: str) -> str:
    lost, accepted = (_select(metric, pipeline, sources, window) for metric in (LOST, ACCEPTED))
    return f"({lost} / ({accepted} > 0))"


def _rule(pipeline: Pipeline, sources: str, objective: float, alert: Alert) -> dict[str, Any]:
    allowed = f"{alert.rate * (1 - objective):.12g}"
    both = [f"{_ratio(pipeline.name, sources, compact(span))} > {allowed}" for span in (alert.long, alert.short)]
    floor = _select(LOST, pipeline.name, sources, compact(alert.long))
    if alert.severity == "page":  # as the service itself: a share alone wakes nobody
        both.append(f"{floor} >= {pipeline.paging.burn}")
    who = f"{pipeline.name}, sources {sources}" if sources else pipeline.name
    burns = f"burns its error budget {alert.rate:g} times too fast over {format_duration(alert.long)}"
    return {
        "alert": "ReconcilerObjectiveBurns",
        "expr": "\nand ignoring(window) ".join(both),
        "labels": {
            "severity": alert.severity,
            "pipeline": _plain(pipeline.name),
            "sources": _plain(sources),
            "window": compact(alert.long),  # a rule of the same name for each pair of windows
        },
        "annotations": {"summary": _plain(f"{who} {burns}: events are lost")},
    }


def _sloth(pipeline: Pipeline, sources: str, objective: float) -> dict[str, Any]:
    window = "{{.window}}"
    return {
        "name": f"completeness-{_slug(pipeline.name, sources)}",
        "objective": round(100 * objective, 10),
        "description": "Share of the accepted events that is not lost.",
        # Gauges of a window, and no counters: a loss that is found is counted once, and taken back if it is recovered.
        "sli": {"raw": {"error_ratio_query": _ratio(_plain(pipeline.name), _plain(sources), window)}},
        "alerting": {
            "name": "ReconcilerObjectiveBurns",
            "labels": {"pipeline": _plain(pipeline.name)},
            "page_alert": {"labels": {"severity": "page"}},
            "ticket_alert": {"labels": {"severity": "ticket"}},
        },
    }


def _openslo(pipeline: Pipeline, sources: str, objective: float) -> dict[str, Any]:
    def source(metric: str) -> dict[str, Any]:
        query = _select(metric, pipeline.name, sources, "5m")
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": f"completeness-{_slug(pipeline.name, sources)}"},
        "spec": {
            "description": "Share of the accepted events that is not lost.",
            "service": "reconciler",
            "indicator": {
                "metadata": {"name": f"completeness-{_slug(pipeline.name, sources)}"},
                "spec": {"ratioMetric": {"counter": False, "bad": source(LOST), "total": source(ACCEPTED)}},
            },
            "timeWindow": [{"duration": compact(pipeline.budget_window), "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": "complete", "target": objective}],
        },
    }


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _quote(text: str) -> str:
    """As a label's value in a query of Prometheus."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _plain(text: str) -> str:
    """Where both programs expand templates: the text itself, whatever is in it."""
    return text.replace("{{", "{{`{{`}}")


def _slug(pipeline: str, sources: str) -> str:
    """A name as Kubernetes takes it; where letters had to go, so that two would be one, with a mark of what it was."""
    name = f"{pipeline}-{sources}" if sources else pipeline
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    slug = "-".join(part for part in kept.split("-") if part)[:SLUG]
    return slug if slug == name else f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".lstrip("-")
