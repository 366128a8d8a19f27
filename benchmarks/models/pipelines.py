"""Simulated pipelines, event by event: what was accepted, read, processed and lost, and what is reported of it.

A pipeline of one source and one partition. Events are accepted at random instants, read in order by a consumer that
may be slowed or stopped, and counted as processed a random delay after they were read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.times import MINUTE, SECOND, Micros

START: Micros = 27_000_000 * MINUTE
BEFORE = 26 * 60
"""Minutes of peace before anything goes wrong: a day and more, so that lag is known."""
FOREVER = np.inf
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Story:
    """One run: a rate, a fault, and how long it lasts. Times in minutes after the peace, shares of all events."""

    name: str
    rate: int
    """Events a minute."""
    lasts: int = 360
    """Minutes that are judged after the peace."""
    tail: float = 0.0
    """Share of events that come over a slow network: half an hour more on average, six hours at most."""
    law: str = ""
    """How long an event takes once it is read: half a minute or so, or a law of `delays`."""
    clock: float = 0.0
    """Share of events that are counted downstream in the bucket of their time plus `off`, from the end of the peace on:
    a stage that stamps for itself."""
    off: float = 1.5
    """Minutes by which that clock is off."""
    width: int = 1
    """Minutes of a bucket."""
    stamp: float = 0.0
    """Minutes by which the clock that ingress stamps with is off, from the end of the peace on; all stages keep it."""
    stopped: tuple[int, int] | None = None
    """The consumer stands still."""
    slow: tuple[int, int] | None = None
    """The consumer reads at 0.7 of the rate that comes in."""
    retention: int = 7 * 24 * 60
    """Minutes that the queue keeps a record."""
    unwritten: float = 0.0
    """Acknowledged, and never written to the queue."""
    dropped: float = 0.0
    """Read, and never processed."""
    doubled: float = 0.0
    """Processed twice."""
    digests: bool = False
    queue: bool = True
    """Whether the queue is seen."""

    def bucket(self, when: Floats) -> Ints:
        """The buckets of these instants, counted from the first."""
        return np.floor(when / self.width).astype(np.int64)


@dataclass(slots=True)
class Run:
    """A story played: every event's instants in minutes since `START`, and what became of it."""

    story: Story
    accepted: Floats
    written: NDArray[np.bool_]
    read: Floats
    processed: Floats
    deleted: Floats
    """When a record that nobody had read was deleted; infinite: never."""
    twice: NDArray[np.bool_]
    ids: NDArray[np.uint64]
    lost: NDArray[np.bool_]

    @property
    def first_loss(self) -> float:
        """When the first event was lost."""
        when = np.where(np.isfinite(self.deleted), self.deleted, self.accepted)[self.lost]
        return float(when.min(initial=np.inf))


def play(story: Story, seed: int) -> Run:
    """Draw every event and let the story befall it."""
    draw = np.random.default_rng(seed)
    minutes = BEFORE + story.lasts
    accepted = np.sort(draw.uniform(0, minutes, draw.poisson(story.rate * minutes)))
    size, at_fault = len(accepted), accepted >= BEFORE
    written = ~(at_fault & (draw.random(size) < story.unwritten))
    read = _read(story, accepted)
    deleted = np.where(written & (read > accepted + story.retention), accepted + story.retention, FOREVER)
    gone = ~written | np.isfinite(deleted) | (at_fault & (draw.random(size) < story.dropped))
    delay = delays(story.law, read, draw)
    late = draw.random(size) < story.tail
    delay[late] += np.minimum(draw.exponential(30, int(late.sum())), 360)
    twice = at_fault & ~gone & (draw.random(size) < story.doubled)
    ids = draw.integers(0, 2**64, size, np.uint64, endpoint=False)
    return Run(story, accepted, written, read, np.where(gone, FOREVER, read + delay), deleted, twice, ids, gone)


def delays(law: str, read: Floats, draw: np.random.Generator) -> Floats:
    """Minutes from reading to counting."""
    size = len(read)
    usual = draw.lognormal(np.log(20 / 60), 0.8, size)
    match law:
        case "an hourly batch":  # half of them wait for the full hour, and take three minutes then
            some = draw.random(size) < 0.5
            usual[some] += (-read[some]) % 60 + draw.uniform(0, 3, int(some.sum()))
        case "a heavy tail":  # one in a hundred takes a quarter of an hour, one in ten thousand two hours and more
            usual = draw.lognormal(np.log(20 / 60), 1.6, size)
        case "slow nights":  # ten times slower before six
            usual[read % (24 * 60) < 6 * 60] *= 10
        case "retries":  # one in twenty is tried again after ten minutes, and one in twenty of these again
            usual += 10 * (draw.geometric(0.95, size) - 1)
    return usual


