"""How high the rarest layer rises by itself: what false alarms come to, by source and for all.

Layers look at the same counts, and what one finds lasts for hours; so their rarities do not add up to a rate of
alarms. The rate is taken from the past: of each six hours only the highest is looked at, and how often that is beyond
a level, and how far, is learned from the source itself and from all others together.
"""

from dataclasses import dataclass

import numpy as np

from reconciler.core.times import HOUR, Micros
from reconciler.core.volume_tails import Flags, Floats

BLOCK: Micros = 6 * HOUR
TAIL = 0.2
"""Share of blocks that rise beyond the level."""
POOL = 40.0
"""Blocks that the other sources are worth, and to these what should be if every law were right."""
CUT = 3.0
"""An excess counts up to so many times the usual: one outage must not make the next one usual."""
CUT_MEAN = 1 - np.exp(-CUT)
LONG = 240.0
"""Blocks after which older ones are forgotten: two months."""
IDEAL_LESS = 1.4
"""So much lower lies the level than if the layers were one, and each bucket a try of its own; seen on perfect noise."""
MARGIN = 0.3
"""Tomorrow is a little wilder than what was learned from: weather, seasons, news. −ln of so much more."""
LIMITS = (0.5, 60.0)
EXCESS_LIMITS = (0.3, 6.0)


@dataclass(slots=True)
class Peaks:
    """One entry a source."""

    top: Floats
    """Highest of the block that goes on."""
    known: Floats
    """Share of it that was learned from."""
    level: Floats
    """Beyond it rise `TAIL` of its blocks."""
    excess: Floats
    """How far they rise, on average."""
    seen: Floats
    """Blocks that taught it, capped at `LONG`."""
    usual_level: Floats
    """The same of all sources together."""
    usual_excess: Floats

    @classmethod
    def fresh(cls, sources: int, width: Micros) -> "Peaks":
        """Of sources of which nothing is known."""
        nothing, ideal, one = np.zeros(sources), np.full(sources, ideal_level(width)), np.ones(sources)
        return cls(*(part.copy() for part in (nothing, nothing, ideal, one, nothing, ideal, one)))

    def laws(self) -> tuple[Floats, Floats, Floats]:
        """Level and excess as far as they are known, and how many excesses taught that."""
        own = self.seen / (self.seen + POOL)
        level = own * self.level + (1 - own) * self.usual_level
        excess = own * self.excess + (1 - own) * self.usual_excess
        return level, excess, TAIL * (self.seen + POOL)

    def apply(self, rise: Floats, width: Micros) -> Floats:
        """−ln of how many buckets in one begin an alarm by themselves, where this is the threshold."""
        level, excess, taught = self.laws()
        at_level = rarity_at_level(width)
        # What is known of the excess is known from so many; beyond, its uncertainty makes the tail a little longer.
        beyond = taught * np.log1p(np.maximum(rise - level, 0) / (excess * taught))
        said: Floats = np.where(rise > level, at_level + beyond, np.maximum(rise, 0) * at_level / level)
        return said

    def invert(self, rarity: Floats | float, width: Micros) -> Floats:
        """How high the rarest layer must rise to be so rare."""
        level, excess, taught = self.laws()
        at_level = rarity_at_level(width)
        beyond = excess * taught * np.expm1(np.maximum(rarity - at_level, 0) / taught)
        rise: Floats = np.where(np.asarray(rarity) > at_level, level + beyond, rarity * level / at_level)
        return rise

    def learn(self, rise: Floats, taken: Flags, bucket: Micros, width: Micros) -> None:
        """Take what the bucket rose to, where `taken`; at the end of a block, the highest of it."""
        self.top = np.where(taken, np.maximum(self.top, rise), self.top)
        self.known += np.where(taken, width / BLOCK, 0.0)
        if (bucket + width) // BLOCK > bucket // BLOCK:
            self._close(width)

    def _close(self, width: Micros) -> None:
        whole = self.known >= 0.5
        over = self.top > self.level
        step = 1 / ((self.seen + POOL) * TAIL)
        off = np.minimum(self.top - self.level, CUT * self.excess) / CUT_MEAN
        grown = np.clip(self.excess + step * (off - self.excess), *EXCESS_LIMITS)
        moved = np.clip(self.level + step * self.excess * (over - TAIL), *LIMITS)
        self.excess = np.where(whole & over, grown, self.excess)
        self.level = np.where(whole, moved, self.level)
        self.seen = np.where(whole, np.minimum(self.seen + 1, LONG), self.seen)
        self.top, self.known = np.zeros_like(self.top), np.zeros_like(self.known)
        weight = self.seen.sum() + POOL
        self.usual_level[:] = ((self.level * self.seen).sum() + POOL * ideal_level(width)) / weight
        self.usual_excess[:] = ((self.excess * self.seen).sum() + POOL) / weight


def rarity_at_level(width: Micros) -> float:
    """−ln of how many buckets in one begin a rise beyond the level."""
    return float(np.log(max(BLOCK / width, 1.0) / TAIL)) - MARGIN


def ideal_level(width: Micros) -> float:
    """Where the level lies if every law is right."""
    return max(rarity_at_level(width) + MARGIN - IDEAL_LESS, LIMITS[0])
