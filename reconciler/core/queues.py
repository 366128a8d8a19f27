"""The queue as a ledger: what its offsets prove of the events of each bucket.

From samples alone: what was written in each bucket (end offsets at its edges), and of that what is unread, what lies
behind the consumer, and what was deleted before it was read. These are facts that stay, not gauges that fall back when
a consumer restarts. All amounts are records; one record is one event where the queue is `exact`.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from reconciler.core.depths import Depths
from reconciler.core.facts import Facts
from reconciler.core.observations import QueueSample
from reconciler.core.partitions import RATE_WINDOW, Partition
from reconciler.core.pipelines import Queue
from reconciler.core.strips import Strip
from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import DAY, NEVER, SECOND, Micros

UNSET = -1
OLDEST_ANCHOR: Micros = 100 * DAY
"""Records said to be older than this tell nothing: most often their time stamp is missing, and reads as 1970."""


@dataclass(slots=True)
class Known:
    """What a queue ledger has made of its samples, without its arrays over buckets."""

    exact: bool
    expired_total: int
    looks: tuple[Micros, Micros]
    since: int
    partitions: dict[int, Partition]
    depths: Depths
    firsts: dict[str, int]
    """By array: the ordinal of its first bucket."""


class QueueLedger:
    """All partitions of one queue, sample by sample."""

    def __init__(self, queue: Queue, width: Micros) -> None:
        self.queue = queue
        self.width = width
        self.exact = True
        self.depths = Depths(width)
        """Partitions that tell a depth instead of offsets."""
        self.partitions: dict[int, Partition] = {}
        self.expired_total = 0
        """Records that were deleted before they were read, over all time."""
        self._looks = (0, 0)
        """When any partition was last looked at, and the time before."""
        self._since = 0
        """Ordinal of the first bucket of which the detail is kept."""
        self._edges = Strip(UNSET, rows=0)
        self._passed = Strip(NEVER, rows=0)
        self._written = Strip()
        self._edged = Strip()
        self._vague = Strip()
        self._blur = Strip()
        self._expired = Strip()
        self._overrun = Strip()
        self._purged = Strip()

    def written(self, first: int, last: int) -> tuple[Ints, Bools]:
        """Records written in these buckets, and whether that is known for all partitions."""
        return self._written.view(first, last)[0], self._known(first, last)

    @property
    def sampled_at(self) -> Micros:
        """When the queue was last looked at; 0: never."""
        samples = [*(part.seen for part in self.partitions.values()), *self.depths.latest.values()]
        return max((sample.at for sample in samples), default=0)

    def offsets_at(self, instant: Micros) -> dict[int, int]:
        """By partition: the first record of this bucket that can still be read; empty where one is not known."""
        ordinal, found = instant // self.width, {}
        if self._edges.base <= ordinal < self._edges.end and not self._vague.view(ordinal, ordinal + 1)[0, 0]:
            edges = self._edges.view(ordinal, ordinal + 1)[:, 0]
            found = {
                number: max(int(edges[part.row]), part.start)
                for number, part in sorted(self.partitions.items())
                if edges[part.row] != UNSET
            }
        return found if len(found) == len(self.partitions) else {}

    def written_per_second(self, now: Micros) -> float:
        """Records written lately, over `RATE_WINDOW`; 0 where that is not known."""
        last = now // self.width
        first = last - max(1, RATE_WINDOW // self.width)
        amount, known = self.written(first, last)
        return float(amount[known].sum()) / (known.sum() * self.width / SECOND) if known.any() else 0.0

    def observe(self, sample: QueueSample) -> None:
        """Take the next sample of a partition, in order of `at`; one without offsets goes to `depths`."""
        if sample.start_offset is None or sample.end_offset is None:
            self.depths.observe(sample)
            return
        self.exact &= sample.exact
        if sample.at > self._looks[0]:
            self._looks = (sample.at, self._looks[0])
        part = self.partitions.get(sample.partition)
        if part is None:
            self._begin(sample)
        elif sample.at <= part.seen.at:
            return
        elif sample.end_offset < part.end or sample.epoch != part.seen.epoch:
            self._restart(part, sample)
        else:
            self._advance(part, sample)

    def _begin(self, sample: QueueSample) -> None:
        row = self._edges.add_row()
        self._passed.add_row()
        start, end, committed = _offsets(sample)
        ptr = sample.at // self.width
        part = Partition(row, sample, start, end, committed, [(sample.at, 0)], ptr, [])
        watched = any(other.interval for other in self.partitions.values())
        self.partitions[sample.partition] = part
        if watched and start == 0:
            # A partition that appears while the queue is watched began empty, after the last look at the others.
            first = min(self._looks[1], sample.at)
            here = first // self.width
            self._edges.view(self._oldest(here), here + 1)[row] = 0
            self._edged.view(self._oldest(here), here)[0] += 1
            self._fill(part, first, 0, sample.at, end)
            part.ptr = first // self.width
        else:
            self._guess_edges(part, sample)
        if sample.at % self.width == 0:
            self._edges.view(ptr, ptr + 1)[row, 0] = end
        self._pass(part)

    def _guess_edges(self, part: Partition, sample: QueueSample) -> None:
        """Place a backlog that was there before the first sample, by the accept times that the sample names."""
        anchors = [(sample.oldest_at, part.start), (sample.committed_at, part.committed), (sample.at, part.end)]
        known = [(at, offset) for at, offset in anchors if at is not None and 0 <= sample.at - at <= OLDEST_ANCHOR]
        for (at, offset), (later, beyond) in pairwise(known):
            if later > at and beyond >= offset:
                part.ptr = min(part.ptr, at // self.width)
                self._edges.view(at // self.width, at // self.width + 1)[part.row, 0] = offset
                self._fill(part, at, offset, later, beyond, vague=True)

    def _oldest(self, here: int) -> int:
        """Ordinal of the oldest bucket with an edge, and `here` while there is none before it."""
        return min(self._edges.base, here) if self._edges.end > self._edges.base else here

    def _restart(self, part: Partition, sample: QueueSample) -> None:
        """A new ledger of offsets: a topic made again, or a log cut short. Not a purge; old facts stay."""
        start, end, committed = _offsets(sample)
        here = sample.at // self.width
        self._edges.view(self._oldest(here), here + 1)[part.row] = 0
        self._fill(part, part.seen.at, 0, sample.at, end, vague=True)
        part.start, part.end, part.committed, part.seen = start, end, committed, sample
        part.read, part.kept = [(sample.at, 0)], []
        self._pass(part)

    def _advance(self, part: Partition, sample: QueueSample) -> None:
        start, end, committed = _offsets(sample)
        self._fill(part, part.seen.at, part.end, sample.at, end)
        gap = sample.at - part.seen.at
        part.interval = gap if not part.interval else (3 * part.interval + gap) // 4
        jumped = 0
        if start > part.start:
            jumped = self._delete(part, sample, start, end, committed)
        if sample.retention != part.seen.retention:
            part.kept = []  # they were measured under another setting
        if committed < part.committed:
            self._rewind(part, committed)
        amount = part.read[-1][1] + max(0, committed - max(part.committed, part.start) - jumped)
        part.read.append((sample.at, amount))
        while part.read[0][0] < sample.at - RATE_WINDOW:
            part.read.pop(0)
        part.start, part.end, part.committed, part.seen = start, end, committed, sample
        self._pass(part)

    def _fill(self, part: Partition, at: Micros, end: int, later: Micros, beyond: int, *, vague: bool = False) -> None:
        """Set the end offsets at the edges after `at` up to `later`, in proportion to time between the two samples."""
        first, last = at // self.width + 1, later // self.width
        if last < first:
            return
        edges = self._edges.view(first - 1, last + 1)[part.row]
        if last == first:
            edge, more = last * self.width, beyond - end
            edges[1] = beyond if later == edge else end + more * (edge - at) // (later - at)
            if later > edge > at:
                self._blur.view(first, last + 1)[0, 0] += -(-more * min(edge - at, later - edge) // (later - at))
        else:
            times = np.arange(first, last + 1, dtype=np.int64) * self.width - at
            edges[1:] = end + np.floor((beyond - end) * (times / (later - at))).astype(np.int64)
            edges[-1] = beyond if later == last * self.width else edges[-1]
            off = np.minimum(times, later - at - times) / (later - at)
            self._blur.view(first, last + 1)[0] += np.ceil((beyond - end) * off).astype(np.int64)
        known = first - 1 if edges[0] != UNSET else first
        if last > known:
            self._written.view(known, last)[0] += edges[known - first + 2 :] - edges[known - first + 1 : -1]
            self._edged.view(known, last)[0] += 1
        if vague or later - at > 2 * self.width:
            self._vague.view(first - 1, last + 1)[0] = 1

    def _delete(self, part: Partition, sample: QueueSample, start: int, end: int, committed: int) -> int:
        """Book what deletion took since the last sample; returns how far the consumer jumped over it."""
        purged = start == end
        oldest = sample.oldest_at if sample.oldest_at is not None else self._time_of(part, start)
        if not purged and oldest is not None:
            part.kept = [*part.kept, max(0, sample.at - oldest)][-8:]
        if committed < start:
            taken = self._book(self._expired, part, max(part.start, committed), start, purged=purged)
            self.expired_total += taken
            return 0
        return self._book(self._overrun, part, max(part.start, part.committed), start, purged=purged)

    def _book(self, strip: Strip, part: Partition, low: int, high: int, *, purged: bool) -> int:
        if high <= low:
            return 0
        last = part.seen.at // self.width + 2
        first = self._oldest(last)
        rows = self._edges.view(first, last + 1)[part.row : part.row + 1]
        edges = _whole_edges(rows, np.array([[max(part.end, high)]]))[0]
        amount = np.diff(np.clip(edges, low, high))
        strip.view(first, last)[0] += amount
        if purged:
            self._purged.view(first, last)[0] |= amount > 0
        return high - low

    def _time_of(self, part: Partition, offset: int) -> Micros | None:
        """About when the record at this offset was written (start of its bucket); `None` where it is not known."""
        edges = self._edges.view(self._edges.base, self._edges.end)[part.row]
        known = np.flatnonzero(edges != UNSET)
        if not len(known) or offset < edges[known[0]]:
            return None
        found = int(np.searchsorted(edges[known], offset, side="right")) - 1
        return int(self._edges.base + known[found]) * self.width

    def _pass(self, part: Partition) -> None:
        """Note the buckets whose last record the consumer has now moved beyond."""
        last = part.seen.at // self.width
        if last <= part.ptr:
            return
        edges = self._edges.view(part.ptr + 1, last + 1)[part.row]
        if edges[0] == UNSET or edges[0] > part.committed:
            return
        count = 1  # nearly always: a consumer that keeps up passes a bucket at a time
        if len(edges) > 1:
            ahead = ((edges == UNSET) | (edges > part.committed)).nonzero()[0]
            count = int(ahead[0]) if len(ahead) else len(edges)
        self._passed.view(part.ptr, part.ptr + count)[part.row] = part.seen.at
        part.ptr += count

    def _rewind(self, part: Partition, committed: int) -> None:
        oldest = self._oldest(part.ptr)
        edges = self._edges.view(oldest, part.ptr + 1)[part.row]
        again = np.flatnonzero(edges[1:] > committed)
        if len(again):
            part.ptr = oldest + int(again[0])
            self._passed.view(part.ptr, max(self._passed.end, part.ptr))[part.row] = NEVER

    def facts(self, first: int, last: int, now: Micros, reaction: Micros) -> Facts:
        """What is known at `now` of the buckets of ordinals first to last (exclusive)."""
        parts = sorted(self.partitions.values(), key=lambda part: part.row)
        offsets = np.array([(part.start, part.committed, part.end) for part in parts], np.int64).reshape(-1, 3, 1)
        starts, read, ends = offsets[:, 0], offsets[:, 1], offsets[:, 2]
        fresh = np.array([part.fresh(now, self.width) for part in parts], np.bool_)[:, None]
        edges = _whole_edges(self._edges.view(first, last + 1), ends)
        beyond = np.maximum(starts, read)
        unread = _steps(np.minimum(np.maximum(edges, beyond), ends))
        kept = _steps(np.minimum(np.maximum(edges, starts), beyond))
        deleted_at = self._deadlines(parts, first, last, now)
        eta = now + self._wait(parts, edges[:, 1:] - read)
        late = (eta > deleted_at) & (deleted_at - now <= reaction)
        return Facts(
            written=self._written.view(first, last)[0],
            known=self._known(first, last),
            blur=self._blur.view(first + 1, last + 1)[0],
            unread=np.where(fresh, unread, 0).sum(axis=0),
            stale=np.where(fresh, 0, unread).sum(axis=0),
            behind=_steps(np.minimum(np.maximum(edges, 0), read)),
            passed_at=self._passed.view(first, last),
            kept=np.where(fresh, kept, 0).sum(axis=0),
            faded=np.where(fresh, 0, kept).sum(axis=0),
            expired=self._expired.view(first, last)[0],
            overrun=self._overrun.view(first, last)[0],
            purged=self._purged.view(first, last)[0] > 0,
            threatened=np.logical_or.reduce((unread > 0) & late & fresh),
            deleted_at=np.where(unread + kept > 0, deleted_at, NEVER).min(axis=0),
        )

    def _known(self, first: int, last: int) -> Bools:
        edged = self._edged.view(first, last)[0] >= len(self.partitions)
        known: Bools = edged & (self._vague.view(first, last)[0] == 0) & (np.arange(first, last) >= self._since)
        return known

    def _deadlines(self, parts: list[Partition], first: int, last: int, now: Micros) -> Ints:
        """`(partitions, n)`: when the first record of each bucket may go; never before the sample that showed it."""
        starts = np.arange(first, last, dtype=np.int64) * self.width
        spans = [part.retention() for part in parts]
        found: Ints = np.maximum(starts + np.array([[span or 0] for span in spans], np.int64), now)
        found[[span is None for span in spans]] = NEVER
        return found

    def _wait(self, parts: list[Partition], ahead: Ints) -> Ints:
        """`(partitions, n)`: time until the consumer has read so many records, at its speed of late."""
        rates = np.array([part.rate() for part in parts])[:, None]
        wait = np.full(ahead.shape, float(NEVER // 4))
        np.divide(np.maximum(ahead, 0), rates, out=wait, where=rates > 0)
        whole: Ints = np.minimum(wait, NEVER // 4).astype(np.int64)
        return whole

    def forget(self, before: int) -> None:
        """Drop the detail of buckets before this ordinal."""
        self._since = max(self._since, before)
        for name in _STRIPS:
            self._strip(name).forget(before)
        for part in self.partitions.values():
            part.ptr = max(part.ptr, self._edges.base)  # whatever is forgotten is not waited for

    def dump(self, first: int) -> tuple[Known, dict[str, Ints]]:
        """All that it knows of buckets from this ordinal on, and its arrays by name: `(partitions, n)` or `(1, n)`."""
        strips = {name: self._strip(name) for name in _STRIPS}
        firsts = {name: max(strip.base, first) for name, strip in strips.items() if strip.end > max(strip.base, first)}
        oldest = firsts.get("edges", first)
        parts = {
            number: replace(part, ptr=max(part.ptr, oldest), read=[*part.read])
            for number, part in self.partitions.items()
        }
        depths = deepcopy(self.depths)
        known = Known(self.exact, self.expired_total, self._looks, self._since, parts, depths, firsts)
        return known, {name: strips[name].view(start, strips[name].end).copy() for name, start in firsts.items()}

    def restore(self, known: Known, arrays: Mapping[str, Ints]) -> None:
        """Take up what `dump` gave, instead of all samples until then."""
        self.exact, self.expired_total, self._looks = known.exact, known.expired_total, known.looks
        self._since, self.partitions, self.depths = known.since, known.partitions, known.depths
        rows = len(self.partitions)
        self._edges, self._passed = Strip(UNSET, rows=rows), Strip(NEVER, rows=rows)
        for name, first in known.firsts.items():
            self._strip(name).view(first, first + arrays[name].shape[1])[:] = arrays[name]

    def _strip(self, name: str) -> Strip:
        strip: Strip = getattr(self, f"_{name}")
        return strip


_STRIPS = ("edges", "passed", "written", "edged", "vague", "blur", "expired", "overrun", "purged")


def _offsets(sample: QueueSample) -> tuple[int, int, int]:
    start, end = sample.start_offset or 0, sample.end_offset or 0
    return start, end, start if sample.committed_offset is None else sample.committed_offset


def _steps(edges: Ints) -> Ints:
    """From each edge to the next, partition by partition."""
    steps: Ints = edges[:, 1:] - edges[:, :-1]
    return steps


def _whole_edges(edges: Ints, ends: Ints) -> Ints:
    """Edges with the unknown ones filled: ahead of the first known by it, behind the last known by the end.

    `(partitions, n)` with a column of `ends`; where none is known, all are the end.
    """
    known = edges != UNSET
    everywhere = known.all(axis=0)
    until = len(everywhere) if everywhere.all() else int(everywhere.argmin())
    if not known[:, until:].any():  # nearly always: only the newest edge is not known yet
        return np.where(everywhere, edges, ends)
    size = edges.shape[1]
    first = known.argmax(axis=1)[:, None]
    last = size - 1 - known[:, ::-1].argmax(axis=1)[:, None]
    columns = np.arange(size)
    whole = np.where(columns < first, np.take_along_axis(edges, first, axis=1), np.where(columns > last, ends, edges))
    whole = np.where(known.any(axis=1)[:, None], np.maximum.accumulate(whole, axis=1), ends)
    full: Ints = np.where(known.all(axis=1)[:, None], edges, whole)
    return full
