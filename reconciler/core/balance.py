"""The algebra: every accepted event is in exactly one part.

For each cell ``accepted = processed + accounted + retained + in_flight + passed_over + unproven + lost − surplus +
misplaced``. Queues know buckets, not sources, so what a queue proves of a bucket is shared out over its sources in
proportion to what each of them still misses, in whole events, and never more than the queue proves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from reconciler.core.netting import Netting
from reconciler.core.sharing import beyond, reach, share_out, sum_by
from reconciler.core.tiles import Bools, Ints
from reconciler.core.verdicts import Evidence

_OFFSETS = Evidence.QUEUE_EXPIRED | Evidence.PASSED_EXPIRED | Evidence.PURGED | Evidence.NOT_ENQUEUED
"""What offsets show: the same records may be told of by another of these words later."""


JUMPS_FROM = 10
"""Fewer events may be the last of many, later than any before; they are told once lag can explain them no longer."""


@dataclass(slots=True)
class Cells:
    """Cells of one lane that have a gap or are otherwise in question, as parallel arrays."""

    source: Ints
    """Ordinal of the source."""
    bucket: Ints
    """Position of the bucket in `BucketFacts`."""
    accepted: Ints
    processed: Ints
    """Including events that were sent again."""
    accounted: Ints
    replayed: Ints
    """Of `processed`: sent again."""
    error: Ints
    """Half-width of the counts' approximation, in events."""
    shrunk: Ints
    """How much the processed and accounted counts have become smaller than they once were."""
    unequal: Bools
    """All digests are known and differ though the counts are equal."""
    differs: Bools
    """All digests are known and differ."""
    unreported: Bools
    """A reporter is missing that could have counted here, or a count has never come."""
    remembered: Ints
    """What was proven lost at the last judgement."""
    remembered_evidence: Ints
    claimed: Bools
    """At the last judgement, the gap was found older than lag explains."""
    netted: Ints
    """What was misplaced at the last judgement."""


@dataclass(slots=True)
class BucketFacts:
    """What is known of each bucket of a lane, over all its sources; arrays of one entry a bucket, in events."""

    share: np.ndarray[tuple[int], np.dtype[np.float64]]
    """Share of the bucket's events that lag may still hold back."""
    unread: Ints
    stale: Ints
    expired: Ints
    overrun: Ints
    kept: Ints
    """Behind the consumer, still in the queue."""
    faded: Ints
    """Behind the consumer and in the queue when last seen, which was too long ago to prove anything."""
    gone: Ints
    """Behind the consumer, and deleted since."""
    not_enqueued: Ints
    slack: Ints
    """Records that may belong on the other side of the bucket's right edge, as far as is known."""
    covered: Bools
    """The queue was watched when the bucket was written."""
    mature: Bools
    """Older than lag could ever explain, and lag is known."""
    ripe: Bools
    """Read long enough ago for nearly all of its events to be counted."""
    settled: Bools
    """The neighbouring buckets are whole, so a misplaced event would have shown."""
    recent: Bools
    """Less than a day old: where a clock is off, what is missing may still be found further on."""
    purged: Bools
    overtaken: Bools
    past_retention: Bools
    balanced: bool
    """A queue with fresh samples carries the lane."""
    exact: bool = True
    usual_in_flight: int = 0
    """Most events that were read and not yet processed in peace, over all buckets."""
    well_watched: bool = False
    """How far accepted and written counts run apart in peace is known from many buckets, not only from these."""
    reach: int = 1
    """Over how many buckets an event may be misplaced."""
    carries: float = 1.0
    """Share of a bucket's events that a clock may carry over its end."""
    ahead: Mapping[int, int] = field(default_factory=dict)
    """By source: position of the last bucket of which more was processed than accepted before it was whole."""
    newest: int = 0
    """Position of the newest settled bucket, which may lie beyond these."""


@dataclass(slots=True)
class Parts:
    """The parts of each cell's gap; arrays parallel to `Cells`."""

    retained: Ints
    in_flight: Ints
    passed_over: Ints
    unproven: Ints
    lost: Ints
    lost_proven: Ints
    surplus: Ints
    misplaced: Ints
    recovered: Ints
    duplicated: Ints
    evidence: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


