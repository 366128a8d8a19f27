"""A tile under judgement: what is summed, what is plain at once, and what must be looked at more closely."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.balance import Cells, Parts
from reconciler.core.lanes import Look
from reconciler.core.resent import alike, sent_again
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Bools, Ints, Planes, TileKey, VerdictTile, zeros
from reconciler.core.times import NEVER
from reconciler.core.totals import Totals
from reconciler.core.verdicts import DIRECT, Codes, Evidence, Signs, Verdict

PART = {name: position for position, name in enumerate(PARTS)}
COUNTED = ("accepted", "processed", "accounted")


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
    evidence: np.ndarray[tuple[int, int], np.dtype[np.uint32]]
    parts: Planes
    loss_at: Ints
    proven: Bools
    settled: Bools
    doubtful: Bools
    """Goes to step 3."""
    kept: Bools
    """Final, forgotten and unchanged: what was said of it stands."""
    lapsed: Bools
    """A reporter that nobody waits for any more had begun to count here."""
    moved: list[str] = field(default_factory=list)
    """Parts whose counts are not what they were."""

    @property
    def first(self) -> int:
        """Ordinal of the first bucket."""
        return self.key.span * SPAN

    @property
    def gap(self) -> Ints:
        """Accepted, and neither processed nor accounted for; negative: too many."""
        gap = self.parts["accepted"] - self.parts["processed"]
        return gap if self.parts.is_blank("accounted") else gap - self.parts["accounted"]


def finished(parts: Planes, rows: int) -> Ints:
    """Processed and accounted for of the first so many sources, those sent again left out."""
    done = parts["processed"][:rows]
    done = done if parts.is_blank("accounted") else done + parts["accounted"][:rows]
    for part in ("recovered", "duplicated"):
        done = done if parts.is_blank(part) else done - parts[part][:rows]
    return done


def add_up(sheet: Sheet) -> None:
    """Step 1: what was accepted, processed and accounted for, and what of it was sent again."""
    fed, done = sheet.accepted, sheet.processed
    everywhere, blank = bool(sheet.exists.all()), zeros(sheet.parts.rows)
    processed = done.ok if done.replayed is blank else done.ok + done.replayed
    for part, amount in (("accepted", fed.ok), ("processed", processed), ("accounted", done.legal)):
        if amount is not blank:
            sheet.parts[part] = amount if everywhere else np.where(sheet.exists, amount, 0)
    old = sheet.old.parts
    for part, amount in sent_again(fed, done, old, len(sheet.lanes)).items():
        sheet.parts[part] = amount if everywhere else np.where(sheet.exists, amount, 0)


def plain(sheet: Sheet, *, proven: bool) -> None:
    """Step 2: all that needs no queue and no lag."""
    gap = sheet.gap
    balanced = (gap == 0) & ~sheet.accepted.differs(sheet.processed) & (sheet.processed.replayed == 0)
    old = sheet.old.parts
    misplaced = zeros(sheet.parts.rows) if old.is_blank("misplaced") else old["misplaced"][: len(sheet.lanes)]
    opened = sheet.exists & ~sheet.whole & ~sheet.unreported
    complete = sheet.exists & sheet.whole & balanced & ~sheet.unreported
    sheet.doubtful = sheet.exists & ~opened & (~complete | (misplaced != 0))
    sheet.code[complete], sheet.code[opened] = int(Verdict.COMPLETE), int(Verdict.OPEN)
    sheet.proven |= complete & proven
    if misplaced[opened].any():  # its bucket was whole once
        sheet.parts["misplaced"] = np.where(opened, misplaced, 0)
        gap = gap - sheet.parts["misplaced"]
    for part, amount in (("in_flight", gap), ("surplus", -gap)):
        there = opened & (amount > 0)
        if there.any():
            sheet.parts[part] = np.where(there, amount, 0)


def find_kept(sheets: list[Sheet], remembered_from: list[int], reach: int, stands_before: int = 0) -> None:
    """Note the final cells whose detail is forgotten and that have not changed: what was said of them stands.

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
        misplaced, moved = sheet.old.parts["misplaced"][: len(rows)], disturbed[sheet.key.chunk]
        sheet.kept = stands & ((misplaced == 0) | ~moved[:, None]) if moved.any() else stands


def keep(sheet: Sheet) -> None:
    """Say of the cells that are kept what was said of them."""
    if sheet.kept.any():
        here, was, kept = slice(len(sheet.lanes)), sheet.old, sheet.kept
        sheet.doubtful &= ~kept
        for name in ("code", "evidence", "loss_at", "proven"):
            np.copyto(getattr(sheet, name), getattr(was, name)[here], where=kept)
        for part in PARTS[len(COUNTED) :]:  # what was counted is the same
            if not sheet.parts.is_blank(part) or not was.parts.is_blank(part):
                np.copyto(sheet.parts.own(part), was.parts[part][here], where=kept)


