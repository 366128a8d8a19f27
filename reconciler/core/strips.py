"""Arrays over buckets that grow at the end and forget at the start."""

import numpy as np

from reconciler.core.tiles import Ints


class Strip:
    """Integers by absolute bucket ordinal, for `rows` parallel series; what was never set reads as `default`."""

    def __init__(self, default: int = 0, rows: int = 1) -> None:
        self._default = default
        self._base = self._end = 0
        self._room = np.full((rows, 0), default, np.int64)
        """Columns from the base on; those behind the end are there to grow into, and hold the default."""

    @property
    def base(self) -> int:
        """Ordinal of the first column that is kept."""
        return self._base

    @property
    def end(self) -> int:
        """Ordinal behind the last column that was ever asked for; not of what there is room for, or whoever stores a
        strip and takes it up again would store the room too, and make more of it each time."""
        return self._end

    @property
    def rows(self) -> int:
        """How many series there are."""
        return self._room.shape[0]

    def reach(self, first: int, last: int) -> None:
        """Make the columns first to last (exclusive) exist."""
        if self._end == self._base:
            self._base = self._end = first
        before, after = max(0, self._base - first), max(0, last - self._base - self._room.shape[1])
        if before or after:
            slack = max(64, (self._end - self._base) // 2)
            widths = ((0, 0), (before, after + slack if after else 0))
            self._room = np.pad(self._room, widths, constant_values=self._default)
            self._base -= before
        self._end = max(self._end, last)

    def add_row(self) -> int:
        """A further series; returns its row."""
        blank = np.full((1, self._room.shape[1]), self._default, np.int64)
        self._room = np.concatenate([self._room, blank])
        return self.rows - 1

    def view(self, first: int, last: int) -> Ints:
        """The columns first to last (exclusive) of all rows, to read and to write: `(rows, last - first)`."""
        if first < self._base or last > self._end:
            self.reach(first, last)
        return self._room[:, first - self._base : last - self._base]

    def forget(self, before: int) -> None:
        """Drop the columns before this ordinal."""
        cut = min(before, self._end) - self._base
        if cut > 256:
            self._room = self._room[:, cut:].copy()
            self._base += cut
