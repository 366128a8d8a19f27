"""Lag: what share of events is still to come at an age, learned from what came before.

Two curves are kept for each hop. The *read* curve is the delay since the consumer passed the bucket: it bounds what
may still be in flight, and an outage does not stretch it. The *wall* curve is the delay since the bucket ended: it
tells an ordinary wait (`pending`) from a delay.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import Ints
from reconciler.core.times import DAY, SECOND, Micros

Floats = NDArray[np.float64]

_RATIO = 1.15
BINS: Ints = np.concatenate([[0], np.round(SECOND * _RATIO ** np.arange(108))]).astype(np.int64)
"""Upper edges of the delay classes, µs: exactly 0, then 1 s to 36 days, each 15 % above the last."""
MEMORY_DAYS = 28
FORGET = 0.9
"""Weight that a day's events keep for the next day."""
CAUTION = 3.09
"""Standard deviations above the mean that lag may claim: the upper 0.1 % of a normal distribution."""


class DelayCurve:
    """How events were spread over delays: a histogram over `BINS`, and the longest delay of each recent day."""

    def __init__(self) -> None:
        self.events: Floats = np.zeros(len(BINS))
        self._missing: Floats | None = None
        """Share not processed yet at a negative age, and from each class's edge on; `None`: to be summed anew."""
        self.longest_by_day: dict[int, Micros] = {}
        self.longest: Micros = 0
        """The longest delay of the last `MEMORY_DAYS`, µs."""
        self.day = 0

    def learn(self, now: Micros, delays: Ints, events: Ints) -> None:
        """Add events that were first seen processed at these delays (µs, parallel arrays)."""
        if not len(delays):
            return
        self._turn(now // DAY)
        delays = np.maximum(delays, 0)
        classes = np.minimum(BINS.searchsorted(delays), len(BINS) - 1)
        self._missing = None
        self.events += np.bincount(classes, weights=events, minlength=len(BINS))
        longest = int(delays.max())
        self.longest_by_day[self.day] = max(self.longest_by_day.get(self.day, 0), longest)
        self.longest = max(self.longest, longest)

    def _turn(self, day: int) -> None:
        if day > self.day:
            self.events *= FORGET ** min(day - self.day, 365) if self.day else 1.0
            self.day = day
            self.longest_by_day = {d: span for d, span in self.longest_by_day.items() if d > day - MEMORY_DAYS}
            self.longest = max(self.longest_by_day.values(), default=0)

    @property
    def seen(self) -> float:
        """Events that the curve rests on."""
        return float(self.events.sum())

    def missing(self, age: Ints) -> Floats:
        """Share of events not processed yet at each age (µs).

        Never increasing; never zero, since an unseen tail is not impossible (half an event in all that was seen);
        1 at a negative age, at which nothing was read yet.
        """
        if self._missing is None:
            beyond = self.events[::-1].cumsum()[::-1]
            self._missing = np.ones(len(BINS) + 1)
            self._missing[1:-1] = (beyond[1:] + 0.5) / (beyond[0] + 1.0)
            self._missing[-1] = 0.5 / (beyond[0] + 1.0)
        return self._missing[BINS.searchsorted(age, side="right")]

    def share(self, age: Ints) -> Floats:
        """The share that may still come: `missing`, and nothing beyond twice the longest delay."""
        share = self.missing(age)
        share[age > 2 * self.longest] = 0.0
        return share

    def quantile(self, share: float) -> Micros:
        """Delay within which this share of events was processed, µs (upper edge of its class)."""
        total = self.events.cumsum()
        return int(BINS[total.searchsorted(share * total[-1])]) if total[-1] else 0

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored."""
        return {
            "events": [round(float(amount), 3) for amount in self.events],
            "longest_by_day": {str(day): span for day, span in self.longest_by_day.items()},
            "day": self.day,
        }

    @classmethod
    def restore(cls, stored: Mapping[str, Any]) -> "DelayCurve":
        """The curve that `dump` gave."""
        curve = cls()
        curve.events = np.array(stored["events"], np.float64)
        curve.longest_by_day = {int(day): int(span) for day, span in stored["longest_by_day"].items()}
        curve.longest = max(curve.longest_by_day.values(), default=0)
        curve.day = int(stored["day"])
        return curve


_NEGLIGIBLE = 0.003
"""Fewer expected groups of events than this are none."""


def upper_bound(mean: Floats, events: Ints, group: Floats | None = None) -> Ints:
    """The most of `events` that may still come where `mean` are expected to, in groups of `group` (`None`: one by one).

    A binomial mean of groups with `CAUTION` standard deviations, doubled, for a group is known roughly; and whole
    groups, each as much larger than the usual one as chance makes it.
    """
    groups = mean if group is None else mean / group
    most = np.ceil(groups + 2 * CAUTION * np.sqrt(groups))
    if group is not None:
        most = np.ceil(most * group + CAUTION * np.sqrt(most * group * (1 - 1 / group)))
    bound = most.astype(np.int64)
    bound[groups < _NEGLIGIBLE] = 0
    return np.minimum(bound, events)


def first_look(age: Ints, accepted: Ints, processed: Ints) -> tuple[Ints, Ints]:
    """Delays from one look at many buckets of different ages, as `(delays, events)` for `DelayCurve.learn`.

    Nothing is known of when the events of an old bucket came, but the buckets together show it: where those of age a
    are as complete as the oldest, delays are no longer than a. The level of the oldest half counts as complete, so
    that losses do not look like delays.
    """
    classes = np.minimum(np.searchsorted(BINS, np.maximum(age, 0)), len(BINS) - 1)
    fed = np.bincount(classes, weights=accepted, minlength=len(BINS))
    done = np.bincount(classes, weights=np.minimum(processed, accepted), minlength=len(BINS))
    used = np.flatnonzero(fed)
    if not len(used):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    share = done[used] / fed[used]
    half = np.searchsorted(np.cumsum(fed[used]), fed.sum() / 2)
    level = float(np.average(share[half:], weights=fed[used][half:]))
    noise = 3 * np.sqrt(max(level * (1 - level), 1e-9) / fed[used])
    reached = np.minimum(np.maximum.accumulate(share), level)
    reached[np.argmax(share >= level - noise) :] = level
    events = np.diff(np.concatenate([[0.0], reached])) * done.sum() / max(level, 1e-9)
    return BINS[used], np.round(events).astype(np.int64)
