"""A tile under judgement: what is summed, what is plain at once, and what must be looked at more closely."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.balance import Cells, Parts
from reconciler.core.lanes import Look
from reconciler.core.resent import alike, sent_again
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Bools, Ints, TileKey, VerdictTile
from reconciler.core.times import NEVER
from reconciler.core.totals import Totals
from reconciler.core.verdicts import DIRECT, Codes, Evidence, Signs, Verdict

PART = {name: position for position, name in enumerate(PARTS)}


@dataclass(slots=True)
class Sheet:
    """One tile under judgement; arrays are `(rows, SPAN)`."""

    key: TileKey
    old: VerdictTile
    exists: Bools
    whole: Bools
    unreported: Bools
    accepted: Totals
    processed: Totals
    lanes: Ints
    """By row: position of its lane."""
    code: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
    evidence: Ints
    parts: Ints
    """`(len(PARTS), rows, SPAN)`."""
    loss_at: Ints
    proven: Bools
    settled: Bools
    doubtful: Bools
    """Goes to step 3."""
    kept: Bools
    """Final, forgotten and unchanged: what was said of it stands."""
    lapsed: Bools
    """A reporter that nobody waits for any more had begun to count here."""

    @property
    def first(self) -> int:
        """Ordinal of the first bucket."""
        return self.key.span * SPAN


def finished(parts: Ints) -> Ints:
    """Processed and accounted for, those sent again left out."""
    again = parts[PART["recovered"]] + parts[PART["duplicated"]]
    done: Ints = parts[PART["processed"]] + parts[PART["accounted"]] - again
    return done


def add_up(sheet: Sheet) -> None:
    """Step 1: what was accepted, processed and accounted for, and what of it was sent again."""
    fed, done = sheet.accepted, sheet.processed
    for name, amount in (("accepted", fed.ok), ("processed", done.ok + done.replayed), ("accounted", done.legal)):
        sheet.parts[PART[name]] = np.where(sheet.exists, amount, 0)
    again = sent_again(fed, done, sheet.old.parts[:, : len(sheet.lanes)])
    for name, amount in zip(("recovered", "duplicated"), again, strict=True):
        sheet.parts[PART[name]] = np.where(sheet.exists, amount, 0)


def plain(sheet: Sheet, *, proven: bool) -> None:
    """Step 2: all that needs no queue and no lag."""
    fed, done = sheet.accepted, sheet.processed
    gap = fed.ok - done.ok - done.replayed - done.legal
    differs = fed.digested & done.digested & (fed.digest != done.digest) & (fed.ok > 0)
    balanced = (gap == 0) & ~differs & (done.replayed == 0)
    opened = sheet.exists & ~sheet.whole & ~sheet.unreported
    complete = sheet.exists & sheet.whole & balanced & ~sheet.unreported
    sheet.doubtful = sheet.exists & ~opened & ~complete
    sheet.code[complete], sheet.code[opened] = Verdict.COMPLETE, Verdict.OPEN
    sheet.proven |= complete & proven
    sheet.parts[PART["in_flight"]] = np.where(opened, np.maximum(gap, 0), 0)
    sheet.parts[PART["surplus"]] = np.where(opened, np.maximum(-gap, 0), 0)


def keep_final(sheets: list[Sheet], remembered_from: list[int], reach: int, stands_before: int = 0) -> None:
    """Let stand what was said of final cells whose detail is forgotten, unless they change.

    `remembered_from`: by lane, the first bucket that is not forgotten. What lies before `stands_before` is as good as
    forgotten: an engine of another version has said it, and it must not be said anew for that reason alone. Where a
    cell changes, or was netted with one that is judged anew, those of its source that are misplaced are judged with it.
    """
    since = np.array([ordinal if ordinal < NEVER else 0 for ordinal in remembered_from], np.int64)
    since = np.maximum(since, stands_before)
    old = [sheet for sheet in sheets if sheet.first < since.max(initial=0) + reach]
    looks = [_stands(sheet, (sheet.first + np.arange(SPAN)) - since[sheet.lanes][:, None], reach) for sheet in old]
    disturbed: dict[int, Bools] = {}
    for sheet, (_, rows) in zip(old, looks, strict=True):
        disturbed[sheet.key.chunk] = rows | disturbed.get(sheet.key.chunk, np.zeros(len(rows), np.bool_))
    for sheet, (stands, rows) in zip(old, looks, strict=True):
        here, was = slice(len(rows)), sheet.old
        kept = stands & ((was.parts[PART["misplaced"], here] == 0) | ~disturbed[sheet.key.chunk][:, None])
        sheet.kept, sheet.doubtful = kept, sheet.doubtful & ~kept
        if kept.any():
            for name in ("code", "evidence", "loss_at", "proven"):
                np.copyto(getattr(sheet, name), getattr(was, name)[here], where=kept)
            np.copyto(sheet.parts, was.parts[:, here], where=kept)


def _stands(sheet: Sheet, age: Ints, reach: int) -> tuple[Bools, Bools]:
    """Cells of which what was said may stand (`age` < 0: forgotten), and sources with a netted one that may not.

    Digests are not remembered, so a cell that has them may have changed.
    """
    here, was = slice(len(sheet.lanes)), sheet.old
    same: Bools = ~(sheet.accepted.digested & sheet.processed.digested & (sheet.accepted.ok > 0))
    for name in ("accepted", "processed", "accounted"):
        same &= sheet.parts[PART[name]] == was.parts[PART[name], here]
    same &= alike(sheet.accepted, sheet.processed, was.parts[:, here])
    stands = (age < 0) & same & ~was.active[here] & (was.code[here] != Verdict.NONE)
    netted = (was.parts[PART["misplaced"], here] != 0) & (age < reach)
    rows: Bools = np.any(((age < 0) & ~same) | (netted & ~stands), axis=1)
    return stands, rows


def gather(sheets: list[Sheet], masks: list[Bools], first: int) -> Cells:
    """The doubtful cells of a lane from all its tiles, side by side."""
    columns: list[list[NDArray[Any]]] = [[] for _ in range(13)]
    for sheet, mask in zip(sheets, masks, strict=True):
        row, column = np.nonzero(mask)
        fed, done, old = sheet.accepted, sheet.processed, sheet.old
        digests = fed.digested & done.digested & (fed.digest != done.digest) & (fed.ok > 0)
        gap = fed.ok - done.ok - done.replayed - done.legal
        values = (
            row + sheet.key.chunk * CHUNK,
            column + (sheet.first - first),
            fed.ok[mask],
            (done.ok + done.replayed)[mask],
            done.legal[mask],
            done.replayed[mask],
            (fed.error + done.error)[mask],
            done.shrunk[mask],
            (digests & (gap == 0))[mask],
            digests[mask],
            sheet.unreported[mask],
            old.parts[PART["lost_proven"]][: len(sheet.lanes)][mask],
            old.evidence[: len(sheet.lanes)][mask].astype(np.int64) & int(DIRECT),
        )
        for kept, value in zip(columns, values, strict=True):
            kept.append(value)
    return Cells(*(np.concatenate(column) for column in columns))


def scatter(
    sheets: list[Sheet], masks: list[Bools], cells: Cells, parts: Parts, signs: Signs, codes: Codes, seen: Look
) -> None:
    """Put what was found back into the tiles."""
    evidence = parts.evidence | np.where((codes == Verdict.UNKNOWN), int(Evidence.NOT_REPORTED), 0)
    foretold = signs.threatened & (parts.retained > 0) & (codes != Verdict.COMPLETE)
    evidence |= np.where(foretold, int(Evidence.FORECAST), 0)
    evidence &= np.where(codes == Verdict.COMPLETE, int(Evidence.MISPLACED), -1)
    waiting = (parts.retained + parts.passed_over > 0) & (codes != Verdict.COMPLETE)
    deadline = np.where(waiting & (seen.deleted_at < NEVER)[cells.bucket], seen.deleted_at[cells.bucket], 0)
    sure = (parts.unproven == 0) & ~cells.unreported
    proven = sure & ((parts.retained + parts.passed_over > 0) | (parts.lost_proven > 0))
    proven &= parts.lost == parts.lost_proven
    settled = seen.facts.settled[cells.bucket] & (seen.facts.mature | (seen.age < 0))[cells.bucket]
    amounts = {name: getattr(parts, name) for name in PARTS if hasattr(parts, name) and name not in _AGAIN}
    start = 0
    for sheet, mask in zip(sheets, masks, strict=True):
        piece = slice(start, start + int(mask.sum()))
        start = piece.stop
        sheet.code[mask], sheet.evidence[mask] = codes[piece], evidence[piece]
        sheet.loss_at[mask], sheet.proven[mask] = deadline[piece], proven[piece]
        sheet.settled[mask] = settled[piece]
        for name, amount in amounts.items():
            sheet.parts[PART[name]][mask] = amount[piece]


_AGAIN = ("recovered", "duplicated")
"""Known since step 1."""
_SETTLES = np.array([verdict in (Verdict.LOST, Verdict.SURPLUS) for verdict in Verdict])


def final(sheet: Sheet) -> Bools:
    """Cells of which time alone changes nothing: complete, or settled with nothing left that could move.

    A gap within tolerance is complete and still moves: its numbers go on to say where the events are.
    """
    moving = sum(sheet.parts[PART[name]] for name in ("retained", "in_flight", "passed_over", "unproven"))
    still = _SETTLES[sheet.code] & (moving == 0) & sheet.settled
    netted = (sheet.parts[PART["misplaced"]] == 0) | sheet.settled
    tolerated = moving > sheet.accepted.error + sheet.processed.error
    final: Bools = ((sheet.code == Verdict.COMPLETE) & netted & ~tolerated) | still | sheet.kept
    final |= (sheet.code == Verdict.UNKNOWN) & sheet.lapsed
    return final
