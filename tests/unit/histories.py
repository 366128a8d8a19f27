"""Random histories of a small pipeline: what its reporters and its queue said, minute by minute.

Events are real here: each has an identity, a source and a bucket, lies in a partition at an offset, and is read,
skipped or deleted. What goes wrong is drawn by name, so that a counterexample shrinks to the faults that it needs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import strategies as st

from reconciler.core.observations import LEGAL_ENDS, Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Hop, Pipeline, Queue, Reporters, Tolerance
from reconciler.core.times import HOUR, MINUTE, Micros, parse_time

ORIGIN = parse_time("2021-07-20T18:55:00Z")
"""Five minutes before the hour, so that histories cross the rim of a tile."""
FAULTS = (
    "approximate", "broken counter", "clock", "digest", "duplicate", "epoch", "gap", "inexact", "late", "legal",
    "misses a tick", "new partition", "no consumer", "no progress", "noise", "purge", "repeat", "replay", "restart",
    "retention", "rewind", "shrink", "silent", "skip", "stall", "stored", "swallow", "tolerance", "truncate",
    "unwritten",
)  # fmt: skip
RARE = 0.15


@dataclass(frozen=True, slots=True)
class Plan:
    """What a history is drawn from."""

    seed: int
    steps: int
    """Buckets; the history goes on a few more while reports come in."""
    sources: int
    partitions: int
    width: Micros
    faults: frozenset[str]
    origin: Micros = ORIGIN

    @property
    def pipeline(self) -> Pipeline:
        """How it is judged; silence is noticed after three buckets, whatever was usual before."""
        stages = ("ingress", "processed", "stored") if "stored" in self.faults else ("ingress", "processed")
        waits = {stage: Reporters(missing_after=3 * self.width) for stage in stages}
        queues = {"events": Queue("events", Hop("ingress", "processed"))} if self.partitions else {}
        tolerance = Tolerance(events=1, ratio=0.1) if "tolerance" in self.faults else Tolerance()
        return Pipeline("batch", stages, self.width, queues=queues, reporters=waits, tolerance=tolerance)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Minutes, or a day and a half of hours, after which lag is known."""
    hourly = draw(st.sampled_from([False, False, False, True]))
    return Plan(
        seed=draw(st.integers(0, 2**32)),
        steps=draw(st.integers(27, 36) if hourly else st.integers(1, 12)),
        sources=draw(st.integers(1, 3)),
        partitions=draw(st.integers(0, 2)),
        width=HOUR if hourly else MINUTE,
        faults=draw(st.frozensets(st.sampled_from(FAULTS), max_size=6)),
    )


@dataclass(frozen=True, slots=True)
class Event:
    """One accepted event."""

    digest: int
    source: str
    bucket: Micros


@dataclass(slots=True)
class Partition:
    """A log; `start` and `committed` are positions in it."""

    log: list[Event] = field(default_factory=list)
    start: int = 0
    committed: int = 0
    epoch: str | None = None


