"""Lag source by source: its own delays, with those of all sources of the lane as the belief to begin with."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.lag import BINS, FORGET, DelayCurve, Floats
from reconciler.core.tiles import Ints
from reconciler.core.times import DAY, Micros

Singles = NDArray[np.float32]

WORTH = 300.0
"""Events that the delays of all sources are worth where a source has seen none of its own."""
_CLASSES = len(BINS)


def _nothing() -> Singles:
    return np.zeros((0, _CLASSES), np.float32)


@dataclass(slots=True)
class OwnLag:
    """How the events of each source of a lane were spread over delays, and in what groups they came."""

    events: Singles = field(default_factory=_nothing)
    """By source (ordinal) and delay class."""
    squares: Floats = field(default_factory=lambda: np.zeros(_CLASSES))
    """By delay class: sum of the squares of the events of one cell that came together."""
    together: Floats = field(default_factory=lambda: np.zeros(_CLASSES))
    """The sum of these events themselves."""
    day: int = 0

    def learn(self, now: Micros, source: Ints, delays: Ints, events: Ints) -> None:
        """Add events that were first seen processed at these delays (µs); parallel arrays, one entry a cell."""
        if not len(source):
            return
        self._turn(now // DAY)
        if int(source.max()) >= len(self.events):
            grown = np.zeros((int(source.max()) + 1, _CLASSES), np.float32)
            grown[: len(self.events)] = self.events
            self.events = grown
        classes = np.minimum(np.searchsorted(BINS, np.maximum(delays, 0)), _CLASSES - 1)
        np.add.at(self.events, (source, classes), events)
        self.squares += np.bincount(classes, weights=events.astype(np.float64) ** 2, minlength=_CLASSES)
        self.together += np.bincount(classes, weights=events, minlength=_CLASSES)

    def _turn(self, day: int) -> None:
        if day > self.day:
            kept = FORGET ** min(day - self.day, 365) if self.day else 1.0
            self.events *= np.float32(kept)
            self.squares, self.together = self.squares * kept, self.together * kept
            self.day = day

    def missing(self, pool: DelayCurve, source: Ints, age: Ints) -> Floats:
        """Share of a source's events that is not processed yet at an age (µs, not negative); parallel arrays.

        The posterior mean of a share that is believed to be the pool's and has been seen to be the source's own.
        What nobody has ever seen is as likely as the pool allows, and no less.
        """
        shared, least = pool.missing(age), 0.5 / (pool.seen + 1.0)
        known = source < len(self.events)
        rows, place = np.unique(np.where(known, source, 0), return_inverse=True)
        if not len(self.events):
            return np.maximum(shared, least)
        own = self.events[rows].astype(np.float64)
        beyond = np.concatenate([np.cumsum(own[:, ::-1], axis=1)[:, ::-1], np.zeros((len(rows), 1))], axis=1)
        later = np.where(known, beyond[place, np.searchsorted(BINS, age, side="right")], 0.0)
        seen = np.where(known, beyond[place, 0], 0.0)
        return np.maximum((later + WORTH * shared) / (seen + WORTH), least)

    def share_of_lane(self, source: Ints) -> Floats:
        """What part of the lane's events each of these sources has had."""
        total = max(float(self.events.sum(dtype=np.float64)), 1.0)
        known = source < len(self.events)
        own = self.events[np.where(known, source, 0)].sum(axis=1, dtype=np.float64) if len(self.events) else 0.0
        return np.where(known, own / total, 0.0)

    def group(self, age: Ints) -> Floats:
        """How many events of a cell usually come together that are later than each age; at least 1.

        It is the over-dispersion of lag: where events come in groups, gaps of whole groups are no surprise.
        """
        squares = np.append(np.cumsum(self.squares[::-1])[::-1], 0.0) + 1.0
        together = np.append(np.cumsum(self.together[::-1])[::-1], 0.0) + 1.0
        found: Floats = (squares / together)[np.searchsorted(BINS, np.maximum(age, 0), side="right")]
        return found

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored; most delay classes of most sources are empty, so it packs well."""
        groups = [[round(amount, 3) for amount in column.tolist()] for column in (self.squares, self.together)]
        packed = base64.b64encode(zlib.compress(self.events.tobytes(), 1)).decode()
        return {"events": packed, "groups": groups, "day": self.day}

    @classmethod
    def restore(cls, stored: Mapping[str, Any]) -> "OwnLag":
        """What `dump` gave."""
        packed = zlib.decompress(base64.b64decode(stored["events"]))
        events = np.frombuffer(packed, np.float32).reshape(-1, _CLASSES).copy()
        squares, together = (np.array(column, np.float64) for column in stored["groups"])
        return cls(events, squares, together, int(stored["day"]))
