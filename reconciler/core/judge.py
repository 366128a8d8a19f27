"""One judgement of one hop: from the ledger as of now to what is said of every cell.

1. Each open or changed tile is summed into accepted, processed and accounted, cell by cell.
2. Cells that balance are `complete`, cells whose bucket is not whole are `open`; both at once for the whole tile.
3. What remains is gathered from all tiles, lane by lane: the gap is split into parts (`balance`), and the rules give
   the word (`verdicts`).
4. What differs from the last judgement is what is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np

from reconciler.core.balance import Parts, split
from reconciler.core.borders import TilePlace, borders, with_neighbours
from reconciler.core.changes import Changes, compare
from reconciler.core.lag import upper_bound
from reconciler.core.lanes import Lane, advance_head, look, note_head, watch_writes
from reconciler.core.learning import learn
from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import MISPLACED_WITHIN, Hop
from reconciler.core.queues import QueueLedger
from reconciler.core.resent import hand_on
from reconciler.core.sheets import Sheet, add_up, final, find_kept, finished, gather, keep, plain, scatter
from reconciler.core.stages import Missing, Stage, stage_now
from reconciler.core.sums import overdue, own_bound, own_patience, own_share
from reconciler.core.tiles import CHUNK, SPAN, Bools, Ints, Planes, TileKey, VerdictTile
from reconciler.core.times import DAY, NEVER, Micros
from reconciler.core.totals import totals
from reconciler.core.verdicts import Codes, Signs, Verdict, judge

SILENCE: Micros = 31 * DAY
"""A longer time without a single count, before the first judgement, is not judged."""
BLANK = VerdictTile()
"""Of a tile of which nothing was said yet; never written to."""
FIRST_PATIENCE = 3
"""Buckets that a gap may wait before it is a delay, while nothing at all is known of lag."""


@dataclass(slots=True)
class HopJudgement:
    """What one judgement of a hop came to."""

    changes: Changes
    dirty: list[TileKey]
    unplaced: dict[int, int] = field(default_factory=dict)
    """By lane: events that a queue deleted unread and that cannot be given to a source yet."""


@dataclass(slots=True)
class HopJudge:
    """Judges one hop again and again; what it remembers in between are its lanes."""

    hop: Hop
    lanes: list[Lane]
    lane_of_source: list[int] = field(default_factory=list)
    stands_before: int = 0
    """What was said of settled cells before the bucket of this ordinal was said by other rules, and stands."""

    def judge(
        self, ledger: Ledger, queues: Mapping[str, QueueLedger], now: Micros, judged_at: Micros | None
    ) -> HopJudgement:
        """Judge every tile that has changed or is still open."""
        stages = (stage_now(ledger, self.hop.from_stage, now), stage_now(ledger, self.hop.to_stage, now))
        sheets = [self._sheet(ledger, key, stages, now) for key in self._keys(ledger, now, judged_at)]
        self._sum_up(sheets, stages, now, judged_at, ledger.pipeline.width)
        find_kept(sheets, [lane.remembered_from for lane in self.lanes], ledger.pipeline.reach, self.stands_before)
        sheets = [sheet for sheet in sheets if not sheet.kept.all()]
        for sheet in sheets:
            self._note_unreported(sheet, stages, ledger.pipeline.width)
            plain(sheet, proven=stages[0].progressed and stages[1].progressed)
            keep(sheet)
        if ledger.pipeline.width > MISPLACED_WITHIN:  # in narrow ones events that are carried over show at once
            self._note_ahead(sheets)
        unplaced: dict[int, int] = {}
        for position, lane in self._used_lanes():
            note_head(lane, queues, ledger.pipeline.width)
            watch_writes(lane, ledger.pipeline, queues, stages[0])
            doubtful = [sheet for sheet in sheets if (sheet.doubtful & (sheet.lanes == position)[:, None]).any()]
            if doubtful:
                unplaced[position] = self._judge_lane(position, lane, ledger, queues, doubtful, stages, now)
            else:
                lane.doubted = {}
        return HopJudgement(compare(sheets, ledger.pipeline.width), self._write(ledger, sheets, now), unplaced)

    def _note_ahead(self, sheets: list[Sheet]) -> None:
        """Remember of which sources more is processed than accepted in a bucket that is not whole."""
        for sheet in sheets:
            if not sheet.parts.is_blank("surplus"):
                for row, column in np.argwhere(
                    (sheet.code == int(Verdict.OPEN)) & (sheet.parts["surplus"] > 0)
                ).tolist():
                    source, ahead = row + sheet.key.chunk * CHUNK, self.lanes[int(sheet.lanes[row])].ahead
                    ahead[source] = max(ahead.get(source, 0), sheet.first + column)

    def _used_lanes(self) -> list[tuple[int, Lane]]:
        """The lanes that some source travels, by position."""
        used = set(self.lane_of_source)
        return [(position, lane) for position, lane in enumerate(self.lanes) if position in used]

    def _keys(self, ledger: Ledger, now: Micros, judged_at: Micros | None) -> list[TileKey]:
        """Tiles that were touched, that are open, and those of the time that has passed since the last judgement."""
        part = self.hop.part
        stages = (self.hop.from_stage, self.hop.to_stage)
        keys = {TileKey(part, key.chunk, key.span) for key in ledger.touched if key.part in stages}
        keys |= {key for key in ledger.open if key.part == part}
        passed = _passed(ledger, now, judged_at)
        keys |= {TileKey(part, chunk, span) for span in passed for chunk in range(ledger.directory.chunks)}
        places = with_neighbours({key[1:] for key in keys}, lambda spans: self._borders(ledger, spans))
        return sorted(TileKey(part, *place) for place in places)

    def _borders(self, ledger: Ledger, spans: set[int]) -> dict[TilePlace, int]:
        part, reach = self.hop.part, ledger.pipeline.reach
        keys = [TileKey(part, chunk, span) for span in spans for chunk in range(ledger.directory.chunks)]
        return {key[1:]: borders(ledger.verdicts[key], reach) for key in keys if key in ledger.verdicts}

    def _sheet(self, ledger: Ledger, key: TileKey, stages: tuple[Stage, Stage], now: Micros) -> Sheet:
        directory, width = ledger.directory, ledger.pipeline.width
        rows = min(CHUNK, len(directory.sources) - key.chunk * CHUNK)
        fed = totals(ledger.counts.get(TileKey(stages[0].name, key.chunk, key.span)), directory, key.chunk, rows)
        done = totals(ledger.counts.get(TileKey(stages[1].name, key.chunk, key.span)), directory, key.chunk, rows)
        if stages[0].name != ledger.pipeline.stages[0]:
            hand_on(fed)
        starts = (key.span * SPAN + np.arange(SPAN, dtype=np.int64)) * width
        chunk = slice(key.chunk * CHUNK, key.chunk * CHUNK + rows)
        born = np.array(directory.first_bucket[chunk], np.int64)[:, None]
        retired = np.array(directory.retired_at[chunk], np.int64)[:, None]
        exists = ((starts < now) | fed.known | done.known) & (starts < retired)
        if len(born) and born.max() > starts[0]:
            exists &= starts >= born
        lapsed = _uncounted(stages[0].lapsed, key, rows, starts + width, 0)
        unfed = _uncounted(stages[0].missing, key, rows, starts + width, 0) | lapsed
        if not stages[0].progressed:
            unfed |= ~fed.known & (starts + width <= stages[0].through)
        whole = (starts + width <= stages[0].through) & ~unfed
        self._place(ledger)
        shape = (rows, SPAN)
        sheet = Sheet(
            key,
            ledger.verdicts.get(key) or BLANK,
            exists,
            whole,
            unfed & exists,
            fed,
            done,
            np.array(self.lane_of_source[chunk], np.int64),
            np.zeros(shape, np.uint8),
            np.zeros(shape, np.uint32),
            Planes(rows),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.bool_),
            np.zeros(shape, np.bool_),
            np.zeros(shape, np.bool_),
            np.zeros(shape, np.bool_),
            lapsed & exists,
        )
        add_up(sheet)
        return sheet

    def _note_unreported(self, sheet: Sheet, stages: tuple[Stage, Stage], width: Micros) -> None:
        """Add the cells that the second stage may not have counted yet, by all that is known of lag by now."""
        rows, done = len(sheet.lanes), stages[1]
        slack = 2 * max(lane.read.longest for lane in self.lanes)
        ends = (sheet.first + np.arange(SPAN, dtype=np.int64) + 1) * width
        lapsed = _uncounted(done.lapsed, sheet.key, rows, ends, slack)
        unreported = _uncounted(done.missing, sheet.key, rows, ends, slack) | lapsed
        if not done.progressed:
            unreported |= ~sheet.processed.known & (sheet.accepted.ok > 0)
        sheet.unreported |= unreported & sheet.exists
        sheet.lapsed |= lapsed & sheet.exists

    def _place(self, ledger: Ledger) -> None:
        """Put sources that are new into their lanes."""
        fresh = ledger.directory.sources[len(self.lane_of_source) :]
        if len(self.lanes) == 1:
            self.lane_of_source += [0] * len(fresh)
        else:
            self.lane_of_source += [self._lane_of(ledger, source) for source in fresh]

    def _lane_of(self, ledger: Ledger, source: str) -> int:
        for position, lane in enumerate(self.lanes):
            if any(ledger.pipeline.queue(name).carries(source) for name in lane.queues):
                return position
        return len(self.lanes) - 1

    def _sum_up(
        self, sheets: list[Sheet], stages: tuple[Stage, Stage], now: Micros, judged_at: Micros | None, width: Micros
    ) -> None:
        """Bring the lanes' sums up to date, and learn lag from what has newly been processed."""
        prompt = judged_at is not None and now - judged_at <= FIRST_PATIENCE * width
        news: list[tuple[Sheet, Ints, Ints]] = []
        for sheet in sheets:
            count, old = len(sheet.lanes), sheet.old.parts
            fed = sheet.parts["accepted"] - old["accepted"][:count]
            news.append((sheet, fed, finished(sheet.parts, count) - finished(old, count)))
        for position, lane in self._used_lanes():
            own = [(sheet, fed, done, sheet.lanes == position) for sheet, fed, done in news]
            own = [entry for entry in own if entry[3].any()]
            moved = 0
            for sheet, fed, done, rows in own:
                every = bool(rows.all())
                all_fed, all_done = (plane.sum(axis=0) if every else rows @ plane for plane in (fed, done))
                exists: Bools = np.any(sheet.exists if every else sheet.exists[rows], axis=0)
                moved += int(all_done.sum())
                _add(lane, sheet, all_fed, all_done, exists, width)
            if moved > 0 or not lane.moved_at:
                lane.moved_at = stages[1].through
            advance_head(lane, width, stages[0].through, stages[1].through, prompt=prompt)
            learn(lane, own, stages[1].through, now, width, judged_at, prompt=prompt)

    def _judge_lane(
        self, position: int, lane: Lane, ledger: Ledger, queues: Mapping[str, QueueLedger], sheets: list[Sheet],
        stages: tuple[Stage, Stage], now: Micros,
    ) -> int:  # fmt: skip
        places = [np.flatnonzero(sheet.doubtful & (sheet.lanes == position)[:, None]) for sheet in sheets]
        first = min(sheet.first + int((at % SPAN).min()) for sheet, at in zip(sheets, places, strict=True)) - 2
        last = max(sheet.first + int((at % SPAN).max()) for sheet, at in zip(sheets, places, strict=True)) + 3
        seen = look(lane, ledger.pipeline, queues, stages, (first, last), now)
        cells = gather(sheets, places, first)
        width = ledger.pipeline.width
        share = own_share(lane, seen, cells)
        late = now - (cells.bucket + first + 1) * width
        cap = own_bound(lane, seen, cells, share)
        stalled = ((seen.age < 0) & ~seen.facts.covered)[cells.bucket]
        if stalled.any():
            cap = np.where(stalled, upper_bound(cells.accepted * lane.wall.share(late), cells.accepted), cap)
        doubted, lane.doubted = lane.doubted, {}
        weigh = partial(overdue, lane, ledger.pipeline, stages, seen, cells, now, doubted, share)
        parts = split(cells, seen.facts, cap, weigh)
        gap = np.maximum(cells.accepted - cells.processed - cells.accounted, 0)
        patience = own_patience(lane, cells, late)
        ordinary = gap <= (patience if lane.wall.seen else np.where(late <= FIRST_PATIENCE * width, gap, 0))
        off = np.maximum(gap, parts.surplus)
        tolerance = ledger.pipeline.tolerance
        allowed = np.maximum(tolerance.events, np.floor(tolerance.ratio * cells.accepted))
        whole = np.concatenate([sheet.whole.take(at) for sheet, at in zip(sheets, places, strict=True)])
        signs = Signs(
            lost=parts.lost,
            passed_over=parts.passed_over,
            retained=parts.retained,
            in_flight=parts.in_flight,
            unproven=parts.unproven,
            surplus=parts.surplus,
            threatened=seen.threatened[cells.bucket] & ~ordinary,
            whole=whole,
            unreported=cells.unreported,
            ordinary=ordinary,
            tolerated=((off <= allowed) | (off <= cells.error)) & ~cells.unequal,
        )
        codes = judge(signs)
        scatter(sheets, places, cells, parts, signs, codes, seen)
        self._learn_peace(lane, parts, codes)
        left = np.minimum(seen.facts.expired.sum(), (parts.unproven + parts.in_flight)[cells.unreported].sum())
        return int(left)

    def _learn_peace(self, lane: Lane, parts: Parts, codes: Codes) -> None:
        """In peace, what is read and not processed is simply on its way; remember how much that can be."""
        if (codes <= int(Verdict.PENDING)).all():
            lane.usual_in_flight = max(lane.usual_in_flight, int((parts.in_flight + parts.unproven).sum()))

    def _write(self, ledger: Ledger, sheets: list[Sheet], now: Micros) -> list[TileKey]:
        """Put the new state into the ledger's verdict tiles; returns the tiles that differ."""
        dirty: list[TileKey] = []
        for sheet in sheets:
            count, tile = len(sheet.lanes), sheet.old
            active = sheet.exists & ~final(sheet)
            (ledger.open.add if active.any() else ledger.open.discard)(sheet.key)
            columns = (
                ("code", sheet.code), ("evidence", sheet.evidence), ("loss_at", sheet.loss_at),
                ("proven", sheet.proven), ("active", active),
            )  # fmt: skip
            if not sheet.moved and not any((getattr(tile, name)[:count] != new).any() for name, new in columns):
                continue
            if tile is BLANK:
                tile = ledger.verdicts[sheet.key] = VerdictTile()
            for name, new in columns:
                getattr(tile, name)[:count] = new
            for part in sheet.moved:
                tile.parts.own(part)[:count] = sheet.parts[part]
            dirty.append(sheet.key)
        return dirty


