"""The configuration that goes with a story: one pipeline for each queue, named after it."""

from typing import Any

from reconciler.scenarios.pipeline import EDGE, STAGES
from reconciler.scenarios.story import Minute, Story

_REPLICAS = 2


def configuration(story: Story, *, bucket_minutes: int | None = None, edge: bool = False) -> dict[str, Any]:
    """The structure of the configuration file; the options are those of `simulate`."""
    width = bucket_minutes or story.bucket
    return {"pipelines": {name: _pipeline(story, name, width, edge) for name in story.queues}}


def duration(minutes: Minute) -> str:
    """`7d`, `4h`, `20m`: the largest unit that leaves nothing over."""
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


def _pipeline(story: Story, name: str, width: Minute, edge: bool) -> dict[str, Any]:
    ingress, processed = STAGES
    policy = {"retention": duration(story.queues[name].policy), "replicas": _REPLICAS}
    found: dict[str, Any] = {
        "stages": [EDGE, *STAGES] if edge else list(STAGES),
        "bucket": duration(width),
        "queues": {name: {"from": ingress, "to": processed, "policy": policy}},
        "mode": "alert",
    }
    if story.declared:
        found["reporters"] = {stage: {"expect": _reporters(story, name, stage)} for stage in story.declared}
    return found


def _reporters(story: Story, name: str, stage: str) -> list[str]:
    if stage not in story.reporters_by_source:
        return [f"{stage}-1"]
    return [source.name for source in story.sources.values() if source.queue == name]
