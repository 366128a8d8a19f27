"""The queue: partitions of records in order, read from the front, deleted by whole segments of age."""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reconciler.scenarios.story import Minute, QueueSpec

Vector: TypeAlias = tuple[int, ...]  # records, by source of the queue
Taken: TypeAlias = dict[int, list[int]]  # by accept minute: records by source


@dataclass(slots=True)
class Chunk:
    """The records of one partition that were accepted in one minute, or in a part of it."""

    bucket: Minute  # of acceptance
    span: tuple[int, int]  # seconds of that minute, half-open
    weights: Vector
    total: int
    first: int  # offset of its first record
    behind: int = 0  # how many of them the consumer has left behind

    def accepted_at(self, position: int) -> int:
        """Microseconds since t0 at which the record with this place in the chunk was accepted."""
        low, high = self.span
        return 1_000_000 * (60 * self.bucket + low) + 1_000_000 * (high - low) * position // self.total

    def take(self, records: int, into: Taken) -> None:
        """Move the consumer on by so many records, and say whose they are."""
        whole = self.behind == 0 and records == self.total
        parts = self.weights if whole else between(self.weights, self.behind, self.behind + records)
        add(into, self.bucket, parts)
        self.behind += records


class Partition:
    """One ordered log. Offsets count its records from the first that was ever written."""

    def __init__(self) -> None:
        self.kept: deque[Chunk] = deque()
        self.unread: deque[Chunk] = deque()  # the end of `kept` that the consumer has not left behind
        self.start = 0
        self.end = 0
        self.committed = 0

    @property
    def waiting(self) -> int:
        """Records that can still be read and have not been."""
        return self.end - max(self.committed, self.start)

    def append(self, bucket: Minute, span: tuple[int, int], weights: Vector) -> None:
        total = sum(weights)
        if total:
            chunk = Chunk(bucket, span, weights, total, self.end)
            self.kept.append(chunk)
            self.unread.append(chunk)
            self.end += total

    def read(self, records: int, into: Taken) -> None:
        """Take so many records from the front. A consumer whose place was deleted goes on at the oldest record."""
        while records and self.unread:
            chunk = self.unread[0]
            step = min(records, chunk.total - chunk.behind)
            chunk.take(step, into)
            records -= step
            self.committed = chunk.first + chunk.behind
            if chunk.behind == chunk.total:
                self.unread.popleft()

    def pass_over(self, before: Minute | None, into: Taken) -> None:
        """Move committed over all that was accepted before this minute (None: over everything) without reading it."""
        while self.unread and (before is None or self.unread[0].bucket < before):
            chunk = self.unread.popleft()
            chunk.take(chunk.total - chunk.behind, into)
            self.committed = chunk.first + chunk.total
        if before is None:
            self.committed = self.end

    def rewind(self) -> None:
        """Back to the oldest unread record."""
        self.committed = max(self.committed, self.start)

    def delete(self, chunk_is_due: Minute, into: Taken) -> None:
        """Drop every chunk that was accepted before this minute; what of it was unread is said."""
        while self.kept and self.kept[0].bucket < chunk_is_due:
            chunk = self.kept.popleft()
            if self.unread and self.unread[0] is chunk:
                self.unread.popleft()
                chunk.take(chunk.total - chunk.behind, into)
            self.start = chunk.first + chunk.total

    def purge(self, into: Taken) -> None:
        """Drop everything and put the consumer at the end."""
        while self.unread:
            chunk = self.unread.popleft()
            chunk.take(chunk.total - chunk.behind, into)
        self.kept.clear()
        self.start = self.committed = self.end

    def oldest(self) -> int | None:
        """When the first record that can be read was accepted, in microseconds since t0."""
        return self.kept[0].accepted_at(0) if self.kept else None

    def first_unread(self) -> int | None:
        """The same of the first that can be read and was not."""
        return self.unread[0].accepted_at(self.unread[0].behind) if self.unread else None

    def too_fresh(self, now: Fraction) -> int:
        """How many of the last records were accepted after this instant, in minutes."""
        fresh = 0
        for chunk in reversed(self.unread):
            low, high = (chunk.bucket + Fraction(second, 60) for second in chunk.span)
            if high <= now:
                break
            fresh += int(chunk.total * min(Fraction(1), (high - now) / (high - low)))
        return min(fresh, self.waiting)


