"""One budget of false alarms for the whole fleet, a month; shared out to sources and buckets, and held tick by tick."""

import math

import numpy as np

from reconciler.core.times import DAY, Micros, format_duration
from reconciler.core.volume_tails import Flags, Floats

MONTH: Micros = 30 * DAY
LONGEST: Micros = 3_650 * DAY


def share_of_budget(budget: float, width: Micros) -> float:
    """False alarms that one tick of the whole fleet may cause, of `budget` a month."""
    return budget * width / MONTH


def discoveries(rarity: Floats, share: float, watched: int) -> Flags:
    """Benjamini and Hochberg (1995) within a tick: which of the rarities are alarms.

    `rarity` is −ln p of each source, `watched` how many are judged, `share` the false alarms that the tick may cause.
    Where one source is odd it must be as odd as `share / watched`; where many are, each may be less so.
    """
    if not len(rarity) or not watched:
        return np.zeros(len(rarity), np.bool_)
    order = np.argsort(-rarity)
    needed = -math.log(max(share, 1e-300)) + math.log(watched) - np.log(np.arange(1, len(rarity) + 1))
    passed = np.flatnonzero(rarity[order] >= needed)
    found = np.zeros(len(rarity), np.bool_)
    if len(passed):
        found[order[: passed[-1] + 1]] = True
    return found


def once_in(rarity: float, width: Micros) -> str:
    """How often so rare a bucket comes by itself, on average: for people."""
    span = width * math.exp(min(rarity, 60.0))
    return f"once in {format_duration(round(span))}" if span < LONGEST else "less than once in ten years"