def _uncounted(absent: tuple[Missing, ...], key: TileKey, rows: int, ends: Ints, slack: Micros) -> Bools:
    """Cells that these reporters could have counted, up to `slack` after the bucket's end."""
    uncounted, width = np.zeros((rows, SPAN), np.bool_), int(ends[1] - ends[0])
    for one in absent:
        here = (ends + slack > one.through) & (ends - width < one.until)
        if here.any():
            uncounted |= one.hits(key.chunk, rows)[:, None] & here
    return uncounted


def _passed(ledger: Ledger, now: Micros, judged_at: Micros | None) -> set[int]:
    """Spans of the time since the last judgement; at the first one, since counting began.

    Then a time longer than `SILENCE` in which nobody counted anything is passed over: one stray old bucket does not
    make years of cells.
    """
    size, kept = ledger.pipeline.width * SPAN, ledger.spans or range(NEVER)
    kept = range(max(0, kept.start), min((now - 1) // size + 1, kept.stop))
    if judged_at is not None:
        return set(range(max(kept.start, max(0, judged_at - 1) // size), kept.stop))
    ends = {kept.start} - {0} | {kept.stop - 1} if kept else set()
    counted = {key.span for key in ledger.touched} | ends
    pairs = pairwise(sorted(counted))
    near = [range(a + 1, b) for a, b in pairs if (b - a - 1) * size <= SILENCE]
    return counted.union(*near)


def _add(lane: Lane, sheet: Sheet, fed: Ints, done: Ints, exists: Bools, width: Micros) -> None:
    if exists.any():
        lane.first = min(lane.first, sheet.first + int(np.argmax(exists)))
        lane.add(sheet.first, fed, done, width)
