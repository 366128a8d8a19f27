"""Who should have told something by now and has not, by name: reporters of a hop, samplers of a queue."""

from collections.abc import Iterator, Mapping

from reconciler.core.incidents import Condition
from reconciler.core.ledger import Ledger
from reconciler.core.partitions import STALE_AFTER
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.queues import QueueLedger
from reconciler.core.stages import stage_now
from reconciler.core.times import Micros

UNSAMPLED = "unsampled"
"""Mechanism of the condition that a queue is looked at no more."""
NAMED = 3
"""Silent reporters that are named."""


def silent_reporters(ledger: Ledger, hop: Hop, now: Micros) -> str:
    """Names and stages of the reporters whose counts are missing on either side of a hop; empty: nobody's."""
    stages = [stage_now(ledger, stage, now) for stage in (hop.from_stage, hop.to_stage)]
    names = [f"{absent.name or 'the only reporter'} at {absent.stage}" for stage in stages for absent in stage.missing]
    if not names:
        return ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"not heard from {', '.join(names[:NAMED])}{more}"


def silent_samplers(pipeline: Pipeline, queues: Mapping[str, QueueLedger], now: Micros) -> Iterator[Condition]:
    """Queues that a connector should look at and does not, wholly or in part."""
    for queue in pipeline.queues.values():
        if queue.sampler:
            seen = queues.get(queue.name)
            stale, known = _stale(queue, seen, pipeline.width, now) if seen else (1, 1)
            if stale:
                what = "has not been" if stale == known else f"has {stale:,} of {known:,} partitions that have not been"
                text = f"{what} sampled by {queue.sampler} lately: what is in it proves nothing"
                yield Condition(queue.name, "missing_counts", UNSAMPLED, text, "ticket")


def _stale(queue: Queue, seen: QueueLedger, width: Micros, now: Micros) -> tuple[int, int]:
    """Partitions whose latest sample is too old, and all that are known."""
    latest = [*(part.seen for part in seen.partitions.values()), *seen.depths.latest.values()]
    patience = STALE_AFTER * max(queue.sampled_every, width)
    return sum(now - sample.at >= patience for sample in latest), len(latest)
