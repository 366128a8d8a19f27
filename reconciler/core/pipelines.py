"""What is watched: pipelines, their hops and queues, as the judgement needs to know them."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from reconciler.core.stakes import Paging
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros
from reconciler.core.volume_plan import VolumePlan


@dataclass(frozen=True, slots=True)
class Hop:
    """One stage compared with another that it feeds."""

    from_stage: str
    to_stage: str

    @property
    def part(self) -> str:
        """``from>to``, as `TileKey.part` names it."""
        return f"{self.from_stage}>{self.to_stage}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a queue is meant to guarantee; ``None`` where nothing is declared."""

    retention: Micros | None = None
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue between two stages of a pipeline."""

    name: str
    hop: Hop
    policy: Policy = Policy()
    sources: tuple[str, ...] = ("*",)
    """Patterns of the sources that it carries, where several queues share a hop."""
    sampler: str = ""
    """Name of the connector that looks at it; empty: whoever pushes or imports samples."""
    sampled_every: Micros = 0
    """Time between two looks of that connector."""
    topic: str = ""
    """What it is called by its brokers; empty: not known."""
    group: str = ""
    """Who reads it."""
    bootstrap: str = ""
    """Brokers to ask."""
    record_bytes: int = 0
    """What a record takes on disk; 0: not known."""

    def carries(self, source: str) -> bool:
        """Whether events of this source pass through the queue."""
        return any(fnmatchcase(source, pattern) for pattern in self.sources)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much may be missing before a verdict speaks of it; the numbers themselves are never changed."""

    events: int = 0
    ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Reporters:
    """Who is expected to count at a stage."""

    expect: tuple[str, ...] = ()
    missing_after: Micros | None = None
    """How long a reporter may be silent; ``None``: three buckets or three of its usual intervals, the longer."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Capacities that a connector reads regularly."""

    prefix: str
    """How the names of their resources begin."""
    reader: str
    """Name of the connector."""
    every: Micros
    """Time between two readings."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One way that events take, and how it is judged."""

    name: str
    stages: tuple[str, ...]
    width: Micros = MINUTE
    """Width of a bucket."""
    hops: tuple[Hop, ...] = ()
    queues: dict[str, Queue] = field(default_factory=dict)
    objective: float = 0.9999
    """Share of accepted events that must be accounted for; drives severity, never hides a gap."""
    tolerance: Tolerance = Tolerance()
    alert: bool = False
    """``mode: alert``; otherwise the pipeline is only observed."""
    reaction: Micros | None = None
    reporters: dict[str, Reporters] = field(default_factory=dict)
    clock_allowance: Micros = 5 * MINUTE
    """How far ahead of its own ``at`` a bucket may lie before the observation is refused."""
    max_sources: int = 10_000
    """How many sources it may have; those beyond are judged together."""
    stamped_by_broker: bool = False
    """The accept time is that of the broker: nothing is known of what was lost before the queue."""
    limits: tuple[Watch, ...] = ()
    """Who reads the capacities that it depends on, where that is configured."""
    volume: VolumePlan = field(default_factory=VolumePlan)
    """How the accepted volume is judged."""
    paging: Paging = field(default_factory=Paging)
    """From when on somebody is woken."""
    objectives: tuple[tuple[str, float], ...] = ()
    """Sources, by pattern, that are promised something else than `objective`."""
    budget_window: Micros = 30 * DAY
    """Over which the error budget is counted."""
    runbooks: dict[str, str] = field(default_factory=dict)
    """By kind of incident, or `default`: where it is written what to do."""

    def __post_init__(self) -> None:
        if not self.hops:
            line = tuple(Hop(a, b) for a, b in zip(self.stages, self.stages[1:], strict=False))
            object.__setattr__(self, "hops", line)

    @property
    def looks_back(self) -> Micros:
        """How long before the oldest open bucket queues and sums still matter to it."""
        return max(45 * MINUTE, (STRAYS_WITHIN + 2) * self.width)

    @property
    def reach(self) -> int:
        """Over how many buckets an event may be misplaced."""
        return int(min(12, max(1, -(-MISPLACED_WITHIN // self.width))))

    def reaction_for(self, queue: Queue, retention: Micros | None) -> Micros:
        """Time that people need to act: configured, else the smaller of 12 h and a quarter of the retention promised.

        Where neither a policy nor the retention read is known it is zero, and nothing is at risk.
        """
        if self.reaction is not None:
            return self.reaction
        known = queue.policy.retention or retention
        return min(12 * HOUR, known // 4) if known else 0

    def usual_outcome(self, stage: str) -> str:
        """What became of the events counted at a stage, where nothing else is said."""
        return "accepted" if stage == self.stages[0] else "processed"

    def queue(self, name: str) -> Queue:
        """The queue of this name; one that nobody configured belongs to the first hop and promises nothing."""
        return self.queues.get(name) or Queue(name, self.hops[0])


MISPLACED_WITHIN: Micros = 120 * SECOND
"""How far a clock may be off for its events to be looked for next door."""
STRAYS_WITHIN = 30
"""Buckets on either side that are looked at to tell whether events of a source stray from bucket to bucket."""
HEARD_WITHIN: Micros = DAY
"""A reporter that was heard in this time is waited for."""
