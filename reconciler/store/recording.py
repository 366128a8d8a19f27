"""Taking observations in: numbers for what is new, current values, history, and what each of the others says."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection

from reconciler.core.ledger import group
from reconciler.core.observations import Capacity, Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import SPAN, Bools, CountTile, Readings, TileKey
from reconciler.store import facts, journal, retirements, tiles
from reconciler.store.directories import Directories, copied
from reconciler.store.journal import Place
from reconciler.store.marks import advance, horizon_of, position_of
from reconciler.store.tiles import Stored, pack_tile


class Recording:
    """One transaction that records a batch."""

    def __init__(self, connection: Connection, directories: Directories, *, skip_unchanged: bool) -> None:
        self._connection = connection
        self._directories = directories
        self._skip = skip_unchanged
        self._position = position_of(connection) + 1
        self.too_old = 0
        """Counts of buckets that are forgotten, and that were not stored."""

    def take(self, observations: Sequence[Observation], pipelines: Mapping[str, Pipeline]) -> int:
        """Store the batch; returns how many observations said something new."""
        counts: dict[str, list[Count]] = defaultdict(list)
        others: dict[type, list[Any]] = defaultdict(list)
        for seen in observations:
            if isinstance(seen, Count):
                counts[seen.pipeline].append(seen)
            else:
                others[type(seen)].append(seen)
        kept = sum(self._counts(pipelines[name], batch) for name, batch in sorted(counts.items()))
        kept += facts.add_progress(self._connection, others[Progress])
        kept += facts.add_samples(self._connection, others[QueueSample])
        kept += facts.add_capacities(self._connection, others[Capacity])
        if kept:
            advance(self._connection, self._position)
        return kept

    def _counts(self, pipeline: Pipeline, counts: Sequence[Count]) -> int:
        counts = self._remembered(pipeline, counts)
        if not counts:
            return 0
        before = self._directories.load(self._connection, pipeline)
        after = copied(before)
        batches = group(after, pipeline, counts)
        retirements.come_back(self._connection, pipeline.name, after, counts)
        self._directories.save(self._connection, pipeline, before, after)
        parts, spans = {key.part for key in batches}, {key.span for key in batches}
        found = tiles.find(self._connection, pipeline.name, tiles.COUNT, parts, spans)
        kept = 0
        for stage in sorted(parts):
            here = {key: batch for key, batch in batches.items() if key.part == stage}
            kept += self._stage(Place(pipeline.name, stage, pipeline.width), here, found)
        return kept

    def _remembered(self, pipeline: Pipeline, counts: Sequence[Count]) -> Sequence[Count]:
        """Those that can be compared with something: of a bucket that is forgotten, one count alone tells nothing."""
        first = horizon_of(self._connection, pipeline.name).detail
        if not first:
            return counts
        kept = [seen for seen in counts if seen.bucket >= first]
        self.too_old += len(counts) - len(kept)
        return kept

    def _stage(self, place: Place, batches: Mapping[TileKey, Readings], found: Mapping[TileKey, Stored]) -> int:
        """Lay the batches over the tiles of one stage; returns how many readings were new.

        An older reading than the current one is new only if the history does not hold it, which is looked up once for
        all of them; in the common case there is none.
        """
        outcome = _Outcome()
        rows: list[dict[str, Any]] = []
        for key, tile in self._each(batches, found):
            batch = _unequal(tile, batches[key]) if self._skip else batches[key]
            news, stale = tile.apply(batch)
            news &= journal.last_lines(batch)
            if not news.any():
                continue
            row = {"key": key, "touched": self._position, "latest_at": int(tile.at.max()), "payload": pack_tile(tile)}
            (rows if (news & ~stale).any() else outcome.undecided).append(row)
            outcome.sort(key, batch, news, stale)
            if len(rows) >= tiles.WRITE:
                tiles.save(self._connection, place.pipeline, tiles.COUNT, rows)
                rows.clear()
        history = outcome.settle(self._connection, place)
        rows += [row for row in outcome.undecided if row["key"] in outcome.fresh]
        tiles.save(self._connection, place.pipeline, tiles.COUNT, rows)
        if history is None:
            return 0
        journal.append(self._connection, place, self._position, history)
        return len(history)

    def _each(
        self, batches: Mapping[TileKey, Readings], found: Mapping[TileKey, Stored]
    ) -> Iterator[tuple[TileKey, CountTile]]:
        """The tiles that the batches belong to, one at a time: a backfill may touch more than memory holds."""
        yield from tiles.load(self._connection, [found[key] for key in batches if key in found], CountTile)
        for key in batches:
            if key not in found:
                yield key, CountTile()


@dataclass(slots=True)
class _Outcome:
    """What the readings of one stage came to."""

    sure: list[Readings] = field(default_factory=list)
    """Readings that are new beyond doubt."""
    doubtful: list[Readings] = field(default_factory=list)
    """Readings older than the current one: new only if the history does not hold them."""
    keys: list[TileKey] = field(default_factory=list)
    """The tile of each entry of `doubtful`."""
    undecided: list[dict[str, Any]] = field(default_factory=list)
    """Rows of tiles with doubtful readings only."""
    fresh: set[TileKey] = field(default_factory=set)
    """Tiles whose doubtful readings were new."""

    def sort(self, key: TileKey, batch: Readings, news: Bools, stale: Bools) -> None:
        """Put the new readings of a tile where they belong."""
        absolute = replace(batch, column=batch.column + key.span * SPAN)
        if (news & ~stale).any():
            self.sure.append(absolute.take(news & ~stale))
        if (news & stale).any():
            self.doubtful.append(absolute.take(news & stale))
            self.keys.append(key)

    def settle(self, connection: Connection, place: Place) -> Readings | None:
        """What goes into the history; ``None`` where nothing does."""
        history = list(self.sure)
        if self.doubtful:
            whole = journal.join(self.doubtful)
            fresh = ~journal.known(connection, place, whole)
            owner = np.repeat(np.arange(len(self.keys)), [len(batch) for batch in self.doubtful])
            self.fresh = {self.keys[number] for number in np.unique(owner[fresh]).tolist()}
            history.append(whole.take(fresh))
        return journal.join(history) if any(map(len, history)) else None


def _unequal(tile: CountTile, batch: Readings) -> Readings:
    """The batch without the later readings that say the current count again.

    A cell is left out as a whole or not at all: where the batch also says something else of it, the order matters.
    """
    if not len(tile.series):
        return batch
    row = np.searchsorted(tile.series, batch.series)
    inside = row < len(tile.series)
    place = np.where(inside, row, 0)
    cell = (place, batch.column)
    same = inside & (tile.series[place] == batch.series) & (tile.count[cell] == batch.count)
    same &= (tile.digest[cell] == batch.digest) & (tile.digested[cell] == batch.digested)
    same &= (tile.error[cell] == batch.error) & (tile.at[cell] <= batch.at)
    number = batch.series * SPAN + batch.column
    return batch.take(np.isin(number, number[~same]))
