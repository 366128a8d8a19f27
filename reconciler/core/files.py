"""Files as stages see them: what each had, what it has now, and which of them the next stage does not have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from reconciler.core.times import Micros


@dataclass(frozen=True, slots=True)
class FileSeen:
    """Rows of one file in one cell, as a stage has seen them."""

    key: str
    """What the file is called at every stage."""
    source: str
    bucket: Micros
    rows: int
    """As it was last seen; 0 where it has vanished."""
    most: int
    """As many as it ever had."""

    @property
    def vanished(self) -> bool:
        """Whether it had rows and is there no more, or is empty now."""
        return self.rows == 0 < self.most


@dataclass(frozen=True, slots=True)
class FileFinding:
    """What is wrong with one file."""

    key: str
    source: str
    bucket: Micros
    reason: str
    """`vanished`, `shrunk`, `missing` or `short`."""
    text: str
    events: int
    """Rows that are missing."""


def dump(files: Iterable[FileSeen]) -> list[Any]:
    """As plain values, to be stored."""
    return [list(astuple(one)) for one in files]


def restore(stored: Iterable[Sequence[Any]]) -> list[FileSeen]:
    """What `dump` gave."""
    return [FileSeen(*one) for one in stored]


def seen_in(memory: Mapping[str, Any]) -> list[FileSeen]:
    """The files that a connector remembers; one that is listed twice, once, as the larger."""
    found: dict[tuple[str, str, Micros], FileSeen] = {}
    for _, files, _ in memory.get("units", {}).values():
        for one in restore(files):
            where = (one.key, one.source, one.bucket)
            other = found.get(where, one)
            found[where] = FileSeen(*where, max(one.rows, other.rows), max(one.most, other.most))
    return list(found.values())


def changed(stage: str, files: Iterable[FileSeen]) -> Iterator[FileFinding]:
    """Files that have become smaller at a stage, or vanished from it."""
    for one in files:
        if one.vanished:
            yield _finding(one, "vanished", f"vanished from {stage}; it had {one.most:,} rows", one.most)
        elif one.rows < one.most:
            text = f"shrank at {stage} from {one.most:,} to {one.rows:,} rows"
            yield _finding(one, "shrunk", text, one.most - one.rows)


def missing(
    before: Iterable[FileSeen], after: Iterable[FileSeen], stages: tuple[str, str], through: Micros
) -> Iterator[FileFinding]:
    """Files of one stage that the next does not have, wholly or in part.

    Only of buckets before `through`: what the next stage has not looked at yet is not missing from it.
    """
    seen = _by_file(after)
    for (key, bucket), (source, most) in _by_file(before, most=True).items():
        rows = seen.get((key, bucket), ("", 0))[1]
        if bucket >= through or rows >= most:
            continue
        whole = (key, bucket) not in seen
        text = f"is at {stages[0]} with {most:,} rows, and at {stages[1]} " + (
            "not at all" if whole else f"with {rows:,}"
        )
        yield FileFinding(key, source, bucket, "missing" if whole else "short", text, most - rows)


def _by_file(files: Iterable[FileSeen], *, most: bool = False) -> Mapping[tuple[str, Micros], tuple[str, int]]:
    found: dict[tuple[str, Micros], tuple[str, int]] = {}
    for one in files:
        if most or one.rows:
            _, rows = found.get((one.key, one.bucket), ("", 0))
            found[one.key, one.bucket] = one.source, rows + (one.most if most else one.rows)
    return found


def _finding(one: FileSeen, reason: str, text: str, events: int) -> FileFinding:
    return FileFinding(one.key, one.source, one.bucket, reason, text, events)