class Queue:
    """All partitions of one queue, and its rules."""

    def __init__(self, spec: QueueSpec, lanes: list[tuple[int, int] | None]) -> None:
        """`lanes`: for each source of the queue the partitions that it writes to; None: all."""
        self.spec = spec
        self.retention = spec.retention
        self.partitions = [Partition() for _ in range(spec.partitions)]
        self._lanes = lanes
        self._next = list(range(len(lanes)))  # by source: whose turn it is, so that remainders go round
        self._turn = 0

    def grow(self, partitions: int) -> None:
        """More partitions, empty, from offset 0."""
        self.partitions += [Partition() for _ in range(partitions - len(self.partitions))]

    def append(self, bucket: Minute, span: tuple[int, int], records: list[int]) -> None:
        """Write so many records of each source, evenly over its partitions."""
        shares = [[0] * len(records) for _ in self.partitions]
        for source, count in enumerate(records):
            first, last = self._lanes[source] or (0, len(self.partitions))
            width = last - first
            even, rest = divmod(count, width)
            for index in range(width):
                extra = (index - self._next[source]) % width < rest
                shares[first + index][source] = even + extra
            self._next[source] = (self._next[source] + rest) % width
        for partition, weights in zip(self.partitions, shares, strict=True):
            partition.append(bucket, span, tuple(weights))

    def read(self, budgets: dict[tuple[int, int] | None, int], ripe: Fraction | None) -> Taken:
        """Read so many records in each lane, the partitions of a lane alike. `ripe`: nothing accepted after it."""
        into: Taken = {}
        for lane, budget in budgets.items():
            first, last = lane or (0, len(self.partitions))
            own = self.partitions[first:last]
            waiting = [part.waiting - (part.too_fresh(ripe) if ripe is not None else 0) for part in own]
            self._turn += 1
            for partition, records in zip(own, shared(budget, waiting, self._turn), strict=True):
                partition.read(records, into)
        return into

    def sweep(self, now: Minute) -> tuple[Taken, Minute | None]:
        """Delete what is due: the unread records that went, and the accept minute before which nothing is left."""
        into: Taken = {}
        if now % self.spec.sweep:
            return into, None
        due = (now - self.retention) // self.spec.segment * self.spec.segment
        for partition in self.partitions:
            partition.delete(due, into)
        return into, due


def shared(budget: int, wanted: list[int], turn: int) -> list[int]:
    """The budget among those who want some: alike, and what one does not want goes to the others."""
    given = [0] * len(wanted)
    open_ones = [index for index, want in enumerate(wanted) if want > 0]
    while budget > 0 and open_ones:
        even, rest = divmod(budget, len(open_ones))
        for place, index in enumerate(open_ones):
            extra = (place - turn) % len(open_ones) < rest
            step = min(even + extra, wanted[index] - given[index])
            given[index] += step
            budget -= step
        open_ones = [index for index in open_ones if given[index] < wanted[index]]
    return given


def between(weights: Vector, low: int, high: int) -> Vector:
    """Whose the records [low, high) of a chunk are, the sources interleaved in proportion."""
    if sum(1 for weight in weights if weight) == 1:
        return tuple(high - low if weight else 0 for weight in weights)
    order = _interleaved(weights)
    return tuple(np.bincount(order[low:high], minlength=len(weights)).tolist())


@lru_cache(maxsize=64)
def _interleaved(weights: Vector) -> NDArray[np.int32]:
    """The source of each record: the i-th of w stands at (2i + 1) / 2w, ties in the order of the sources."""
    sources = np.repeat(np.arange(len(weights), dtype=np.int32), weights)
    places = np.concatenate([(2 * np.arange(weight) + 1) / (2 * weight) for weight in weights if weight])
    order = np.lexsort((sources, places))
    return np.asarray(sources[order], dtype=np.int32)


def add(into: Taken, bucket: Minute, parts: Vector | list[int]) -> None:
    known = into.get(bucket)
    if known is None:
        into[bucket] = list(parts)
    else:
        for index, value in enumerate(parts):
            known[index] += value
