"""Expected accepted volume of every source: what should have come, how far counts stray, and how rare this one is.

A model is told the buckets of all its sources one after the other, in order (`step`), and once a day the weeks behind
it (`learn`). What it says of a bucket it says before it has learned from it. All sources go at once, as arrays.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from reconciler.core import volume_level
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.volume_alarms import (
    DROP,
    LAYERS,
    TINY,
    Alarms,
    Rises,
    begin_block,
    block_hours,
    bucket_high,
    hold,
    rarities,
    spread_low,
)
from reconciler.core.volume_bands import Band, band
from reconciler.core.volume_clock import WEEK, Moment, slot_width, sunday
from reconciler.core.volume_fleet import discoveries, share_of_budget
from reconciler.core.volume_level import Ints, Levels, Outlook, outlook
from reconciler.core.volume_profile import CHUNK, FLOOR, Profiles, Singles, fit
from reconciler.core.volume_tails import Flags, Floats

UNTRAINED_DAYS = 7
"""Days of history before which nothing is said."""
YOUNG_HOURS = 7 * 24.0
"""Hours after the first profile in which the errors are not those of a model that knows the week."""
YOUNG_TRUST = 0.5
"""What a rarity of that time is worth; sums are not yet worth anything."""
SILENCE = 6
SUMS = slice(1, 5)
"""The layers that are sums."""
LAYER_SHARE = np.array([7.0, 14.0, 14.0, 14.0, 14.0, 14.0, 20.0])
"""One over the part of the budget that each layer may use; together a little less than all, for they are tied."""
SUSPICION = 2.0
"""The levels are held when an alarm of one source a month is nearer than e² times."""
ENOUGH_DUE = 5.0
"""Events that must have been due since the last one before a silence is a silence."""
_GOLDEN = 0.6180339887


class Word(IntEnum):
    """What is said of a bucket's volume; the names are the contract's."""

    UNTRAINED = 0
    NORMAL = 1
    LOW = 2
    HIGH = 3
    SILENT = 4

    @property
    def word(self) -> str:
        """As the contract writes it."""
        return self.name.lower()


@dataclass(slots=True)
class Model:
    """All that is known of the volume of some sources; the last axis of every array is the source."""

    width: Micros
    levels: Levels
    alarms: Alarms
    profiles: Profiles
    trained: Flags
    """Whether a source has a profile."""
    due: Floats
    """Events expected since the last one came."""
    steps: int = 0

    @classmethod
    def fresh(cls, sources: int, width: Micros) -> "Model":
        """Of sources of which nothing is known."""
        slots = WEEK // slot_width(width)
        empty = np.full((sources, slots), FLOOR, np.float32)
        return cls(
            width,
            Levels.fresh(sources),
            Alarms.fresh(sources, width),
            Profiles(empty, empty.copy()),
            np.zeros(sources, np.bool_),
            np.zeros(sources),
        )

    @property
    def sources(self) -> int:
        """How many."""
        return len(self.trained)


@dataclass(slots=True)
class Sight:
    """What the model says of one bucket; one entry a source."""

    expected: Floats
    outlook: Outlook
    layers: Floats
    """Calibrated rarity of each layer, `(layers, sources)`; −ln p."""
    low: Floats
    """The rarest of them, paid for looking through so many layers."""
    high: Floats
    judged: Flags
    """Whether anything can be said."""
    due: Floats
    """Events expected since the last one came, this bucket included."""
    held: Flags
    """Levels are held on suspicion of a drop."""


def expectation(model: Model, when: Moment) -> Floats:
    """What the usual week says of this bucket, on both profiles: `(2, sources)`, events."""
    row = np.arange(model.sources)
    slots = model.profiles.by_slot.shape[1]
    both = (model.profiles.by_class, model.profiles.by_slot)
    base = np.stack([table[row, when.slot] for table in both]).astype(np.float64)
    if when.holiday.any():
        quiet = np.stack([table[row, sunday(when.slot, slots)] for table in both])
        base = np.where(when.holiday, np.minimum(base, quiet), base)
    scale: Floats = base * (model.width / slot_width(model.width))
    return scale


def step(
    model: Model, bucket: Micros, when: Moment, count: Floats, known: Flags, excluded: Flags | None = None
) -> Sight:  # fmt: skip
    """Judge the next bucket of all sources, then learn from it.

    `known`: the count is whole; a missing one is neither judged nor learned. `excluded`: not to be learned from
    (a confirmed incident, planned work).
    """
    hours = model.width / HOUR
    known = known & model.trained & ~when.unclear
    count = np.where(known, count, 0.0)
    if bucket % round(block_hours(hours) * HOUR) == 0:
        begin_block(model.alarms.sums, model.levels)
    seen = outlook(model.levels, expectation(model, when), when.hour)
    high = bucket_high(seen, count)
    rises = rarities(model.alarms, model.levels, seen, count, hours, known)
    calibrated = model.alarms.low.apply(rises.rare)
    young = model.levels.age < YOUNG_HOURS
    calibrated[SUMS] *= rises.lasting & ~young
    rise = np.max(calibrated - np.log(LAYER_SHARE)[:, None], axis=0)
    low = model.alarms.peaks.apply(rise, model.width)
    low = np.where(young, low * YOUNG_TRUST, low)
    model.due = np.where(known, model.due + seen.mean, model.due)
    # A holiday resembles a Sunday as far as anybody knows: its lows are judged, its highs are not.
    said_high = np.where(when.holiday, 0.0, model.alarms.high.apply(high))
    taken = known & ~when.holiday if excluded is None else known & ~when.holiday & ~excluded
    suspected = known & (low > np.log(30 * DAY / model.width) - SUSPICION)
    held = hold(model.alarms, suspected, hours)
    sight = Sight(seen.mean, seen, calibrated, low, said_high, known, model.due.copy(), held)
    _calibrate(model, seen, count, rises, high, taken)
    model.alarms.peaks.learn(rise, taken & ~young, bucket, model.width)
    frozen = held if excluded is None else held | excluded
    volume_level.learn(model.levels, seen, count, when.hour, hours, taken, frozen)
    model.due = np.where(known & (count > 0), 0.0, model.due)
    model.steps += 1
    return sight


def _calibrate(
    model: Model, seen: Outlook, count: Floats, rises: Rises, high: Floats, taken: Flags
) -> None:  # fmt: skip
    """Let the calibrators learn; counts are spread over their step, so that few events do not look like a wrong law."""
    spread = (model.steps * _GOLDEN) % 1 * 0.98 + 0.01
    rare = rises.rare.copy()
    rare[0] = spread_low(seen, count, rare[0], rises.whole, spread)
    ripe = taken & (model.levels.age >= YOUNG_HOURS)
    # A silence is learned from when it is over, as one: else a long one would make itself usual while it lasts.
    rare[SILENCE] = model.alarms.ended
    by_layer = np.repeat(ripe[None], len(rare), axis=0)
    by_layer[SILENCE] &= count > 0
    by_layer[DROP] &= seen.mean < TINY  # with many events it says nothing, and that is not how rare it is
    model.alarms.low.learn(rare, by_layer)
    model.alarms.high.learn(high, ripe)


def words(sight: Sight, count: Floats, budget: float, width: Micros) -> Ints:
    """The word for each source (`Word`), at a budget of false alarms a month for all of them together."""
    watched = int(sight.judged.sum())
    share = share_of_budget(budget, width)
    low = discoveries(np.where(sight.judged, sight.low, 0.0), share, watched) & sight.judged
    low &= count < sight.expected
    high = discoveries(np.where(sight.judged, sight.high, 0.0), share, watched) & sight.judged & ~low
    said = np.where(sight.judged, int(Word.NORMAL), int(Word.UNTRAINED))
    said[high] = Word.HIGH
    said[low] = Word.LOW
    said[low & (count == 0) & (sight.due >= ENOUGH_DUE)] = Word.SILENT
    return said


def layer_of(sight: Sight, source: int) -> str:
    """Which layer found this source's bucket rarest."""
    return LAYERS[int(np.argmax(sight.layers[:, source] - np.log(LAYER_SHARE)))]


