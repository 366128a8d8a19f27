"""Counts as the model of volume wants them: buckets of all sources, or the weeks behind, out of the ledger's tiles."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from itertools import groupby

import numpy as np

from reconciler.core.directory import Directory
from reconciler.core.tiles import CHUNK, SPAN, CountTile, TileKey
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.totals import totals
from reconciler.core.volume_clock import EPOCH, WEEK, Ints, changing, offset_at, slot_width
from reconciler.core.volume_profile import WEEKS, Singles
from reconciler.core.volume_tails import Flags, Floats

Tiles = Callable[[Micros, Micros], Iterable[tuple[TileKey, CountTile]]]
"""Gives the count tiles of the first stage that hold the buckets from one instant to another, by span and chunk."""
GROUP = 8 * CHUNK
"""Sources whose weeks are held at once; it bounds memory, and costs a reading of the tiles for each group."""
MONDAY: Micros = 3 * DAY


@dataclass(frozen=True, slots=True)
class Blocked:
    """A stretch of a source that nothing may be learned from: an incident, a gap in the counts, planned work."""

    source: int
    """Ordinal; -1: all."""
    since: Micros
    until: Micros


@dataclass(slots=True)
class Scope:
    """Whose counts, and how they are to be read."""

    directory: Directory
    width: Micros
    progressed: bool
    """The stage sends progress, so what it did not count is zero; otherwise it is not known."""


@dataclass(slots=True)
class Span:
    """Counts of all sources over one span, `(sources, SPAN)`."""

    number: int
    counts: Floats
    known: Flags


def spans(tiles: Iterable[tuple[TileKey, CountTile]], scope: Scope) -> Iterator[Span]:
    """Lay the tiles of each span side by side."""
    amount = len(scope.directory.sources)
    for number, found in groupby(tiles, key=lambda one: one[0].span):
        counts = np.zeros((amount, SPAN))
        counted = np.zeros((amount, SPAN), np.bool_)
        for key, tile in found:
            rows = slice(key.chunk * CHUNK, min((key.chunk + 1) * CHUNK, amount))
            summed = totals(tile, scope.directory, key.chunk, rows.stop - rows.start)
            counts[rows], counted[rows] = summed.ok, summed.known
        yield Span(number, counts, alive(scope, number) & (counted | scope.progressed))


def alive(scope: Scope, span: int) -> Flags:
    """Cells of sources that were there: since their first count, and not yet retired."""
    starts = (span * SPAN + np.arange(SPAN, dtype=np.int64)) * scope.width
    born = np.array(scope.directory.first_bucket, np.int64)[:, None]
    retired = np.array(scope.directory.retired_at, np.int64)[:, None]
    there: Flags = (starts >= born) & (starts < retired)
    return there


@dataclass(slots=True)
class Weeks:
    """The six weeks behind an instant, by local week and slot, for some sources."""

    first: int
    """Ordinal of the first source."""
    counts: Singles
    """`(sources, weeks × slots)`, events a slot."""
    whole: Ints
    """Buckets of each slot that were known and may be learned from."""

    def history(self, a_slot: int) -> Singles:
        """As `volume.learn` wants it; slots that are not whole are NaN."""
        found = np.where(self.whole >= a_slot, self.counts, np.float32(np.nan))
        return found.reshape(len(found), WEEKS, -1)


@dataclass(slots=True)
class Reader:
    """Reads weeks out of tiles."""

    tiles: Tiles
    scope: Scope
    zones: Sequence[tzinfo]
    """By source."""
    holidays: frozenset[date]
    blocked: Collection[Blocked]

    def weeks(self, until: Micros) -> Iterator[Weeks]:
        """The weeks before `until`, group by group; the last of all is the sum of all sources (`first` = -1)."""
        width = self.scope.width
        size = WEEKS * (WEEK // slot_width(width))
        whole = Weeks(-1, np.zeros((1, size), np.float32), np.zeros((1, size), np.int64))
        for first in range(0, len(self.scope.directory.sources), GROUP):
            rows = slice(first, min(first + GROUP, len(self.scope.directory.sources)))
            shape = (rows.stop - rows.start, size)
            group = Weeks(first, np.zeros(shape, np.float32), np.zeros(shape, np.int16))
            for span in spans(self.tiles(until - WEEKS * WEEK, until - width), self.scope):
                self._block(span)
                self._take(group, span, rows, until)
            whole.counts += group.counts.sum(axis=0, dtype=np.float64)
            whole.whole = np.maximum(whole.whole, group.whole.max(axis=0, initial=0))
            yield group
        yield whole

    def _block(self, span: Span) -> None:
        """Forget what may not be learned from."""
        starts = (span.number * SPAN + np.arange(SPAN, dtype=np.int64)) * self.scope.width
        for block in self.blocked:
            hit = (starts + self.scope.width > block.since) & (starts < block.until)
            if hit.any():
                rows = slice(None) if block.source < 0 else slice(block.source, block.source + 1)
                span.known[rows, hit] = False

    def _take(self, weeks: Weeks, span: Span, rows: slice, until: Micros) -> None:
        zones = list(self.zones[rows])
        for zone in {id(zone): zone for zone in zones}.values():
            own = np.flatnonzero(np.array([one is zone for one in zones]))
            column = self._columns(span.number, zone, until)
            use = column >= 0
            if not use.any():
                continue
            kept = column[use]
            starts = np.flatnonzero(np.diff(kept, prepend=-1))
            known = span.known[rows][own][:, use]
            counts = np.where(known, span.counts[rows][own][:, use], 0)
            at = (own[:, None], kept[starts][None, :])
            weeks.counts[at] += np.add.reduceat(counts, starts, axis=1)
            weeks.whole[at] += np.add.reduceat(known.astype(np.int16), starts, axis=1)

    def _columns(self, span: int, zone: tzinfo, until: Micros) -> Ints:
        """By bucket of the span: its place in the weeks; -1: outside, a holiday, or near a clock change."""
        width = self.scope.width
        starts = (span * SPAN + np.arange(SPAN, dtype=np.int64)) * width
        slots = WEEK // slot_width(width)
        offset, clear = _offsets(starts, width, zone)
        local = starts + offset
        # The k-th last occurrence of each slot makes the k-th last week, so that no week has holes ahead of now.
        week = WEEKS - 1 - (until - width + offset_at(zone, until - width) - local) // WEEK
        days = (local // DAY).tolist()
        off = {day for day in set(days) if EPOCH + timedelta(days=day) in self.holidays}
        use = clear & (week >= 0) & (starts < until) & np.array([day not in off for day in days])
        return np.where(use, week * slots + (local + MONDAY) % WEEK // slot_width(width), -1)


def _offsets(starts: Ints, width: Micros, zone: tzinfo) -> tuple[Ints, Flags]:
    """Local time less UTC at each bucket, and whether no clock change is within an hour."""
    before, after = offset_at(zone, int(starts[0]) - HOUR), offset_at(zone, int(starts[-1]) + width)
    if before == after:
        return np.full(len(starts), before, np.int64), np.ones(len(starts), np.bool_)
    offset = np.array([offset_at(zone, start) for start in starts.tolist()], np.int64)
    clear = [not changing(zone, start, width) for start in starts.tolist()]
    return offset, np.array(clear, np.bool_)
