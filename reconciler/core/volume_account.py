"""What the model knows of one source, and what it does not know yet: for people."""

from dataclasses import dataclass

import numpy as np

from reconciler.core import volume_level
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.volume import LAYER_SHARE, UNTRAINED_DAYS, YOUNG_HOURS, Model
from reconciler.core.volume_clock import slot_width
from reconciler.core.volume_fleet import MONTH
from reconciler.core.volume_level import HALF_LIVES
from reconciler.core.volume_peaks import POOL
from reconciler.core.volume_tails import Floats

WEEK_HOURS = 168


@dataclass(frozen=True, slots=True)
class Account:
    """What the model knows of one source."""

    history: Micros
    """How much of its past it has learned from."""
    week: Floats
    """Events expected in a bucket by local hour of the week, Monday first; `(168,)`."""
    levels: dict[float, float]
    """By half-life in hours: today against the usual week; 1 is usual."""
    scatter: Floats
    """By local hour of day: how far counts of this hour usually stray, as a share of what is expected; `(24,)`."""
    tail: float
    """How much rarer the law claims a low count to be than it is for this source, in `e` to the; 1: it is right."""
    enough_due: float
    """Events that must be due before their absence is an alarm."""
    threshold: float
    """−ln of how rare a bucket must be to be an alarm, at the pipeline's budget."""
    young: bool
    """Its errors are not yet those of a model that knows the week."""
    tail_seen: int
    """Buckets that taught it how rare low counts are."""
    stretches: int
    """Stretches of six hours that taught it how far this source strays by itself."""

    @property
    def unknown(self) -> list[str]:
        """What it does not know yet, in sentences."""
        found = []
        if self.young:
            found.append(
                "It has seen its first week only once: sums over hours are not judged yet, the rest with reserve."
            )
        if self.history < 28 * DAY:
            found.append("Less than four weeks: what is particular to one hour of the week is not told from chance.")
        if self.stretches < POOL:
            found.append(
                f"How far it strays by itself is known from {self.stretches} stretches of six hours; "
                "until there are more, it is taken to stray like the others."
            )
        rarest = np.exp(self.threshold)
        if self.tail_seen < rarest:
            found.append(
                f"An alarm is one bucket in {rarest:,.0f}; it has judged {self.tail_seen:,}, and extrapolates beyond."
            )
        return found


def account(model: Model, row: int, budget: float, watched: int) -> Account | None:
    """What the model knows of the source in this row; `None`: it is untrained."""
    if not model.trained[row]:
        return None
    slots = model.profiles.by_slot.shape[1]
    scale = model.width / slot_width(model.width)
    week = model.profiles.by_slot[row].astype(np.float64) * scale
    by_hour = week.reshape(WEEK_HOURS, -1).mean(axis=1) if slots >= WEEK_HOURS else np.repeat(week, WEEK_HOURS // slots)
    level = (model.levels.events / model.levels.exposure).mean(axis=1)[:, row]
    hours = np.arange(volume_level.HOURS)
    low = np.array([volume_level.dispersion(model.levels, np.full(model.sources, hour))[0, row] for hour in hours])
    usual = np.maximum(by_hour.reshape(7, 24).mean(axis=0), 1e-9)
    threshold = float(np.log(MONTH / model.width * watched / budget))
    silence = model.alarms.low.row(len(LAYER_SHARE) - 1)
    tail, peaks = model.alarms.low.row(0), model.alarms.peaks
    rise = peaks.invert(threshold, model.width) + np.log(LAYER_SHARE[-1])
    return Account(
        history=round(float(model.levels.age[row]) * HOUR) + UNTRAINED_DAYS * DAY,
        week=by_hour,
        levels=dict(zip(HALF_LIVES, level.tolist(), strict=True)),
        scatter=np.sqrt(1 / usual + low),
        tail=float(tail.excess[row]),
        enough_due=float(silence.invert(rise)[row]),
        threshold=threshold,
        young=bool(model.levels.age[row] < YOUNG_HOURS),
        tail_seen=round(float(tail.seen[row]) * 2),
        stretches=round(float(peaks.seen[row])),
    )
