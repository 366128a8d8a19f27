"""Shares of legal ends: the books balance, and still most of the data may be unusable.

The usual share of each source is learned from its complete cells, after they were judged; a source without a history
of its own is held against all sources of its lane.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reconciler.core.tiles import Bools, Ints

ENOUGH = 200
"""Events that must have been seen before a share is usual."""
FORGET = 0.999
"""Weight that what was learned keeps from one bucket to the next."""
DEVIATIONS = 6
"""How many standard deviations beyond the usual are unusual."""
SPREAD = 0.02
"""Shares wander by so much by themselves."""


@dataclass(slots=True)
class LegalShares:
    """What share of events usually ends legally, by source and for all."""

    of_source: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By source: (ended legally, accepted). Only sources that ever had a legal end are kept."""
    of_all: tuple[float, float] = (0.0, 0.0)

    def unusual(self, source: Ints, accepted: Ints, legal: Ints) -> Bools:
        """Whether the share of legal ends lies above what is usual; one entry a cell."""
        above = np.zeros(len(source), np.bool_)
        some = np.flatnonzero(legal)  # in most pipelines few cells have a legal end at all
        usual = np.array([self._usual(one) for one in source[some].tolist()], np.float64)
        mean = accepted[some] * np.maximum(usual, 0)
        limit = mean + DEVIATIONS * np.sqrt(mean + 1) + SPREAD * accepted[some]
        above[some] = (usual >= 0) & (legal[some] > limit)
        return above

    def _usual(self, source: int) -> float:
        ended, seen = self.of_source.get(source, (0.0, 0.0))
        if seen < ENOUGH:
            ended, seen = self.of_all
        return ended / seen if seen >= ENOUGH else -1.0

    def learn(self, source: Ints, accepted: Ints, legal: Ints) -> None:
        """Take cells that were judged and found usual."""
        total, fed = float(legal.sum()), float(accepted.sum())
        self.of_all = (self.of_all[0] * FORGET + total, self.of_all[1] * FORGET + fed)
        for one in np.unique(source[legal > 0]).tolist():
            self.of_source.setdefault(one, (0.0, 0.0))
        kept = np.isin(source, np.fromiter(self.of_source, np.int64, len(self.of_source)))
        for one, events, ended in zip(*(column[kept].tolist() for column in (source, accepted, legal)), strict=True):
            before = self.of_source[one]
            self.of_source[one] = (before[0] * FORGET + ended, before[1] * FORGET + events)

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored."""
        rounded = {str(source): [round(part, 3) for part in pair] for source, pair in self.of_source.items()}
        return {"of_source": rounded, "of_all": [round(part, 3) for part in self.of_all]}

    @classmethod
    def restore(cls, stored: Mapping[str, Any]) -> "LegalShares":
        """What `dump` gave."""
        pairs = {int(source): (float(pair[0]), float(pair[1])) for source, pair in stored["of_source"].items()}
        return cls(pairs, (float(stored["of_all"][0]), float(stored["of_all"][1])))
