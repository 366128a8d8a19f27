"""Until when nothing is missing: the instant before which every bucket of a source is settled and complete.

It begins at the first bucket of the source and only ever steps over a bucket that is good. One that is not, or of which
nothing is known, stops it for good, however many good ones follow.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from reconciler.core.tiles import SPAN, Bools, Ints, VerdictTile
from reconciler.core.times import NEVER, Micros
from reconciler.core.verdicts import Verdict

Look = Callable[[int], Bools | None]
"""The good cells of the tile of a span, `(sources, SPAN)`; `None` where nothing was said of it."""


def advance(through: Ints, good: Bools, first: Micros, width: Micros) -> Ints:
    """How far each source gets over some neighbouring buckets, the first of which starts at `first`.

    `through` (n,): how far each has got, on edges of buckets. `good` (n, buckets): settled and complete. Those who
    stopped before `first` stay there; those who begin later are not concerned yet. Buckets are to be handed over in
    order and without a gap, in as many pieces as one likes.
    """
    buckets = good.shape[1]
    reached = (through - first) // width
    here = (reached >= 0) & (reached < buckets)
    stops = ~good & (np.arange(buckets) >= reached[:, None])
    stop = np.where(stops.any(axis=1), stops.argmax(axis=1), buckets)
    moved: Ints = np.where(here, first + stop * width, through)
    return moved


def good_cells(tile: VerdictTile) -> Bools:
    """Settled and complete, `(sources, SPAN)`."""
    good: Bools = (tile.code == Verdict.COMPLETE) & ~tile.active
    return good


def _nobody() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(slots=True)
class Reach:
    """How far the sources of one chunk are complete at one hop; arrays of one entry a source, µs.

    It is carried on from judgement to judgement, so that nobody needs to go over all buckets again.
    """

    born: Ints = field(default_factory=_nobody)
    """Start of the first bucket; `NEVER` while there is none."""
    through: Ints = field(default_factory=_nobody)

    def follow(self, first: Ints, changed: Iterable[int], look: Look, width: Micros) -> None:
        """Take what was said anew: `first` bucket of each source as it is known now, and spans whose tiles changed.

        Tiles that did not change are only looked at where somebody reaches them.
        """
        spans = set(changed) | self._begin(first, width)
        while spans:
            span = min(spans)
            spans.discard(span)
            good = look(span)
            if good is not None and self._step(good[: len(first)], span, width):
                spans.add(span + 1)

    def _begin(self, first: Ints, width: Micros) -> set[int]:
        """Those who are new, or of whom earlier buckets came to light, begin anew; returns the spans that they do in.

        Those of whom the first buckets were forgotten begin behind these, unless they were beyond.
        """
        more = np.full(len(first) - len(self.born), NEVER, np.int64)
        born, through = np.concatenate([self.born, more]), np.concatenate([self.through, more])
        anew = (first < born) | ((first > born) & (through < first))
        self.born, self.through = first.copy(), np.where(anew, first, through)
        return set(np.unique(first[anew & (first < NEVER)] // (width * SPAN)).tolist())

    def _step(self, good: Bools, span: int, width: Micros) -> bool:
        """Fall back to what is not good any more, and go on over what is; whether somebody got to the next span."""
        first, end, before = span * SPAN * width, (span + 1) * SPAN * width, self.through
        starts = first + np.arange(SPAN, dtype=np.int64) * width
        broken = ~good & (starts >= self.born[:, None]) & (starts < before[:, None])
        fallen = np.where(broken.any(axis=1), first + broken.argmax(axis=1) * width, before)
        self.through = advance(fallen, good, first, width)
        return bool(((self.through == end) & (before != end)).any())
