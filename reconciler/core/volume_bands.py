"""The band of a bucket: the range in which 95 % of such buckets lie, calibrated on the source's own past."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reconciler.core.volume_level import Outlook
from reconciler.core.volume_tails import U0, Calibrator, Floats, rarity_high, rarity_low, rarity_of_none

Z = 1.96
ROUNDS = 1
"""Steps of the secant from there; each is one look at the law."""


@dataclass(slots=True)
class Band:
    """Lowest and highest usual count; one entry a source."""

    low: Floats
    high: Floats


def band(seen: Outlook, low: Calibrator, high: Calibrator, rarity: float = U0) -> Band:
    """Where the calibrated rarity of a count reaches `rarity` (default: 2.5 % of buckets) on either side."""
    mean, below, above = seen.mean, seen.whole(0), seen.whole(1)
    under, over = np.sqrt(below), np.sqrt(above)
    rare = low.invert(rarity)
    bottom = _solve(lambda count: rarity_low(count, mean, below), rare, _cube(mean, under, -Z), under)
    bottom = np.where(rarity_of_none(mean, below) <= rare, 0, bottom)  # that nothing comes is usual there
    top = _solve(lambda count: rarity_high(count, mean, above), high.invert(rarity), _cube(mean, over, Z), -over)
    return Band(np.ceil(np.maximum(bottom, 0)), np.maximum(np.floor(top), 0))


def _cube(mean: Floats, deviation: Floats, z: float) -> Floats:
    """A first guess of a quantile, by the cube root of Wilson and Hilferty (1931)."""
    ratio = np.minimum(deviation / np.maximum(mean, 1e-9), 3.0)
    guess: Floats = mean * np.maximum(1 - ratio**2 / 9 + z * ratio / 3, 0) ** 3
    return guess


def _solve(law: Callable[[Floats], Floats], target: Floats, guess: Floats, scale: Floats) -> Floats:
    """The count at which the rarity is `target`, on the scale of √(2·rarity), where laws are nearly straight."""
    wanted = np.sqrt(2 * target)
    a = np.maximum(guess, 0.0)
    b = np.maximum(guess + 0.25 * scale, 0.0) + 1e-3
    at_a = np.sqrt(2 * np.maximum(law(a), 0))
    for _ in range(ROUNDS):
        at_b = np.sqrt(2 * np.maximum(law(b), 0))
        slope = (at_b - at_a) / np.where(b == a, 1e-9, b - a)
        slope = np.where(np.abs(slope) < 1e-9, 1e-9 * np.where(scale > 0, -1, 1), slope)
        moved = np.clip(b + np.clip((wanted - at_b) / slope, -2 * np.abs(scale), 2 * np.abs(scale)), 0, None)
        a, at_a, b = b, at_b, moved
    return b