def _stands(sheet: Sheet, age: Ints, reach: int) -> tuple[Bools, Bools]:
    """Cells of which what was said may stand (`age` < 0: forgotten), and sources with a netted one that may not.

    Digests are not remembered, so a cell that has them may have changed.
    """
    here, was = slice(len(sheet.lanes)), sheet.old
    same: Bools = np.ones(sheet.code.shape, np.bool_)
    if not sheet.accepted.undigested:
        same = ~(sheet.accepted.digested & sheet.processed.digested & (sheet.accepted.ok > 0))
    for part in COUNTED:
        if not sheet.parts.is_blank(part) or not was.parts.is_blank(part):
            same &= sheet.parts[part] == was.parts[part][here]
    same &= alike(sheet.accepted, sheet.processed, was.parts, len(sheet.lanes))
    stands = (age < 0) & same & ~was.active[here] & (was.code[here] != int(Verdict.NONE))
    netted = (was.parts["misplaced"][here] != 0) & (age < reach)
    rows: Bools = np.any(((age < 0) & ~same) | (netted & ~stands), axis=1)
    return stands, rows


def gather(sheets: list[Sheet], places: list[NDArray[np.intp]], first: int) -> Cells:
    """The doubtful cells of a lane from all its tiles, side by side; `places`: where they lie in each, flat."""
    columns: list[list[NDArray[Any]]] = [[] for _ in range(15)]
    for sheet, at in zip(sheets, places, strict=True):
        row, column = np.divmod(at, SPAN)
        fed, done, old = sheet.accepted, sheet.processed, sheet.old
        accepted, processed, accounted = (sheet.parts[part].take(at) for part in COUNTED)
        digests = fed.differs(done).take(at)
        values = (
            row + sheet.key.chunk * CHUNK,
            column + (sheet.first - first),
            accepted,
            processed,
            accounted,
            done.replayed.take(at),
            fed.error.take(at) + done.error.take(at),
            done.shrunk.take(at),
            digests & (accepted == processed + accounted),
            digests,
            sheet.unreported.take(at),
            old.parts["lost_proven"].take(at),
            old.evidence.take(at).astype(np.int64) & int(DIRECT),
            (old.evidence.take(at).astype(np.int64) & int(Evidence.LAG_EXCEEDED)) > 0,
            old.parts["misplaced"].take(at),
        )
        for kept, value in zip(columns, values, strict=True):
            kept.append(value)
    return Cells(*(column[0] if len(column) == 1 else np.concatenate(column) for column in columns))


def scatter(
    sheets: list[Sheet], places: list[NDArray[np.intp]], cells: Cells, parts: Parts, signs: Signs, codes: Codes,
    seen: Look,
) -> None:  # fmt: skip
    """Put what was found back into the tiles."""
    complete, queued = codes == int(Verdict.COMPLETE), parts.retained + parts.passed_over > 0
    evidence = parts.evidence | np.where(codes == int(Verdict.UNKNOWN), int(Evidence.NOT_REPORTED), 0)
    evidence[signs.threatened & (parts.retained > 0) & ~complete] |= int(Evidence.FORECAST)
    evidence[complete] &= int(Evidence.MISPLACED)
    deletion = seen.deleted_at[cells.bucket]
    deadline = np.where(queued & ~complete & (deletion < NEVER), deletion, 0)
    sure = (parts.unproven == 0) & ~cells.unreported
    proven = sure & (queued | (parts.lost_proven > 0))
    proven &= parts.lost == parts.lost_proven
    settled = seen.facts.settled[cells.bucket] & (seen.facts.mature | (seen.age < 0))[cells.bucket]
    amounts = [(name, amount) for name in _FOUND if (amount := getattr(parts, name)).any()]
    start = 0
    for sheet, at in zip(sheets, places, strict=True):
        piece = slice(start, start + len(at))
        start = piece.stop
        _lay(sheet.code, at, codes[piece])
        _lay(sheet.evidence, at, evidence[piece])
        _lay(sheet.loss_at, at, deadline[piece])
        plain = sheet.proven.take(at) & complete[piece] & (parts.misplaced[piece] == 0)
        _lay(sheet.proven, at, proven[piece] | plain)
        _lay(sheet.settled, at, settled[piece])
        for part, amount in amounts:
            if amount[piece].any():
                _lay(sheet.parts.own(part), at, amount[piece])


def _lay(plane: NDArray[Any], at: NDArray[np.intp], values: NDArray[Any]) -> None:
    plane.reshape(-1)[at] = values


_FOUND = [part for part in PARTS if part in {one.name for one in fields(Parts)} - {"recovered", "duplicated"}]
"""Parts that are known now; what was sent again is, since step 1."""


def final(sheet: Sheet) -> Bools:
    """Cells of which time alone changes nothing: complete, or settled with nothing left that could move.

    A gap within tolerance is complete and still moves: its numbers go on to say where the events are.
    """
    moving = zeros(sheet.parts.rows)
    for part in ("retained", "in_flight", "passed_over", "unproven"):
        moving = moving if sheet.parts.is_blank(part) else moving + sheet.parts[part]
    code = sheet.code
    still = ((code == int(Verdict.LOST)) | (code == int(Verdict.SURPLUS))) & (moving == 0) & sheet.settled
    netted = (sheet.parts["misplaced"] == 0) | sheet.settled
    tolerated = moving > sheet.accepted.error + sheet.processed.error
    final: Bools = ((code == int(Verdict.COMPLETE)) & netted & ~tolerated) | still | sheet.kept
    final |= (code == int(Verdict.UNKNOWN)) & sheet.lapsed
    return final
