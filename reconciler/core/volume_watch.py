"""The model of volume at work on one pipeline: steps with its buckets, says a word of each cell, learns once a day.

Until a pipeline has seven days of history nothing is kept of it and nothing is said but `untrained`. Row 0 of the model
is the sum of all sources; the source with ordinal n is row n + 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core import volume, volume_dump
from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.stages import Missing, Stage
from reconciler.core.tiles import CHUNK, SPAN, Ints, TileKey
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.totals import Totals, totals
from reconciler.core.volume import Model, Sight, Word
from reconciler.core.volume_clock import WEEK, Clocks, moment, slot_width
from reconciler.core.volume_history import Blocked, Reader, Scope, Tiles, spans
from reconciler.core.volume_profile import WEEKS, Singles
from reconciler.core.volume_tails import Flags, Floats

SAID_FOR: Micros = 3 * HOUR
"""What was said of a bucket is kept so long; later its volume is not said again."""
OfCell = tuple[str, float | None, list[int] | None]
UNTRAINED: OfCell = (Word.UNTRAINED.word, None, None)
_WORDS = [word.word for word in Word]
SAID_LEAST, SAID_MOST = 4, 60
"""Buckets of which it is kept at least, and at most."""
AT_ONCE = 1_440
"""Buckets that one tick steps at most; a longer way is left to the learning, off the hot path."""
REPLAYED: Micros = 21 * DAY
"""Of a history that was there from the start, so much is stepped through to learn levels, scatter and tails."""
UNLEARNED_FOR: Micros = 3 * DAY
"""Nothing is learned of a source whose volume is in an incident; unless it lasts longer, for then it is the usual."""


@dataclass(slots=True)
class Said:
    """What was said of one bucket; one entry a row of the model."""

    word: NDArray[np.uint8]
    expected: Singles
    low: Singles
    high: Singles


@dataclass(frozen=True, slots=True)
class Low:
    """A source whose volume is low, with the reasons."""

    source: int
    """Ordinal; -1: the sum of all sources."""
    bucket: Micros
    silent: bool
    count: int
    expected: float
    rarity: float
    """−ln of how often so rare a bucket comes by itself."""
    layer: str
    history: Micros


@dataclass(slots=True)
class Advance:
    """What newly judged buckets came to."""

    low: list[Low] = field(default_factory=list)
    well: set[int] = field(default_factory=set)
    """Sources whose newest bucket is not low."""


@dataclass(slots=True)
class Watch:
    """What a pipeline's volume is judged by."""

    pipeline: Pipeline
    model: Model | None = None
    upcoming: int = 0
    """Ordinal of the next bucket."""
    learned_at: Micros = 0
    said: dict[int, Said] = field(default_factory=dict)
    """By ordinal of the bucket."""
    blocked: list[Blocked] = field(default_factory=list)
    unheard: list[Missing] = field(default_factory=list)
    """Stretches of reporters that were missing, until their buckets are judged: a zero there is no count of anybody."""
    clocks: Clocks | None = None

    @property
    def stage(self) -> str:
        """Where the volume is counted."""
        return self.pipeline.stages[0]

    def advance(self, ledger: Ledger, stage: Stage, hop: str, incident: Mapping[int, Micros], now: Micros) -> Advance:
        """Step with every bucket that has become whole. `incident`: since when sources are in a volume incident."""
        found = Advance()
        if self.model is None:
            return found
        volume_dump.grow(self.model, len(ledger.directory.sources) + 1)
        last = min(stage.through, now) // self.pipeline.width
        if ledger.spans is not None:
            last = min(last, ledger.spans.stop * SPAN)  # of what is judged in a later portion nothing is loaded yet
        if last - self.upcoming > AT_ONCE:
            return found
        self._note_unheard(stage, now)
        summed: dict[TileKey, Totals] = {}
        for ordinal in range(self.upcoming, last):
            counts, known = self._bucket(ledger, stage, hop, ordinal, summed)
            self._step(self.model, ordinal, counts, known, incident, ledger, found)
        self.upcoming = max(self.upcoming, last)
        self._forget()
        return found

    def _note_unheard(self, stage: Stage, now: Micros) -> None:
        """Remember how long each reporter has been missing: once it is heard again, its silence reads as zero."""
        gone = {(one.name, one.through): one for one in self.unheard}
        for absent in (*stage.missing, *stage.lapsed):
            gone[absent.name, absent.through] = replace(absent, until=min(absent.until, now))
        upcoming = self.upcoming * self.pipeline.width
        self.unheard = [one for one in gone.values() if one.until > upcoming]

    def _bucket(
        self, ledger: Ledger, stage: Stage, hop: str, ordinal: int, summed: dict[TileKey, Totals]
    ) -> tuple[Floats, Flags]:
        """Counts of one bucket, and whether they are whole; what was not loaded is not known."""
        span, column = divmod(ordinal, SPAN)
        amount, end = len(ledger.directory.sources), (ordinal + 1) * self.pipeline.width
        counts, known = np.zeros(amount), np.zeros(amount, np.bool_)
        for chunk in range(ledger.directory.chunks):
            first = chunk * CHUNK
            rows = min(CHUNK, amount - first)
            key = TileKey(self.stage, chunk, span)
            if key not in summed:
                summed[key] = totals(ledger.counts.get(key), ledger.directory, chunk, rows)
            counts[first : first + rows] = summed[key].ok[:, column]
            seen = summed[key].known[:, column]
            judged = TileKey(hop, chunk, span) in ledger.verdicts
            known[first : first + rows] = (seen | (stage.progressed & judged)) & judged
            for absent in stage.missing:
                known[first : first + rows] &= ~(absent.hits(chunk, rows) & (end > absent.through))
            for gone in self.unheard:
                if gone.through < end and ordinal * self.pipeline.width < gone.until:
                    silent = gone.hits(chunk, rows) & (counts[first : first + rows] == 0)
                    known[first : first + rows] &= ~silent
        born, retired = np.array(ledger.directory.first_bucket), np.array(ledger.directory.retired_at)
        start = ordinal * self.pipeline.width
        return counts, known & (born <= start) & (retired > start)

    def _step(
        self, model: Model, ordinal: int, counts: Floats, known: Flags, incident: Mapping[int, Micros], ledger: Ledger,
        found: Advance,
    ) -> None:  # fmt: skip
        plan, width = self.pipeline.volume, self.pipeline.width
        names, bucket = ledger.directory.sources, ordinal * width
        planned = [work for work in plan.planned if work.since < bucket + width and bucket < work.until]
        if planned:
            known = known & ~np.array([any(work.covers(name, bucket, width) for work in planned) for name in names])
        self._note_gaps(known, bucket, ledger)
        # The week of the sum still holds who retired lately; until it is forgotten, the sum lacks them.
        retired = np.array(ledger.directory.retired_at)
        alive = (np.array(ledger.directory.first_bucket) <= bucket) & (retired > bucket - WEEKS * WEEK)
        count = np.concatenate([[counts[known].sum()], counts])
        # The sum means nothing unless everybody is in it.
        whole = np.concatenate([[bool((known | ~alive).all())], known])
        excluded = np.zeros(len(count), np.bool_)
        for source, since in incident.items():
            excluded[source + 1] = bucket - since < UNLEARNED_FOR
            self.block(source, since, min(bucket + width, since + UNLEARNED_FOR))
        when = moment(bucket, width, self._clocks(names), plan.holidays)
        sight = volume.step(model, bucket, when, count, whole, excluded)
        words = volume.words(sight, count, plan.budget, width)
        band = volume.bands(model, sight)
        self.said[ordinal] = Said(
            words.astype(np.uint8), *(part.astype(np.float32) for part in (sight.expected, band.low, band.high))
        )  # fmt: skip
        for row in np.flatnonzero((words == Word.LOW) | (words == Word.SILENT)).tolist():
            found.low.append(_low(model, sight, words, count, row, bucket))
        low = {one.source for one in found.low if one.bucket == bucket}
        found.well = (found.well | set((np.flatnonzero(sight.judged) - 1).tolist())) - low

    def _clocks(self, names: Sequence[str]) -> Clocks:
        """The clocks of all rows; asked anew only when there are new sources."""
        if self.clocks is None or len(self.clocks.index) != len(names) + 1:
            plan = self.pipeline.volume
            self.clocks = Clocks.of([plan.zone, *(plan.zone_of(name) for name in names)])
        return self.clocks

    def _note_gaps(self, known: Flags, bucket: Micros, ledger: Ledger) -> None:
        """What was not known will look like zero once its reporter is heard again; it must not be learned."""
        born, retired = np.array(ledger.directory.first_bucket), np.array(ledger.directory.retired_at)
        lacking = np.flatnonzero(~known & (born <= bucket) & (retired > bucket))
        if len(lacking) == 0:
            return
        sources = [-1] if len(lacking) > len(known) // 2 else lacking.tolist()
        for source in sources:
            self.block(source, bucket, bucket + self.pipeline.width)

    def block(self, source: int, since: Micros, until: Micros) -> None:
        """Nothing is to be learned from this stretch; one that touches the last of the source goes on."""
        for number in range(len(self.blocked) - 1, -1, -1):
            before = self.blocked[number]
            if before.source == source and before.since <= since <= before.until:
                self.blocked[number] = Blocked(source, before.since, max(until, before.until))
                return
        self.blocked.append(Blocked(source, since, until))

    def _forget(self) -> None:
        width = self.pipeline.width
        oldest = self.upcoming - min(max(SAID_FOR // width, SAID_LEAST), SAID_MOST)
        for ordinal in [known for known in self.said if known < oldest]:
            del self.said[ordinal]
        horizon = self.upcoming * width - WEEKS * WEEK
        self.blocked = [one for one in self.blocked if one.until > horizon]

    def due(self, ledger: Ledger, now: Micros) -> bool:
        """Whether there is something to learn: once a day, of a pipeline with seven days of history."""
        today = now // DAY * DAY
        if today <= self.learned_at // DAY * DAY:
            return False
        return today - min(ledger.directory.first_bucket, default=now) >= volume.UNTRAINED_DAYS * DAY

    def learn(self, ledger: Ledger, tiles: Tiles, stage: Stage, now: Micros) -> None:
        """Make new profiles of the weeks behind; the first time, step through what history there is."""
        plan, directory = self.pipeline.volume, ledger.directory
        self.learned_at = now
        scope = Scope(directory, self.pipeline.width, stage.progressed)
        zones = [plan.zone_of(name) for name in directory.sources]
        work = [
            Blocked(source, one.since, one.until)
            for one in plan.planned
            for source, name in enumerate(directory.sources)
            if one.covers(name, one.since, self.pipeline.width)
        ]
        reader = Reader(tiles, scope, zones, plan.holidays, [*self.blocked, *work])
        through = min(stage.through, now) // self.pipeline.width
        first = min(directory.first_bucket, default=now)
        begins = self.model is None or through - self.upcoming > AT_ONCE
        if self.model is None:
            self.model = Model.fresh(len(directory.sources) + 1, self.pipeline.width)
            back = min(now - first - volume.UNTRAINED_DAYS * DAY, REPLAYED) // DAY * DAY
            self.upcoming = (now - back) // self.pipeline.width
        volume_dump.grow(self.model, len(directory.sources) + 1)
        if begins and through > self.upcoming:
            self._fit(self.model, reader, self.upcoming * self.pipeline.width, ledger)
            self._replay(self.model, reader, through, ledger)
        self._fit(self.model, reader, now // DAY * DAY, ledger)

    def _fit(self, model: Model, reader: Reader, until: Micros, ledger: Ledger) -> None:
        born = np.array([min(ledger.directory.first_bucket, default=until), *ledger.directory.first_bucket])
        ready = until - born >= volume.UNTRAINED_DAYS * DAY - self.pipeline.width
        a_slot = slot_width(self.pipeline.width) // self.pipeline.width
        for weeks in reader.weeks(until):
            rows = slice(0, 1) if weeks.first < 0 else slice(weeks.first + 1, weeks.first + 1 + len(weeks.counts))
            volume.learn_rows(model, rows, weeks.history(a_slot), ready[rows])

    def _replay(self, model: Model, reader: Reader, last: int, ledger: Ledger) -> None:
        """Step through past buckets; what would have been said of them is not said."""
        width, unsaid = self.pipeline.width, Advance()
        for span in spans(reader.tiles(self.upcoming * width, last * width - width), reader.scope):
            for ordinal in range(max(self.upcoming, span.number * SPAN), min(last, (span.number + 1) * SPAN)):
                column = ordinal - span.number * SPAN
                self._step(model, ordinal, span.counts[:, column], span.known[:, column], {}, ledger, unsaid)
        self.upcoming = last
        self._forget()

    def of_cell(self, source: int, bucket: Micros) -> OfCell:
        """Word, expectation and band of a cell, as a verdict line says them."""
        said, row = self.said.get(bucket // self.pipeline.width), source + 1
        if said is None or row >= len(said.word) or said.word[row] == Word.UNTRAINED:
            return UNTRAINED
        band = [int(said.low[row]), int(said.high[row])]
        return _WORDS[said.word[row]], round(float(said.expected[row]), 1), band

    def dump(self) -> dict[str, Any]:
        """What changes from tick to tick, as values that a ledger can keep."""
        if self.model is None:
            return {}
        blocked = [[one.source, one.since, one.until] for one in self.blocked]
        unheard = [
            [one.stage, one.name, one.through, None if one.sources is None else sorted(one.sources), one.until]
            for one in self.unheard
        ]
        head = {"upcoming": self.upcoming, "learned_at": self.learned_at, "blocked": blocked, "unheard": unheard}
        warm = volume_dump.dump_warm(self.model)
        return {"volume": head, "volume.warm": warm, "volume.said": _bytes(self.said)}

    def dump_week(self) -> bytes:
        """What only changes by learning."""
        return b"" if self.model is None else volume_dump.dump_week(self.model)

    def restore(self, state: Mapping[str, Any], week: bytes) -> None:
        """What the dumps gave; what another version wrote is learned anew."""
        if "volume" not in state or not week:
            return
        self.model = volume_dump.restore(state["volume.warm"], week)
        if self.model is None:
            return
        head = state["volume"]
        self.upcoming, self.learned_at = head["upcoming"], head["learned_at"]
        self.blocked = [Blocked(*one) for one in head["blocked"]]
        self.unheard = [
            Missing(stage, name, through, None if sources is None else frozenset(sources), until)
            for stage, name, through, sources, until in head["unheard"]
        ]
        self.said = _said(state["volume.said"])


def _low(model: Model, sight: Sight, words: Ints, count: Floats, row: int, bucket: Micros) -> Low:
    history = round(float(model.levels.age[row]) * HOUR) + volume.UNTRAINED_DAYS * DAY
    return Low(
        row - 1, bucket, bool(words[row] == Word.SILENT), int(count[row]), float(sight.expected[row]),
        float(sight.low[row]), volume.layer_of(sight, row), history,
    )  # fmt: skip


def _bytes(said: Mapping[int, Said]) -> bytes:
    """What was said lately, one bucket after another."""
    return b"".join(
        np.array([ordinal, len(one.word)], np.int64).tobytes()
        + one.word.tobytes()
        + np.stack([one.expected, one.low, one.high]).tobytes()
        for ordinal, one in said.items()
    )


def _said(payload: bytes) -> dict[int, Said]:
    found: dict[int, Said] = {}
    place = 0
    while place < len(payload):
        ordinal, amount = np.frombuffer(payload, np.int64, 2, place).tolist()
        word = np.frombuffer(payload, np.uint8, amount, place + 16).copy()
        rest = np.frombuffer(payload[place + 16 + amount : place + 16 + 13 * amount], np.float32)
        found[ordinal] = Said(word, *rest.reshape(3, amount).copy())
        place += 16 + 13 * amount
    return found