class History:
    """Plays a plan; `ticks` gives (now, what had become known since the last tick)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = Random(plan.seed)
        self.partitions = [Partition() for _ in range(plan.partitions)]
        self.counts: dict[tuple[str, str, str], Counter[tuple[str, Micros, str | None]]] = defaultdict(Counter)
        """By (stage, reporter, outcome): events by (source, bucket, replay)."""
        self.digests: Counter[tuple[str, str, str, str, Micros, str | None]] = Counter()
        self.changed: set[tuple[str, str, str, str, Micros, str | None]] = set()
        self.lives: Counter[str] = Counter()
        """Restarts of each reporter."""
        self.silent: set[str] = set()
        self.told: list[Observation] = []

    def ticks(self) -> Iterator[tuple[Micros, list[Observation]]]:
        """What is known at each tick, in order of `at`; observations that come late are held back."""
        width, held = self.plan.width, list[Observation]()
        for step in range(self.plan.steps + 6):
            now = self._origin() + (step + 1) * width
            self.told = []
            self._live(now - width, accepting=step < self.plan.steps)
            self._report(now, last=step)
            held += self.told
            if self._strikes("misses a tick", 0.4):
                continue
            due = [seen for seen in held if seen.at <= now]
            held = [seen for seen in held if seen.at > now]
            yield now, sorted(due, key=lambda seen: seen.at)

    def _origin(self) -> Micros:
        return self.plan.origin - self.plan.origin % self.plan.width

    def _strikes(self, fault: str, chance: float = RARE) -> bool:
        return fault in self.plan.faults and self.random.random() < chance

    # --- what happens -------------------------------------------------------------------------------------------------

    def _live(self, bucket: Micros, *, accepting: bool) -> None:
        if accepting:
            for source in [f"customer/{number}" for number in range(self.plan.sources)]:
                for _ in range(self.random.choice((0, 1, 2, 4))):
                    self._accept(Event(self.random.getrandbits(64), source, bucket))
        for partition in self.partitions:
            self._move(partition)
        if "stored" in self.plan.faults:
            self._store()

    def _accept(self, event: Event) -> None:
        self._count("ingress", event)
        if self._strikes("unwritten"):
            return
        if self.partitions:
            self.random.choice(self.partitions).log.append(event)
        else:
            self._process(event)

    def _move(self, partition: Partition) -> None:
        """One minute of a partition: reading, deleting, and what an operator may do to it."""
        if not self._strikes("stall", 0.6):
            self._read(partition, self.random.choice((3, 6, 20)))
        if self._strikes("skip"):
            partition.committed = len(partition.log)
        if self._strikes("rewind"):
            partition.committed = self.random.randint(0, partition.committed)
        if self._strikes("retention", 0.5):
            partition.start = self.random.randint(partition.start, len(partition.log))
        if self._strikes("purge"):
            partition.start = len(partition.log)
        if self._strikes("truncate"):
            del partition.log[self.random.randint(partition.start, len(partition.log)) :]
            partition.committed = min(partition.committed, len(partition.log))
        if self._strikes("epoch"):
            at = self.partitions.index(partition)
            self.partitions[at] = Partition(epoch=str(self.random.getrandbits(16)))

    def _read(self, partition: Partition, most: int) -> None:
        first = max(partition.start, partition.committed)
        for event in partition.log[first : first + most]:
            self._process(event)
        partition.committed = min(first + most, len(partition.log))

    def _process(self, event: Event) -> None:
        if self._strikes("swallow"):
            return
        if self._strikes("clock"):
            event = replace(event, bucket=event.bucket - self.plan.width)
        if self._strikes("legal", 0.3):
            self._count("processed", event, self.random.choice(LEGAL_ENDS))
            return
        self._count("processed", event)
        if self._strikes("duplicate"):
            self._count("processed", event)
        if self._strikes("replay"):
            self._count("processed", event, label="again")

    def _store(self) -> None:
        """The third stage has no queue: it loses some, and has the rest at once."""
        done = sum(
            (self.counts[key] for key in list(self.counts) if key[0] == "processed" and key[2] == "processed"),
            Counter(),
        )
        kept = sum((self.counts[key] for key in list(self.counts) if key[0] == "stored"), Counter())
        for (source, bucket, label), missing in (done - kept).items():
            for _ in range(missing):
                if label is None and not self._strikes("swallow"):
                    self._count("stored", Event(0, source, bucket))

    def _count(self, stage: str, event: Event, outcome: str = "", label: str | None = None) -> None:
        name = f"{stage}-{self.random.randint(0, 1)}"
        reporter = f"{name}/{self.lives[name]}"
        outcome = outcome or ("accepted" if stage == "ingress" else "processed")
        place = (event.source, event.bucket, label)
        self.counts[stage, reporter, outcome][place] += 1
        self.digests[(stage, reporter, outcome, *place)] += event.digest
        self.changed.add((stage, reporter, outcome, *place))

    # --- what is said of it -------------------------------------------------------------------------------------------

    def _report(self, now: Micros, *, last: int) -> None:
        for stage in self.plan.pipeline.stages:
            for name in (f"{stage}-0", f"{stage}-1"):
                if self._strikes("silent"):
                    self.silent ^= {name}
                if name not in self.silent:
                    self._speak(stage, name, now)
        for number, partition in enumerate(self.partitions):
            if not self._strikes("gap", 0.5) and not (self._strikes("new partition", 0.5) and number and last < 3):
                self.told.append(self._sample(number, partition, now))

    def _speak(self, stage: str, name: str, now: Micros) -> None:
        reporter = f"{name}/{self.lives[name]}"
        at = now + (self.random.randint(0, 4) * self.plan.width if self._strikes("late", 0.4) else 0)
        for key in sorted(self.changed, key=str):
            if key[:2] == (stage, reporter):
                self.changed.discard(key)
                self.told.append(self._reading(key, at))
                if self._strikes("repeat"):
                    self.told.append(self._reading(key, at))
        if self._strikes("noise"):
            bucket = now - self.random.randint(1, 70) * self.plan.width
            self.told.append(
                Count(at, "batch", stage, "customer/0", bucket, self.random.randint(0, 9), "processed", reporter)
            )
        final = self._strikes("restart")
        if "no progress" not in self.plan.faults:
            self.told.append(Progress(at, "batch", stage, now, reporter, final))
        if final:
            self.lives[name] += 1

    def _reading(self, key: tuple[str, str, str, str, Micros, str | None], at: Micros) -> Count:
        stage, reporter, outcome, source, bucket, label = key
        count = self.counts[stage, reporter, outcome][source, bucket, label]
        if self._strikes("shrink"):
            count = self.random.randint(0, count)
        if self._strikes("broken counter"):
            count = 2**63 - 1
        digest = self.digests[key] % 2**64 if "digest" in self.plan.faults else None
        error = 1.0 if "approximate" in self.plan.faults else 0.0
        return Count(at, "batch", stage, source, bucket, count, outcome, reporter, digest, error, label)

    def _sample(self, number: int, partition: Partition, now: Micros) -> QueueSample:
        lag = self.random.choice((0, 0, 7_000_000))
        first, log = max(partition.start, partition.committed), partition.log
        return QueueSample(
            at=now - lag,
            pipeline="batch",
            queue="events",
            partition=number,
            start_offset=partition.start,
            end_offset=len(log),
            committed_offset=None if "no consumer" in self.plan.faults else partition.committed,
            oldest_at=log[partition.start].bucket if partition.start < len(log) else None,
            committed_at=log[first].bucket if first < len(log) else None,
            retention=self.random.choice((None, 3 * self.plan.width)) if "retention" in self.plan.faults else None,
            exact="inexact" not in self.plan.faults,
            epoch=partition.epoch,
        )
