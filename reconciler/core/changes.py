"""What a judgement says anew: the cells of which something differs, before and after."""

from dataclasses import dataclass, fields

import numpy as np

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
    def blank(cls, size: int) -> "Changes":
        """Room for so many."""
        columns = dict(zip(_COLUMNS, np.zeros((len(_COLUMNS), size), np.int64), strict=True))
        return cls(**(columns | {"parts": np.zeros((len(PARTS), size), np.int64), "proven": np.zeros(size, np.bool_)}))

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
    where = [np.flatnonzero(_differs(sheet)) for sheet in sheets]
    changes = Changes.blank(sum(map(len, where)))
    start = 0
    for sheet, at in zip(sheets, where, strict=True):
        if not len(at):
            continue
        row, column = np.divmod(at, SPAN)
        old, old_parts = sheet.old, sheet.old.parts.take(row, column)
        piece = slice(start, start := start + len(at))
        changes.source[piece], changes.bucket[piece] = row + sheet.key.chunk * CHUNK, (column + sheet.first) * width
        changes.code[piece], changes.evidence[piece] = sheet.code.take(at), sheet.evidence.take(at)
        changes.parts[:, piece] = sheet.parts.take(row, column)
        changes.loss_at[piece], changes.proven[piece] = sheet.loss_at.take(at), sheet.proven.take(at)
        changes.old_code[piece], changes.old_evidence[piece] = old.code.take(at), old.evidence.take(at)
        changes.old_lost[piece], changes.old_accepted[piece] = old_parts[PART["lost"]], old_parts[PART["accepted"]]
        changes.old_gap[piece] = gap_of(old_parts)
    return changes


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
