"""Layers of alarm: single buckets, sums of the last 1, 3, 6 and 24 hours, slow drops of tiny sources, and silence.

A sum is held against the level from *before* its window, so that a loss which the levels learn slowly is still seen.
Every layer gives a rarity, and has a calibrator of its own: what is rare is what was rare in this source's own past.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconciler.core.times import HOUR, Micros
from reconciler.core.volume_level import HALF_LIVES, SCATTER_HOURS, YOUNG_HOURS, Levels, Outlook, weights
from reconciler.core.volume_peaks import Peaks
from reconciler.core.volume_tails import Calibrator, Flags, Floats, mixed, rarity_high, rarity_low, rarity_of_none

Singles = NDArray[np.float32]

WINDOWS = (1, 3, 6, 24)
"""Hours."""
SLOWEST_FROM = (0, 1, 1, 2)
"""By window: the fastest of `HALF_LIVES` that may give the level before it."""
LAYERS = ("bucket", "sum of 1 h", "sum of 3 h", "sum of 6 h", "sum of 24 h", "drop", "silence")
DROP = 5
BLOCK_HOURS = 0.5
"""Windows move in steps of this, or of a bucket where that is longer."""
DROP_TO = 0.5
"""The drop that the CUSUM looks for: to this share of the usual."""
ODD = 1.0
"""Rarity from which a bucket is looked at by all laws of the mixture."""
NOT_ODD = 0.25
"""A sum no further below than so many deviations is not looked at: a third and more of all sums are as low."""
TINY = 5.0
"""Events a bucket below which the CUSUM is an alarm; above, sums are sharper."""
MOST_DROP = 40.0
"""The CUSUM goes no higher, so that it comes down again."""
DOUBT_HOURS = 12.0
"""Levels are held so long on suspicion; a confirmed incident holds them as long as it lasts."""
STEADY_HOURS = 12.0
"""Half-life of the fastest filter in the level that drops and silences are held against."""


@dataclass(slots=True)
class Sums:
    """The last 24 hours in blocks, newest last, `(blocks, sources)`; and the level before each window."""

    count: Singles
    base: Singles
    """Of both profiles, `(2, blocks, sources)`."""
    noise: Singles
    """Dispersion × base², what independent errors would add to the variance."""
    level: Singles
    """Level at the start of each block, by half-life and profile, shared out to profiles: they add up.

    `(half-lives, 2, blocks, sources)`.
    """
    scatter_seen: Floats
    """`(windows, sources)`."""
    scatter_base: Floats

    @classmethod
    def fresh(cls, sources: int, block: float) -> "Sums":
        """Of sources of which nothing is known; a block is so many hours."""
        blocks = max(round(WINDOWS[-1] / block), 1)
        windows = len(WINDOWS)
        return cls(
            np.zeros((blocks, sources), np.float32), np.zeros((2, blocks, sources), np.float32),
            np.zeros((blocks, sources), np.float32), np.full((len(HALF_LIVES), 2, blocks, sources), 0.5, np.float32),
            np.full((windows, sources), 20.0), np.full((windows, sources), 10.0),
        )  # fmt: skip


@dataclass(slots=True)
class Alarms:
    """State of the layers of all sources."""

    sums: Sums
    drop: Floats
    """CUSUM of the log likelihood of a drop."""
    held: Floats
    """Hours for which the levels have been held on suspicion."""
    silence: Floats
    """−ln P of the run of empty buckets that goes on."""
    ended: Floats
    """The same of the run that the last bucket has ended; 0 where there was none."""
    low: Calibrator
    """By layer: arrays `(layers, sources)`."""
    high: Calibrator
    peaks: Peaks
    """How high the rarest layer rises by itself."""

    @classmethod
    def fresh(cls, sources: int, width: Micros) -> "Alarms":
        """Of sources of which nothing is known."""
        low = Calibrator.fresh(sources)
        shape = (len(LAYERS), 1)
        low = Calibrator(np.tile(low.quantile, shape), np.tile(low.excess, shape), np.tile(low.seen, shape))
        none = np.zeros(sources)
        return cls(
            Sums.fresh(sources, block_hours(width / HOUR)), none, none.copy(), none.copy(), none.copy(), low,
            Calibrator.fresh(sources), Peaks.fresh(sources, width),
        )  # fmt: skip


def block_hours(hours: float) -> float:
    """Length of a block for buckets of so many hours."""
    return max(BLOCK_HOURS, hours)


def levels_from(levels: Levels, weight: Floats, fastest: float) -> Floats:
    """The mixed level on each profile, `(2, sources)`, of the filters with at least this half-life; they add up."""
    chosen = [at for at, half_life in enumerate(HALF_LIVES) if half_life >= fastest]
    share = weight[chosen]
    share = share / share.sum(axis=(0, 1))
    mixed: Floats = (share * (levels.events / levels.exposure)[chosen]).sum(axis=0)
    return mixed


def begin_block(sums: Sums, levels: Levels) -> None:
    """A new block begins: the oldest is forgotten, and the levels of now are noted."""
    for ring in (sums.count, sums.noise, *sums.base, *sums.level.reshape(-1, *sums.count.shape)):
        ring[:-1] = ring[1:]
    sums.count[-1], sums.noise[-1], sums.base[:, -1] = 0, 0, 0
    weight = weights(levels)
    sums.level[:, :, -1] = weight / weight.sum(axis=1, keepdims=True) * (levels.events / levels.exposure)


def bucket_low(seen: Outlook, count: Floats) -> tuple[Floats, Floats]:
    """Rarity of a count so low in this bucket alone: by the mixture of laws, and by one law for all of it.

    Where nothing is rare the one law will do.
    """
    whole = rarity_low(count, seen.mean, seen.whole(0))
    rare, odd = whole.copy(), np.flatnonzero(whole > ODD)
    means, share = seen.means[:, odd], seen.share[:, odd]
    rare[odd] = mixed(rarity_low(count[odd][None], means, seen.variance(0, seen.means)[:, odd]), share)
    return rare, whole


def bucket_high(seen: Outlook, count: Floats) -> Floats:
    """Rarity of a count so high; by one law for all, since nobody is woken by it."""
    return rarity_high(count, seen.mean, seen.whole(1))


def spread_low(seen: Outlook, count: Floats, rarity: Floats, whole: Floats, at: float) -> Floats:
    """The rarity of the count, spread over the step of the law that it stands on: `at` runs from 0 to 1.

    For learning: few events make high steps, which must not look like a wrong law. Their height is taken from one law,
    by which the rarity is `whole`.
    """
    lower = rarity_low(np.maximum(count - at, 0.01), seen.mean, seen.whole(0)) - whole
    return rarity + np.where(count > 0, lower, -np.log(at))


@dataclass(slots=True)
class Rises:
    """What the layers make of one bucket."""

    rare: Floats
    """How rare each layer finds what it sees, `(layers, sources)`."""
    whole: Floats
    """How rare the bucket is by one law."""
    lasting: Flags
    """Whether what a window lacks is still lacking at its end, `(windows, sources)`.

    A sum remembers a loss until it has left the window; an alarm must not.
    """


def rarities(
    alarms: Alarms, levels: Levels, seen: Outlook, count: Floats, hours: float, taken: Flags
) -> Rises:  # fmt: skip
    """What the layers see with this bucket; moves them on."""
    rare = np.zeros((len(LAYERS), len(count)))
    lasting = np.zeros((len(WINDOWS), len(count)), np.bool_)
    rare[0], whole = bucket_low(seen, count)
    sums = alarms.sums
    sums.count[-1] += np.where(taken, count, 0)
    sums.base[:, -1] += np.where(taken, seen.base, 0)
    sums.noise[-1] += np.where(taken, seen.dispersion[0] * (seen.base.mean(axis=0)) ** 2, 0)
    for window, length in enumerate(WINDOWS):
        if length > hours * 1.5:
            rare[1 + window], lasting[window] = _sum(sums, window, hours, levels.age, seen.share)
    steady = (levels_from(levels, seen.weight, STEADY_HOURS) * seen.base).sum(axis=0)
    _drop(alarms, steady, seen, count, taken)
    none = rarity_of_none(steady, seen.variance(0, steady))
    alarms.ended = np.where(taken & (count > 0), alarms.silence, 0)
    alarms.silence = np.where(taken, np.where(count > 0, 0, alarms.silence + none), alarms.silence)
    rare[DROP] = alarms.drop
    rare[6] = alarms.silence
    return Rises(rare, whole, lasting)


def _sum(sums: Sums, window: int, hours: float, age: Floats, share: Floats) -> tuple[Floats, Flags]:
    """Rarity of the sum over a window, and whether it lacks something still; learn how such sums scatter.

    Like a bucket, a sum is held against each half-life's law: after a burst the fast ones, and after a quiet hour the
    slow ones, must find it rare as well. `share`: what each half-life is worth.
    """
    blocks = len(sums.count)
    size = max(round(blocks * WINDOWS[window] / WINDOWS[-1]), 1)
    count = sums.count[-size:].sum(axis=0, dtype=np.float64)
    base = sums.base[:, -size:].sum(axis=1)
    first = SLOWEST_FROM[window]
    share = share[first:] / share[first:].sum(axis=0)
    level = sums.level[first:, :, -size]
    means = np.maximum((level * base).sum(axis=1), 1e-6).astype(np.float64)
    mean = (share * means).sum(axis=0)
    noise = sums.noise[-size:].sum(axis=0) * (mean / np.maximum(base.mean(axis=0), 1e-9)) ** 2 + 1e-9
    factor = np.maximum(sums.scatter_seen[window] / sums.scatter_base[window], 0.0)
    variance = mean + factor * noise
    rare = np.zeros(len(count))
    near = np.flatnonzero(count < mean - NOT_ODD * np.sqrt(variance))
    rare[near] = rarity_low(count[near], mean[near], variance[near])
    odd = np.flatnonzero(rare > ODD)
    each = means[:, odd]
    spread = (factor * noise / mean**2)[odd]
    rare[odd] = mixed(rarity_low(count[odd][None], each, each * (1 + spread * each)), share[:, odd])
    lately = min(max(size // 4, 1), 2)
    expected = (share[:, odd] * (level[..., odd] * sums.base[:, -lately:, odd].sum(axis=1)).sum(axis=1)).sum(axis=0)
    lasting = np.zeros(len(count), np.bool_)
    recently = expected - sums.count[-lately:, odd].sum(axis=0)
    lasting[odd] = recently * mean[odd] >= 0.5 * (mean - count)[odd] * expected
    keep = 0.5 ** (hours / np.clip(age / 3, YOUNG_HOURS, SCATTER_HOURS))
    error = np.minimum((count - mean) ** 2, 12 * variance)
    weight = (noise / variance) / variance
    sums.scatter_seen[window] = keep * sums.scatter_seen[window] + (error - mean) * weight
    sums.scatter_base[window] = keep * sums.scatter_base[window] + noise * weight
    return rare, lasting


def _drop(alarms: Alarms, steady: Floats, seen: Outlook, count: Floats, taken: Flags) -> None:
    """Likelihood-ratio CUSUM of a drop to `DROP_TO` of the steady level."""
    size = 1 / np.maximum(seen.dispersion[0], 1e-4)
    ratio = np.log((size + steady) / (size + DROP_TO * steady))
    gain = count * (np.log(DROP_TO) + ratio) + size * ratio
    moved = np.clip(alarms.drop + gain, 0, MOST_DROP)
    # It begins anew with every stretch of few events: what a busy hour lacked is told by the sums.
    alarms.drop = np.where(steady < TINY, np.where(taken, moved, alarms.drop), 0.0)


def hold(alarms: Alarms, suspected: Flags, hours: float) -> Flags:
    """Sources whose levels are held on suspicion of a drop; doubt has an end."""
    alarms.held = np.where(suspected, alarms.held + hours, np.maximum(alarms.held - hours / 4, 0))
    return suspected & (alarms.held <= DOUBT_HOURS)
