"""What a connector remembers of files that it has looked into, so that it looks again only where something changed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from reconciler.core.files import FileSeen, dump, restore
from reconciler.core.times import Micros
from reconciler.ports import Note

Cell = tuple[str, Micros]
"""Source and start of the bucket."""


class Rows(NamedTuple):
    """Rows of one file in one cell."""

    key: str
    source: str
    bucket: Micros
    rows: int


@dataclass(slots=True)
class Unit:
    """One file of the listing: a file of events, or a manifest that names several."""

    version: str
    files: list[FileSeen]
    gone: bool = False


class Memory:
    """Units by their path, and what is to be said of them."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        self.notes: list[Note] = []

    def recall(self, stored: Mapping[str, Any]) -> None:
        """Take up what `dump` gave."""
        self.units = {
            path: Unit(version, restore(files), gone)
            for path, (version, files, gone) in stored.get("units", {}).items()
        }

    def dump(self) -> dict[str, Any]:
        """As plain values, to be stored."""
        return {"units": {path: [unit.version, dump(unit.files), unit.gone] for path, unit in self.units.items()}}

    def knows(self, path: str, version: str) -> bool:
        """Whether this content was looked into before."""
        known = self.units.get(path)
        return known is not None and known.version == version and not known.gone

    def put(self, path: str, version: str, found: Iterable[Rows]) -> None:
        """Take what was found in a file that is new or has changed."""
        now = self._once(path, found)
        former = self.units.get(path)
        before = {(one.key, one.source, one.bucket): one for one in former.files} if former else {}
        files = [
            FileSeen(*where, rows, max(rows, before[where].most if where in before else 0))
            for where, rows in now.items()
        ]
        files += [replace(one, rows=0) for where, one in before.items() if where not in now]
        self._note_shrunk(before.values(), files)
        self.units[path] = Unit(version, files)

    def _once(self, path: str, found: Iterable[Rows]) -> dict[tuple[str, str, Micros], int]:
        """Rows by file and cell; a file that is named twice counts once, as the larger."""
        elsewhere = {one.key: other for other, unit in self.units.items() if other != path for one in unit.files}
        now: dict[tuple[str, str, Micros], int] = {}
        for key, source, bucket, rows in found:
            twice = path if (key, source, bucket) in now else elsewhere.get(key)
            if twice is not None:
                where = f"in {path}" if twice == path else f"in {twice} and {path}"
                self.notes.append(Note(key, f"is listed twice, {where}; it counts once"))
            now[key, source, bucket] = max(rows, now.get((key, source, bucket), 0))
        return now

    def _note_shrunk(self, before: Iterable[FileSeen], after: Iterable[FileSeen]) -> None:
        had, has = _sums(before), _sums(after)
        for key, rows in had.items():
            if has.get(key, 0) < rows:
                self.notes.append(Note(key, f"shrank from {rows:,} to {has.get(key, 0):,} rows"))

    def miss(self, present: set[str], start: Micros, end: Micros, *, stands: bool) -> None:
        """Note the files of [start, end) that are listed no more; what they said may stand all the same."""
        for path, unit in self.units.items():
            if unit.gone or path in present or not all(start <= one.bucket < end for one in unit.files):
                continue
            for key, rows in _sums(unit.files).items():
                self.notes.append(Note(key, f"vanished; it had {rows:,} rows"))
            left = unit.files if stands else [replace(one, rows=0) for one in unit.files]
            self.units[path] = Unit(unit.version, left, gone=True)

    def cells(self, start: Micros, end: Micros, *, stands: bool) -> dict[Cell, int]:
        """Rows by cell; where what once arrived `stands`, as many as there ever were."""
        files: dict[tuple[str, str, Micros], int] = {}
        for one in self._all():
            if start <= one.bucket < end:
                where = (one.key, one.source, one.bucket)
                files[where] = max(one.most if stands else one.rows, files.get(where, 0))
        cells: dict[Cell, int] = defaultdict(int)
        for (_, source, bucket), rows in files.items():
            cells[source, bucket] += rows
        return cells

    def forget(self, before: Micros) -> None:
        """Drop the files of which every bucket is older."""
        self.units = {
            path: unit
            for path, unit in self.units.items()
            if not unit.files or any(one.bucket >= before for one in unit.files)
        }

    def _all(self) -> Iterator[FileSeen]:
        for unit in self.units.values():
            yield from unit.files


def _sums(files: Iterable[FileSeen]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in files:
        found[one.key] += one.rows
    return found
