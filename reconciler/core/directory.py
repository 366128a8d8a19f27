"""Who counts what in a pipeline: sources and series, each with a small number that tiles use for its row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from reconciler.core.observations import LEGAL_ENDS, Count, Refusal
from reconciler.core.tiles import CHUNK, Ints
from reconciler.core.times import NEVER, Micros

OVERFLOW = "(overflow)"
"""The source under which those are judged together that come when a pipeline has all the sources that it may have."""
OK = 0
"""Class of a series whose events go on: `accepted` or `processed`."""
REPLAYED = 8
"""Added to the class of a series that counts events sent again."""


def newcomer(seen: Count, closed: Collection[str] | None, limit: int) -> Refusal | None:
    """Why a count of a source that was never heard of is not taken; `closed` are those that still are, `None`: all."""
    if closed is None or seen.source in closed:
        return None
    return Refusal(
        "source",
        f"is a new one, and pipeline {seen.pipeline} has twice its max_sources of {limit:,} already; "
        "let sources be those who send, not those they send of, or raise max_sources",
    )


def outcome_class(outcome: str, *, replayed: bool) -> int:
    """0 for events that go on, 1 to 6 for the legal ends; plus `REPLAYED` where they were sent again."""
    base = LEGAL_ENDS.index(outcome) + 1 if outcome in LEGAL_ENDS else OK
    return base + (REPLAYED if replayed else 0)


class SeriesKey(NamedTuple):
    """What one row of a count tile counts."""

    stage: str
    source: int
    """Ordinal of the source."""
    outcome: str
    reporter: str
    replay: str | None
    origin: str = ""
    """Name of the source that is counted under `OVERFLOW`; empty for all others."""


@dataclass(slots=True)
class Directory:
    """Sources and series of one pipeline. Numbers are given in order of appearance and never change."""

    sources: list[str] = field(default_factory=list)
    first_bucket: list[Micros] = field(default_factory=list)
    """By source: its earliest bucket with a count at any stage, µs; `NEVER` until one came."""
    retired_at: list[Micros] = field(default_factory=list)
    """By source: from this instant it has no cells; `NEVER` while it lives."""
    series: list[SeriesKey] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    """By series: `outcome_class`."""
    _table: tuple[Ints, Ints] = field(
        default_factory=lambda: (np.zeros(0, np.int64), np.zeros(0, np.int64)), compare=False
    )
    _source_ids: dict[str, int] = field(default_factory=dict)
    _series_ids: dict[SeriesKey, int] = field(default_factory=dict)

    def source(self, name: str) -> int:
        """Ordinal of the source, given now if it is new."""
        ordinal = self._source_ids.get(name)
        if ordinal is None:
            ordinal = self._source_ids[name] = len(self.sources)
            self.sources.append(name)
            self.first_bucket.append(NEVER)
            self.retired_at.append(NEVER)
        return ordinal

    def series_id(self, key: SeriesKey) -> int:
        """Number of the series, given now if it is new."""
        number = self._series_ids.get(key)
        if number is None:
            number = self._series_ids[key] = len(self.series)
            self.series.append(key)
            self.classes.append(outcome_class(key.outcome, replayed=key.replay is not None))
        return number

    def number(self, counts: Sequence[Count], limit: int) -> tuple[Ints, Ints]:
        """By count: ordinal of its source and number of its series, given now where they are new.

        With so many sources as the `limit`, new ones are `OVERFLOW`, each with its own series, so that sums stay right.
        """
        sources: list[int] = []
        numbers: list[int] = []
        known_sources, known_series = self._source_ids, self._series_ids
        for seen in counts:
            source = known_sources.get(seen.source)
            origin = ""
            if source is None:
                full = len(self.sources) >= limit
                source, origin = (self.source(OVERFLOW), seen.source) if full else (self.source(seen.source), "")
            key = (seen.stage, source, seen.outcome, seen.reporter, seen.replay, origin)
            number = known_series.get(key)  # type: ignore[call-overload]  # a plain tuple finds its named equal, faster
            numbers.append(self.series_id(SeriesKey(*key)) if number is None else number)
            sources.append(source)
        return np.array(sources, np.int64), np.array(numbers, np.int64)

    @property
    def beyond(self) -> int:
        """How many sources are counted together under `OVERFLOW`."""
        return len({key.origin for key in self.series if key.origin}) if OVERFLOW in self._source_ids else 0

    def closed(self, limit: int) -> frozenset[str] | None:
        """The names of all sources, once `limit` are counted under `OVERFLOW`: then it is time to take no more."""
        if OVERFLOW not in self._source_ids:
            return None
        origins = {key.origin for key in self.series if key.origin}
        return frozenset(origins.union(self.sources)) if len(origins) >= limit else None

    def saw(self, source: Ints, bucket: Ints) -> None:
        """Note that these sources have counts in these buckets, as parallel arrays."""
        first = np.array(self.first_bucket, np.int64)
        earlier = bucket < first[source]
        if earlier.any():
            np.minimum.at(first, source[earlier], bucket[earlier])
            self.first_bucket = first.tolist()

    def table(self) -> tuple[Ints, Ints]:
        """By series, as arrays: ordinal of its source, and its class."""
        if len(self._table[0]) != len(self.series):
            sources = np.array([key.source for key in self.series], np.int64)
            self._table = (sources, np.array(self.classes, np.int64))
        return self._table

    @property
    def chunks(self) -> int:
        """How many chunks of sources there are."""
        return -(-len(self.sources) // CHUNK)
