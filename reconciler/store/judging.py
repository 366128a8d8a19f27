"""Loading what a judgement needs, and writing what came of it, in the one transaction that judges."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, func, select

from reconciler.core.borders import TilePlace, borders, with_neighbours
from reconciler.core.cases import Incident
from reconciler.core.ledger import Ledger
from reconciler.core.looked import Looked
from reconciler.core.outbox import Post
from reconciler.core.outlines import outline
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import SPAN, CountTile, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.ports import Judging, Portion, Said
from reconciler.store import acts, facts, findings, journal, looked, outbox, reach, tables, tiles
from reconciler.store.database import upsert
from reconciler.store.directories import Directories
from reconciler.store.journal import Place
from reconciler.store.marks import advance, horizon_of, position_of
from reconciler.store.outlines import pack_outline
from reconciler.store.replays import Deadlines

COUNTED = ("series", "count", "peak", "digest", "digested", "error")
"""What a judgement needs of a count tile."""
WHOLE = 2**40
"""A span beyond every other."""


def portions(connection: Connection, pipeline: Pipeline, most: int) -> list[Portion]:
    """The tiles that are to be judged in stretches of about `most`, oldest first; a span is never cut."""
    position = position_of(connection)
    judged = tables.judged.c
    mark = connection.execute(
        select(func.min(judged.position), func.min(judged.at)).where(judged.pipeline == pipeline.name)
    ).one()
    table = tables.tile.c
    touched = (table.touched > (-1 if mark[0] is None else mark[0])) | (table.latest_at > (mark[1] or 0))
    kept = table.span >= horizon_of(connection, pipeline.name).detail // (pipeline.width * SPAN)
    found = tiles.where(connection, pipeline.name, tiles.COUNT, touched, kept)
    found += tiles.where(connection, pipeline.name, tiles.VERDICT, table.active > 0, kept)
    spans = sorted({(one.key.chunk, one.key.span) for one in found}, key=lambda place: place[1])
    ends: list[int] = []
    held = 0
    for (_, span), (_, following) in pairwise(spans):
        held += 1
        if held >= most and following > span:
            ends.append(span)
            held = 0
    firsts = [-WHOLE, *(end + 1 for end in ends)]
    lasts = [*ends, WHOLE]
    return [Portion(first, last, position, is_last=last == WHOLE) for first, last in zip(firsts, lasts, strict=True)]


class SqlJudging(Judging):
    """In one transaction of a ledger."""

    def __init__(
        self,
        connection: Connection,
        directories: Directories,
        pipeline: Pipeline,
        now: Micros,
        portion: Portion | None,
    ) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._now = now
        self._position = position_of(connection)
        self._portion = portion or Portion(-WHOLE, WHOLE, self._position, is_last=True)
        self.judged_at, judged_position = self._judged()
        self.ledger = Ledger(pipeline, directories.load(connection, pipeline))
        # What is forgotten is not judged again: little is known of it any more, and it was judged while all was.
        self._kept = horizon_of(connection, pipeline.name).detail // (pipeline.width * SPAN) or -WHOLE
        self.ledger.spans = range(max(self._portion.first, self._kept), self._portion.last + 1)
        self.ledger.touched = self._touched(judged_position)
        self._tiles()
        self._facts()
        self.incidents = findings.open_incidents(connection, pipeline.name, now)
        self.acts = acts.heard(connection, pipeline.name, now, [one.id for one in self.incidents])
        self.state = findings.load_state(connection, pipeline.name)
        self.week = findings.load_week(connection, pipeline.name) if "volume" in self.state else b""

    def save(
        self,
        now: Micros,
        dirty: Iterable[TileKey],
        said: Sequence[Said],
        incidents: Sequence[Incident],
        changes: Sequence[dict[str, Any]],
        state: Mapping[str, Any],
        posts: Sequence[Post] = (),
    ) -> None:
        connection, name, changed = self._connection, self._pipeline.name, sorted(dirty)
        for some in tiles.batches(changed, tiles.WRITE):
            tiles.save(connection, name, tiles.VERDICT, [self._row(key) for key in some])
        reach.carry_on(connection, self._pipeline, self.ledger.directory, self.ledger.verdicts, changed)
        position = self._position
        for block in said:
            if len(block.bucket):
                position += 1
                findings.append_said(connection, name, position, now, block)
        if position > self._position:
            advance(connection, position)
        self._deadlines.save()
        findings.save_incidents(connection, name, now, incidents)
        findings.save_changes(connection, name, now, changes)
        findings.save_state(connection, name, now, state)
        outbox.put(connection, posts, now)
        if self._portion.is_last:
            # A portion that is all there is was loaded in this very transaction: nothing can have come since.
            judged = position if self._portion.first == -WHOLE else self._portion.position
            mark = {"pipeline": name, "at": now, "position": judged}
            upsert(connection, tables.judged, [mark | {"hop": hop.part} for hop in self._pipeline.hops])

    def _row(self, key: TileKey) -> dict[str, Any]:
        tile = self.ledger.verdicts[key]
        active, rims = int(np.count_nonzero(tile.active)), borders(tile, self._pipeline.reach)
        return {"key": key, "latest_at": self._now, "active": active, "borders": rims} | {
            "outline": pack_outline(outline(tile)),
            "payload": tiles.pack_tile(tile),
        }

    def keep_looked(self, come_to: Looked) -> None:
        looked.save(self._connection, self._pipeline.name, come_to)

    def keep(self, now: Micros, state: Mapping[str, Any], week: bytes) -> None:
        findings.save_state(self._connection, self._pipeline.name, now, state)
        findings.save_week(self._connection, self._pipeline.name, now, week)

    def _judged(self) -> tuple[Micros, int]:
        """The tick and the position that all hops are judged up to; a hop that is new begins the pipeline anew."""
        table = tables.judged.c
        query = select(table.hop, table.at, table.position).where(table.pipeline == self._pipeline.name)
        found = {row.hop: row for row in self._connection.execute(query)}
        parts = [hop.part for hop in self._pipeline.hops]
        if not all(part in found for part in parts):
            return 0, -1
        return min(found[part].at for part in parts), min(found[part].position for part in parts)

    def _touched(self, position: int) -> set[TileKey]:
        """Count tiles that changed since the last judgement, or hold readings that it could not see yet."""
        name, table = self._pipeline.name, tables.tile.c
        changed = tiles.where(self._connection, name, tiles.COUNT, table.touched > position, *self._within())
        unseen = tiles.where(self._connection, name, tiles.COUNT, table.latest_at > self.judged_at, *self._within())
        stages = {stage for hop in self._pipeline.hops for stage in (hop.from_stage, hop.to_stage)}
        return {one.key for one in (*changed, *unseen) if one.key.part in stages}

    def _within(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """In the portion that is judged."""
        spans, span = self.ledger.spans or range(0), tables.tile.c.span
        return span >= spans.start, span < spans.stop

    def _tiles(self) -> None:
        least = 1 if self.judged_at else 0  # a judgement that begins anew needs all that was said
        still = tables.tile.c.active >= least
        active = tiles.where(self._connection, self._pipeline.name, tiles.VERDICT, still, *self._within())
        verdicts: set[TileKey] = set()
        counts: set[TileKey] = set()
        spans = self.ledger.spans or range(0)
        for hop in self._pipeline.hops:
            stages = (hop.from_stage, hop.to_stage)
            places = {key[1:] for key in self.ledger.touched if key.part in stages} | self._passed()
            places |= {one.key[1:] for one in active if one.key.part == hop.part}
            places = {(chunk, span) for chunk, span in places if span in spans}
            places = self._with_neighbours(hop.part, places)
            verdicts |= {TileKey(hop.part, *place) for place in places}
            counts |= {TileKey(stage, *place) for stage in stages for place in places}
        self.ledger.verdicts.update(tiles.load(self._connection, self._find(tiles.VERDICT, verdicts), VerdictTile))
        self.ledger.open = {key for key, tile in self.ledger.verdicts.items() if tile.active.any()}
        self._counts(self._find(tiles.COUNT, counts))

    def _with_neighbours(self, part: str, places: set[TilePlace]) -> set[TilePlace]:
        def flags(spans: set[int]) -> dict[TilePlace, int]:
            kept = {span for span in spans if span >= self._kept}
            return tiles.flags(self._connection, self._pipeline.name, part, kept)

        return with_neighbours(places, flags)

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
        self.ledger.counts.update(tiles.load(self._connection, seen, CountTile, frozen=True, only=COUNTED))
        ahead = {one.key for one in wanted if one.latest_at > self._now}
        for part, span in sorted({(key.part, key.span) for key in ahead}):
            place = Place(self._pipeline.name, part, self._pipeline.width)
            past = journal.rebuild(self._connection, place, self.ledger.directory, span, self._now)
            self.ledger.counts.update((key, tile) for key, tile in past if key in ahead)

    def _facts(self) -> None:
        connection, name, ledger = self._connection, self._pipeline.name, self.ledger
        ledger.reporters = facts.reporters(connection, name, self._now)
        since = ledger.samples_since = self._oldest() - self._pipeline.looks_back
        kept = looked.load(connection, name)
        if kept and kept.serves(since, self._now):
            ledger.looked, since = kept, kept.at + 1
        ledger.samples = facts.samples(connection, name, since, self._now)
        self._deadlines = Deadlines(connection, self._pipeline, self._now)
        ledger.dues = self._deadlines.dues
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
