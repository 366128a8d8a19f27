"""Loading what a judgement needs, and writing what came of it, in the one transaction that judges."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.tiles import SPAN, CountTile, TileKey, VerdictTile
from reconciler.core.times import HOUR, Micros
from reconciler.ports import Said
from reconciler.store import facts, findings, journal, tables, tiles
from reconciler.store.database import upsert
from reconciler.store.directories import Directories
from reconciler.store.journal import Place
from reconciler.store.recording import advance, position_of

SAMPLES_BEFORE: Micros = 3 * HOUR
"""How long before the oldest open bucket queue samples are of use."""


def part_of(hop: Hop) -> str:
    """The hop as `TileKey.part` names it."""
    return f"{hop.from_stage}>{hop.to_stage}"


class SqlJudging:
    """See `reconciler.ports.Judging`."""

    def __init__(self, connection: Connection, directories: Directories, pipeline: Pipeline, now: Micros) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._now = now
        self._position = position_of(connection)
        judged = self._judged()
        self.judged_at: Micros = min((at for at, _ in judged.values()), default=0)
        self.ledger = Ledger(pipeline, directories.load(connection, pipeline))
        self._tiles(judged)
        self._facts()
        self.incidents = findings.open_incidents(connection, pipeline.name, now)
        self.state = findings.load_state(connection, pipeline.name)

    def save(
        self,
        now: Micros,
        dirty: Iterable[TileKey],
        said: Sequence[Said],
        incidents: Sequence[dict[str, Any]],
        changes: Sequence[dict[str, Any]],
        state: Mapping[str, Any],
    ) -> None:
        """See `reconciler.ports.Judging.save`."""
        connection, name = self._connection, self._pipeline.name
        rows = [_row(key, self.ledger.verdicts[key]) for key in sorted(dirty)]
        tiles.save(connection, name, tiles.VERDICT, rows)
        position = self._position
        if any(len(block.bucket) for block in said):
            position += 1
            advance(connection, position)
            findings.append_said(connection, name, position, now, said)
        findings.save_incidents(connection, name, now, incidents)
        findings.save_changes(connection, name, now, changes)
        findings.save_state(connection, name, now, state)
        judged = [
            {"pipeline": name, "hop": part_of(hop), "at": now, "position": position} for hop in self._pipeline.hops
        ]
        upsert(connection, tables.judged, judged)

    def _judged(self) -> dict[str, tuple[Micros, int]]:
        """By hop: the tick and the position that it is judged up to; a hop that is new has not been judged at all."""
        table = tables.judged.c
        query = select(table.hop, table.at, table.position).where(table.pipeline == self._pipeline.name)
        found = {row.hop: (row.at, row.position) for row in self._connection.execute(query)}
        return {part_of(hop): found.get(part_of(hop), (0, -1)) for hop in self._pipeline.hops}

    def _tiles(self, judged: Mapping[str, tuple[Micros, int]]) -> None:
        touched = self._touched(judged)
        active = self._active() | self._recent(min(at for at, _ in judged.values()))
        places: dict[str, set[tuple[int, int]]] = {}
        for hop in self._pipeline.hops:
            at, position = judged[part_of(hop)]
            fresh = [one.key for one in touched if one.touched > position or one.latest_at > at]
            fresh = [key for key in fresh if key.part in (hop.from_stage, hop.to_stage)]
            self.ledger.touched.update(fresh)
            places[part_of(hop)] = {key[1:] for key in fresh} | {key[1:] for key in active if key.part == part_of(hop)}
        verdicts = {TileKey(part, *place) for part, some in places.items() for place in some}
        counts = {
            TileKey(stage, *place)
            for hop in self._pipeline.hops
            for stage in (hop.from_stage, hop.to_stage)
            for place in places[part_of(hop)]
        }
        self.ledger.verdicts.update(tiles.load(self._connection, self._find(tiles.VERDICT, verdicts), VerdictTile))
        self._counts(self._find(tiles.COUNT, counts))

    def _touched(self, judged: Mapping[str, tuple[Micros, int]]) -> list[tiles.Stored]:
        """Count tiles that changed since a hop was judged, or hold readings that its last tick could not see yet."""
        first_at = min(at for at, _ in judged.values())
        first = min(position for _, position in judged.values())
        table = tables.tile.c
        name = self._pipeline.name
        changed = tiles.where(self._connection, name, tiles.COUNT, table.touched > first)
        unseen = tiles.where(self._connection, name, tiles.COUNT, table.latest_at > first_at)
        return list({one.id: one for one in (*changed, *unseen)}.values())

    def _active(self) -> set[TileKey]:
        found = tiles.where(self._connection, self._pipeline.name, tiles.VERDICT, tables.tile.c.active > 0)
        return {one.key for one in found}

    def _recent(self, since: Micros) -> set[TileKey]:
        """Where the time since the last judgement has brought new buckets, under the name of each hop."""
        first = max(0, since - 1) // self._pipeline.width // SPAN
        found = tiles.where(self._connection, self._pipeline.name, tiles.COUNT, tables.tile.c.span >= first)
        places = {one.key[1:] for one in found}
        return {TileKey(part_of(hop), *place) for hop in self._pipeline.hops for place in places}

    def _find(self, kind: str, wanted: set[TileKey]) -> list[tiles.Stored]:
        parts, spans = {key.part for key in wanted}, {key.span for key in wanted}
        found = tiles.find(self._connection, self._pipeline.name, kind, parts, spans)
        return [found[key] for key in sorted(wanted) if key in found]

    def _counts(self, wanted: Sequence[tiles.Stored]) -> None:
        """Load count tiles as of now: those with later readings are rebuilt from the history."""
        seen = [one for one in wanted if one.latest_at <= self._now]
        self.ledger.counts.update(tiles.load(self._connection, seen, CountTile))
        ahead = {one.key for one in wanted if one.latest_at > self._now}
        for part, span in sorted({(key.part, key.span) for key in ahead}):
            place = Place(self._pipeline.name, part, self._pipeline.width)
            past = journal.rebuild(self._connection, place, self.ledger.directory, span, self._now)
            self.ledger.counts.update((key, tile) for key, tile in past if key in ahead)

    def _facts(self) -> None:
        connection, name, ledger = self._connection, self._pipeline.name, self.ledger
        ledger.reporters = facts.reporters(connection, name, self._now)
        ledger.samples = facts.samples(connection, name, self._oldest() - SAMPLES_BEFORE, self._now)
        ledger.capacities = facts.capacities(connection, name, self._now)
        for stage in self._pipeline.stages:
            at = journal.latest_at(connection, Place(name, stage, self._pipeline.width), self._now)
            if at is not None:
                ledger.counted_at[stage] = at

    def _oldest(self) -> Micros:
        """Start of the oldest bucket that is touched or active."""
        ordinals = [key.span * SPAN for key in self.ledger.touched]
        for key, tile in self.ledger.verdicts.items():
            columns = np.flatnonzero(tile.active.any(axis=0))
            ordinals += [key.span * SPAN + int(columns[0])] if len(columns) else []
        return min((ordinal * self._pipeline.width for ordinal in ordinals), default=self._now)


def _row(key: TileKey, tile: VerdictTile) -> dict[str, Any]:
    return {"key": key, "active": int(np.count_nonzero(tile.active)), "payload": tiles.pack_tile(tile)}
