"""Loading what a judgement needs, and writing what came of it, in the one transaction that judges."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.tiles import SPAN, CountTile, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.ports import Said
from reconciler.store import facts, findings, journal, tables, tiles
from reconciler.store.database import upsert
from reconciler.store.directories import Directories
from reconciler.store.journal import Place
from reconciler.store.recording import advance, position_of


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
        self.judged_at, judged_position = self._judged()
        self.ledger = Ledger(pipeline, directories.load(connection, pipeline))
        self.ledger.touched = self._touched(judged_position)
        self._tiles()
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
        for some in tiles.batches(sorted(dirty), tiles.WRITE):
            tiles.save(connection, name, tiles.VERDICT, [_row(key, self.ledger.verdicts[key]) for key in some])
        position = self._position
        for block in said:
            if len(block.bucket):
                position += 1
                findings.append_said(connection, name, position, now, block)
        if position > self._position:
            advance(connection, position)
        findings.save_incidents(connection, name, now, incidents)
        findings.save_changes(connection, name, now, changes)
        findings.save_state(connection, name, now, state)
        judged = [
            {"pipeline": name, "hop": part_of(hop), "at": now, "position": position} for hop in self._pipeline.hops
        ]
        upsert(connection, tables.judged, judged)

    def _judged(self) -> tuple[Micros, int]:
        """The tick and the position that all hops are judged up to; a hop that is new begins the pipeline anew."""
        table = tables.judged.c
        query = select(table.hop, table.at, table.position).where(table.pipeline == self._pipeline.name)
        found = {row.hop: row for row in self._connection.execute(query)}
        parts = [part_of(hop) for hop in self._pipeline.hops]
        if not all(part in found for part in parts):
            return 0, -1
        return min(found[part].at for part in parts), min(found[part].position for part in parts)

    def _touched(self, position: int) -> set[TileKey]:
        """Count tiles that changed since the last judgement, or hold readings that it could not see yet."""
        name, table = self._pipeline.name, tables.tile.c
        changed = tiles.where(self._connection, name, tiles.COUNT, table.touched > position)
        unseen = tiles.where(self._connection, name, tiles.COUNT, table.latest_at > self.judged_at)
        stages = {stage for hop in self._pipeline.hops for stage in (hop.from_stage, hop.to_stage)}
        return {one.key for one in (*changed, *unseen) if one.key.part in stages}

    def _tiles(self) -> None:
        least = 1 if self.judged_at else 0  # a judgement that begins anew needs all that was said
        active = tiles.where(self._connection, self._pipeline.name, tiles.VERDICT, tables.tile.c.active >= least)
        verdicts: set[TileKey] = set()
        counts: set[TileKey] = set()
        for hop in self._pipeline.hops:
            stages = (hop.from_stage, hop.to_stage)
            places = {key[1:] for key in self.ledger.touched if key.part in stages} | self._passed()
            places |= {one.key[1:] for one in active if one.key.part == part_of(hop)}
            verdicts |= {TileKey(part_of(hop), *place) for place in places}
            counts |= {TileKey(stage, *place) for stage in stages for place in places}
        self.ledger.verdicts.update(tiles.load(self._connection, self._find(tiles.VERDICT, verdicts), VerdictTile))
        self._counts(self._find(tiles.COUNT, counts))

    def _passed(self) -> set[tuple[int, int]]:
        """Chunks and spans of the time since the last judgement: their cells begin to exist though nobody counted."""
        if not self.judged_at:
            return set()
        width = self._pipeline.width * SPAN
        spans = range(max(0, self.judged_at - 1) // width, (self._now - 1) // width + 1)
        return {(chunk, span) for span in spans for chunk in range(self.ledger.directory.chunks)}

    def _find(self, kind: str, wanted: set[TileKey]) -> list[tiles.Stored]:
        parts, spans = {key.part for key in wanted}, {key.span for key in wanted}
        found = tiles.find(self._connection, self._pipeline.name, kind, parts, spans)
        return [found[key] for key in sorted(wanted) if key in found]

    def _counts(self, wanted: Sequence[tiles.Stored]) -> None:
        """Load count tiles as of now: those with later readings are rebuilt from the history."""
        seen = [one for one in wanted if one.latest_at <= self._now]
        self.ledger.counts.update(tiles.load(self._connection, seen, CountTile, frozen=True))
        ahead = {one.key for one in wanted if one.latest_at > self._now}
        for part, span in sorted({(key.part, key.span) for key in ahead}):
            place = Place(self._pipeline.name, part, self._pipeline.width)
            past = journal.rebuild(self._connection, place, self.ledger.directory, span, self._now)
            self.ledger.counts.update((key, tile) for key, tile in past if key in ahead)

    def _facts(self) -> None:
        connection, name, ledger = self._connection, self._pipeline.name, self.ledger
        ledger.reporters = facts.reporters(connection, name, self._now)
        ledger.samples = facts.samples(connection, name, self._oldest() - self._pipeline.looks_back, self._now)
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
