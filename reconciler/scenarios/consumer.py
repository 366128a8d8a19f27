"""What becomes of the records that are read: processed, rejected, dropped, tried again later."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from reconciler.scenarios.cells import Cells, Meter
from reconciler.scenarios.counters import Stage
from reconciler.scenarios.story import Interval, Minute

_ONE = Fraction(1)


@dataclass(frozen=True)
class _Shares:
    """Of each record that is read."""

    processed: Fraction  # above 1: copies are counted
    rejected: Fraction
    retried: Fraction  # of those that are processed
    after: Minute
    restamped: bool


_ALL = _Shares(_ONE, Fraction(0), Fraction(0), 0, restamped=False)  # every record is processed once, at once


@dataclass(frozen=True)
class _Later:
    source: str
    bucket: Minute  # of acceptance
    counted: Minute  # the minute whose bucket it is counted in
    records: int


class Consumer:
    """Reads, and counts what it did with it."""

    def __init__(self, cells: Cells, stage: Stage, pass_over: Callable[[str, Minute, int], None]) -> None:
        self._cells, self._stage, self._pass_over = cells, stage, pass_over
        self._meter = Meter()
        self._later: dict[Minute, list[_Later]] = defaultdict(list)
        self._shares: dict[tuple[int, str], tuple[Interval | None, _Shares]] = {}

    def handle(self, now: Minute, interval: Interval | None, source: str, bucket: Minute, records: int) -> None:
        """So many records of this source and accept minute were read."""
        shares = self._shares_of(interval, source)
        cell = self._cells.at(source, bucket)
        cell.left += records
        if shares is _ALL:
            cell.handled += records
            self._count(now, source, bucket, bucket, records)
            return
        processed, rejected = self._split(source, shares, records)
        handled = min(records, processed + rejected)
        if handled < records:
            self._pass_over(source, bucket, records - handled)
        waiting = self._meter.take(("retried", source), processed * shares.retried) if shares.retried else 0
        if waiting:
            stamp = now + shares.after if shares.restamped else bucket
            self._later[now + shares.after].append(_Later(source, bucket, stamp, waiting))
            cell.working += waiting
        cell.handled += handled - waiting
        self._count(now, source, bucket, bucket, processed - waiting)
        if rejected:
            cell.accounted += rejected
            self._stage.count(now, source, bucket, rejected, "rejected")

    def finish(self, now: Minute) -> None:
        """Process what was put off until this minute."""
        for later in self._later.pop(now, []):
            cell = self._cells.at(later.source, later.bucket)
            cell.working -= later.records
            cell.handled += later.records
            self._count(now, later.source, later.bucket, later.counted, later.records)

    def _count(self, now: Minute, source: str, bucket: Minute, counted: Minute, events: int) -> None:
        if events:
            self._cells.at(source, bucket).processed += events
            self._stage.count(now, source, counted, events)

    def _split(self, source: str, shares: _Shares, records: int) -> tuple[int, int]:
        """Processed and rejected; what is neither is dropped."""
        both = shares.processed + shares.rejected
        if both == _ONE:
            rejected = self._meter.take(("rejected", source), records * shares.rejected)
            return records - rejected, rejected
        rejected = self._meter.take(("rejected", source), records * shares.rejected)
        return self._meter.take(("processed", source), records * shares.processed), rejected

    def _shares_of(self, interval: Interval | None, source: str) -> _Shares:
        key = (id(interval), source)
        known = self._shares.get(key)
        if known is None:  # the interval is kept with its shares, so that its identity stays its own
            known = self._shares[key] = (interval, _shares(interval, source))
        return known[1]


def _shares(interval: Interval | None, source: str) -> _Shares:
    retry = interval.retried.get(source) if interval else None
    retried = (retry.share, retry.after, retry.stamp == "processing") if retry else (Fraction(0), 0, False)
    if interval is None or not interval.read[source]:
        return _ALL if not retry else _Shares(_ONE, Fraction(0), *retried)
    read = interval.read[source]
    found = _Shares(interval.processed[source] / read, interval.rejected[source] / read, *retried)
    return _ALL if found == _ALL else found
