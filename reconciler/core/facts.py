"""What queues show of the buckets of a stretch, as arrays: of one queue, or of several together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import NEVER


@dataclass(frozen=True, slots=True)
class Facts:
    """What a queue shows of the buckets `first` to `first + n`; arrays of `n` records, or as said."""

    written: Ints
    known: Bools
    """`written` was read at both edges of the bucket, in every partition."""
    blur: Ints
    """Records that may lie on the other side of the bucket's right edge, as the samples were not taken at the edge."""
    unread: Ints
    """Can still be read, and has not been."""
    stale: Ints
    """Unread when last seen, but that was too long ago to prove anything."""
    behind: Ints
    """`(partitions, n)`: the consumer's position lies beyond these."""
    passed_at: Ints
    """`(partitions, n)`: when the consumer was first seen beyond the bucket, µs; `NEVER` until then."""
    kept: Ints
    """Behind the consumer, and still in the queue."""
    faded: Ints
    """Behind the consumer and still there when last seen, but that was too long ago to prove anything."""
    expired: Ints
    """Deleted while the consumer still stood before them."""
    overrun: Ints
    """Deleted in the same interval in which the consumer moved beyond them: read just before, or never."""
    purged: Bools
    """The deletion moved the start to the very end of the queue."""
    threatened: Bools
    """By the forecast, unread records are deleted before the consumer gets there, within the reaction time."""
    deleted_at: Ints
    """Earliest deletion of what is still in the queue, µs; `NEVER` where no retention is known."""

    def within(self, first: int, last: int) -> "Facts":
        """The same of a stretch of these buckets, by position."""
        return Facts(*(getattr(self, name)[..., first:last] for name in _FACTS))


_FACTS = tuple(part.name for part in fields(Facts))


def together(queues: Sequence[Facts], span: tuple[int, int]) -> Facts:
    """What several queues show together of the buckets of ordinals `span` (exclusive) and one more on either side."""
    if len(queues) == 1:
        return queues[0]
    size = span[1] - span[0] + 2
    if not queues:
        zero, no, never = np.zeros(size, np.int64), np.zeros(size, np.bool_), np.full(size, NEVER)
        none = np.zeros((0, size), np.int64)
        return Facts(zero, no, zero, zero, zero, none, none, zero, zero, zero, zero, no, no, never)
    how: dict[str, Callable[[list[Any]], Any]]
    how = {"known": np.logical_and.reduce, "purged": np.logical_or.reduce, "threatened": np.logical_or.reduce} | {
        "deleted_at": np.minimum.reduce, "behind": np.concatenate, "passed_at": np.concatenate,
    }  # fmt: skip
    return Facts(*(how.get(name, np.add.reduce)([getattr(facts, name) for facts in queues]) for name in _FACTS))
