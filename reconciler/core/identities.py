"""Which events: ids that are missing, double or elsewhere, found by looking only where something differs.

Both sides say, for parts of their ids, how many there are and a digest of them. Parts that agree are never looked into.
Those that differ are cut into slots by the hash of the id, so that at no time more than a slot of either side is held:
millions of ids take the memory of some ten thousand.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Literal

from reconciler.core.times import Micros

IDS_IN_A_SLOT = 20_000
IDS_AT_ONCE = 5_000_000
"""Neighbouring buckets that differ are asked about together up to so many ids."""
MOST_SLOTS = 4096
_MODULUS = 2**64

Reason = Literal["missing", "double", "extra", "moved"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What one side says of some of its ids, all of one source, bucket and slot."""

    source: str
    bucket: Micros
    slot: int
    ids: int
    """Different ones."""
    doubles: int
    """How often one of them is there once more."""
    unidentified: int
    """Events without an id: nothing can be said of them."""
    digest: int
    """Order-free fingerprint of the ids (contract §2.1)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One id on one side."""

    slot: int
    source: str
    bucket: Micros
    id: str
    copies: int
    """How often it is there; 0: it ended legally, and is accounted for."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """An id that is not on the other side as it is on this one."""

    reason: Reason
    id: str
    source: str
    bucket: Micros
    copies: int = 1
    """How often it is there, where it is double."""
    there: tuple[str, Micros] | None = None
    """Source and bucket on the other side, where it has moved."""


@dataclass(slots=True)
class Print:
    """A whole part of the ids of one side, in three numbers."""

    ids: int = 0
    doubles: int = 0
    unidentified: int = 0
    mark: int = 0
    """Depends on every id, and on the source and bucket that it is in."""

    def take(self, one: Summary) -> None:
        """Add some more ids."""
        self.ids += one.ids
        self.doubles += one.doubles
        self.unidentified += one.unidentified
        if one.ids:
            self.mark = (self.mark + (one.digest + one.ids) * _weight(one.source, one.bucket)) % _MODULUS


@lru_cache(maxsize=65536)
def _weight(source: str, bucket: Micros) -> int:
    """An odd number of its own for each cell, so that ids that change places do not go unseen."""
    said = f"{bucket} {source}".encode()
    return int.from_bytes(hashlib.sha256(said).digest()[:8], "big") | 1


@dataclass(slots=True)
class Prints:
    """Parts of the ids of both sides, by bucket or by slot."""

    before: dict[int, Print] = field(default_factory=dict)
    after: dict[int, Print] = field(default_factory=dict)

    def differing(self) -> list[int]:
        """Parts with ids that are not on both sides, or double at the second, in order."""
        return [key for key in sorted(self.before.keys() | self.after.keys()) if self._differs(key)]

    def _differs(self, key: int) -> bool:
        one, other = self.before.get(key, Print()), self.after.get(key, Print())
        return one.mark != other.mark or other.doubles > 0

    def ids(self, key: int) -> int:
        """The more of both sides."""
        return max(self.before.get(key, Print()).ids, self.after.get(key, Print()).ids)

    @property
    def unidentified(self) -> int:
        """Events of both sides of which nothing can be said."""
        return sum(one.unidentified for side in (self.before, self.after) for one in side.values())


def prints(before: Iterable[Summary], after: Iterable[Summary], key: Callable[[Summary], int]) -> Prints:
    """What both sides say, by bucket or by slot; as many numbers are held as there are of these."""
    found = Prints()
    for side, told in ((found.before, before), (found.after, after)):
        for one in told:
            side.setdefault(key(one), Print()).take(one)
    return found


def stretches(found: Prints, width: Micros) -> Iterator[tuple[Micros, Micros, int]]:
    """Neighbouring buckets that differ, each with how many ids it has at most: start, end, ids."""
    start, end, ids = 0, 0, 0
    for bucket in found.differing():
        if ids and (bucket != end or ids + found.ids(bucket) > IDS_AT_ONCE):
            yield start, end, ids
            ids = 0
        start = start if ids else bucket
        end, ids = bucket + width, ids + max(1, found.ids(bucket))
    if ids:
        yield start, end, ids


def slots_for(ids: int) -> int:
    """Into how many slots so many ids are cut."""
    return min(MOST_SLOTS, max(1, -(-ids // IDS_IN_A_SLOT)))


def compare(before: Iterable[Identity], after: Iterable[Identity]) -> Iterator[Oddity]:
    """What is odd of the ids of both sides; both come in order of slot, and a slot of each is held at a time."""
    left, right = (groupby(side, key=lambda one: one.slot) for side in (before, after))
    here, there = next(left, None), next(right, None)
    while here is not None or there is not None:
        slot = min(one[0] for one in (here, there) if one is not None)
        own = list(here[1]) if here is not None and here[0] == slot else []
        other = list(there[1]) if there is not None and there[0] == slot else []
        yield from _odd(own, other)
        here = next(left, None) if here is not None and here[0] == slot else here
        there = next(right, None) if there is not None and there[0] == slot else there


def _odd(before: Sequence[Identity], after: Sequence[Identity]) -> Iterator[Oddity]:
    places = {(one.id, one.source, one.bucket) for one in before}
    found = {(one.id, one.source, one.bucket) for one in after}
    elsewhere = {one.id: one for one in after if (one.id, one.source, one.bucket) not in places}
    moved: set[str] = set()
    for one in before:
        if (one.id, one.source, one.bucket) in found:
            continue
        other = elsewhere.get(one.id)
        if other is None:
            yield Oddity("missing", one.id, one.source, one.bucket)
        else:
            moved.add(one.id)
            yield Oddity("moved", one.id, one.source, one.bucket, there=(other.source, other.bucket))
    for one in after:
        if one.copies > 1:
            yield Oddity("double", one.id, one.source, one.bucket, one.copies)
        if one.id in elsewhere and one.id not in moved and (one.id, one.source, one.bucket) not in places:
            yield Oddity("extra", one.id, one.source, one.bucket)