def _read(story: Story, accepted: Floats) -> Floats:
    """When each event is read: at once, or in order once the consumer can."""
    if story.stopped:
        begin, end = (BEFORE + minute for minute in story.stopped)
        waits = (accepted >= begin) & (accepted < end)
        backlog = np.flatnonzero(accepted >= begin)
        earliest = np.where(waits[backlog], end, accepted[backlog])
        return _in_turn(accepted, backlog, earliest, 1 / (5 * story.rate))
    if story.slow:
        begin, end = (BEFORE + minute for minute in story.slow)
        backlog = np.flatnonzero(accepted >= begin)
        pace = np.where(accepted[backlog] < end, 1 / (0.7 * story.rate), 1 / (5 * story.rate))
        return _in_turn(accepted, backlog, accepted[backlog], pace)
    return accepted.copy()


def _in_turn(accepted: Floats, backlog: NDArray[np.intp], earliest: Floats, pace: Floats | float) -> Floats:
    """Each is read when its predecessor was, plus the pace, and not before `earliest`."""
    read = accepted.copy()
    steps = np.cumsum(np.broadcast_to(pace, len(backlog)))
    read[backlog] = steps + np.maximum.accumulate(earliest - steps)
    return read


def observations(run: Run) -> Iterator[Observation]:
    """What the reporters of both stages and of the queue say, ten seconds after each minute."""
    story = run.story
    moved = (np.random.default_rng(1).random(len(run.accepted)) < story.clock) & (run.accepted >= BEFORE)
    stamped = run.accepted + story.stamp * (run.accepted >= BEFORE)
    bucket, below = story.bucket(stamped), story.bucket(stamped + story.off * moved)
    last = BEFORE + story.lasts
    fed, done = np.zeros(last + 4, np.int64), np.zeros(last + 4, np.int64)
    fed_prints, prints = np.zeros(last + 4, np.uint64), np.zeros(last + 4, np.uint64)
    order = np.argsort(run.processed, kind="stable")
    upto = came = 0
    for minute in range(1, last + 1):
        at = START + minute * MINUTE + 10 * SECOND
        if story.queue:
            yield _sample(run, minute)
        since, came = came, int(np.searchsorted(run.accepted, minute))
        np.add.at(fed, bucket[since:came], 1)
        np.add.at(fed_prints, bucket[since:came], run.ids[since:came])
        for changed in np.unique(bucket[since:came]):
            yield _count(at, "ingress", int(changed), int(fed[changed]), int(fed_prints[changed]), story)
        until = int(np.searchsorted(run.processed[order], minute))
        fresh = order[upto:until]
        upto = until
        np.add.at(done, below[fresh], 1 + run.twice[fresh])
        np.add.at(prints, below[fresh], run.ids[fresh] * (1 + run.twice[fresh].astype(np.uint64)))
        for changed in np.unique(below[fresh]):
            yield _count(at, "processed", int(changed), int(done[changed]), int(prints[changed]), story)
        for stage in ("ingress", "processed"):
            yield Progress(at, "p", stage, START + minute * MINUTE, stage)


def _count(at: Micros, stage: str, bucket: int, count: int, digest: int, story: Story) -> Count:
    outcome = "accepted" if stage == "ingress" else "processed"
    print_ = digest if story.digests else None
    return Count(at, "p", stage, "s", START + bucket * story.width * MINUTE, count, outcome, stage, print_)


def _sample(run: Run, minute: int) -> QueueSample:
    """The queue as of the end of the minute."""
    log = run.accepted[run.written]
    end = int(np.searchsorted(log, minute))
    start = int(np.searchsorted(log, minute - run.story.retention))
    committed = max(start, int(np.searchsorted(run.read[run.written], minute)))
    committed = min(committed, end)
    when = START + minute * MINUTE
    retention = run.story.retention * MINUTE
    return QueueSample(when, "p", "q", 0, start, end, committed, retention=retention, replicas=2)
