"""The rules: from the parts of a gap to what is said of it, worst first.

`balance.py` splits the gap of each cell into parts that add up; this page turns parts into one word. The rules stand in
the order of contract §4, and the first that holds wins.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import Bools, Ints

Codes = NDArray[np.uint8]
"""`Verdict` values; held against ``int(Verdict.LOST)``, for over a member of an enumeration numpy takes four times as
long."""


class Verdict(IntEnum):
    """What is said of a cell; the larger, the worse. 0: there is no cell."""

    NONE = 0
    COMPLETE = 1
    OPEN = 2
    PENDING = 3
    DELAYED = 4
    UNKNOWN = 5
    SURPLUS = 6
    AT_RISK = 7
    LOST = 8

    @property
    def word(self) -> str:
        """As the contract writes it."""
        return self.name.lower()


class Evidence(IntFlag):
    """Why a verdict is what it is, in the contract's order."""

    QUEUE_EXPIRED = 1 << 0
    PASSED_EXPIRED = 1 << 1
    PURGED = 1 << 2
    NOT_ENQUEUED = 1 << 3
    SKIPPED = 1 << 4
    QUEUE_BALANCE = 1 << 5
    OVERTAKEN = 1 << 6
    RETENTION_PASSED = 1 << 7
    LAG_EXCEEDED = 1 << 8
    SHRUNK = 1 << 9
    DIGEST = 1 << 10
    MISPLACED = 1 << 11
    FORECAST = 1 << 12
    NOT_REPORTED = 1 << 13

    def words(self) -> list[str]:
        """The names, in the contract's order."""
        return [flag.name.lower() for flag in type(self) if flag in self and flag.name]


DIRECT = (
    Evidence.QUEUE_EXPIRED
    | Evidence.PASSED_EXPIRED
    | Evidence.PURGED
    | Evidence.NOT_ENQUEUED
    | Evidence.SHRUNK
    | Evidence.DIGEST
)
"""Evidence that proves a loss; all other losses are inferred."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What the rules look at: one entry a cell."""

    lost: Ints
    passed_over: Ints
    retained: Ints
    in_flight: Ints
    unproven: Ints
    surplus: Ints
    threatened: Bools
    """Unread records of its bucket will be deleted before they are read, within the reaction time."""
    whole: Bools
    """The accepted counts of the bucket are all in."""
    unreported: Bools
    """A reporter that could have counted here is missing, or a count has never come."""
    ordinary: Bools
    """A gap of this size at this age is what normal lag brings."""
    tolerated: Bools
    """The sum of the parts is within the tolerance."""


def judge(signs: Signs) -> Codes:
    """The verdict of each cell: the first rule that holds, worst first."""
    rules = [
        (Verdict.LOST, is_lost(signs)),
        (Verdict.AT_RISK, is_at_risk(signs)),
        (Verdict.SURPLUS, is_surplus(signs)),
        (Verdict.UNKNOWN, is_unknown(signs)),
        (Verdict.DELAYED, is_delayed(signs)),
        (Verdict.PENDING, is_pending(signs)),
        (Verdict.OPEN, ~signs.whole),
    ]
    chosen = np.full(len(signs.lost), int(Verdict.COMPLETE), np.uint8)
    for word, holds in reversed(rules):
        chosen[holds] = int(word)
    return chosen


def is_lost(signs: Signs) -> Bools:
    """Some of the gap is nowhere: neither accounted for, nor on its way, nor in any queue."""
    return (signs.lost > 0) & ~signs.tolerated


def is_at_risk(signs: Signs) -> Bools:
    """Still in the queue, but nothing brings it in time: passed over, or deleted before it would be read."""
    return ((signs.passed_over > 0) | ((signs.retained > 0) & signs.threatened)) & ~signs.tolerated


def is_surplus(signs: Signs) -> Bools:
    """More was processed than accepted, and all who count here have reported."""
    return (signs.surplus > 0) & signs.whole & ~signs.unreported & ~signs.tolerated


def is_unknown(signs: Signs) -> Bools:
    """Counts are missing, so nothing can be said; never shown as good."""
    gap = signs.retained + signs.in_flight + signs.unproven + signs.surplus
    return signs.unreported & (~signs.whole | (gap > 0))


def is_delayed(signs: Signs) -> Bools:
    """A gap that is older than normal lag, all of which may still arrive."""
    waiting = signs.retained + signs.in_flight + signs.unproven
    return (waiting > 0) & signs.whole & ~signs.ordinary & ~signs.tolerated


def is_pending(signs: Signs) -> Bools:
    """A gap that normal lag explains at this age."""
    waiting = signs.retained + signs.in_flight + signs.unproven
    return (waiting > 0) & signs.whole & ~signs.tolerated
