"""What was said of one span of buckets, laid together block by block for all sources at once, then cut into tiles."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from reconciler.core.tiles import CHUNK, PARTS, SPAN, Ints, VerdictTile
from reconciler.core.times import Micros


class Laying:
    """The cells of some chunks of sources (default: of all) in one span."""

    def __init__(self, span: int, width: Micros, chunks: Collection[int] | None = None) -> None:
        self._span, self._width = span, width
        self._slots: dict[int, int] = {} if chunks is None else {chunk: at for at, chunk in enumerate(sorted(chunks))}
        self._open = chunks is None
        self._spoken: set[int] = set()
        self._planes = {name: np.zeros((size, 0, SPAN), kind) for name, size, kind in _kinds()}

    def take(self, at: Micros, block: Mapping[str, Any]) -> None:
        """Lay a block of what was said at an instant over what was said before."""
        column = block["bucket"] // self._width - self._span * SPAN
        inside = (column >= 0) & (column < SPAN)
        chunk = block["source"] // CHUNK
        named = np.unique(chunk[inside]).tolist()
        wanted = [one for one in named if self._open or one in self._slots]
        if not wanted:
            return
        self._room(wanted)
        slots = np.full(max(named) + 1, -1, np.int64)
        slots[wanted] = [self._slots[one] for one in wanted]
        which = np.flatnonzero(inside)
        which = which[slots[chunk[which]] >= 0]
        cell = slots[chunk[which]] * CHUNK + block["source"][which] % CHUNK, column[which]
        everything = len(which) == len(column)
        for name, plane in self._planes.items():
            for number, key in enumerate([name] if name != "parts" else [f"parts.{part}" for part in PARTS]):
                if key in block:
                    plane[number][cell] = block[key] if everything else block[key][which]
        self._planes["when"][0][cell] = at

    def _room(self, chunks: Collection[int]) -> None:
        """A place for the rows of each of these chunks."""
        self._spoken.update(chunks)
        for chunk in chunks:
            self._slots.setdefault(chunk, len(self._slots))
        rows = len(self._slots) * CHUNK
        for name, plane in self._planes.items():
            if plane.shape[1] < rows:
                more = np.zeros((len(plane), rows - plane.shape[1], SPAN), plane.dtype)
                self._planes[name] = np.concatenate([plane, more], axis=1)

    def tiles(self) -> Iterator[tuple[int, VerdictTile, Ints]]:
        """By chunk, in order: its tile, and when its cells were last spoken of; those that were spoken of."""
        for chunk in sorted(self._spoken):
            rows = slice(self._slots[chunk] * CHUNK, (self._slots[chunk] + 1) * CHUNK)
            own = {name: plane[:, rows] if name == "parts" else plane[0, rows] for name, plane in self._planes.items()}
            when = own.pop("when")
            yield chunk, VerdictTile(**own), when


def _kinds() -> Iterator[tuple[str, int, np.dtype[Any]]]:
    """Name, number of planes and type of each array of a tile, and of the instants."""
    blank = VerdictTile()
    for part in fields(blank):
        array = getattr(blank, part.name)
        yield part.name, array.shape[0] if array.ndim == 3 else 1, array.dtype
    yield "when", 1, np.dtype(np.int64)
