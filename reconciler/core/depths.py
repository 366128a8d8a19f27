"""Queues without offsets: how many records wait, and how old the oldest is.

Nothing here proves a deletion. Waiting records are the newest of what is missing, since a queue is read from its head;
what was accepted before the oldest of them has been read.
"""

from dataclasses import dataclass, field

import numpy as np

from reconciler.core.observations import QueueSample
from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import MINUTE, NEVER, Micros

LOOKS_BACK: Micros = 15 * MINUTE


@dataclass(slots=True)
class Depths:
    """The partitions of a queue that tells its depth."""

    width: Micros
    heads: dict[int, list[tuple[Micros, Micros]]] = field(default_factory=dict)
    """By partition: (at, accept time of the oldest record waiting, or `at` where none waits), over `LOOKS_BACK`."""
    latest: dict[int, QueueSample] = field(default_factory=dict)

    def observe(self, sample: QueueSample) -> None:
        """Take the next sample of a partition."""
        self.latest[sample.partition] = sample
        head = sample.at if not sample.depth or sample.oldest_at is None else sample.oldest_at
        heads = self.heads.setdefault(sample.partition, [])
        heads.append((sample.at, head))
        while heads[0][0] < sample.at - LOOKS_BACK:
            heads.pop(0)

    def fresh(self, now: Micros) -> bool:
        """Whether every partition was looked at within three of its usual intervals."""
        return all(now - heads[-1][0] <= 3 * self._interval(heads) for heads in self.heads.values())

    def _interval(self, heads: list[tuple[Micros, Micros]]) -> Micros:
        return (heads[-1][0] - heads[0][0]) // (len(heads) - 1) if len(heads) > 1 else self.width

    def read_until(self) -> Micros:
        """What was accepted before this instant has been read, in every partition whose oldest record is known."""
        known = [s.oldest_at is not None or not s.depth for s in self.latest.values()]
        return min((heads[-1][1] for heads in self.heads.values()), default=0) if all(known) else 0

    def waiting(self, first: int, missing: Ints) -> Ints:
        """Records waiting, by bucket from ordinal `first`: the newest of `missing`, back to the oldest that waits."""
        depth = sum(sample.depth or 0 for sample in self.latest.values())
        oldest = self.read_until() // self.width
        missing = np.where(np.arange(first, first + len(missing)) >= oldest, missing, 0)
        later = np.cumsum(missing[::-1])[::-1] - missing
        waiting: Ints = np.clip(depth - later, 0, missing)
        return waiting

    def deadlines(self, first: int, count: int, now: Micros, reaction: Micros) -> tuple[Ints, Bools]:
        """By bucket: when its records may be deleted, and whether the head will not get there in time."""
        spans = [sample.retention for sample in self.latest.values() if sample.retention is not None]
        if not spans:
            return np.full(count, NEVER, np.int64), np.zeros(count, np.bool_)
        starts = np.arange(first, first + count, dtype=np.int64) * self.width
        deleted = np.maximum(starts + min(spans), now)
        waits = [self._wait(heads, starts) for heads in self.heads.values()]
        eta = now + np.minimum(np.max(waits, axis=0), NEVER // 4)
        return deleted, (eta > deleted) & (deleted - now <= reaction)

    def _wait(self, heads: list[tuple[Micros, Micros]], starts: Ints) -> Ints:
        (first, before), (last, after) = heads[0], heads[-1]
        still = len({head for _, head in heads[-3:]}) == 1
        if last == first or after <= before or still:
            return np.where(starts + self.width > after, NEVER // 4, 0)
        speed = (after - before) / (last - first)
        return (np.maximum(starts + self.width - after, 0) / speed).astype(np.int64)
