"""How rare a count is: tails of the predictive law, and their calibration on the source's own past.

The law is given by mean and variance: negative binomial where the variance exceeds the mean, Poisson where they agree,
binomial where it is smaller (scheduled sources). All three are one beta integral, taken by the approximation of Peizer
and Pratt (1968), so that thousands of cells cost a few array operations. Rarity is written as `L = −ln P(tail)`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TAIL = 0.025
"""Share of buckets beyond which a calibrator looks."""
U0 = -math.log(TAIL)
"""Rarity at which that share begins, where the law is right."""
_STEP = 0.01
_GRID = np.arange(-37.0, 8.001, _STEP)
_LOG_PHI = np.array([math.log(0.5 * math.erfc(-z / math.sqrt(2))) for z in _GRID])
_RISE = np.diff(_LOG_PHI)


def log_phi(z: Floats) -> Floats:
    """Logarithm of the normal distribution function, to 1e-5; far out by its leading terms."""
    place = np.clip((z - _GRID[0]) / _STEP, 0, len(_GRID) - 1.001)
    left = place.astype(np.intp)
    value: Floats = _LOG_PHI[left] + (place - left) * _RISE[left]
    far = z < _GRID[0]
    if far.any():
        value[far] = -0.5 * z[far] ** 2 - np.log(-z[far] * math.sqrt(2 * math.pi))
    return value


def _g(x: Floats) -> Floats:
    """Peizer and Pratt's g(x) = (1 − x² + 2x ln x) / (1 − x)²."""
    x = np.maximum(x, 1e-300)
    off = 1 - x
    # Near 1 numerator and denominator vanish together; there the first term of the series takes over.
    near = np.abs(off) < 1e-4
    off[near] = 0.5
    value: Floats = (off * (1 + x) + 2 * x * np.log(x)) / (off * off)
    value[near] = (1 - x[near]) / 3
    return value


def _binomial_z(below: Floats, above: Floats, p: Floats) -> Floats:
    """Normal deviate of P(at most `below − ½` successes), with `above − ½` failures at least; `p` of a success."""
    q, n = 1 - p, below + above
    first = below + 1 / 6 - (n + 1 / 3) * p
    second = first + 0.02 * (q / (below + 0.5) - p / (above + 0.5) + (q - 0.5) / (n + 1))
    spread = np.sqrt((1 + q * _g(below / (n * p)) + p * _g(above / (n * q))) / ((n + 1 / 6) * p * q))
    deviate: Floats = second * spread
    return deviate


def deviate(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """Normal deviate of P(Y ≤ count)."""
    mean = np.maximum(mean, 1e-9)
    ratio = np.clip(variance / mean, 0.02, 1e9)
    over = ratio >= 1
    excess = np.maximum(np.abs(ratio - 1), 1e-7)
    size = mean / excess
    p = np.where(over, 1 / ratio, np.minimum(excess, 0.98))
    p = np.clip(p, 1e-9, 1 - 1e-7)
    size = np.where(over, np.maximum(size, 0.52), np.maximum(size, count + 0.51))
    below = np.where(over, size - 0.5, count + 0.5)
    above = np.where(over, count + 0.5, size - count - 0.5)
    z = _binomial_z(np.maximum(below, 0.01), np.maximum(above, 0.01), p)
    return np.where(over, -z, z)


def rarity_low(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """−ln P(Y ≤ count); 0 at the other end."""
    return np.where(count <= 0, rarity_of_none(mean, variance), -log_phi(deviate(count, mean, variance)))


def rarity_of_none(mean: Floats, variance: Floats) -> Floats:
    """−ln P(Y = 0), exactly: what one empty bucket adds to the rarity of a silence."""
    excess = variance / np.maximum(mean, 1e-9) - 1
    excess = np.where(np.abs(excess) < 1e-6, 1e-6, np.maximum(excess, -0.98))
    value: Floats = mean * np.log1p(excess) / excess
    return value


def rarity_high(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """−ln P(Y ≥ count)."""
    return np.where(count <= 0, 0.0, -log_phi(-deviate(np.maximum(count - 1, 0), mean, variance)))


def mixed(rarities: Floats, share: Floats) -> Floats:
    """Rarity under a mixture of laws, `(laws, sources)` both."""
    least: Floats = rarities.min(axis=0)
    rarity: Floats = least - np.log((share * np.exp(least - rarities)).sum(axis=0))
    return rarity


@dataclass(slots=True)
class Calibrator:
    """What rarities the law really gave in the past of each source: the `TAIL` quantile, and the mean excess beyond it.

    Where the law is right, −ln P is exponential: the quantile lies at `U0`, and the mean excess is 1. Both begin there
    and follow what is seen; the tail is read as an exponential beyond the quantile, so that rare thresholds can be set
    from little history, and say how far they reach beyond what was seen.
    """

    quantile: Floats
    excess: Floats
    seen: Floats
    """Buckets that it has learned from, capped at `LONG`."""

    @classmethod
    def fresh(cls, sources: int) -> "Calibrator":
        """Of sources of which nothing is known."""
        return cls(np.full(sources, U0), np.ones(sources), np.zeros(sources))

    def row(self, number: int) -> "Calibrator":
        """The calibrator of one layer, where there are several."""
        return Calibrator(self.quantile[number], self.excess[number], self.seen[number])

    def apply(self, rarity: Floats) -> Floats:
        """The rarity that this really is for the source."""
        inside = rarity * (U0 / self.quantile)
        return np.where(rarity <= self.quantile, inside, U0 + (rarity - self.quantile) / self.excess)

    def invert(self, rarity: Floats | float) -> Floats:
        """The rarity by the law at which the calibrated one is reached."""
        beyond = self.quantile + (rarity - U0) * self.excess
        return np.where(np.asarray(rarity) <= U0, rarity * self.quantile / U0, beyond)

    def learn(self, rarity: Floats, taken: Flags) -> None:
        """Take one more rarity of each source, where `taken`; large ones count up to a limit."""
        over = rarity > self.quantile
        step = 1 / ((self.seen + PRIOR) * TAIL)
        moved = np.clip(self.quantile + step * (over - TAIL), *QUANTILE_LIMITS)
        beyond = 1 / ((self.seen + PRIOR) * TAIL)
        off = np.minimum(rarity - self.quantile, CUT * self.excess) / CUT_MEAN
        grown = np.clip(self.excess + beyond * (off - self.excess), *EXCESS_LIMITS)
        self.excess = np.where(taken & over, grown, self.excess)
        self.quantile = np.where(taken, moved, self.quantile)
        self.seen = np.where(taken, np.minimum(self.seen + GROWTH, LONG), self.seen)


PRIOR = 400
"""Buckets that the belief in the law itself is worth."""
CUT = 3.0
"""An excess counts up to so many times the usual: one outage must not make the next one usual."""
CUT_MEAN = 1 - math.exp(-CUT)
"""Mean of an exponential that is cut there."""
GROWTH = 0.5
"""What a bucket adds to `seen`; below 1, what was seen while the model was young weighs less and less."""
LONG = 3000
"""Buckets after which older ones are forgotten."""
QUANTILE_LIMITS = (0.3 * U0, 4 * U0)
EXCESS_LIMITS = (0.3, 6.0)
