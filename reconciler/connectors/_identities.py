"""Rows of the questions about ids (`_sql_table`), from whichever database they come."""

from collections.abc import Callable, Sequence
from typing import Any

from reconciler.core.identities import Identity, Summary
from reconciler.core.times import Micros


def summary_of(row: Sequence[Any], read: Callable[[object], Micros]) -> Summary:
    """A row of `Counting.summaries`; sums of nothing come as NULL."""
    source, bucket, slot, *numbers = row
    ids, doubles, unidentified, high, low = (int(number or 0) for number in numbers)
    digest = ((high << 32) + low) % 2**64
    return Summary(str(source), read(bucket), int(slot or 0), ids, doubles, unidentified, digest)


def identity_of(row: Sequence[Any], read: Callable[[object], Micros]) -> Identity:
    """A row of `Counting.identities`."""
    slot, source, bucket, name, copies = row
    return Identity(int(slot), str(source), read(bucket), str(name), int(copies))
