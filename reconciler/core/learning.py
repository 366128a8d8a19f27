"""What a lane learns of lag from one judgement."""

import numpy as np

from reconciler.core.lag import first_look
from reconciler.core.lanes import Lane
from reconciler.core.own_lag import Lately
from reconciler.core.sheets import Sheet, finished
from reconciler.core.tiles import CHUNK, SPAN, Bools, Ints
from reconciler.core.times import NEVER, Micros
from reconciler.core.verdicts import Verdict

_IN_TIME = np.arange(len(Verdict)) < int(Verdict.DELAYED)
_LATE = np.isin(np.arange(len(Verdict)), [int(verdict) for verdict in (Verdict.DELAYED, Verdict.AT_RISK, Verdict.LOST)])
"""By code of a verdict."""


def learn(
    lane: Lane, own: list[tuple[Sheet, Ints, Ints, Bools]], through: Micros, now: Micros, width: Micros,
    judged_at: Micros | None, *, prompt: bool,
) -> None:  # fmt: skip
    """Learn from events seen processed for the first time; from cells never seen before, only what one look shows.

    Once lag is known, cells that were late or worse teach nothing: an outage must not become the usual. Where a source
    is late on most days, or on the same day of most weeks, that is usual.
    """
    known = lane.knows_lag(through, width)
    for sheet, _, done, rows in own:
        ends = (np.arange(sheet.first, sheet.first + SPAN, dtype=np.int64) + 1) * width
        said = sheet.old.code[: len(sheet.lanes)]
        new = (done > 0).reshape(-1).nonzero()[0]
        new = new[rows[new // SPAN] & (sheet.processed.replayed.take(new) == 0)]
        was = said.take(new)
        seen = _IN_TIME[was] if known else np.ones(len(new), np.bool_)
        if not prompt:
            seen &= was != int(Verdict.NONE)
        if known:
            seen |= _usual_all_the_same(lane, _LATE[was], new // SPAN + sheet.key.chunk * CHUNK, now)
        first_seen = new[seen]
        row, column = np.divmod(first_seen, SPAN)
        events = done.take(first_seen)
        fresh = np.bincount(column, weights=events, minlength=SPAN).astype(np.int64)
        at = fresh.nonzero()[0]
        passed = lane.passed.view(sheet.first, sheet.first + SPAN)[0][at]
        since = np.maximum(ends[at], np.where(passed < NEVER, passed, through))
        lane.read.learn(now, through - since, fresh[at])
        lane.wall.learn(now, now - ends[at], fresh[at])
        delays = np.zeros(SPAN, np.int64)
        delays[at] = through - since
        old, chunk = sheet.old.parts, sheet.key.chunk * CHUNK
        begun = new[old["processed"].take(new) + old["accounted"].take(new) == 0] // SPAN
        lately = None
        if judged_at is not None and 2 * (now - judged_at) <= width:
            late = (delays[column] > width).nonzero()[0]
            lately = Lately(now // width, (row[late] + chunk << 32) + column[late] + sheet.first, late)
        lane.own.learn(now, row + chunk, delays[column], events, begun + chunk, lately)
    if not prompt:
        _learn_at_first_sight(lane, own, through, now, width)


def _usual_all_the_same(lane: Lane, late: Bools, source: Ints, now: Micros) -> Bools:
    """Cells that were late or worse, of sources that often are; their events have come, so nothing of it was lost."""
    if not late.any():
        return late
    lane.own.note_late(now, np.unique(source[late]))
    usual = late.copy()
    usual[late] = lane.own.often_late(now, source[late])
    return usual


def _learn_at_first_sight(
    lane: Lane, own: list[tuple[Sheet, Ints, Ints, Bools]], through: Micros, now: Micros, width: Micros
) -> None:
    ages, fed, done = [], [], []
    for sheet, _, _, rows in own:
        ends = (np.arange(sheet.first, sheet.first + SPAN, dtype=np.int64) + 1) * width
        new = (sheet.old.code[: len(sheet.lanes)] == int(Verdict.NONE)) & sheet.whole
        ages.append(through - ends)
        fed.append(rows @ np.where(new, sheet.parts["accepted"], 0))
        done.append(rows @ np.where(new, finished(sheet.parts, len(sheet.lanes)), 0))
    # A portion of a backlog that holds old buckets only shows no delay: all of it has had its time.
    if ages and int(np.concatenate(ages).min()) < SPAN * width:
        delays, events = first_look(np.concatenate(ages), np.concatenate(fed), np.concatenate(done))
        lane.read.learn(now, delays[events > 0], events[events > 0])
        lane.wall.learn(now, (delays + (now - through))[events > 0], events[events > 0])
