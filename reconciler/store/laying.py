"""What was said of one span of buckets, laid together block by block for all sources at once, then cut into tiles."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import CHUNK, PARTS, SPAN, Ints, Planes, VerdictTile
from reconciler.core.times import Micros

_PLANES = ("code", "evidence", "loss_at", "proven", *(f"parts.{part}" for part in PARTS))
_TYPES = {"code": np.uint8, "evidence": np.uint32, "proven": np.bool_}


class Laying:
    """The cells of some chunks of sources (default: of all) in one span."""

    def __init__(self, span: int, width: Micros, chunks: Collection[int] | None = None) -> None:
        self._span, self._width = span, width
        self._slots: dict[int, int] = {} if chunks is None else {chunk: at for at, chunk in enumerate(sorted(chunks))}
        self._open = chunks is None
        self._spoken: set[int] = set()
        self._planes: dict[str, NDArray[Any]] = {}
        """`(rows, SPAN)`; those of which all was zero so far are not there."""

    def take(self, at: Micros, block: Mapping[str, Any]) -> None:
        """Lay a block of what was said at an instant over what was said before."""
        column = block["bucket"] // self._width - self._span * SPAN
        chunk = block["source"] // CHUNK
        which = np.flatnonzero((column >= 0) & (column < SPAN))
        named = np.unique(chunk[which]).tolist()
        wanted = [one for one in named if self._open or one in self._slots]
        if not wanted:
            return
        self._room(wanted)
        slots = np.full(max(named) + 1, -1, np.int64)
        slots[wanted] = [self._slots[one] for one in wanted]
        which = which[slots[chunk[which]] >= 0]
        cell = slots[chunk[which]] * CHUNK + block["source"][which] % CHUNK, column[which]
        for name in _PLANES:
            if name in self._planes or (name in block and block[name].any()):
                self._plane(name)[cell] = block[name][which] if name in block else 0
        self._plane("when")[cell] = at

    def _plane(self, name: str) -> NDArray[Any]:
        if name not in self._planes:
            self._planes[name] = np.zeros((len(self._slots) * CHUNK, SPAN), _TYPES.get(name, np.int64))
        return self._planes[name]

    def _room(self, chunks: Collection[int]) -> None:
        """A place for the rows of each of these chunks."""
        self._spoken.update(chunks)
        for chunk in chunks:
            self._slots.setdefault(chunk, len(self._slots))
        rows = len(self._slots) * CHUNK
        for name, plane in self._planes.items():
            if len(plane) < rows:
                self._planes[name] = np.concatenate([plane, np.zeros((rows - len(plane), SPAN), plane.dtype)])

    def tiles(self) -> Iterator[tuple[int, VerdictTile, Ints]]:
        """By chunk, in order: its tile, and when its cells were last spoken of; those that were spoken of."""
        for chunk in sorted(self._spoken):
            rows = slice(self._slots[chunk] * CHUNK, (self._slots[chunk] + 1) * CHUNK)
            tile, parts = VerdictTile(), Planes()
            for name, plane in self._planes.items():
                if name.startswith("parts."):
                    parts[name.removeprefix("parts.")] = plane[rows]
                elif name != "when":
                    setattr(tile, name, plane[rows])
            tile.parts = parts
            yield chunk, tile, self._planes["when"][rows]
