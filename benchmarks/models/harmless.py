"""A pipeline through a year in which nothing is lost, day by day and event by event, and what its reporters say of it.

Seven sources of different size: an even one; one with the shape of a day and a week; one over mobile networks; an
office; one whose nights are processed by a batch in the morning; one with an event in two minutes; and one that is
retired half way and comes no more. Two reporters share each stage. What befalls them is in `spells`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.models.pipelines import Floats, Ints
from benchmarks.models.spells import A_DAY, FIRST_DAY, HOLIDAYS, RESTART, Spell
from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.times import DAY, MINUTE, SECOND, Micros, parse_time

START: Micros = parse_time(f"{FIRST_DAY}T00:00:00Z")
SOURCES = ("even", "daily", "mobile", "office", "nightly", "rare", "retired")
EVEN, DAILY, MOBILE, OFFICE, NIGHTLY, RARE, RETIRED = range(7)
RATES = np.array([60.0, 30.0, 12.0, 10.0, 8.0, 0.5, 4.0])
"""Events a minute, at their busiest."""
RETIRES = 0.5
"""Share of the year after which the last source is retired."""
TAIL = 0.03
"""Share of events that come half an hour later on average, six hours at the most, where networks are mobile."""
MORNING = 4 * 60
"""Minute of the day at which the batch of the night runs; it takes half an hour."""
KEPT = 7
"""Days that the queue keeps a record."""
REPORTERS = 2
REMEMBERED = 12
"""Days after which no reading of a bucket changes any more."""
STAGES = ("ingress", "processed")
OUTCOMES = ("accepted", "processed", "filtered")
PLACES = len(SOURCES) * len(STAGES) * len(OUTCOMES) * REPORTERS
"""Of one bucket."""


@dataclass(frozen=True, slots=True)
class _Events:
    """Events of a day; parallel arrays. Times in minutes since the beginning of the year."""

    source: Ints
    accepted: Floats
    """In order."""
    processed: Floats
    bucket: Ints
    """As ingress stamped it."""
    below: Ints
    """As it is counted downstream."""
    outcome: Ints
    """Position in `OUTCOMES`; -1: lost."""


@dataclass(slots=True)
class Year:
    """The pipeline, and how far it has been played."""

    name: str
    days: int
    width: int
    """Minutes of a bucket."""
    step: int
    """Minutes between two reports."""
    seed: int
    spells: list[Spell]
    queue: bool = True
    lost: dict[tuple[int, int], int] = field(default_factory=dict)
    """By source and bucket (ordinal since the epoch): events that were lost, in the real losses."""
    events: int = 0
    _read: float = 0.0
    """When the last event was read."""
    _told: dict[tuple[int, int], int] = field(default_factory=dict)
    """By place and life of its reporter: the last reading."""
    _to_tell: Ints = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    """Tick and place of each event that is counted later."""
    _written: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """By tick: events that were written since the last."""
    _taken: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """The same of those read."""

    @property
    def retires(self) -> Micros:
        """The instant from which the last source is no more."""
        return START + int(self.days * RETIRES) * DAY

    def play(self) -> Iterator[Observation]:
        """All that is said in the year."""
        ticks = (self.days + 1) * A_DAY // self.step
        self._written, self._taken = np.zeros(ticks, np.int64), np.zeros(ticks, np.int64)
        for day in range(self.days):
            self._count(self._live(day), day)
            yield from self._tell(day)

    def _live(self, day: int) -> _Events:
        """Draw a day, and let what is under way befall it."""
        draw = np.random.default_rng([self.seed, day])
        accepted, source = self._accepted(day, draw)
        read = self._reading(accepted)
        delay = draw.lognormal(np.log(20 / 60), 0.8, len(accepted))
        tail = np.where(source == MOBILE, TAIL, 0.0)
        stamp, off, filtered, gone = np.zeros((4, len(accepted)))
        for spell in self.spells:
            here = (
                (accepted >= spell.since) & (accepted < spell.until) & ((source == spell.source) | (spell.source < 0))
            )
            match spell.kind:
                case "late tail":
                    tail[here] = spell.amount
                case "ingress clock off":
                    stamp[here] = spell.amount
                case "stage clock 90 s ahead" | "stage clock 90 s behind":
                    some = here & (draw.random(len(here)) < spell.amount)
                    off[some] = 1.5 if spell.kind.endswith("ahead") else -1.5
                case "filter switched on":
                    filtered[here] = spell.amount
                case "a real loss":
                    gone[here] = spell.amount
        late = draw.random(len(tail)) < tail
        delay[late] += np.minimum(draw.exponential(30, int(late.sum())), 360)
        minute = accepted % A_DAY
        night = (source == NIGHTLY) & (minute < MORNING)
        processed = np.where(night, np.maximum(read, day * A_DAY + MORNING + 30 * draw.random(len(read))), read) + delay
        stamped = accepted + stamp
        bucket, below = self._bucket(stamped), self._bucket(stamped + off)
        outcome = np.where(draw.random(len(read)) < filtered, 2, 1)
        outcome[draw.random(len(read)) < gone] = -1
        for place in zip(source[outcome < 0].tolist(), bucket[outcome < 0].tolist(), strict=True):
            self.lost[place] = self.lost.get(place, 0) + 1
        self.events += len(accepted)
        np.add.at(self._taken, np.minimum(self._tick(read), len(self._taken) - 1), 1)
        return _Events(source, accepted, processed, bucket, below, outcome)

    def _accepted(self, day: int, draw: np.random.Generator) -> tuple[Floats, Ints]:
        """When events are accepted this day, in order, and of which source."""
        minute = np.arange(A_DAY)
        bump = np.clip(1.1 - np.cos(2 * np.pi * (minute - 120) / A_DAY), 0, None) / 2.1
        at_work = ((minute >= 8 * 60) & (minute < 18 * 60)).astype(np.float64)
        weekend = day % 7 >= 5 or FIRST_DAY.fromordinal(FIRST_DAY.toordinal() + day) in HOLIDAYS
        shape = np.ones((len(SOURCES), A_DAY))
        shape[DAILY] = shape[MOBILE] = bump * (0.6 if weekend else 1.0)
        shape[OFFICE] = 0.02 if weekend else np.maximum(at_work, 0.02)
        shape[RETIRED] = START + day * DAY < self.retires
        wild = np.repeat(draw.gamma(400, 1 / 400, (len(SOURCES), 24)), 60, axis=1)
        number = draw.poisson(RATES[:, None] * shape * wild)
        source = np.repeat(np.arange(len(SOURCES)), number.sum(axis=1))
        at = np.repeat(np.tile(minute, len(SOURCES)), number.reshape(-1)) + draw.random(len(source))
        order = np.argsort(at, kind="stable")
        return day * A_DAY + at[order], source[order]

    def _reading(self, accepted: Floats) -> Floats:
        """When each is read: in turn, and once the consumer can."""
        earliest, pace = accepted.copy(), np.full(len(accepted), 1 / (5 * RATES.sum()))
        for spell in self.spells:
            here = slice(*np.searchsorted(accepted, [spell.since, spell.until]))
            if spell.kind == "outage":
                earliest[here] = spell.until
            elif spell.kind == "slow consumer":
                lasts = min(spell.until, accepted[-1]) - max(spell.since, accepted[0])
                pace[here] = max(lasts, 1.0) / max(spell.amount * (here.stop - here.start), 1)
        steps = np.cumsum(pace)
        earliest[0] = max(earliest[0], self._read + pace[0])
        read: Floats = steps + np.maximum.accumulate(earliest - steps)
        self._read = float(read[-1])
        return read

    def _bucket(self, when: Floats) -> Ints:
        return START // MINUTE // self.width + np.floor(when / self.width).astype(np.int64)

    def _tick(self, when: Floats) -> Ints:
        """The first tick at which it is known."""
        return np.ceil(when / self.step).astype(np.int64)

    def _count(self, day: _Events, number: int) -> None:
        """Note when which reporter tells of which event."""
        np.add.at(self._written, self._tick(day.accepted), 1)
        who = (np.arange(len(day.source)) * 7919 + number) % REPORTERS
        fed = self._place(0, day.source, day.bucket, who, np.zeros_like(who))
        kept = day.outcome >= 0
        done = self._place(1, day.source, day.below, who, np.maximum(day.outcome, 0))
        told = self._heard(self._tick(day.accepted), 0, who), self._heard(self._tick(day.processed), 1, who)
        news = np.concatenate([[told[0], fed], [told[1][kept], done[kept]]], axis=1)
        self._to_tell = np.concatenate([self._to_tell, news], axis=1)

    def _place(self, stage: int, source: Ints, bucket: Ints, who: Ints, outcome: Ints) -> Ints:
        """Bucket, source, stage, outcome and reporter in one number."""
        rest = ((source * 2 + stage) * len(OUTCOMES) + outcome) * REPORTERS + who
        return bucket * PLACES + rest

    def _silences(self, stage: int) -> list[Spell]:
        late = ("late reporter at ingress", "late reporter downstream")[stage]
        return [spell for spell in self.spells if spell.kind == late]

    def _heard(self, tick: Ints, stage: int, who: Ints) -> Ints:
        """The same, but for reporters that are late."""
        for spell in self._silences(stage):
            first, last = self._tick(np.array([spell.since, spell.until])).tolist()
            tick[(who == spell.reporter) & (tick >= first) & (tick < last)] = last
        return tick

    def _tell(self, day: int) -> Iterator[Observation]:
        """What is said in the course of a day, ten seconds after each tick."""
        first, last = (max(number * A_DAY // self.step, 1) for number in (day, day + 1))
        due = self._to_tell[0] < last
        pairs = self._to_tell[:, due]
        self._to_tell = self._to_tell[:, ~due]
        order = np.lexsort((pairs[1], pairs[0]))
        ticks, places = pairs[:, order]
        new = np.flatnonzero((np.diff(ticks, prepend=-1) != 0) | (np.diff(places, prepend=-1) != 0))
        amounts = np.diff(np.append(new, len(ticks)))
        edges = np.searchsorted(ticks[new], np.arange(first, last + 1))
        written, taken = np.cumsum(self._written[:last]), np.cumsum(self._taken[:last])
        for tick in range(first, last):
            at = START + tick * self.step * MINUTE + 10 * SECOND
            if self.queue:
                yield self._sample(tick, written, int(taken[tick]))
            rows = slice(edges[tick - first], edges[tick - first + 1])
            for place, more in zip(places[new[rows]].tolist(), amounts[rows].tolist(), strict=True):
                yield self._reading_of(at, tick, place, more)
            yield from self._progress(tick, at)
        oldest = (START // MINUTE + (day - REMEMBERED) * A_DAY) // self.width * PLACES
        self._told = {told: count for told, count in self._told.items() if told[0] >= oldest}

    def _reading_of(self, at: Micros, tick: int, place: int, more: int) -> Count:
        rest, who = divmod(place, REPORTERS)
        rest, outcome = divmod(rest, len(OUTCOMES))
        rest, stage = divmod(rest, len(STAGES))
        bucket, source = divmod(rest, len(SOURCES))
        life = self._life(tick, who)
        count = self._told[place, life] = self._told.get((place, life), 0) + more
        where = (self.name, STAGES[stage], SOURCES[source], bucket * self.width * MINUTE)
        return Count(at, *where, count, OUTCOMES[outcome if stage else 0], _called(stage, who, life))

    def _life(self, tick: int, who: int) -> int:
        """How often this reporter of each stage has started anew by then."""
        return sum(
            spell.reporter == who and spell.since <= tick * self.step for spell in self.spells if spell.kind == RESTART
        )

    def _progress(self, tick: int, at: Micros) -> Iterator[Progress]:
        """Who is not late says how far it has come, and who has started anew that its former life has ended."""
        through = START + tick * self.step * MINUTE
        for stage, name in enumerate(STAGES):
            for who in range(REPORTERS):
                life, before = self._life(tick, who), self._life(tick - 1, who)
                if life > before:
                    yield Progress(at, self.name, name, through, _called(stage, who, before), final=True)
                if int(self._heard(np.array([tick]), stage, np.array([who]))[0]) == tick:
                    yield Progress(at, self.name, name, through, _called(stage, who, life))

    def _sample(self, tick: int, written: Ints, read: int) -> QueueSample:
        """The queue as of a tick."""
        start = int(written[max(0, tick - KEPT * A_DAY // self.step)])
        when = START + tick * self.step * MINUTE
        return QueueSample(
            when, self.name, "q", 0, start, int(written[tick]), max(read, start), retention=KEPT * DAY, replicas=2
        )


def _called(stage: int, who: int, life: int) -> str:
    return f"{STAGES[stage]}-{who}-{life}"
