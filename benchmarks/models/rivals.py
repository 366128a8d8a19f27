"""What is measured: the model of this project, and what others would use. Each judges a bucket, then learns from it."""

import copy
import math
import warnings
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.models.series import Family
from reconciler.core import volume
from reconciler.core.times import DAY, HOUR
from reconciler.core.volume_clock import Clocks, moment
from reconciler.core.volume_profile import WEEKS
from reconciler.core.volume_tails import Flags, Floats, log_phi

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Verdicts:
    """What a model says of one bucket of each series."""

    score: Floats
    """−ln of the probability that it gave to the count that came."""
    rarity: Floats
    """How rare so low a volume is by the model, −ln p: what an alarm is made of."""
    tail: Floats
    """−ln P(Y ≤ count) of this bucket alone."""
    inside: Flags
    """Within its 95 % interval."""


class Rival(Protocol):
    """A model of all series of a family at once."""

    def begin_day(self, family: Family, at: int) -> None:
        """A day begins at bucket `at`; what lies before may be learned."""

    def step(self, family: Family, at: int, column: Ints, count: Floats) -> Verdicts:
        """Judge bucket `at` of the series `column`, with these counts (NaN: missing), and learn."""

    def pick(self, column: Ints) -> "Rival":
        """A copy that goes on with these series only, repeated as given."""


def pick(value: Any, column: Ints) -> Any:
    """A copy of nested arrays whose last axis is the series."""
    if isinstance(value, np.ndarray):
        return value[..., column].copy()
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(*(pick(getattr(value, part.name), column) for part in fields(value)))
    return value


class Ours:
    """The model of this project."""

    def __init__(self, family: Family) -> None:
        self.model = volume.Model.fresh(len(family.series), family.width)
        self.clock = Clocks.of([UTC])

    def begin_day(self, family: Family, at: int) -> None:
        """Make profiles of the six weeks behind, once there are seven days."""
        a_week = 7 * DAY // family.width
        if at < a_week:
            return
        slots = self.model.profiles.by_slot.shape[1]
        a_slot = a_week // slots
        behind = family.counts[max(0, at - WEEKS * a_week) : at].T
        grid = np.full((len(behind), WEEKS * a_week), np.nan, np.float32)
        grid[:, WEEKS * a_week - behind.shape[1] :] = behind
        grid = grid.reshape(len(behind), WEEKS * slots, a_slot).sum(axis=2)
        first = int(moment(int(family.start[at]), family.width, self.clock, frozenset()).slot[0])
        history = np.roll(grid, first, axis=1)  # the newest days of the week before stand where their slots are
        volume.learn(self.model, history.reshape(-1, WEEKS, slots), np.ones(len(behind), np.bool_))

    def step(self, family: Family, at: int, column: Ints, count: Floats) -> Verdicts:
        """One step of the model, and its law written out for the log score."""
        clocks = Clocks(self.clock.zones, np.zeros(len(column), np.int64))
        when = moment(int(family.start[at]), family.width, clocks, frozenset())
        known = ~np.isnan(count)
        before = pick(self.model.alarms, np.arange(len(column))) if SCORED[0] else None
        sight = volume.step(self.model, int(family.start[at]), when, np.where(known, count, 0.0), known)
        nothing = np.zeros(len(column))
        if before is None:
            return Verdicts(nothing, sight.low, nothing, nothing > 0)
        after, self.model.alarms = self.model.alarms, before  # the band as it was said, before learning
        band = volume.bands(self.model, sight)
        self.model.alarms = after
        seen = sight.outlook
        score = -log_mixture(np.where(known, count, 0.0), seen.means, seen.dispersion.mean(axis=0), seen.share)
        inside = (count >= band.low) & (count <= band.high)
        return Verdicts(score, sight.low, sight.layers[0], inside)

    def pick(self, column: Ints) -> "Ours":
        """A copy for some series; profiles are shared, for nothing is learned into them."""
        other = copy.copy(self)
        model = self.model
        profiles = type(model.profiles)(model.profiles.by_class[column], model.profiles.by_slot[column])
        other.model = volume.Model(
            model.width, pick(model.levels, column), pick(model.alarms, column), profiles, model.trained[column],
            model.due[column], model.steps,
        )  # fmt: skip
        return other


SCORED = [True]
"""Whether log scores and bands are wanted; through the losses they are not."""


def log_mixture(count: Floats, means: Floats, dispersion: Floats, share: Floats) -> Floats:
    """ln of the probability of a count under a mixture of negative binomial laws."""
    from scipy.special import gammaln

    size = 1 / np.maximum(dispersion, 1e-4)
    means = np.maximum(means, 1e-9)
    each = gammaln(count + size) - gammaln(size) - gammaln(count + 1)
    each = each + size * np.log(size / (size + means)) + count * np.log(means / (size + means))
    most = each.max(axis=0)
    mixed: Floats = most + np.log((share * np.exp(each - most)).sum(axis=0))
    return mixed


def gaussian(count: Floats, mean: Floats, deviation: Floats) -> Verdicts:
    """What a model with a normal law says, on the scale of its counts; a bucket is one unit wide."""
    deviation = np.maximum(deviation, 0.3)
    z = np.nan_to_num((count + 0.5 - mean) / deviation)
    below, above = np.exp(log_phi(z - 1 / deviation)), np.exp(log_phi(z))
    score = -np.log(np.maximum(above - np.where(count > 0, below, 0.0), 1e-12))
    rarity = -log_phi(z)
    return Verdicts(score, rarity, rarity, np.abs(count - mean) <= 1.96 * deviation)


