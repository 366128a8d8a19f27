"""What the text of an incident is made from, beside the incident itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.core.objectives import Standing
from reconciler.core.pipelines import Pipeline, Queue
from reconciler.core.queues import QueueLedger
from reconciler.core.times import Micros

BROKERS = "BROKERS:9092"
"""Stands in commands where nobody has said which brokers."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A pipeline as of now."""

    pipeline: Pipeline
    now: Micros
    queues: Mapping[str, QueueLedger] = field(default_factory=dict)
    silent: Sequence[tuple[str, str]] = ()
    """(stage, reporter) whose counts are missing."""
    standing: Standing | None = None
    """Of the pipeline's objective."""
    lost_beside: str = ""
    """Id of the incident of events of the same hop and time that are lost; empty: none is."""

    def queues_of(self, hop: str) -> list[Queue]:
        """The queues between the stages of a hop, or the one of this name."""
        return [
            queue for name, queue in self.pipeline.queues.items()
            if queue.hop.part == hop or name == hop
        ]  # fmt: skip

    def unseen(self, hop: str) -> bool:
        """Whether part of a queue of the hop was looked at too long ago to say what is in it now."""
        ledgers = [self.queues[queue.name] for queue in self.queues_of(hop) if queue.name in self.queues]
        parts = [part for ledger in ledgers for part in ledger.partitions.values()]
        return not all(part.fresh(self.now, self.pipeline.width) for part in parts)

    def unread(self, hop: str) -> int:
        """Records that wait in the queues of a hop."""
        ledgers = [self.queues[queue.name] for queue in self.queues_of(hop) if queue.name in self.queues]
        parts = [part for ledger in ledgers for part in ledger.partitions.values()]
        return sum(part.end - max(part.committed, part.start) for part in parts)

    def unread_until(self, hop: str) -> Micros | None:
        """When the first unread record of these queues is deleted, as far as that is known; `None`: it is not."""
        found: list[Micros] = []
        for queue in self.queues_of(hop):
            ledger = self.queues.get(queue.name)
            for part in ledger.partitions.values() if ledger else ():
                kept = part.retention()
                waits = part.end > max(part.committed, part.start)
                if waits and (kept is None or part.seen.committed_at is None):
                    return None
                if waits and kept is not None and part.seen.committed_at is not None:
                    found.append(part.seen.committed_at + kept)
        return min(found, default=None)
