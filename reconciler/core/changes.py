"""What a judgement says anew: the cells of which something differs, before and after."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.sheets import PART, Sheet
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Bools, Ints
from reconciler.core.times import Micros
from reconciler.core.verdicts import Codes


@dataclass(frozen=True, slots=True)
class Changes:
    """Cells of which something new is said, before and after; parallel arrays."""

    source: Ints
    bucket: Ints
    """Start of the bucket, µs."""
    code: Codes
    evidence: NDArray[np.uint32]
    parts: Ints
    """`(len(PARTS), n)`."""
    loss_at: Ints
    proven: Bools
    old_code: Codes
    old_evidence: NDArray[np.uint32]
    old_lost: Ints
    old_accepted: Ints
    old_gap: Ints
    """Accepted, and neither processed nor accounted for, before; negative: too many."""

    @property
    def gap(self) -> Ints:
        """Accepted, and neither processed nor accounted for; negative: too many."""
        return gap_of(self.parts)

    @classmethod
    def blank(cls, size: int) -> "Changes":
        """Room for so many; what is never written takes no memory, and nearly all parts are zero."""
        columns: dict[str, NDArray[Any]] = {name: np.zeros(size, kind) for name, kind in _COLUMNS.items()}
        return cls(**(columns | {"parts": np.zeros((len(PARTS), size), np.int64)}))

    def take(self, which: Bools | NDArray[np.intp]) -> "Changes":
        """Those of these cells."""
        return Changes(*(getattr(self, name)[..., which] for name in _COLUMNS))


_KINDS: dict[str, type] = {"code": np.uint8, "old_code": np.uint8, "evidence": np.uint32, "old_evidence": np.uint32}
_COLUMNS = {part.name: _KINDS.get(part.name, np.int64) for part in fields(Changes)} | {"proven": np.bool_}


def gap_of(parts: Ints) -> Ints:
    """What is accepted, and neither processed nor accounted for; negative: too many. `parts`: `(len(PARTS), …)`."""
    gap: Ints = parts[PART["accepted"]] - parts[PART["processed"]] - parts[PART["accounted"]]
    return gap


def compare(sheets: list[Sheet], width: Micros) -> Changes:
    """All that is said anew of the cells of these tiles, and in each the parts that have moved."""
    where = [_differs(sheet).reshape(-1).nonzero()[0] for sheet in sheets]
    changes = Changes.blank(sum(map(len, where)))
    start = 0
    for sheet, at in zip(sheets, where, strict=True):
        if len(at):
            _lay(changes, slice(start, start := start + len(at)), sheet, at, width)
    return changes


def _lay(changes: Changes, piece: slice, sheet: Sheet, at: NDArray[np.intp], width: Micros) -> None:
    """Put what is said anew of one tile in its place; `at`: where it lies in the tile, flat."""
    row, column = np.divmod(at, SPAN)
    changes.source[piece], changes.bucket[piece] = row + sheet.key.chunk * CHUNK, (column + sheet.first) * width
    changes.code[piece], changes.evidence[piece] = sheet.code.take(at), sheet.evidence.take(at)
    changes.loss_at[piece], changes.proven[piece] = sheet.loss_at.take(at), sheet.proven.take(at)
    for part in sheet.parts.filled():
        changes.parts[PART[part], piece] = sheet.parts[part].take(at)
    old = sheet.old
    said = old.code.take(at)
    if not said.any():  # nothing was ever said of them
        return
    changes.old_code[piece], changes.old_evidence[piece] = said, old.evidence.take(at)
    parts = old.parts.take(row, column)
    changes.old_lost[piece], changes.old_accepted[piece] = parts[PART["lost"]], parts[PART["accepted"]]
    changes.old_gap[piece] = gap_of(parts)


def _differs(sheet: Sheet) -> Bools:
    """Cells of which something new is said; notes the parts that have moved."""
    here, old = slice(len(sheet.lanes)), sheet.old
    new: Bools = (sheet.code != old.code[here]) | (sheet.evidence != old.evidence[here])
    for part in PARTS:
        if not (sheet.parts.is_blank(part) and old.parts.is_blank(part)):
            moved = sheet.parts[part] != old.parts[part][here]
            if moved.any():
                sheet.moved.append(part)
                new |= moved
    return new
