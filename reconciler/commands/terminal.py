"""What goes to the terminal: lines that cannot steer it, and bars, which elsewhere do not appear at all."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.core.wording import visible
from reconciler.reading import STDIN

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

Tell = Callable[[str], None]
"""Says a line without spoiling the bar."""
Advance = Callable[[int], None]
"""Moves the bar on by so much."""


def say(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines for people; names in them may be anybody's."""
    for line in lines:
        click.echo(visible(line), err=err)


def say_records(records: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line."""
    for record in records:
        click.echo(json.dumps(record, ensure_ascii=False, separators=(",", ":")))


def say_found(records: Iterable[Mapping[str, Any]], lines: Iterable[str], *, as_json: bool) -> None:
    """What was found: for programs one JSON object a line, or for people. Only what is printed is gone through."""
    if as_json:
        say_records(records)
    else:
        say(lines)


def say_whole(record: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """The same where it is one object."""
    if as_json:
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        say(lines)


@contextmanager
def reading(files: Sequence[str]) -> Iterator[tuple[Tell, Advance | None]]:
    """A bar of the bytes of these files."""
    if not sys.stderr.isatty():
        yield _plain, None
        return
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    size = sum(Path(file).stat().st_size for file in files if Path(file).is_file())
    total = None if STDIN in files else size
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with _bar("reading", columns) as progress:
        task = progress.add_task("reading", total=total)
        yield _above(progress), lambda count: progress.advance(task, count)


@contextmanager
def counting(what: str, total: int) -> Iterator[tuple[Tell, Advance]]:
    """A bar of `total` steps of some work."""
    if not sys.stderr.isatty():
        yield _plain, lambda count: None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TimeRemainingColumn

    with _bar(what, (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())) as progress:
        task = progress.add_task(what, total=total)
        yield _above(progress), lambda count: progress.advance(task, count)


def _plain(text: str) -> None:
    click.echo(text, err=True)


def _bar(what: str, columns: "Sequence[ProgressColumn]") -> "Progress":
    # Only a terminal needs it, and it takes a tenth of a second to import.
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    return Progress(TextColumn(what), *columns, console=Console(stderr=True), transient=True)


def _above(progress: "Progress") -> Tell:
    return lambda text: progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
