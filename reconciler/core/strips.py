"""Arrays over buckets that grow at the end and forget at the start."""

import numpy as np

from reconciler.core.tiles import Ints


class Strip:
    """Integers by absolute bucket ordinal, for `rows` parallel series; what was never set reads as `default`."""

    def __init__(self, default: int = 0, rows: int = 1) -> None:
        self._default = default
        self._base = 0
        self._data = np.full((rows, 0), default, np.int64)

    @property
    def base(self) -> int:
        """Ordinal of the first column that is kept."""
        return self._base

    @property
    def end(self) -> int:
        """Ordinal behind the last column that is kept."""
        return self._base + self._data.shape[1]

    @property
    def rows(self) -> int:
        """How many series there are."""
        return self._data.shape[0]

    def reach(self, first: int, last: int) -> None:
        """Make the columns first to last (exclusive) exist."""
        if not self._data.shape[1]:
            self._base = first
        before, after = max(0, self._base - first), max(0, last - self.end)
        if before or after:
            slack = max(64, self._data.shape[1] // 2)
            widths = ((0, 0), (before, after + slack if after else 0))
            self._data = np.pad(self._data, widths, constant_values=self._default)
            self._base -= before

    def add_row(self) -> int:
        """A further series; returns its row."""
        blank = np.full((1, self._data.shape[1]), self._default, np.int64)
        self._data = np.concatenate([self._data, blank])
        return self.rows - 1

    def view(self, first: int, last: int) -> Ints:
        """The columns first to last (exclusive) of all rows, to read and to write: `(rows, last - first)`."""
        if first < self._base or last > self._base + self._data.shape[1]:
            self.reach(first, last)
        return self._data[:, first - self._base : last - self._base]

    def forget(self, before: int) -> None:
        """Drop the columns before this ordinal."""
        cut = min(before - self._base, self._data.shape[1])
        if cut > 256:
            self._data = self._data[:, cut:].copy()
            self._base += cut
