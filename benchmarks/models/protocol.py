"""The protocol: fit on a prefix, score what follows, then lay losses into it and run the models through them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.models import rivals
from benchmarks.models.rivals import Rival, Verdicts
from benchmarks.models.series import Family
from reconciler.core.times import DAY, HOUR, MINUTE, Micros
from reconciler.core.volume_fleet import MONTH
from reconciler.core.volume_tails import Flags, Floats

HISTORY_DAYS = 28
ONE_ALERT: Micros = HOUR
"""Alarms that are no further apart are one alert."""
ENOUGH_LOST = 20


@dataclass(frozen=True, slots=True)
class Loss:
    """A share of events that vanish for so long; a share of 0 is the placebo."""

    share: float
    lasts: Micros

    @property
    def name(self) -> str:
        """For people."""
        lasts = f"{self.lasts // HOUR} h" if self.lasts >= HOUR else f"{self.lasts // MINUTE} min"
        return f"{self.share:.0%} lost for {lasts}" if self.share else f"nothing lost for {lasts} (placebo)"


LOSSES = [
    Loss(share, lasts)
    for share in (1.0, 0.5, 0.3, 0.1, 0.0)
    for lasts in (15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR)
]  # fmt: skip


@dataclass(slots=True)
class Trial:
    """One loss laid into one series, and what a model made of it."""

    series: int
    loss: Loss
    vanished: int
    peak: Floats
    """Largest rarity until each bucket of the loss; alarm at the first beyond the threshold."""


@dataclass(slots=True)
class Run:
    """One model on one family."""

    family: Family
    scored: Flags
    """`(buckets, series)`: after the history, observed, not labelled."""
    score: Floats
    rarity: Floats
    tail: Floats
    inside: Flags
    trials: list[Trial]

    @property
    def counts_of_series(self) -> int:
        """How many series there are."""
        return int(self.scored.shape[1])

    @property
    def months(self) -> Floats:
        """Source-months that were scored, by series."""
        months: Floats = self.scored.sum(axis=0) * self.family.width / MONTH
        return months

    def alerts(self, threshold: float) -> Floats:
        """False alerts by series where an alarm is a rarity beyond `threshold`."""
        return np.array(
            [self.alerts_of(self.rarity[:, one] > threshold, one) for one in range(len(self.months))], float
        )

    def alerts_of(self, alarm: Flags, series: int) -> int:
        """Alerts that these alarms of one series make."""
        at = self.family.start[alarm & self.scored[:, series]]
        return int(len(at) > 0) + int((np.diff(at) > ONE_ALERT).sum())

    def nominal(self) -> float:
        """The threshold at which the model itself claims one false alert a source and month."""
        return float(np.log(MONTH / self.family.width))


def starts(family: Family, number: int, seed: int) -> list[int]:
    """Where losses are laid: random buckets after the history with six hours to come."""
    random = np.random.default_rng(seed)
    first, last = HISTORY_DAYS * DAY // family.width, len(family.start) - 6 * HOUR // family.width - 1
    return sorted(random.choice(np.arange(first, last), min(number, last - first), replace=False).tolist())


def run(
    family: Family, make: Callable[[Family], Rival], number: int, seed: int, losses: Sequence[Loss]
) -> Run:  # fmt: skip
    """Go through a family once; at each start, leave the way for every loss and come back."""
    rival = make(family)
    shape = family.counts.shape
    score, rarity, tail = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    inside = np.zeros(shape, np.bool_)
    leave = set(starts(family, number, seed))
    trials: list[Trial] = []
    everyone = np.arange(shape[1])
    a_day = DAY // family.width
    random = np.random.default_rng(seed + 1)
    for at in range(len(family.start)):
        if at % a_day == 0:
            rival.begin_day(family, at)
        if at in leave:
            trials += _through(family, rival, at, losses, random)
        rivals.SCORED[0] = at >= HISTORY_DAYS * a_day
        said = rival.step(family, at, everyone, family.counts[at])
        rarity[at], tail[at], score[at], inside[at] = said.rarity, said.tail, said.score, said.inside
    scored = ~np.isnan(family.counts) & ~family.labelled
    scored[: HISTORY_DAYS * a_day] = False
    return Run(family, scored, score, rarity, tail, inside, trials)


def _through(
    family: Family, rival: Rival, at: int, losses: Sequence[Loss], random: np.random.Generator
) -> list[Trial]:  # fmt: skip
    """Run copies of the model through every loss, series by series; the counts are thinned event by event."""
    plans: list[tuple[int, Loss, Floats]] = []
    for series in range(len(family.series)):
        for loss in losses:
            stretch = slice(at, at + max(loss.lasts // family.width, 1))
            counts = family.counts[stretch, series]
            usable = not np.isnan(counts).any() and not family.labelled[stretch, series].any()
            if usable and loss.lasts >= family.width:
                gone = random.binomial(counts.astype(np.int64), loss.share)
                plans.append((series, loss, counts - gone))
    if not plans:
        return []
    column = np.array([series for series, _, _ in plans])
    clones = rival.pick(column)
    longest = max(len(counts) for _, _, counts in plans)
    peak = np.zeros((longest, len(plans)))
    rivals.SCORED[0] = False
    for ahead in range(longest):
        count = np.array([counts[ahead] if ahead < len(counts) else np.nan for _, _, counts in plans])
        said: Verdicts = clones.step(family, at + ahead, column, count)
        peak[ahead] = np.where(np.isnan(count), 0.0, said.rarity)
    peak = np.maximum.accumulate(peak, axis=0)
    return [
        Trial(series, loss, int(family.counts[at : at + len(left), series].sum() - left.sum()), peak[: len(left), at_])
        for at_, (series, loss, left) in enumerate(plans)
    ]  # fmt: skip


def thresholds(one: Run, wanted: float = 1.0) -> Floats:
    """By series: how rare a bucket must be for an alarm, where `wanted` false ones a month are allowed.

    Each source has its own, for a common one is set by the worst of them. Where less than half an alert is allowed in
    all the time that was scored, there is none.
    """
    found = np.zeros(one.counts_of_series)
    for series, months in enumerate(one.months):
        low, high = -12.0, 200.0
        for _ in range(40):
            middle = (low + high) / 2
            alerts = one.alerts_of(one.rarity[:, series] > middle, series)
            low, high = (middle, high) if alerts > round(wanted * months) else (low, middle)
        found[series] = high
    return found