def bands(model: Model, sight: Sight) -> Band:
    """The range in which 95 % of such buckets lie, by what the source itself has shown."""
    return band(sight.outlook, model.alarms.low.row(0), model.alarms.high)


def learn(model: Model, history: Singles, ready: Flags) -> None:
    """Make new profiles from the weeks behind.

    `history` is `(sources, weeks, slots)`, events a slot, oldest week first, NaN where nothing may be learned (missing,
    holidays, confirmed incidents); `ready`: sources with enough of it.
    """
    learn_rows(model, slice(0, model.sources), history, ready)


def learn_rows(model: Model, rows: slice, history: Singles, ready: Flags) -> None:
    """The same for some sources; `history` and `ready` are theirs."""
    for first in range(0, len(history), CHUNK):
        part = slice(first, min(first + CHUNK, len(history)))
        place = slice(rows.start + part.start, rows.start + part.stop)
        _take_over(model, place, fit(history[part]), ready[part])
        model.trained[place] |= ready[part]


def _take_over(model: Model, rows: slice, made: Profiles, ready: Flags) -> None:
    """Replace profiles; levels are relative to them and are carried over."""
    for number, name in enumerate(("by_class", "by_slot")):
        old, new = getattr(model.profiles, name)[rows], getattr(made, name)
        change = new.sum(axis=1, dtype=np.float64) / old.sum(axis=1, dtype=np.float64)
        known = ready & model.trained[rows]
        model.levels.exposure[:, number, rows] *= np.where(known, change, 1.0)
        old[ready] = new[ready]


def decompose(counts: Floats, period: int) -> tuple[Floats, Floats, Floats]:
    """Trend, season and rest of a series without holes, for pictures; nothing is judged by it.

    Seasonal-trend decomposition by loess (Cleveland and others, 1990), on square roots, where counts scatter evenly.
    """
    from statsmodels.tsa.seasonal import STL  # seconds to import, and only pictures need it

    found = STL(np.sqrt(counts + 0.375), period=period, robust=True).fit()
    return np.asarray(found.trend), np.asarray(found.seasonal), np.asarray(found.resid)
