"""Until when nothing is missing: the instant before which every bucket of a source is settled and complete.

It begins at the first bucket of the source and only ever steps over a bucket that is good. One that is not, or of which
nothing is known, stops it for good, however many good ones follow.
"""

import numpy as np

from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import Micros


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
