"""Shares of legal ends: the books balance, and still most of the data may be unusable.

The usual share of each source is learned from its complete cells, after they were judged; a source without a history
of its own is held against all sources of its lane. Each legal outcome has shares of its own: where what was filtered
is now rejected, the sum of the two says nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.directory import OK, REPLAYED, Directory
from reconciler.core.observations import LEGAL_ENDS
from reconciler.core.tiles import CHUNK, SPAN, Bools, CountTile, Ints, TileKey

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
        usual = np.array([self.usual(one) for one in source[some].tolist()], np.float64)
        mean = accepted[some] * np.maximum(usual, 0)
        limit = mean + DEVIATIONS * np.sqrt(mean + 1) + SPREAD * accepted[some]
        above[some] = (usual >= 0) & (legal[some] > limit)
        return above

    def usual(self, source: int) -> float:
        """The usual share of a source's events; negative: too little was seen."""
        ended, seen = self.of_source.get(source, (0.0, 0.0))
        if seen < ENOUGH:
            ended, seen = self.of_all
        return ended / seen if seen >= ENOUGH else -1.0

    def fed(self, accepted: float, legal: float = 0.0) -> None:
        """Take the sums of cells that were judged and found usual."""
        self.of_all = (self.of_all[0] * FORGET + legal, self.of_all[1] * FORGET + accepted)

    def learn(self, source: Ints, accepted: Ints, legal: Ints) -> None:
        """Take cells that were judged and found usual, and how many events of each had such an end."""
        self.fed(float(accepted.sum()), float(legal.sum()))
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


@dataclass(slots=True)
class Unusual:
    """Cells of which an unusual share has ended legally, and the outcome that most of them have."""

    cells: Bools
    detail: str
    """Does not change from tick to tick while the cause goes on: a new word is a new notice."""


@dataclass(slots=True)
class EndShares:
    """The shares of each legal outcome of one hop."""

    by_outcome: dict[str, LegalShares] = field(default_factory=lambda: {name: LegalShares() for name in LEGAL_ENDS})

    def take(self, source: Ints, accepted: Ints, ended: Mapping[str, Ints]) -> Unusual:
        """Judge cells by each outcome, and learn from those that are usual; `ended`: where any ended so."""
        found, detail, most = np.zeros(len(source), np.bool_), "", 0.0
        for outcome, amount in ended.items():
            above = self.by_outcome[outcome].unusual(source, accepted, amount)
            found |= above
            if amount[above].sum() > most:
                most, detail = float(amount[above].sum()), f"above all {outcome}"
        usual = ~found
        source, accepted = source[usual], accepted[usual]
        fed = float(accepted.sum())
        for outcome, shares in self.by_outcome.items():
            if outcome in ended or shares.of_source:
                none = np.zeros(len(source), np.int64)
                shares.learn(source, accepted, ended[outcome][usual] if outcome in ended else none)
            else:
                shares.fed(fed)
        return Unusual(found, detail)

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored."""
        return {outcome: shares.dump() for outcome, shares in self.by_outcome.items()}

    @classmethod
    def restore(cls, stored: Mapping[str, Any]) -> "EndShares":
        """What `dump` gave."""
        return cls({name: LegalShares.restore(stored[name]) for name in LEGAL_ENDS})


def ended(
    counts: Mapping[TileKey, CountTile], directory: Directory, stage: str, source: Ints, ordinal: Ints
) -> dict[str, Ints]:
    """By legal outcome: how many events of these cells (source, ordinal of the bucket) ended so; parallel arrays."""
    found: dict[str, Ints] = {}
    for tile, here in _tiles(counts, stage, source, ordinal):
        sources, classes = directory.table()
        row, kind = sources[tile.series] % CHUNK, classes[tile.series]
        for outcome in np.unique(kind[(kind != OK) & (kind < REPLAYED)]).tolist():
            grid = np.zeros((CHUNK, SPAN), np.int64)
            own = kind == outcome
            np.add.at(grid, row[own], np.maximum(tile.count[own], 0))
            amount = found.setdefault(LEGAL_ENDS[outcome - 1], np.zeros(len(source), np.int64))
            amount[here] = grid[source[here] % CHUNK, ordinal[here] % SPAN]
    return found


def _tiles(
    counts: Mapping[TileKey, CountTile], stage: str, source: Ints, ordinal: Ints
) -> Iterator[tuple[CountTile, NDArray[np.intp]]]:
    """The count tiles in which these cells lie, each with the positions of its cells."""
    places = np.stack([source // CHUNK, ordinal // SPAN])
    for chunk, span in np.unique(places, axis=1).T.tolist():
        tile = counts.get(TileKey(stage, chunk, span))
        if tile is not None and len(tile.series):
            yield tile, np.flatnonzero((places[0] == chunk) & (places[1] == span))