Overdue = Callable[[Ints], Bools]
"""Says, from what is missing in each cell (less than 0: a surplus), of which cells lag does not explain it in sum."""


def split(cells: Cells, facts: BucketFacts, cap: Ints, overdue: Overdue | None = None) -> Parts:
    """Split every gap into its parts. `cap`: the most that lag may still hold back in each cell."""
    return _Splitter(cells, facts, cap, overdue).run()


class _Splitter:
    """One pass over the claims, in order; `need` is what no claim has taken yet."""

    def __init__(self, cells: Cells, facts: BucketFacts, cap: Ints, overdue: Overdue | None) -> None:
        self.cells = cells
        self.facts = facts
        gap = cells.accepted - cells.processed - cells.accounted
        self.short = np.maximum(gap, 0) + cells.unequal
        self.surplus = np.maximum(-gap, 0) + cells.unequal
        self.slack = np.minimum(self.short, cells.error)
        self.in_flight = np.minimum(self.short - self.slack, cap)
        self.need = self.short - self.slack - self.in_flight
        self.evidence = np.zeros(len(gap), np.int64)
        self.proven = np.zeros(len(gap), np.int64)
        self.bounded = np.zeros(len(gap), np.int64)
        self.again = np.zeros(len(gap), np.int64)
        self.open = ~cells.unreported
        self.misplaced = np.zeros(len(gap), np.int64)
        self.wandering = np.zeros(len(gap), np.int64)
        before = gap + cells.replayed
        self.weigh = overdue
        self.late = facts.mature[cells.bucket]
        self.recovered = np.minimum(cells.replayed, np.maximum(before, 0))

    def run(self) -> Parts:
        everyone = np.ones(len(self.need), np.bool_)
        retained = self._claim(self.facts.unread, everyone)
        retained += self._convert(retained)
        stale = self._claim(self.facts.stale, everyone)
        passed_over = faded = inferred = np.zeros(len(self.need), np.int64)
        unwritten = self.facts.well_watched and self.facts.not_enqueued.any() and self.in_flight.any()
        astray = self.surplus.any() and self.in_flight.any()
        if unwritten or astray or self.need.any() or self.cells.netted.any():
            self._direct()
            self._net()
            self._prove(self.facts.overrun, self.open, self._deleted, self._still_there)
            self._late()
            passed_over = self._passed_over()
            faded = self._claim(self.facts.faded, self.open)
            inferred = self._inferred()
        lost = self.proven + inferred
        return Parts(
            retained=retained,
            in_flight=self.in_flight,
            passed_over=passed_over,
            unproven=self.need + self.wandering + self.slack + stale + faded,
            lost=lost,
            lost_proven=self.proven - self.bounded,
            surplus=self.surplus,
            misplaced=self.misplaced,
            recovered=self.recovered,
            duplicated=self.cells.replayed - self.recovered,
            evidence=self.evidence,
        )

    @property
    def _still_there(self) -> Ints:
        facts = self.facts
        return facts.unread + facts.stale + facts.kept + facts.faded

    def _claim(self, capacity: Ints, of: Bools, used: Ints | int = 0, slack: Ints | None = None) -> Ints:
        """Take from the needs of these cells what the buckets hold, give or take the slack at their edges."""
        need = np.where(of, self.need, 0)
        if not capacity.any() or not need.any():
            return np.zeros(len(self.need), np.int64)
        total = sum_by(self.cells.bucket, need, len(capacity))
        lent = self.facts.slack if slack is None else slack
        taken = share_out(need, self.cells.bucket, beyond(capacity, used, total, lent))
        self.need = self.need - taken
        return taken

    def _convert(self, retained: Ints) -> Ints:
        """Of what lag could hold back, the part that is seen in the queue is retained instead."""
        unread, bucket = self.facts.unread, self.cells.bucket
        if not unread.any() or not self.in_flight.any():
            return np.zeros(len(self.need), np.int64)
        total = sum_by(bucket, self.in_flight, len(unread))
        left = beyond(unread, sum_by(bucket, retained, len(unread)), total, self.facts.slack)
        taken = share_out(self.in_flight, bucket, left)
        self.in_flight = self.in_flight - taken
        return taken

    def _direct(self) -> None:
        """Losses that the ledger proves: deleted unread, never written, or counted once and gone."""
        facts, cells = self.facts, self.cells
        known = np.where(self.open & ~facts.covered[cells.bucket], np.minimum(self.need, cells.remembered), 0)
        self._book(known, np.where(known > 0, cells.remembered_evidence, 0))
        self.need = self.need - known
        self.again = known
        self._prove(facts.expired, self.open, self._deleted, facts.unread + facts.stale)
        shown = np.minimum(self._remembered(Evidence.SHRUNK), cells.shrunk)
        self.again = self.again - shown
        gone = np.where(self.open, np.minimum(self.need, cells.shrunk - shown), 0)
        self.need = self.need - gone
        self._book(gone, Evidence.SHRUNK)
        self._unwritten(self._prove(facts.not_enqueued, self.open, Evidence.NOT_ENQUEUED, None))
        hidden = np.where(cells.unequal & self.open, np.minimum(self.need, 1), 0)
        self.need = self.need - hidden
        self._book(hidden, Evidence.DIGEST)

    def _unwritten(self, told: Ints) -> None:
        """What was never written is not on its way: what no other cell of the bucket can lack is lost at once."""
        bucket, unwritten = self.cells.bucket, self.facts.not_enqueued
        if not self.facts.well_watched or not unwritten.any():
            return
        gaps = self.need + self.in_flight
        left = unwritten - sum_by(bucket, told, len(unwritten))
        others = sum_by(bucket, gaps, len(unwritten))[bucket] - gaps
        sure = np.clip(left[bucket] - others, 0, self.in_flight)
        sure = np.where(self.open & self.facts.settled[bucket], sure, 0)
        self.in_flight = self.in_flight - sure
        self._book(sure, Evidence.NOT_ENQUEUED)
        if not self.facts.exact:
            self.bounded = self.bounded + sure

    @property
    def _deleted(self) -> Ints:
        return np.where(self.facts.purged, int(Evidence.PURGED), int(Evidence.QUEUE_EXPIRED))[self.cells.bucket]

    def _prove(self, capacity: Ints, of: Bools, evidence: Ints | Evidence, there: Ints | None) -> Ints:
        """Claim what these records prove to be lost; what is remembered of them is not claimed a second time.

        Deletion goes by offset: while records of a bucket are still `there`, none of a later bucket is deleted.
        """
        slack = self.facts.slack if there is None else np.where(there > 0, 0, self.facts.slack)
        same = self._remembered(_OFFSETS)
        used = reach(capacity, sum_by(self.cells.bucket, same, len(capacity)), slack)
        self.again = self.again - share_out(same, self.cells.bucket, used)
        taken = self._claim(capacity, of, used, slack)
        self._book(taken, evidence)
        if not self.facts.exact:
            self.bounded = self.bounded + taken
        return taken

    def _remembered(self, evidence: Evidence) -> Ints:
        """Of the losses that are remembered, those that rest on such evidence and were not shown again so far."""
        return np.where(self.cells.remembered_evidence & int(evidence), self.again, 0)

    def _book(self, amount: Ints, evidence: Ints | Evidence) -> None:
        self.proven = self.proven + amount
        self.evidence |= np.where(amount > 0, evidence, 0)

    def _net(self) -> None:
        """What one bucket lacks and another has is one misplaced event, not a loss."""
        cells, facts = self.cells, self.facts
        if not self.surplus.any() and not cells.netted.any() and not facts.ahead:
            return
        missing = self.need + self.in_flight
        # While a reporter is missing nothing is known anew: what was netted stays so, and those it was netted with too.
        stays = np.where(self.open, 0, np.clip(cells.netted, -self.surplus, missing))
        missing -= np.maximum(stays, 0)
        self.surplus = self.surplus - np.maximum(-stays, 0)
        self.misplaced += stays
        netting = Netting(
            cells.source, cells.bucket, cells.accepted, missing, self.in_flight, self.surplus, cells.netted - stays,
            self.misplaced, self.wandering,
        )  # fmt: skip
        alike = self.open & ~cells.differs & ~cells.unequal
        settled, recent = facts.settled[cells.bucket], facts.recent[cells.bucket]
        netting.run(alike, settled, recent, facts.reach, facts.carries, facts.newest, facts.ahead)
        self.in_flight = np.minimum(self.in_flight, missing)
        self.need = missing - self.in_flight
        self.evidence |= np.where(self.misplaced != 0, int(Evidence.MISPLACED), 0)

    def _late(self) -> None:
        """Cells of which lag explains nothing more: beyond any delay ever seen, or in a sum that is too large."""
        if self.weigh is not None:
            # What was claimed before says nothing of what is missing now.
            sure = self.open & self.facts.settled[self.cells.bucket] & ~self.cells.claimed
            spare = np.where(self.cells.differs, 0, self.surplus)  # what is double makes up for nothing
            missing = np.where(sure, self.need + self.in_flight - spare, 0)
            self.late = self.late | self.cells.claimed | self.weigh(missing)

    def _passed_over(self) -> Ints:
        """Behind the consumer and not processed: still in the queue, or deleted by now."""
        facts, cells = self.facts, self.cells
        if not facts.exact:
            return np.zeros(len(self.need), np.int64)
        sure = self.open & facts.settled[cells.bucket]
        skipped = self._skipped(sure)
        sure &= self.late | skipped
        passed = self._kept(sure)
        deleted = self._prove(facts.gone, sure, Evidence.PASSED_EXPIRED, self._still_there)
        both = passed + deleted > 0
        self.evidence |= np.where(both & (passed > 0), int(Evidence.SKIPPED), 0)
        self.evidence |= np.where(both & ~skipped & (passed > 0), int(Evidence.LAG_EXCEEDED), 0)
        return passed

    def _kept(self, sure: Bools) -> Ints:
        """Take what is still in the queue: each bucket's own first, and for what its own deleted ones explain no
        neighbour's. Else a bucket that is gone would take what the next has, that one from its next, and so on, until
        the last of them is short.
        """
        facts, bucket = self.facts, self.cells.bucket
        own = self._claim(facts.kept, sure, slack=np.zeros_like(facts.slack))
        need, size = np.where(sure, self.need, 0), len(facts.kept)
        aside = share_out(need, bucket, np.minimum(sum_by(bucket, need, size), facts.gone))
        self.need = self.need - aside
        more = self._claim(facts.kept, sure, sum_by(bucket, own, size))
        self.need = self.need + aside
        return own + more

    def _skipped(self, sure: Bools) -> Bools:
        """Cells whose records the consumer's position jumped over, oldest first.

        All that lies behind the consumer and was never counted, less what peace has there too and what was counted
        next door, cannot be on its way.
        """
        facts, cells = self.facts, self.cells
        sure = sure & facts.ripe[cells.bucket]
        total = sum_by(cells.bucket, np.where(sure, self.need, 0), len(facts.kept))
        behind = np.minimum(total, facts.kept + facts.gone)
        near = np.convolve(behind > 0, np.ones(2 * facts.reach + 1), mode="same") > 0
        elsewhere = int(self.surplus[near[cells.bucket]].sum())
        on_its_way = int(self.in_flight.sum())
        budget = int(behind.sum()) - elsewhere - max(0, facts.usual_in_flight - on_its_way)
        if budget < JUMPS_FROM:
            return np.zeros(len(self.need), np.bool_)
        jumped: Bools = sure & (np.cumsum(behind) <= budget)[cells.bucket] & (behind > 0)[cells.bucket]
        return jumped

    def _inferred(self) -> Ints:
        """What is left of mature, settled gaps is lost by inference."""
        facts, cells = self.facts, self.cells
        sure = self.open & facts.settled[cells.bucket] & self.late
        lost = np.where(sure, self.need, 0)
        self.need = self.need - lost
        why = np.where(facts.overtaken, int(Evidence.OVERTAKEN), 0) | int(Evidence.LAG_EXCEEDED)
        why |= np.where(facts.past_retention, int(Evidence.RETENTION_PASSED), 0)
        if facts.balanced:
            why |= int(Evidence.QUEUE_BALANCE)
        self.evidence |= np.where(lost > 0, why[cells.bucket], 0)
        return lost
