"""What the samples of a queue show of an incident: when reading stopped, which offsets were deleted, what is left."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from reconciler.core.observations import QueueSample
from reconciler.core.times import Micros

STILL = 3
"""Samples that show the same committed offset, with more and more to read, before it stands still."""
BEHIND = 5
"""So many times what is written between two samples is a backlog; less comes and goes."""


@dataclass(frozen=True, slots=True)
class Move:
    """Something that the samples of one partition show."""

    kind: str
    """`stands_still`, `moves_again`, `caught_up`, `expired`, `overrun`, `rewound`, `restarted`, `retention`."""
    queue: str
    partition: int
    since: Micros
    """When it began, or the sample before it."""
    at: Micros
    """The sample that showed it."""
    first: int = 0
    """Offset."""
    last: int = 0
    """Offset, exclusive."""
    value: Micros | None = None
    """Of `retention`, the new one; of `stands_still`, until when the first unread record is kept."""


@dataclass(frozen=True, slots=True)
class Range:
    """Neighbouring offsets of one partition that came to the same end."""

    queue: str
    partition: int
    kind: str
    """`expired`: deleted before it was read; `overrun`: deleted while the consumer passed it, read just before or
    never; `passed_at_once`: a backlog that the consumer left behind in one step; `lost`: the offsets of a window of
    buckets, as far as the samples show where they lie."""
    first: int
    last: int
    """Exclusive."""
    since: Micros
    until: Micros
    """When that was seen; of a window: the accept times."""
    exact: bool = True
    """Whether samples were taken at the very edges."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a partition held when it was last looked at."""

    queue: str
    partition: int
    at: Micros
    start: int
    end: int
    committed: int | None
    retention: Micros | None
    oldest_at: Micros | None
    """Accept time of the first record that can still be read."""

    @property
    def unread(self) -> int | None:
        """Records that can be read and have not been; None: no consumer is known."""
        return None if self.committed is None else self.end - min(max(self.committed, self.start), self.end)

    @property
    def behind(self) -> int | None:
        """Records behind the consumer that can be read again."""
        return None if self.committed is None else max(0, min(self.committed, self.end) - self.start)

    @property
    def kept_until(self) -> Micros | None:
        """When its first record is deleted, as far as retention says."""
        return None if self.oldest_at is None or self.retention is None else self.oldest_at + self.retention


@dataclass(slots=True)
class _Walk:
    """One partition, sample by sample."""

    moves: list[Move] = field(default_factory=list)
    last_read: QueueSample | None = None
    """The first sample that showed the present committed offset."""
    repeated: int = 0
    still: bool = False
    written: int = 0
    """Between two samples, lately."""
    lagging: bool = False

    def step(self, before: QueueSample, now: QueueSample) -> None:
        if now.epoch != before.epoch or _end(now) < _end(before):
            self._tell("restarted", before, now, 0, _end(now))
            self.last_read, self.repeated, self.still = now, 0, False
            return
        if now.retention != before.retention:
            self._tell("retention", before, now, value=now.retention)
        self._deleted(before, now)
        if now.committed_offset is not None and before.committed_offset is not None:
            self._read(before, now)
        self.written = max(1, _end(now) - _end(before)) if _end(now) > _end(before) else self.written

    def _tell(self, kind: str, before: QueueSample, now: QueueSample, first: int = 0, last: int = 0,
              value: Micros | None = None) -> None:  # fmt: skip
        self.moves.append(Move(kind, now.queue, now.partition, before.at, now.at, first, last, value))

    def _deleted(self, before: QueueSample, now: QueueSample) -> None:
        start, was = now.start_offset or 0, before.start_offset or 0
        if start <= was or now.committed_offset is None:
            return
        held = max(was, before.committed_offset or was)
        if now.committed_offset < start:
            first = max(was, now.committed_offset)
            self._tell("expired", before, now, first, start)
        elif start > held:
            self._tell("overrun", before, now, held, start)

    def _read(self, before: QueueSample, now: QueueSample) -> None:
        position, was = _position(now), _position(before)
        committed, end = now.committed_offset or 0, _end(now)
        if committed < (before.committed_offset or 0):
            self._tell("rewound", before, now, committed, before.committed_offset or 0)
        moved = committed > max(was, now.start_offset or 0)
        if self.last_read is None or moved:
            if self.still:
                self._tell("moves_again", before, now, was, position)
            self.last_read, self.repeated, self.still = (now if moved else before), 0, False
        if not moved and end > position:
            self.repeated += 1
        if not self.still and self.repeated >= STILL - 1 and end > _end(self.last_read):
            self.still = self.lagging = True
            kept = None if now.retention is None else self.last_read.at + now.retention
            self._tell("stands_still", self.last_read, now, committed, end, kept)
        lag, earlier = end - position, _end(before) - was
        if self.lagging and lag <= self.written and earlier > BEHIND * self.written:
            self._tell("caught_up", before, now, was, position)
            self.lagging = False
        elif self.lagging and lag == 0:
            self.lagging = False


