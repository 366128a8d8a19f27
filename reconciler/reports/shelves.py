"""Queues as ledgers over a stretch of time, from their samples: what was written, read, and deleted unread."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.observations import QueueSample
from reconciler.core.pipelines import Pipeline, Queue
from reconciler.core.queues import QueueLedger
from reconciler.core.times import NEVER, Micros
from reconciler.serving import ServiceStore

MOST = 20_000
"""Samples that are looked at; of a longer time only the latest."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One partition as it was last seen."""

    seen: QueueSample
    unread: int | None
    """Records that can still be read and have not been; none where no consumer is known."""
    jumped: int
    """Records deleted before the consumer had come to them, that it has not passed yet."""


@dataclass(frozen=True, slots=True)
class Stand:
    """One queue over a stretch of time."""

    queue: Queue
    shelves: list[Shelf]
    at: list[Micros]
    """Instants of the lines below."""
    start: list[int]
    """By instant: records deleted from the front, over all partitions."""
    committed: list[int]
    """Records that the consumer is beyond."""
    end: list[int]
    """Records written."""
    expired: int
    """Records deleted before they were read, in this stretch."""
    written: int
    read: int
    retention: Micros | None
    """How long a record can be counted on: as read, or as measured where deletion comes sooner."""
    replicas: int | None
    deleted_at: Micros | None
    """When the oldest unread record goes, as far as retention tells."""
    reached_at: Micros | None
    """When the consumer comes there at its pace of the last 15 minutes; none where it stands still."""
    sampled_at: Micros
    exact: bool

    @property
    def unread(self) -> int | None:
        """Over all partitions."""
        known = [one.unread for one in self.shelves if one.unread is not None]
        return sum(known) if known else None

    @property
    def short(self) -> bool:
        """It keeps less than its policy says."""
        policy = self.queue.policy.retention
        return bool(policy and self.retention is not None and self.retention < policy)


def stands(store: ServiceStore, pipeline: Pipeline, span: tuple[Micros, Micros], until: Micros) -> list[Stand]:
    """All queues of a pipeline, configured or seen, by samples of the span that had come by `until`."""
    samples = store.latest_samples(pipeline.name, span[0], min(span[1], until), MOST)
    names = sorted({*pipeline.queues, *(sample.queue for sample in samples)})
    return [stand(pipeline, pipeline.queue(name), [one for one in samples if one.queue == name]) for name in names]


def stand(pipeline: Pipeline, queue: Queue, samples: Sequence[QueueSample]) -> Stand:
    """One queue, by its samples in order of `at`."""
    ledger = QueueLedger(queue, pipeline.width)
    latest: dict[int, QueueSample] = {}
    lines: dict[Micros, tuple[int, int, int]] = {}
    for sample in samples:
        ledger.observe(sample)
        latest[sample.partition] = sample
        lines[sample.at] = _summed(latest)
    first = next(iter(lines.values()), (0, 0, 0))
    last = next(reversed(lines.values()), (0, 0, 0))
    parts = ledger.partitions.values()
    kept = [one for part in parts if (one := part.retention()) is not None]
    copies = [one.replicas for one in latest.values() if one.replicas is not None]
    deleted, reached = _ahead(ledger)
    return Stand(
        queue, [_shelf(latest[number]) for number in sorted(latest)], list(lines), [one[0] for one in lines.values()],
        [one[1] for one in lines.values()], [one[2] for one in lines.values()], ledger.expired_total,
        last[2] - first[2], sum(part.read[-1][1] for part in parts), min(kept, default=None),
        min(copies, default=None), deleted, reached, ledger.sampled_at, ledger.exact,
    )  # fmt: skip


def _summed(latest: dict[int, QueueSample]) -> tuple[int, int, int]:
    """Start, committed and end over all partitions; without a consumer, it stands at the start."""
    told = [one for one in latest.values() if one.end_offset is not None]
    start = sum(one.start_offset or 0 for one in told)
    read = sum((one.start_offset or 0) if one.committed_offset is None else one.committed_offset for one in told)
    return start, read, sum(one.end_offset or 0 for one in told)


def _shelf(seen: QueueSample) -> Shelf:
    if seen.end_offset is None or seen.start_offset is None:
        return Shelf(seen, seen.depth, 0)
    if seen.committed_offset is None:
        return Shelf(seen, None, 0)
    jumped = max(0, seen.start_offset - seen.committed_offset)
    return Shelf(seen, seen.end_offset - max(seen.start_offset, seen.committed_offset), jumped)


def _ahead(ledger: QueueLedger) -> tuple[Micros | None, Micros | None]:
    """When the first unread record of any partition is deleted, and when the slowest consumer will have read all."""
    deleted, reached = NEVER, 0
    for part in ledger.partitions.values():
        waiting = part.end - max(part.start, part.committed)
        if not waiting:
            continue
        since, keeps = part.seen.committed_at or part.seen.oldest_at, part.retention()
        if since is not None and keeps is not None:
            deleted = min(deleted, since + keeps)
        rate = part.rate()
        reached = max(reached, part.seen.at + int(waiting / rate) if rate else NEVER)
    return (deleted if deleted < NEVER else None, reached if 0 < reached < NEVER else None)
