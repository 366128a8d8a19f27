"""Observations as the lines of the contract: the way back from what `observations.parse` reads."""

from typing import Any

from reconciler.core.observations import Capacity, Count, Observation, Progress, QueueSample
from reconciler.core.times import SECOND, format_time, time_of


def record_of(seen: Observation) -> dict[str, Any]:
    """The JSON object that means this observation; what is the default, or not known, is left out."""
    if isinstance(seen, Count):
        return _count(seen)
    if isinstance(seen, Progress):
        return _progress(seen)
    return _queue(seen) if isinstance(seen, QueueSample) else _capacity(seen)


def _count(seen: Count) -> dict[str, Any]:
    record: dict[str, Any] = {
        "type": "count",
        "at": format_time(seen.at),
        "pipeline": seen.pipeline,
        "stage": seen.stage,
        "source": seen.source,
        "bucket": format_time(seen.bucket),
        "count": seen.count,
        "outcome": seen.outcome,
        "reporter": seen.reporter,
    }
    if seen.digest is not None:
        record["digest"] = str(seen.digest)
    if seen.error:
        record["error"] = seen.error
    if seen.replay is not None:
        record["replay"] = seen.replay
    return record


def _progress(seen: Progress) -> dict[str, Any]:
    record: dict[str, Any] = {
        "type": "progress",
        "at": format_time(seen.at),
        "pipeline": seen.pipeline,
        "stage": seen.stage,
        "reporter": seen.reporter,
        "through": format_time(seen.through),
    }
    return record | ({"final": True} if seen.final else {})


def _queue(seen: QueueSample) -> dict[str, Any]:
    record: dict[str, Any] = {
        "type": "queue",
        "at": format_time(seen.at),
        "pipeline": seen.pipeline,
        "queue": seen.queue,
        "partition": seen.partition,
        "exact": seen.exact,
    }
    if seen.start_offset is not None:
        record["committed_offset"] = seen.committed_offset  # null says that no consumer is known
    more = {
        "start_offset": seen.start_offset,
        "end_offset": seen.end_offset,
        "depth": seen.depth,
        "oldest_at": time_of(seen.oldest_at),
        "committed_at": time_of(seen.committed_at),
        "retention_seconds": None if seen.retention is None else seen.retention // SECOND,
        "retention_bytes": seen.retention_bytes,
        "replicas": seen.replicas,
        "in_sync_replicas": seen.in_sync_replicas,
        "epoch": seen.epoch,
    }
    return record | {name: value for name, value in more.items() if value is not None}


def _capacity(seen: Capacity) -> dict[str, Any]:
    return {
        "type": "capacity",
        "at": format_time(seen.at),
        "resource": seen.resource,
        "used": seen.used,
        "limit": seen.limit,
        "pipelines": list(seen.pipelines),
    }
