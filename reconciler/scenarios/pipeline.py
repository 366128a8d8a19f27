"""One pipeline on its way through a story: ingress, its queue, the consumer, and what each of them counts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

from reconciler.scenarios.cells import Cells, Meter, evenly
from reconciler.scenarios.consumer import Consumer
from reconciler.scenarios.counters import Stage
from reconciler.scenarios.options import Options
from reconciler.scenarios.queues import Queue, Taken, add
from reconciler.scenarios.replays import portions
from reconciler.scenarios.sections import StoryError
from reconciler.scenarios.story import Interval, Minute, QueueEvent, Rates, Story

STAGES = ("ingress", "processed")
EDGE = "edge"
Lane: TypeAlias = tuple[int, int] | None
_ZERO = Fraction(0)


class Pipeline:
    """All that shares one queue. The pipeline has the queue's name."""

    def __init__(self, story: Story, name: str, options: Options) -> None:
        self.name = name
        self.sources = [source.name for source in story.sources.values() if source.queue == name]
        self.cells = Cells()
        self.stages = _stages(story, name, options, self.sources)
        self.idle = False  # nothing accepted, nothing to read, nothing sent again
        spec = story.queues[name]
        if options.partitions is not None:
            spec = replace(spec, partitions=options.partitions)
        self._lanes = [_lane(story, source, spec.partitions) for source in self.sources]
        self.queue = Queue(spec, self._lanes)
        self._story, self._options = story, options
        self._ingress, self._processed = self.stages[-2:]
        self._consumer = Consumer(self.cells, self._processed, self._pass_over)
        self._accepted, self._appended = Meter(evenly(self.sources)), Meter(evenly(self.sources))
        self._edge, self._read = Meter(evenly(self.sources)), Meter()
        self._usual = usual(story)
        self._minute = story.first
        self._interval: Interval | None = None
        self._writing: list[int] = []
        self._budgets: dict[Lane, int] = {}
        self._on_the_way: dict[Minute, tuple[Minute, list[int]]] = {}
        self._passed: Taken = {}
        self._plans: dict[int, _Plan] = {}

    def begin(self, minute: Minute) -> None:
        """Accept the minute's events, and settle how many of them will be written and read in it."""
        self._minute = minute
        story = self._story
        self._interval = interval = self._usual if minute < self._usual_ends() else story.interval(minute)
        if interval is None:
            self._writing, self._budgets = [0] * len(self.sources), {}
        else:
            self._settle(interval)
        for event in self._events():
            if event.action == "skip":
                self._do(event)

    def pass_time(self, low: int, high: int) -> None:
        """The part [low, high) of the minute, in seconds: write, delete at the minute's end, read."""
        self._write(low, high)
        if high == 60:
            self._sweep(self._minute + 1)
        interval = self._interval
        latency = 60 * self._options.latency_minutes + (interval.latency if interval else 0)
        ripe = self._minute + Fraction(high - latency, 60) if latency else None
        budgets = {lane: _part(budget, low, high) for lane, budget in self._budgets.items()}
        taken = self.queue.read(budgets, ripe)
        for bucket in sorted(taken):
            for source, records in zip(self.sources, taken[bucket], strict=True):
                if records:
                    self._consumer.handle(self._minute, interval, source, bucket, records)

    def end(self) -> None:
        """What happens at the minute's end, after reading."""
        for event in self._events():
            if event.action != "skip":
                self._do(event)
        self._consumer.finish(self._minute)
        again = self._send_again()
        self.idle = self._interval is None and not again and not any(part.waiting for part in self.queue.partitions)

    def _usual_ends(self) -> Minute:
        return self._story.first + self._story.history

    def _settle(self, interval: Interval) -> None:
        """Whole numbers for the minute out of the interval's rates."""
        self.queue.retention = interval.retention.get(self.name, self.queue.retention)
        if self._options.partitions is None:
            self.queue.grow(interval.partitions.get(self.name, 0))
        self._writing = [self._accept(source, interval) for source in self.sources]
        self._budgets = {lane: self._budget(lane, interval) for lane in dict.fromkeys(self._lanes)}

    def _accept(self, source: str, interval: Interval) -> int:
        """Accept one source's events; the answer is how many of them will reach the queue."""
        accepted = self._accepted.take(source, self._rate(interval.accepted, source))
        appended = accepted
        if source in self._plan(interval).losing:
            appended = min(accepted, self._appended.take(source, self._rate(interval.appended, source)))
        cell = self.cells.at(source, self._minute)
        cell.accepted += accepted
        cell.coming += appended
        self._ingress.count(self._minute, source, self._minute, accepted)
        if self._options.edge:
            same = interval.edge[source] == interval.accepted[source]
            seen = accepted if same else self._edge.take(source, self._rate(interval.edge, source))
            self.stages[0].count(self._minute, source, self._minute, seen)
        return appended

    def _budget(self, lane: Lane, interval: Interval) -> int:
        """How many records the consumer takes out of one lane in this minute."""
        own = [index for index, other in enumerate(self._lanes) if other == lane]
        if lane in self._plan(interval).even:
            return sum(self._writing[index] for index in own)
        rate = sum((self._rate(interval.read, self.sources[index]) for index in own), _ZERO)
        return self._read.take(lane, rate)

    def _plan(self, interval: Interval) -> "_Plan":
        known = self._plans.get(id(interval))
        if known is None:
            known = self._plans[id(interval)] = _plan(interval, self.sources, self._lanes)
        return known

    def _rate(self, rates: Rates, source: str) -> Fraction:
        """Events in this minute."""
        rate, shape = rates[source], self._story.sources[source].shape
        if shape:
            rate = rate * shape[(self._story.t0 // 60 + self._minute) // 60 % 24]
        return rate if self._options.scale == 1 else rate * self._options.scale

    def _write(self, low: int, high: int) -> None:
        """Write this part's records, late by the delay that the run asks for."""
        delay = self._options.append_delay_minutes
        if low == 0:
            self._on_the_way[self._minute + delay] = (self._minute, self._writing)
        if self._minute not in self._on_the_way:
            return
        bucket, records = self._on_the_way[self._minute]
        part = [_part(count, low, high) for count in records]
        for source, count in zip(self.sources, part, strict=True):
            if count:
                cell = self.cells.at(source, bucket)
                cell.written += count
                cell.coming -= count
        self.queue.append(bucket, (low, high), part)
        if high == 60:
            del self._on_the_way[self._minute]

    def _sweep(self, now: Minute) -> None:
        unread, due = self.queue.sweep(now)
        self._lose(unread, left=False)
        if due is not None:
            for bucket in [bucket for bucket in self._passed if bucket < due]:
                self._lose({bucket: self._passed.pop(bucket)}, left=True)

    def _lose(self, records: Taken, *, left: bool) -> None:
        """These are deleted and were never processed. `left`: they were passed over before."""
        for bucket, parts in records.items():
            for source, count in zip(self.sources, parts, strict=True):
                if count:
                    cell = self.cells.at(source, bucket)
                    cell.gone += count
                    if left:
                        cell.passed -= count
                    else:
                        cell.left += count

    def _pass_over(self, source: str, bucket: Minute, records: int) -> None:
        """The consumer has left these behind without processing them; the queue still has them."""
        cell = self.cells.at(source, bucket)
        cell.passed += records
        add(self._passed, bucket, [records if own == source else 0 for own in self.sources])

    def _events(self) -> Iterator[QueueEvent]:
        for event in self._story.queue_events:
            if event.queue == self.name and event.start <= self._minute < event.end:
                yield event

    def _do(self, event: QueueEvent) -> None:
        partitions = self.queue.partitions
        if event.partition is not None:
            if event.partition >= len(partitions):
                raise StoryError(f"{self.name} has no partition {event.partition}")
            partitions = [partitions[event.partition]]
        into: Taken = {}
        for partition in partitions:
            if event.action == "purge":
                partition.purge(into)
            elif event.action == "oldest":
                partition.rewind()
            else:
                partition.pass_over(event.to if event.action == "skip" else None, into)
        if event.action == "purge":
            self._lose(into, left=False)
            if event.partition is None:
                self._lose(self._passed, left=True)
                self._passed = {}
        else:
            self._skip(into)

    def _skip(self, records: Taken) -> None:
        for bucket, parts in records.items():
            for source, count in zip(self.sources, parts, strict=True):
                if count:
                    self.cells.at(source, bucket).left += count
                    self._pass_over(source, bucket, count)

    def _send_again(self) -> bool:
        """Replays take a way of their own: they are counted at both stages and do not pass through the queue."""
        sent = False
        for replay in self._story.replays:
            if replay.source not in self.sources or not replay.start <= self._minute < replay.end:
                continue
            sent = True
            for bucket, new, known in portions(replay, self._minute, self.cells.stored):
                self.cells.at(replay.source, bucket).again += new
                self._ingress.count(self._minute, replay.source, bucket, new + known, replay=replay.label)
                for outcome, count in (("processed", new), ("deduplicated", known)):
                    if count:
                        self._processed.count(self._minute, replay.source, bucket, count, outcome, replay.label)
        return sent


@dataclass(frozen=True)
class _Plan:
    """What holds all through an interval."""

    interval: Interval  # kept, so that its identity stays its own
    losing: frozenset[str]  # sources of which not all that was accepted reaches the queue
    even: frozenset[Lane]  # lanes that are read as fast as they are written, however the fractions fall


def _plan(interval: Interval, sources: list[str], lanes: list[Lane]) -> _Plan:
    def same(lane: Lane) -> bool:
        own = [source for source, other in zip(sources, lanes, strict=True) if other == lane]
        return all(interval.read[source] == interval.appended[source] for source in own)

    losing = {source for source in sources if interval.appended[source] != interval.accepted[source]}
    return _Plan(interval, frozenset(losing), frozenset(lane for lane in lanes if same(lane)))


def usual(story: Story) -> Interval:
    """The rates of the time before the story: its first interval if that is in order, else its sources' own rates."""
    first = min(story.intervals, key=lambda interval: interval.start)
    balanced = all(
        first.accepted[name] == first.appended[name] == first.processed[name] + first.rejected[name] == first.read[name]
        for name in story.sources
    )
    if balanced:
        return replace(first, retried={}, edge=first.accepted)
    rates = {name: source.rate for name, source in story.sources.items()}
    none = dict.fromkeys(story.sources, _ZERO)
    return replace(
        first,
        accepted=rates,
        appended=rates,
        processed=rates,
        read=rates,
        edge=rates,
        rejected=none,
        retried={},
        retention={},
        partitions={},
    )


def _stages(story: Story, name: str, options: Options, sources: list[str]) -> list[Stage]:
    width = options.bucket_minutes or story.bucket
    chosen = (EDGE, *STAGES) if options.edge else STAGES
    return [
        Stage(story, name, stage, "processed" if index else "accepted", width, sources)
        for index, stage in enumerate(chosen)
    ]


def _lane(story: Story, source: str, partitions: int) -> Lane:
    """The partitions that a source writes to; another number of partitions is divided in proportion."""
    chosen = story.sources[source].partitions
    if chosen is None:
        return None
    told = story.queues[story.sources[source].queue].partitions
    first, last = (bound * partitions // told for bound in chosen)
    if first == last:
        raise StoryError(f"{source} needs a partition of its own: {partitions} are too few")
    return first, last


def _part(count: int, low: int, high: int) -> int:
    """What falls into the seconds [low, high) of a minute."""
    return count * high // 60 - count * low // 60
