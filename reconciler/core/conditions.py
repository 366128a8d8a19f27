"""Conditions that no cell shows: policies that a queue does not keep, and finite things about to run out."""

from collections.abc import Iterable, Sequence

from reconciler.core.incidents import Condition
from reconciler.core.observations import Capacity
from reconciler.core.pipelines import Pipeline
from reconciler.core.queues import QueueLedger
from reconciler.core.times import DAY, Micros, format_duration

USED_TICKET = 0.80
USED_PAGE = 0.95
PAGE_BEFORE: Micros = DAY
"""A capacity that is used up sooner than this, at its present pace, pages."""


def queue_policies(pipeline: Pipeline, queues: Iterable[QueueLedger]) -> list[Condition]:
    """What the queues promise less than their policy says, read from their latest samples."""
    found: list[Condition] = []
    for ledger in queues:
        samples = [part.seen for part in ledger.partitions.values()]
        policy, name = ledger.queue.policy, ledger.queue.name
        kept = [span for part in ledger.partitions.values() if (span := part.retention()) is not None]
        if policy.retention and kept and min(kept) < policy.retention:
            severe = min(kept) < pipeline.reaction_for(ledger.queue, min(kept))
            text = f"keeps {format_duration(min(kept))} where the policy is {format_duration(policy.retention)}"
            found.append(Condition(name, "queue_policy", "retention", text, "page" if severe else "ticket"))
        copies = [sample.replicas for sample in samples if sample.replicas is not None]
        if policy.replicas and copies and min(copies) < policy.replicas:
            text = f"has {min(copies)} replicas where the policy is {policy.replicas}"
            found.append(Condition(name, "queue_policy", "replicas", text, "ticket"))
        behind = [
            s for s in samples if s.replicas and s.in_sync_replicas is not None and s.in_sync_replicas < s.replicas
        ]
        if behind:
            text = f"has {len(behind)} of {len(samples)} partitions with replicas out of sync"
            found.append(Condition(name, "queue_policy", "in_sync", text, "ticket"))
    return found


def capacities(readings: Iterable[Sequence[Capacity]]) -> list[Condition]:
    """What is nearly used up, and when it ends at its present pace."""
    found: list[Condition] = []
    for history in readings:
        last = history[-1]
        share, ends_at = last.used / last.limit, _ends_at(history)
        soon = ends_at and ends_at - last.at < PAGE_BEFORE
        if share < USED_TICKET and not soon:
            continue
        text = f"is {share:.1%} used ({last.used:,} of {last.limit:,})"
        if ends_at:
            text += f" and ends in about {format_duration(ends_at - last.at)} at its present pace"
        severity = "page" if share >= USED_PAGE or soon else "ticket"
        found.append(Condition(last.resource, "capacity", "used", text, severity, ends_at or 0))
    return found


def _ends_at(history: Sequence[Capacity]) -> Micros | None:
    first, last = history[0], history[-1]
    grown = last.used - first.used
    if last.used >= last.limit:
        return last.at
    if grown <= 0 or last.at <= first.at:
        return None
    return last.at + (last.limit - last.used) * (last.at - first.at) // grown
