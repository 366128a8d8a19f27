"""Real count series: wide CSVs (`ts`, one column a series, empty: not observed), and labels of what is known."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconciler.core.times import DAY, Micros, from_datetime
from reconciler.core.volume_tails import Flags, Floats

MOST_DAYS = 120
"""Of a longer series, so much of the beginning is used."""


@dataclass(slots=True)
class Family:
    """Series of one file, on one grid; `(buckets, series)`, NaN where nothing was observed."""

    name: str
    series: list[str]
    width: Micros
    start: NDArray[np.int64]
    """µs of each bucket on the source's own clock."""
    counts: Floats
    labelled: Flags
    """Within a labelled window: not counted as a false alarm, and no loss is laid there."""


def load(folder: Path, least: Micros, days: int = MOST_DAYS) -> list[Family]:
    """All files of the folder, summed up to buckets of at least this width."""
    labels = _labels(folder / "labels.csv")
    files = sorted(path for path in folder.glob("*.csv") if path.name != "labels.csv")
    return [_family(path, least, days, [row for row in labels if row["dataset"] == path.stem]) for path in files]


def _labels(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def instant(text: str) -> Micros:
    """The source's own clock, taken as it stands."""
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _family(path: Path, least: Micros, days: int, labels: list[dict[str, str]]) -> Family:
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines))
    names = rows[0][1:]
    at = np.array([instant(row[0]) for row in rows[1:]], np.int64)
    seen = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in rows[1:]])
    width = int(np.median(np.diff(at)))
    coarse = max(least // width, 1) * width
    first = -(-at[0] // DAY) * DAY
    last = min(int(at[-1]) + width, int(first) + days * DAY)
    grid = np.full(((last - first) // width // (coarse // width) * (coarse // width), len(names)), np.nan)
    place = (at - first) // width
    inside = (place >= 0) & (place < len(grid))
    grid[place[inside]] = seen[inside]
    counts = grid.reshape(-1, coarse // width, len(names)).sum(axis=1)
    start = first + np.arange(len(counts)) * coarse
    labelled = np.zeros(counts.shape, np.bool_)
    for row in labels:
        if row["series"] in names:
            hit = (start + coarse > instant(row["start"])) & (start < instant(row["end"]))
            labelled[hit, names.index(row["series"])] = True
    return Family(path.stem, names, coarse, start, counts, labelled)
