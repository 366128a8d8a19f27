"""One partition of a queue: its latest sample, and how its consumer and its retention move."""

from dataclasses import dataclass

from reconciler.core.observations import QueueSample
from reconciler.core.times import MINUTE, Micros

RATE_WINDOW: Micros = 15 * MINUTE
"""The forecast reads the consumer's speed over this time (contract §4)."""
STALE_AFTER = 3
"""A sample older than so many sampling intervals proves nothing."""


@dataclass(slots=True)
class Partition:
    """The latest sample of one partition, and how its consumer and its retention have moved."""

    row: int
    seen: QueueSample
    start: int
    end: int
    committed: int
    """The next record to be read; the start of the queue where no consumer is known."""
    read: list[tuple[Micros, int]]
    """(at, records read so far) over the last `RATE_WINDOW`; jumps over deleted records are not reading."""
    ptr: int
    """Ordinal of the first bucket that the consumer has not passed."""
    kept: list[Micros]
    """Age of the oldest readable record after each of the latest deletions, µs."""
    interval: Micros = 0
    """Usual time between samples, µs; 0 until two have come."""

    def fresh(self, now: Micros, width: Micros) -> bool:
        """Whether the latest sample may still be believed."""
        return now - self.seen.at <= STALE_AFTER * max(self.interval, 1 if self.interval else width)

    def rate(self) -> float:
        """Records read per µs lately; 0 where it has stood still since the sample before, with records waiting."""
        if len(self.read) < 2 or self._stands_still():
            return 0.0
        (first, before), (last, after) = self.read[0], self.read[-1]
        return (after - before) / (last - first)

    def _stands_still(self) -> bool:
        return self.end > self.committed and self.read[-1][1] == self.read[-2][1]

    def retention(self) -> Micros | None:
        """How long a record can be counted on: as configured, or as measured where deletion comes sooner."""
        configured = self.seen.retention
        if len(self.kept) < 3:
            return configured
        measured = sorted(self.kept)[len(self.kept) // 2]
        return measured if configured is None else min(configured, measured)
