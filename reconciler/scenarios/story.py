"""A story: one incident of a pipeline as frozen data. Minutes count from `t0`; every interval is half-open."""

from dataclasses import dataclass
from fractions import Fraction

from reconciler.scenarios.expressions import Expression

Minute = int
Rates = dict[str, Fraction]  # events a minute, by source


@dataclass(frozen=True)
class Source:
    name: str
    queue: str
    rate: Fraction  # events a minute when all is well
    partitions: tuple[int, int] | None = None  # writes to these only, [first, last); None: to all of the queue
    shape: tuple[Fraction, ...] = ()  # 24 factors of the rate, one for each hour of the UTC day


@dataclass(frozen=True)
class QueueSpec:
    name: str
    partitions: int
    retention: Minute  # as configured
    policy: Minute  # as it should be
    segment: Minute = 5  # records are deleted by whole segments of so many minutes
    sweep: Minute = 5  # how often the queue looks for segments to delete
    local_retention: Minute | None = None  # of a tiered queue: moves data, deletes nothing, so it changes nothing here


@dataclass(frozen=True)
class Retry:
    """Part of what is read is processed later than the rest."""

    share: Fraction  # of the records that are read
    after: Minute  # how much later
    stamp: str  # "processing": counted in the bucket of that later minute; "accept": in its own


@dataclass(frozen=True)
class Interval:
    start: Minute
    end: Minute | None  # None: for ever
    accepted: Rates
    processed: Rates  # counted as processed when `read` records a minute are read
    rejected: Rates
    read: Rates  # records that the consumer takes a minute; more than handled: lossy, fewer: copies
    appended: Rates  # records that reach the queue a minute
    edge: Rates  # what the edge in front of ingress saw
    retention: dict[str, Minute]  # by queue, from this interval on
    partitions: dict[str, int]  # by queue, from this interval on
    retried: dict[str, Retry]
    latency: int  # seconds between acceptance and reading, at least
    note: str

    def covers(self, minute: Minute) -> bool:
        return self.start <= minute and (self.end is None or minute < self.end)


@dataclass(frozen=True)
class Replay:
    """Events of past minutes that a source sends again, evenly over [start, end) and over the covered minutes."""

    start: Minute
    end: Minute
    source: str
    covers: tuple[Minute, Minute]
    accepted: int  # events sent again
    deduplicated: int
    new: int
    label: str


@dataclass(frozen=True)
class QueueEvent:
    """Done to a queue in each minute of [start, end): a skip before the minute is read, the rest after."""

    start: Minute
    end: Minute
    queue: str
    partition: int | None  # None: all
    action: str  # "skip": committed moves to the first record of minute `to`; "newest"; "oldest"; "purge"
    to: Minute = 0


@dataclass(frozen=True)
class ReporterEvent:
    """What happens to one reporter of a stage in [start, end); None: for ever."""

    stage: str
    reporter: str
    action: str  # "silent": sends nothing, counts on; "late": sends `minutes` later; "restart": a new life at `start`
    start: Minute
    end: Minute | None = None
    minutes: Minute = 0
    orderly: bool = True  # a restart: the old life says that it has ended


@dataclass(frozen=True)
class Clock:
    """The clock of a stage's counter is off in [start, end): events get the bucket of a later second."""

    stage: str
    start: Minute
    end: Minute
    offset: int  # seconds ahead


@dataclass(frozen=True)
class Checkpoint:
    """Offsets that a run must show at the instant `t`, counted from those at t = 0."""

    t: Minute
    queue: str
    partition: int | None  # None: the sum over the queue
    start: int
    end: int
    committed: int
    processed: int | None = None


@dataclass(frozen=True)
class Expectation:
    """In each minute of [start, end) each chosen cell has one of these verdicts."""

    start: Minute
    end: Minute | None
    match: tuple[str, ...]  # patterns of source names; `!` in front leaves out
    where: Expression  # which buckets
    verdicts: tuple[str, ...]
    proven: bool | None
    evidence: tuple[str, ...]  # at least one of these
    incident: str | None  # one of this kind is open and names the source
    volume: str | None
    needs: str | None  # a signal that the contract has no word for: not checked
    text: str  # as the story says it


@dataclass(frozen=True)
class Never:
    """What no output may say: a verdict of a cell, or an incident."""

    match: tuple[str, ...]
    where: Expression
    verdict: str | None
    proven: bool | None
    incident: str | None
    status: str | None
    start: Minute | None
    end: Minute | None


@dataclass(frozen=True)
class Soonest:
    """The first minute at which a verdict or an incident can be known; two minutes later is in time."""

    t: Minute
    match: tuple[str, ...]
    where: Expression
    verdict: str | None
    incident: str | None


@dataclass(frozen=True)
class Total:
    """A sum over cells, at the instant `t` (None: at the end)."""

    part: str
    match: tuple[str, ...]
    where: Expression
    t: Minute | None
    equals: int


@dataclass(frozen=True)
class Story:
    id: str
    title: str
    t0: int  # seconds since the Unix epoch
    sources: dict[str, Source]
    queues: dict[str, QueueSpec]
    intervals: tuple[Interval, ...]
    replays: tuple[Replay, ...]
    queue_events: tuple[QueueEvent, ...]
    reporter_events: tuple[ReporterEvent, ...]
    clocks: tuple[Clock, ...]
    reporters_by_source: tuple[str, ...]  # stages that have one reporter for each source
    declared: tuple[str, ...]  # stages whose reporters are declared in the configuration
    bucket: Minute  # width
    history: Minute  # normal minutes that come before the first interval
    until: Minute  # where a check of the story may stop
    idle_every: Minute  # how often progress and queues are told while nothing happens at all
    checkpoints: tuple[Checkpoint, ...]
    expect: tuple[Expectation, ...]
    never: tuple[Never, ...]
    soonest: tuple[Soonest, ...]
    totals: tuple[Total, ...]
    deviations: tuple[str, ...]  # where the contract stands above the story, and why

    @property
    def first(self) -> Minute:
        """The first minute of the history."""
        return min(interval.start for interval in self.intervals) - self.history

    def interval(self, minute: Minute) -> Interval | None:
        return next((entry for entry in self.intervals if entry.covers(minute)), None)
