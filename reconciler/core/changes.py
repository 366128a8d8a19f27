"""What a judgement says anew: the cells of which something differs, before and after."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from reconciler.core.sheets import PART, Sheet
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Bools, Ints
from reconciler.core.times import Micros


@dataclass(frozen=True, slots=True)
class Changes:
    """Cells of which something new is said, before and after; parallel arrays."""

    source: Ints
    bucket: Ints
    """Start of the bucket, µs."""
    code: Ints
    evidence: Ints
    parts: Ints
    """`(len(PARTS), n)`."""
    loss_at: Ints
    proven: Bools
    old_code: Ints
    old_evidence: Ints
    old_lost: Ints
    old_accepted: Ints
    old_gap: Ints
    """Accepted, and neither processed nor accounted for, before; negative: too many."""

    @property
    def gap(self) -> Ints:
        """Accepted, and neither processed nor accounted for; negative: too many."""
        return gap_of(self.parts)

    @classmethod
    def none(cls) -> "Changes":
        """Not a single one."""
        columns = dict.fromkeys(_COLUMNS, np.zeros(0, np.int64))
        return cls(**(columns | {"parts": np.zeros((len(PARTS), 0), np.int64), "proven": np.zeros(0, np.bool_)}))

    def take(self, which: Bools) -> "Changes":
        """Those of these cells."""
        return Changes(*(getattr(self, name)[..., which] for name in _COLUMNS))


_COLUMNS = tuple(part.name for part in fields(Changes))


def gap_of(parts: Ints) -> Ints:
    """What is accepted, and neither processed nor accounted for; negative: too many. `parts`: `(len(PARTS), …)`."""
    gap: Ints = parts[PART["accepted"]] - parts[PART["processed"]] - parts[PART["accounted"]]
    return gap


def compare(sheets: list[Sheet], width: Micros) -> Changes:
    """All that is said anew of the cells of these tiles, and in each the parts that have moved."""
    found = [_changes(sheet, at, width) for sheet in sheets if len(at := np.flatnonzero(_differs(sheet)))]
    if len(found) == 1:
        return found[0]
    columns = ([getattr(changes, name) for changes in found] for name in _COLUMNS)
    return Changes(*(np.concatenate(column, axis=-1) for column in columns)) if found else Changes.none()


def _changes(sheet: Sheet, at: NDArray[np.intp], width: Micros) -> Changes:
    """Those of one tile; `at`: where they lie in it, flat."""
    row, column = np.divmod(at, SPAN)
    old, old_parts = sheet.old, sheet.old.parts.take(row, column)
    return Changes(
        source=row + sheet.key.chunk * CHUNK,
        bucket=(column + sheet.first) * width,
        code=sheet.code.take(at).astype(np.int64),
        evidence=sheet.evidence.take(at).astype(np.int64),
        parts=sheet.parts.take(row, column),
        loss_at=sheet.loss_at.take(at),
        proven=sheet.proven.take(at),
        old_code=old.code.take(at).astype(np.int64),
        old_evidence=old.evidence.take(at).astype(np.int64),
        old_lost=old_parts[PART["lost"]],
        old_accepted=old_parts[PART["accepted"]],
        old_gap=gap_of(old_parts),
    )


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
