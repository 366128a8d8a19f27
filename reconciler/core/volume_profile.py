"""The usual week of each source: how many events are expected in each slot of the week, from some weeks of counts.

Two profiles, between which the level filters choose by likelihood: `by_class` (a smoothed slot-of-day curve for
weekdays, Saturdays and Sundays, times a factor of the day) and `by_slot` (the same, blended with the slot's own past).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

CHUNK = 256
"""Sources that are fitted at once; it bounds memory."""
WEEKS = 6
"""Weeks of history that a profile is made of."""
KEPT_A_WEEK = 0.85
"""Weight that a week keeps when it becomes one week older."""
CUT = 2.58
"""Beyond so many deviations a count of the past loses weight: incidents must not become usual."""
PRIOR_EVENTS = 1.0
"""What the class curve is worth in a slot, in events; more would let opening hours leak into closed ones."""
SMOOTH_HOURS = 1.0
"""Half-width of the smoothing of a class curve."""
CLASSES = ((0, 1, 2, 3, 4), (5,), (6,))
"""Days of a class, Monday first."""
FLOOR = 1e-4
"""Events a bucket that are expected at least: an unseen event is not impossible."""


@dataclass(slots=True)
class Profiles:
    """Expected events by slot of week, `(sources, slots)`; before the level of the day is applied."""

    by_class: Singles
    by_slot: Singles


def fit(history: Singles) -> Profiles:
    """Make profiles of `history`, `(sources, weeks, slots)`, oldest week first, NaN where nothing may be learned."""
    counts = np.nan_to_num(history, nan=0.0)
    weight = np.where(np.isnan(history), np.float32(0), _ages(history.shape[1])[None, :, None])
    first = _profiles(counts, weight)
    weight *= _trust(counts, weight, first.by_slot)
    return _profiles(counts, weight)


def _ages(weeks: int) -> Singles:
    return np.asarray(KEPT_A_WEEK ** np.arange(weeks - 1, -1, -1), np.float32)


def _trust(counts: Singles, weight: Singles, usual: Singles) -> Singles:
    """Less weight for counts far from the usual, on Anscombe's scale, in units of the source's own spread."""
    off = 2 * (np.sqrt(counts + np.float32(0.375)) - np.sqrt(usual + np.float32(0.375))[:, None, :])
    np.abs(off, out=off)
    total = np.maximum(weight.sum(axis=(1, 2)), 1e-6)
    spread = np.maximum(1.2533 * (off * weight).sum(axis=(1, 2)) / total, 0.5)
    trust: Singles = np.minimum(1, (CUT * spread)[:, None, None] / np.maximum(off, 1e-6)).astype(np.float32)
    return trust


def _profiles(counts: Singles, weight: Singles) -> Profiles:
    seen = (counts * weight).sum(axis=1)
    exposure = weight.sum(axis=1)
    sources, slots = seen.shape
    days_seen, days_exposure = seen.reshape(sources, 7, -1), exposure.reshape(sources, 7, -1)
    by_class = np.empty_like(days_seen)
    overall = _rate(days_seen.sum(axis=1), days_exposure.sum(axis=1), np.float32(FLOOR))
    for days in CLASSES:
        chosen = list(days)
        curve = _curve(days_seen[:, chosen].sum(axis=1), days_exposure[:, chosen].sum(axis=1), overall)
        expected = (days_exposure[:, chosen] * curve[:, None, :]).sum(axis=2)
        factor = (days_seen[:, chosen].sum(axis=2) + 5) / (expected + 5)
        by_class[:, chosen] = curve[:, None, :] * factor[:, :, None]
    flat = np.maximum(by_class.reshape(sources, slots), FLOOR)
    by_slot = (PRIOR_EVENTS + seen) / (PRIOR_EVENTS / flat + exposure)
    return Profiles(flat, np.maximum(by_slot, FLOOR))


def _curve(seen: Singles, exposure: Singles, overall: Singles) -> Singles:
    """A slot-of-day curve, smoothed around the clock; where the class was hardly seen, the curve of all days."""
    kernel = _kernel(seen.shape[1])
    return _rate(_around(seen, kernel), _around(exposure, kernel), overall)


def _rate(seen: Singles, exposure: Singles, otherwise: Singles | np.float32) -> Singles:
    rate: Singles = ((seen + 0.2 * otherwise) / (exposure + np.float32(0.2))).astype(np.float32)
    return rate


def _kernel(slots_a_day: int) -> Singles:
    reach = max(round(SMOOTH_HOURS * slots_a_day / 24), 0)
    shape = np.asarray(reach + 1 - np.abs(np.arange(-reach, reach + 1)), np.float32)
    kernel: Singles = shape / shape.sum()
    return kernel


def _around(values: Singles, kernel: Singles) -> Singles:
    """Weighted mean of neighbours on the circle of the day."""
    reach = len(kernel) // 2
    smooth = np.zeros_like(values)
    for shift, share in zip(range(-reach, reach + 1), kernel.tolist(), strict=True):
        smooth += share * np.roll(values, shift, axis=1)
    return smooth
