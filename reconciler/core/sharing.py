"""What a queue proves of a bucket, shared out over the cells of the bucket in whole events."""

import numpy as np

from reconciler.core.tiles import Ints


def reach(capacity: Ints, need: Ints, slack: Ints) -> Ints:
    """How much of each bucket's need the capacities meet, where `slack[b]` records may belong across b's right edge.

    What is written near an edge of a bucket may be counted on its other side, by no more than the slack: a bucket
    carries over what it does not need, or borrows from what the next one has. Together no more is met than there is.
    """
    if not slack.any():
        return np.minimum(capacity, need)
    met: list[int] = []
    carried = 0
    following = [*capacity.tolist()[1:], 0]
    for has, wants, across, beyond in zip(capacity.tolist(), need.tolist(), slack.tolist(), following, strict=True):
        taken = min(wants, has + carried + min(across, beyond))
        met.append(taken)
        carried = min(across, has + carried - taken)
    return np.array(met, np.int64)


def beyond(capacity: Ints, used: Ints | int, need: Ints, slack: Ints) -> Ints:
    """How much of each bucket's need the capacities meet beyond the needs `used` that they have met already."""
    more = np.minimum(np.maximum(reach(capacity, used + need, slack) - used, 0), need)
    left = max(0, int(capacity.sum()) - int(np.sum(used)))
    met: Ints = np.diff(np.minimum(np.cumsum(more), left), prepend=0)
    return met


def share_out(need: Ints, bucket: Ints, amount: Ints) -> Ints:
    """Share each bucket's amount over its cells in proportion to their needs, in whole events.

    Cumulative rounding: the shares of a bucket add up to its amount exactly, and none exceeds its need.
    `amount[b]` must not exceed the sum of the needs in bucket b.
    """
    order = np.argsort(bucket, kind="stable")
    ranked, where = need[order], bucket[order]
    running = np.cumsum(ranked)
    total = sum_by(bucket, need, len(amount))
    start = np.concatenate([[0], np.cumsum(total)[:-1]])
    upto = running - start[where]
    below = upto - ranked
    scale, base = amount[where], np.maximum(total, 1)[where]
    if float(total.max(initial=0)) * float(amount.max(initial=0)) > 2.0**62:  # beyond int64: exact, and slower
        upto, below, scale, base = (column.astype(object) for column in (upto, below, scale, base))
    shares = upto * scale // base - below * scale // base
    result = np.empty(len(need), np.int64)
    result[order] = shares.astype(np.int64)
    return result


def sum_by(bucket: Ints, amount: Ints, size: int) -> Ints:
    """What each bucket has in all: `amount` of the entries that lie in it."""
    total = np.zeros(size, np.int64)
    np.add.at(total, bucket, amount)
    return total