class ZScore:
    """The usual: mean and deviation by hour of week, over the last 28 days."""

    DAYS = 28

    def __init__(self, family: Family) -> None:
        self.mean = np.zeros((168, len(family.series)))
        self.deviation = np.ones_like(self.mean)

    def begin_day(self, family: Family, at: int) -> None:
        """Mean and deviation of each hour of the week."""
        behind = slice(max(0, at - self.DAYS * DAY // family.width), at)
        hour = hour_of_week(family.start[behind])
        counts = family.counts[behind]
        for one in range(168) if len(counts) else ():
            own = counts[hour == one]
            some = (~np.isnan(own)).sum(axis=0) > 1
            if some.any():
                self.mean[one, some] = np.nanmean(own[:, some], axis=0)
                self.deviation[one, some] = np.nanstd(own[:, some], axis=0, ddof=1)

    def step(self, family: Family, at: int, column: Ints, count: Floats) -> Verdicts:
        """A normal law."""
        hour = int(hour_of_week(family.start[at : at + 1])[0])
        return gaussian(count, self.mean[hour][column], self.deviation[hour][column])

    def pick(self, column: Ints) -> "ZScore":
        """It learns nothing from one bucket to the next."""
        return self


class Naive:
    """The same bucket a week ago, and how far that was off over the last 28 days."""

    def __init__(self, family: Family) -> None:
        self.deviation = np.ones(len(family.series))

    def begin_day(self, family: Family, at: int) -> None:
        """How far it was off."""
        a_week = 7 * DAY // family.width
        since = max(a_week, at - 28 * DAY // family.width)
        if at > since + 1:
            off = family.counts[since:at] - family.counts[since - a_week : at - a_week]
            self.deviation = np.sqrt(np.nanmean(off**2, axis=0))

    def step(self, family: Family, at: int, column: Ints, count: Floats) -> Verdicts:
        """A normal law around the count of a week ago."""
        a_week = 7 * DAY // family.width
        before = family.counts[at - a_week] if at >= a_week else np.zeros(len(family.series))
        return gaussian(count, np.nan_to_num(before)[column], self.deviation[column])

    def pick(self, column: Ints) -> "Naive":
        """It learns nothing from one bucket to the next."""
        return self


class Ets:
    """statsmodels' ETS(A,N,A), season of a day, on square roots; fitted once on the history, then carried on."""

    def __init__(self, family: Family, history: int) -> None:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        self.season = DAY // family.width
        fits = []
        for counts in family.counts[:history].T:
            roots = np.sqrt(_filled(counts) + 0.375)
            model = ETSModel(roots, error="add", trend=None, seasonal="add", seasonal_periods=self.season)
            with warnings.catch_warnings():  # that it has not converged after so many steps is no news to print
                warnings.simplefilter("ignore")
                fits.append(model.fit(disp=False, maxiter=60))
        self.alpha = np.array([float(fit.smoothing_level) for fit in fits])
        self.gamma = np.array([float(fit.smoothing_seasonal) for fit in fits])
        self.deviation = np.array([math.sqrt(float(np.mean(np.square(fit.resid)))) for fit in fits])
        # Gone through again from the start of the history by its own recursion, so that it stands where the fit ended.
        self.level = np.nanmean(np.sqrt(family.counts[:history] + 0.375), axis=0)
        self.seasonal = np.zeros((self.season, len(family.series)))

    def begin_day(self, family: Family, at: int) -> None:
        """It learns bucket by bucket."""

    def step(self, family: Family, at: int, column: Ints, count: Floats) -> Verdicts:
        """A normal law on square roots, carried over to counts."""
        slot = at % self.season
        root = np.sqrt(count + 0.375)
        mean = self.level + self.seasonal[slot]
        error = np.where(np.isnan(root), 0.0, root - mean)
        deviation = np.maximum(self.deviation, 0.05)
        upper = np.sqrt(count + 0.875)
        lower = np.sqrt(np.maximum(count - 0.125, 0.0))
        z = np.nan_to_num((upper - mean) / deviation)
        below = np.exp(log_phi(np.nan_to_num((lower - mean) / deviation)))
        share = np.exp(log_phi(z)) - np.where(count > 0, below, 0.0)
        score, rarity = -np.log(np.maximum(share, 1e-12)), -log_phi(z)
        self.level = self.level + self.alpha * error
        self.seasonal[slot] += self.gamma * error
        return Verdicts(score, rarity, rarity, np.abs(root - mean) <= 1.96 * deviation)

    def pick(self, column: Ints) -> "Ets":
        """A copy for some series."""
        other = copy.copy(self)
        for name in ("alpha", "gamma", "deviation", "level", "seasonal"):
            setattr(other, name, getattr(self, name)[..., column].copy())
        return other


def hour_of_week(start: Ints) -> Ints:
    """0 to 167."""
    hour: Ints = start // HOUR % 168
    return hour


def _filled(counts: Floats) -> Floats:
    """Without holes, which this library does not take."""
    mean = float(np.nanmean(counts)) if (~np.isnan(counts)).any() else 0.0
    return np.nan_to_num(counts, nan=mean)