def _end(sample: QueueSample) -> int:
    return sample.end_offset or 0


def _position(sample: QueueSample) -> int:
    return max(sample.committed_offset or 0, sample.start_offset or 0)


def by_partition(samples: Iterable[QueueSample]) -> dict[tuple[str, int], list[QueueSample]]:
    """Samples that tell offsets, by queue and partition, in order of `at`."""
    found: dict[tuple[str, int], list[QueueSample]] = defaultdict(list)
    for sample in samples:
        if sample.end_offset is not None:
            found[sample.queue, sample.partition].append(sample)
    return dict(sorted(found.items()))


def moves(samples: Iterable[QueueSample]) -> list[Move]:
    """All that the samples show, in order."""
    found: list[Move] = []
    for own in by_partition(samples).values():
        walk = _Walk()
        for before, now in pairwise(own):
            walk.step(before, now)
        found += walk.moves
    return sorted(found, key=lambda move: (move.at, move.queue, move.partition, move.kind))


_RANGES = {"expired": "expired", "overrun": "overrun", "caught_up": "passed_at_once"}
"""Moves that came over a range of offsets, and what became of them."""


def ranges(found: Sequence[Move]) -> list[Range]:
    """What was deleted, neighbouring offsets together."""
    made: dict[tuple[str, int, str], list[Range]] = defaultdict(list)
    for move in found:
        kind = _RANGES.get(move.kind)
        if kind is None:
            continue
        own = made[move.queue, move.partition, kind]
        if own and own[-1].last == move.first:
            former = own.pop()
            own.append(Range(move.queue, move.partition, kind, former.first, move.last, former.since, move.at))
        else:
            own.append(Range(move.queue, move.partition, kind, move.first, move.last, move.since, move.at))
    return [one for key in sorted(made) for one in made[key]]


def window(samples: Iterable[QueueSample], start: Micros, end: Micros, kind: str) -> list[Range]:
    """The offsets that were written in [start, end), per partition, as far as samples were taken around it."""
    found: list[Range] = []
    for (queue, partition), own in by_partition(samples).items():
        first, last = edge(own, start), edge(own, end)
        if first is not None and last is not None and last[0] > first[0]:
            found.append(Range(queue, partition, kind, first[0], last[0], start, end, first[1] and last[1]))
    return found


def edge(own: Sequence[QueueSample], instant: Micros) -> tuple[int, bool] | None:
    """The end offset of a partition at an instant, and whether a sample was taken just then; between two samples in
    proportion to time; None before the first and after the last."""
    for before, after in pairwise(own):
        if before.at <= instant <= after.at and before.epoch == after.epoch:
            if instant in (before.at, after.at):
                return _end(before if instant == before.at else after), True
            more = (_end(after) - _end(before)) * (instant - before.at) // (after.at - before.at)
            return _end(before) + more, False
    return None


def holdings(samples: Iterable[QueueSample]) -> list[Holding]:
    """What each partition held when it was last looked at."""
    return [
        Holding(queue, partition, last.at, last.start_offset or 0, _end(last), last.committed_offset, last.retention,
                last.oldest_at)
        for (queue, partition), (*_, last) in by_partition(samples).items()
    ]  # fmt: skip
