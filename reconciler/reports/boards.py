"""A hop at a glance: sources by time, the worst first, from outlines; quick for ten thousand sources.

Columns are quarters of tiles (15 buckets) or several of them. Of a past instant the same is made of what had been said.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconciler.core.outlines import QUARTER, QUARTERS, SUMS
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.tiles import CHUNK, Ints
from reconciler.core.times import NEVER, Micros
from reconciler.core.verdicts import Verdict
from reconciler.serving import ServiceStore

COLUMNS = 96
"""At most so many columns: a day of quarters of an hour."""
GROUPS = 12
"""At most so many groups of the sources that are not shown one by one."""
_CODES = NDArray[np.uint8]
_WORRY = ("lost", "at_risk", "late", "undetermined", "surplus")


@dataclass(frozen=True, slots=True)
class Row:
    """A source, or several together."""

    name: str
    sources: int
    """How many it stands for."""
    group: bool
    """It stands for all sources whose names begin so, as far as they have no row of their own."""
    strip: tuple[int, ...]
    """By column: value of the worst verdict; 0: nothing there."""
    sums: dict[str, int]
    """Events by the names of `SUMS`."""

    @property
    def worst(self) -> Verdict:
        """Over all columns."""
        return Verdict(max(self.strip, default=0))


@dataclass(frozen=True, slots=True)
class Board:
    """One hop over a stretch of time."""

    pipeline: Pipeline
    hop: Hop
    start: Micros
    """Of the first column."""
    step: Micros
    """Width of a column."""
    rows: list[Row]
    """The worst first."""
    groups: list[Row]
    """The other sources together."""
    total: Row
    found: int
    """Sources that fit what is asked for."""

    @property
    def columns(self) -> int:
        """How many there are."""
        return len(self.total.strip)

    @property
    def end(self) -> Micros:
        """Of the last column."""
        return self.start + self.columns * self.step


def board(
    store: ServiceStore, pipeline: Pipeline, hop: Hop, span: tuple[Micros, Micros], judged_at: Micros | None,
    as_of: Micros | None, *, prefix: str = "", skip: int = 0, most: int = 40,
) -> Board:  # fmt: skip
    """The sources whose names begin with the prefix, the worst first: so many after the skipped, the rest grouped."""
    step = pipeline.width * QUARTER
    first, last = span[0] // step, max(-(-span[1] // step), span[0] // step + 1)
    width = next(size for size in _sizes() if (last - first + size - 1) // size <= COLUMNS)
    first -= first % width
    directory = store.directory(pipeline)
    names = directory.sources
    worst, cells, sums = _read(store, pipeline, hop, len(names), first, last, as_of)
    born = np.array(directory.first_bucket, np.int64)
    if as_of is not None:
        known = (cells > 0).any(axis=1)
        born = np.where(known, (first + (cells > 0).argmax(axis=1)) * step, NEVER)
    retired = np.array(directory.retired_at, np.int64)
    until = min(span[1], judged_at if judged_at is not None else span[1])
    expected = _expected(born, retired, until, np.arange(first, last) * step, pipeline.width)
    worst = np.where(cells < expected, np.maximum(worst, np.uint8(Verdict.UNKNOWN)), worst)
    strips: _CODES = np.maximum.reduceat(worst, np.arange(0, last - first, width), axis=1)
    wanted = np.array([name.startswith(prefix) for name in names], np.bool_) & (strips > 0).any(axis=1)
    order = _worst_first(np.flatnonzero(wanted), strips, sums)
    shown = order[skip : skip + most].tolist()
    rest = np.concatenate([order[:skip], order[skip + most :]])
    rows = [_row(names[at], np.array([at]), strips, sums, group=False) for at in shown]
    return Board(
        pipeline, hop, first * step, width * step, rows, _groups(rest, names, strips, sums, prefix),
        _row("", order, strips, sums, group=True), len(order),
    )  # fmt: skip


def _sizes() -> list[int]:
    return [1, 2, 4, 8, 12, 24, 48, 96, *(96 * 2**more for more in range(1, 24))]


def _read(
    store: ServiceStore, pipeline: Pipeline, hop: Hop, size: int, first: int, last: int, as_of: Micros | None
) -> tuple[_CODES, _CODES, Ints]:  # fmt: skip
    """`(sources, quarters)`: worst verdict and number of cells; `(sums, sources)`: events over all of the quarters."""
    worst, cells = (np.zeros((size, last - first), np.uint8) for _ in range(2))
    sums = np.zeros((len(SUMS), size), np.int64)
    step = pipeline.width * QUARTER
    part = hop.part
    for key, found in store.outlines(pipeline, part, first * step, last * step - 1, as_of):
        rows = slice(key.chunk * CHUNK, min((key.chunk + 1) * CHUNK, size))
        count, begins = rows.stop - rows.start, key.span * QUARTERS
        low, high = max(first, begins), min(last, begins + QUARTERS)
        if count > 0 and high > low:
            here, there = slice(low - first, high - first), slice(low - begins, high - begins)
            worst[rows, here], cells[rows, here] = found.worst[:count, there], found.cells[:count, there]
            for quarter in range(there.start, there.stop):  # faster than a sum over so short an axis
                sums[:, rows] += found.sums[:, :count, quarter]
    return worst, cells, sums


def _expected(born: Ints, retired: Ints, until: Micros, starts: Ints, width: Micros) -> Ints:
    """`(sources, quarters)`: cells that there should be, judged or not."""
    low = np.maximum(starts[None, :], born[:, None])
    high = np.minimum(starts + QUARTER * width, until)[None, :]
    expected: Ints = np.maximum(-(-(np.minimum(high, retired[:, None]) - low) // width), 0)
    return expected


def _worst_first(which: NDArray[np.intp], strips: _CODES, sums: Ints) -> NDArray[np.intp]:
    keys = [
        which,
        *(-sums[SUMS.index(name), which] for name in reversed(_WORRY)),
        -strips[which].max(axis=1, initial=0).astype(np.int64),
    ]
    return which[np.lexsort(keys)]


def _row(name: str, which: NDArray[np.intp], strips: _CODES, sums: Ints, *, group: bool) -> Row:
    strip = tuple(strips[which].max(axis=0, initial=0).tolist())
    events = sums[:, which].sum(axis=1).tolist()
    return Row(name, len(which), group, strip, dict(zip(SUMS, events, strict=True)))


def _groups(
    rest: NDArray[np.intp], names: Sequence[str], strips: _CODES, sums: Ints, prefix: str
) -> list[Row]:  # fmt: skip
    """The sources without a row by the next step of their path, the worst first; the last row is for all others."""
    by_name: dict[str, list[int]] = {}
    for at in rest.tolist():
        step, slash, _ = names[at][len(prefix) :].partition("/")
        by_name.setdefault(f"{prefix}{step}/" if slash else "", []).append(at)
    loose = by_name.pop("", [])
    rows = [_row(name, np.array(own), strips, sums, group=True) for name, own in by_name.items()]
    rows.sort(key=lambda row: (-row.worst, *(-row.sums[name] for name in _WORRY), row.name))
    over = rows[GROUPS:]
    if over:
        loose += [at for row in over for at in by_name[row.name]]
    if loose:
        rows = [*rows[:GROUPS], _row("", np.array(loose), strips, sums, group=True)]
    return rows
