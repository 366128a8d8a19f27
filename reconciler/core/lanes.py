"""A lane: the sources of a hop that travel together, through the same queue or through none.

It keeps, bucket by bucket, what all its sources together had accepted and processed, when the head of processing passed
the bucket, and the lag learned from that. Queues and lag are looked at here; cells take what follows for their bucket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from reconciler.core.balance import BucketFacts
from reconciler.core.facts import Facts, together
from reconciler.core.lag import DelayCurve, upper_bound
from reconciler.core.own_lag import OwnLag
from reconciler.core.pipelines import MISPLACED_WITHIN, Hop, Pipeline, Queue
from reconciler.core.queues import QueueLedger
from reconciler.core.stages import Stage
from reconciler.core.strips import Strip
from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import DAY, HOUR, MINUTE, NEVER, SECOND, Micros

SETTLES: Micros = 180 * SECOND
"""How long the counts of a wide bucket may still move after it has ended."""
WATCHED = 10
"""Buckets that are looked at again to learn how accepted and written counts run apart."""
UNSETTLED = 4
"""The newest buckets, which may not be processed yet."""
ENOUGH_WATCHED = 5
"""Buckets in peace before a deficit of what was written proves anything."""
WELL_WATCHED = 60
"""Buckets in peace after which what was learned stands for itself; before, samples off the edge count for more."""
NEARLY_ALL = 0.99
"""A jump of the consumer is told once so many of the events that it might have read are usually counted."""
_NO_QUEUES: tuple[str, ...] = ()


@dataclass(slots=True)
class Lane:
    """What is remembered of a lane from one judgement to the next."""

    hop: Hop
    queues: tuple[str, ...]
    """Names of the queues that carry it; empty: none is known."""
    read: DelayCurve = field(default_factory=DelayCurve)
    """Delay since the head of processing passed the bucket."""
    wall: DelayCurve = field(default_factory=DelayCurve)
    """Delay since the bucket ended."""
    own: OwnLag = field(default_factory=OwnLag)
    """The first of these delays, source by source."""
    doubted: dict[int, Micros] = field(default_factory=dict)
    """By source (-1: all together): since when more is missing in sum than lag explains."""
    accepted: Strip = field(default_factory=Strip)
    processed: Strip = field(default_factory=Strip)
    """Processed and accounted for, by bucket."""
    passed: Strip = field(default_factory=lambda: Strip(NEVER))
    """When the head of processing was first seen beyond the bucket, µs."""
    first: int = NEVER
    """Ordinal of the first bucket with a count."""
    hours: int = 0
    """Hours (buckets, where these are wider) in which anything was accepted."""
    remembered_from: int = NEVER
    """Buckets before this ordinal are passed long since, and their sums are forgotten."""
    moved_at: Micros = 0
    """How far the second stage had reported when its counts last grew."""
    usual_in_flight: int = 0
    """Most events seen read and not yet processed while nothing was wrong."""
    write_slack: int = 0
    """Most events, in peace, by which what was accepted up to a bucket ran ahead of what was written, or behind."""
    watched: int = 0
    """Buckets in peace from which `write_slack` was learned."""
    watched_to: int = 0
    """Ordinal behind the last bucket that was looked at for it."""
    head: int = -1
    """Ordinal of the newest bucket of which half is processed."""
    ahead: dict[int, int] = field(default_factory=dict)
    """By source: ordinal of the last bucket of which more was processed than accepted before it was whole. The clock of
    the second stage may be ahead."""

    def knows_lag(self, clock: Micros, width: Micros) -> bool:
        """Whether 24 h of buckets are each older than twice the longest delay seen so far.

        A stray old bucket is not a day: there must be something in so many hours.
        """
        old = self.first < NEVER and clock - 2 * self.read.longest - (self.first + 1) * width >= DAY
        return old and self.hours * max(width, HOUR) >= DAY

    def add(self, first: int, fed: Ints, done: Ints, width: Micros) -> None:
        """Add to what was accepted and processed, from the bucket of this ordinal on."""
        if self.remembered_from == NEVER:
            self.remembered_from = self.first
        cut = max(0, self.remembered_from - first)
        first, fed, done = first + cut, fed[cut:], done[cut:]
        if not len(fed):
            return
        accepted = self.accepted.view(first, first + len(fed))[0]
        hour = max(1, HOUR // width)
        hours = np.maximum(np.arange(-(first % hour), len(fed), hour), 0)
        before = np.add.reduceat(accepted, hours)
        accepted += fed
        self.hours += int(((before <= 0) & (np.add.reduceat(accepted, hours) > 0)).sum())
        self.processed.view(first, first + len(fed))[0] += done

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored."""
        first, last = self.remembered_from, max(self.accepted.end, self.processed.end, self.passed.end)
        strips = {} if first >= last else {
            name: getattr(self, name).view(first, last)[0].tolist() for name in ("accepted", "processed", "passed")
        }  # fmt: skip
        plain = {name: getattr(self, name) for name in _PLAIN}
        doubted = {str(source): since for source, since in self.doubted.items()}
        curves = {"read": self.read.dump(), "wall": self.wall.dump(), "own": self.own.dump()}
        ahead = {str(source): ordinal for source, ordinal in self.ahead.items()}
        return plain | {"strips": strips, "doubted": doubted, "ahead": ahead} | curves

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Take up what `dump` gave."""
        for name in _PLAIN:
            setattr(self, name, int(stored[name]))
        self.read, self.wall = DelayCurve.restore(stored["read"]), DelayCurve.restore(stored["wall"])
        self.own = OwnLag.restore(stored["own"])
        self.doubted = {int(source): int(since) for source, since in stored["doubted"].items()}
        self.ahead = {int(source): int(ordinal) for source, ordinal in stored["ahead"].items()}
        for name, values in stored["strips"].items():
            getattr(self, name).view(self.remembered_from, self.remembered_from + len(values))[0] = values

    def forget(self, before: int) -> None:
        """Drop the detail of buckets before this ordinal; nothing there is open any more."""
        if self.remembered_from < NEVER:
            self.remembered_from = max(before, self.remembered_from)
        self.ahead = {source: ordinal for source, ordinal in self.ahead.items() if ordinal >= before}
        for strip in (self.accepted, self.processed, self.passed):
            strip.forget(before)


_PLAIN = (
    "first",
    "hours",
    "remembered_from",
    "moved_at",
    "usual_in_flight",
    "write_slack",
    "watched",
    "watched_to",
    "head",
)


def lanes_of(pipeline: Pipeline, hop: Hop) -> list[tuple[str, ...]]:
    """The queue names of each lane of a hop: one lane a queue, or one for all where their sources overlap.

    The last lane, without a queue, is for sources that no queue is said to carry.
    """
    queues = [queue for queue in pipeline.queues.values() if queue.hop == hop]
    shared = len(queues) > 1 and any("*" in queue.sources for queue in queues)
    groups = [tuple(queue.name for queue in queues)] if shared else [(queue.name,) for queue in queues]
    return [*groups, _NO_QUEUES]


@dataclass(frozen=True, slots=True)
class Look:
    """A lane as of now, over the buckets of ordinals `first` to `last` (exclusive)."""

    first: int
    last: int
    facts: BucketFacts
    threatened: Bools
    deleted_at: Ints
    age: Ints
    """Time since the head passed the bucket, by the clock of the second stage, µs; negative: not passed."""


def advance_head(lane: Lane, width: Micros, whole_until: Micros, clock: Micros, *, prompt: bool) -> None:
    """Find the newest bucket of which half is processed, and note that the head has passed all before it.

    `prompt`: the last judgement was moments ago, so that "now" is when it happened; else the buckets' own ends are
    taken, since nobody looked.
    """
    last = min(whole_until // width, max(lane.accepted.end, lane.first))
    first = max(lane.head, lane.remembered_from)
    if first >= last:
        return
    fed, done = lane.accepted.view(first, last)[0], lane.processed.view(first, last)[0]
    half = ((fed > 0) & (2 * done >= fed)).nonzero()[0]
    if not len(half):
        return
    lane.head = max(lane.head, first + int(half[-1]))
    passed = lane.passed.view(lane.remembered_from, lane.head + 1)[0]
    ends = (np.arange(lane.remembered_from, lane.head + 1, dtype=np.int64) + 1) * width
    passed[passed == NEVER] = (np.maximum(ends, clock) if prompt else ends)[passed == NEVER]


def note_head(lane: Lane, queues: Mapping[str, QueueLedger], width: Micros) -> None:
    """Where a queue tells its oldest record, the head has passed every bucket that ended before it was accepted."""
    told = [queues[name].depths for name in lane.queues if name in queues and queues[name].depths.latest]
    until = min((depths.read_until() for depths in told), default=0) // width
    if until > lane.remembered_from:
        at = max(sample.at for depths in told for sample in depths.latest.values())
        passed = lane.passed.view(lane.remembered_from, until)[0]
        passed[passed == NEVER] = at


def look(
    lane: Lane,
    pipeline: Pipeline,
    queues: Mapping[str, QueueLedger],
    stages: tuple[Stage, Stage],
    span: tuple[int, int],
    now: Micros,
) -> Look:
    """All that the cells of these buckets need to know of their lane."""
    (first, last), width = span, pipeline.width
    ends = (np.arange(first, last, dtype=np.int64) + 1) * width
    clock = min(stages[1].through, lane.moved_at or stages[1].through)
    passed = passed_at(lane, first, last, ends)
    age = np.where(passed < NEVER, clock - np.maximum(ends, passed), -1)
    ledgers = [queues[name] for name in lane.queues if name in queues and queues[name].partitions]
    wide = together([ledger.facts(first - 1, last + 1, now, _reaction(pipeline, ledger)) for ledger in ledgers], span)
    seen = wide.within(1, last - first + 1)
    share, mature = lane.read.share(age), (age > 2 * lane.read.longest)
    ripe, known = np.ones(last - first, np.bool_), lane.knows_lag(clock, width)
    if ledgers:
        reported = stages[1].through
        accepted = lane.accepted.view(first, last)[0]
        missing = accepted - lane.processed.view(first, last)[0] - seen.unread
        share, mature, age, ripe = _with_queues(
            lane, seen, ends, clock, (share, mature, age), ledgers, missing, reported
        )
        if not known:  # a jump over a few events looks like their being slow
            ripe &= 2 * missing >= accepted
    told = [queues[name] for name in lane.queues if name in queues]
    fresh = any(now - ledger.sampled_at <= 3 * max(width, MINUTE) for ledger in told)
    accounted = seen.kept + seen.faded + seen.expired + seen.overrun
    facts = BucketFacts(
        share=share if ledgers else np.where(age < 0, 1.0, share),
        unread=seen.unread,
        stale=seen.stale,
        expired=seen.expired,
        overrun=seen.overrun,
        kept=seen.kept,
        faded=seen.faded,
        gone=np.maximum(seen.behind.sum(axis=0) - accounted, 0),
        not_enqueued=_not_enqueued(lane, pipeline, ledgers, wide, stages[0], span),
        slack=lane.write_slack + seen.blur,
        covered=seen.known,
        mature=mature & known & (age >= 0),
        ripe=ripe,
        settled=ends + settles(pipeline) <= stages[0].through,
        recent=now - ends <= DAY,
        purged=seen.purged,
        overtaken=np.arange(first, last) < lane.head,
        past_retention=now - ends > min((_retention(ledger) for ledger in ledgers), default=NEVER),
        balanced=fresh,
        exact=all(ledger.exact for ledger in ledgers),
        usual_in_flight=lane.usual_in_flight,
        well_watched=lane.watched >= WELL_WATCHED,
        reach=pipeline.reach,
        carries=MISPLACED_WITHIN / width,
        ahead={source: ordinal - first for source, ordinal in lane.ahead.items()},
        newest=(stages[0].through - settles(pipeline)) // width - 1 - first,
    )
    threatened, deleted = seen.threatened.copy(), seen.deleted_at.copy()
    for ledger in (queues[name] for name in lane.queues if name in queues and queues[name].depths.latest):
        facts, deep, late = _with_depths(lane, pipeline, ledger, facts, (first, last), now)
        deleted, threatened = np.minimum(deleted, deep), threatened | late
    lends = facts.slack > 0
    threatened[:-1] |= threatened[1:] & lends[:-1]
    deleted[:-1] = np.where(lends[:-1], np.minimum(deleted[:-1], deleted[1:]), deleted[:-1])
    return Look(first, last, facts, threatened, deleted, age)


def settles(pipeline: Pipeline) -> Micros:
    """How long after its end the neighbours of a bucket, and what moves late in a wide one, are all counted."""
    width = pipeline.width
    return max(pipeline.reach * width, width + SETTLES if width > MISPLACED_WITHIN else 0)


def _with_depths(
    lane: Lane, pipeline: Pipeline, ledger: QueueLedger, facts: BucketFacts, span: tuple[int, int], now: Micros
) -> tuple[BucketFacts, Ints, Bools]:
    """Add what a queue without offsets holds; also when that may be deleted, and whether it will be unread."""
    first, last = span
    missing = np.maximum(lane.accepted.view(first, last)[0] - lane.processed.view(first, last)[0], 0)
    waiting = ledger.depths.waiting(first, missing)
    if ledger.depths.fresh(now):
        held = replace(facts, unread=facts.unread + waiting)
    else:
        held = replace(facts, stale=facts.stale + waiting)
    deleted, late = ledger.depths.deadlines(first, last - first, now, _reaction(pipeline, ledger))
    return held, np.where(waiting > 0, deleted, NEVER), late & (waiting > 0)


def passed_at(lane: Lane, first: int, last: int, ends: Ints) -> Ints:
    """When the head of processing was first seen beyond each bucket; those long forgotten were passed as they ended."""
    passed = lane.passed.view(first, last)[0].copy()
    old = np.arange(first, last) < lane.remembered_from
    return np.where(old, ends, passed)


def _with_queues(
    lane: Lane, seen: Facts, ends: Ints, clock: Micros, plain: tuple[Any, Bools, Ints], ledgers: list[QueueLedger],
    missing: Ints, reported: Micros,
) -> tuple[Any, Bools, Ints, Bools]:  # fmt: skip
    """Where a queue was watched, the consumer's own position tells the age, partition by partition.

    What was passed since the sample before may have been read just now, so all of it may be on its way; unless so much
    of what was passed lately is not processed that it cannot have been read at all.
    """
    passed, watched = seen.passed_at, seen.known
    sampled = max(ledger.sampled_at for ledger in ledgers)
    since = np.where(passed < NEVER, passed, sampled)
    ages, told = clock - np.maximum(ends, since), reported - np.maximum(ends, since)
    step = max(part.interval for ledger in ledgers for part in ledger.partitions.values())
    ripe = ((ages >= step + lane.read.quantile(NEARLY_ALL)) | (seen.behind == 0)).all(axis=0)
    jumped = _jumped(lane, seen.behind[:, ~ripe], told[:, ~ripe], missing[~ripe], int(ends[1] - ends[0]) / max(step, 1))
    waiting = (seen.behind * lane.read.share(told if jumped else ages - step)).sum(axis=0)
    share = np.where(watched, waiting / np.maximum(seen.written, 1), plain[0])
    last_passed = passed.max(axis=0)
    age = np.where(watched, np.where(last_passed < NEVER, clock - np.maximum(ends, last_passed), -1), plain[2])
    mature = np.where(watched, (age > 2 * lane.read.longest), plain[1])
    return share, mature, age, ripe | jumped


def _jumped(lane: Lane, behind: Ints, ages: Ints, unprocessed: Ints, burst: float) -> bool:
    """Whether of what the consumer passed lately more is unprocessed than if it had been read.

    `burst`: buckets that may have been read within a sampling interval, of which peace reads but one's share.
    """
    usual = (behind * np.minimum(lane.read.share(ages) * max(1.0, burst), 1.0)).sum()
    seen = np.maximum(np.minimum(unprocessed, behind.sum(axis=0)), 0).sum()
    return bool(seen > upper_bound(np.array([usual]), np.array([behind.sum()]))[0])


def _not_enqueued(
    lane: Lane, pipeline: Pipeline, ledgers: list[QueueLedger], wide: Facts, stage: Stage, span: tuple[int, int]
) -> Ints:  # fmt: skip
    """Accepted and never written: the deficit that has not been made up since, beyond what peace brings.

    Where not even half of it is missing further on, it is no deficit: the clock of ingress has changed, and stamps
    events into another bucket than that in which they are written. `wide` reaches one bucket further on either side
    than `span`.
    """
    first, last = span
    direct = stage.name == pipeline.stages[0] and not stage.missing and lane.watched >= ENOUGH_WATCHED
    if not ledgers or not direct or not all(ledger.exact for ledger in ledgers):
        return np.zeros(last - first, np.int64)
    ends = (np.arange(first - 1, last + 1, dtype=np.int64) + 1) * pipeline.width
    known = wide.known & (ends <= stage.through) & (np.arange(first - 1, last + 1) >= lane.remembered_from)
    deficit = np.where(known, lane.accepted.view(first - 1, last + 1)[0] - wide.written, 0)
    slack = lane.write_slack
    if lane.watched < WELL_WATCHED:
        slack += int(wide.blur.max(initial=0))
    stays = np.minimum.accumulate(np.maximum(_runs(deficit) - slack, 0)[::-1])[::-1]
    amount = stays[1:-1] - stays[:-2]
    missing = lane.accepted.view(first, last)[0] - lane.processed.view(first, last)[0]
    return np.where(known[1:-1] & known[2:] & (2 * missing >= amount), np.maximum(amount, 0), 0)


def _runs(change: Ints) -> Ints:
    """Running sum that never falls below zero: ``r = max(0, r + change)``."""
    total = change.cumsum()
    return total - np.minimum(np.minimum.accumulate(total), 0)


def watch_writes(lane: Lane, pipeline: Pipeline, queues: Mapping[str, QueueLedger], stage: Stage) -> None:
    """Learn how far accepted and written counts run apart in buckets of which all that was accepted is processed."""
    ledgers = [queues[name] for name in lane.queues if name in queues and queues[name].partitions]
    last = stage.through // pipeline.width - UNSETTLED
    first = max(lane.watched_to - WATCHED, lane.remembered_from)
    if not ledgers or last <= first or stage.missing:
        return
    accepted, processed = lane.accepted.view(first, last)[0], lane.processed.view(first, last)[0]
    pairs = [ledger.written(first, last) for ledger in ledgers]
    apart = accepted - sum((written for written, _ in pairs), np.zeros(last - first, np.int64))
    peaceful = accepted == processed
    for _, known in pairs:
        peaceful &= known
    ends = [-1, *(~peaceful).nonzero()[0].tolist(), last - first]
    for before, after in pairwise(ends):
        quiet = apart[before + 1 : after]
        if len(quiet) >= UNSETTLED:
            lane.write_slack = max(lane.write_slack, int(_runs(quiet).max()), int(_runs(-quiet).max()))
    lane.watched += int(peaceful[max(0, lane.watched_to - first) :].sum())
    lane.watched_to = last


def _retention(ledger: QueueLedger) -> Micros:
    spans = [part.retention() for part in ledger.partitions.values()]
    spans += [sample.retention for sample in ledger.depths.latest.values()]
    return min((span for span in spans if span is not None), default=NEVER)


def _reaction(pipeline: Pipeline, ledger: QueueLedger) -> Micros:
    queue: Queue = ledger.queue
    retention = _retention(ledger)
    return pipeline.reaction_for(queue, None if retention == NEVER else retention)
