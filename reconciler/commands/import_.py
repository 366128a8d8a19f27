"""`reconciler import`: files of observations into the ledger."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from reconciler.commands.options import config_option, json_option
from reconciler.core.observations import Observation
from reconciler.errors import ConfigError, Refused
from reconciler.ports import Store
from reconciler.reading import STDIN, RefusedLine, read
from reconciler.settings import Settings, load
from reconciler.store import open_store

BATCH = 20_000
"""Observations in a transaction."""
SHOWN = 20
"""Refusals on the terminal; the rest is counted, and all go to the file of --refusals."""
REASON = 500
"""Letters of a reason; a value of a megabyte need not be read in full."""

Tell = Callable[[str], None]


@dataclass(slots=True)
class Imported:
    """What became of the files."""

    files: int = 0
    kept: int = 0
    """Observations that said something new."""
    unchanged: int = 0
    """Observations that said again what was known."""
    refused: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)
    """The first of them."""


@click.command(
    epilog="""\b
Examples:
  reconciler import counts.ndjson queue.csv.gz
  zcat old.ndjson.gz | reconciler import -
""",
)
@click.argument("files", nargs=-1, required=True)
@config_option
@click.option("--refusals", metavar="FILE", help="Write every refusal into this file.")
@json_option
def command(files: tuple[str, ...], config: str, refusals: str | None, *, as_json: bool) -> int:
    """Store observations (counts, progress, queue samples, capacities) of FILES; `-` is standard input.

    Files are NDJSON, or CSV with field names in its header; either may be packed with gzip. What cannot be used is
    refused by file, line, field and reason, and the rest is kept: then the exit code is 3. The same file twice changes
    nothing, so an import that broke off is simply made again.
    """
    settings = load(config)
    with ExitStack() as stack:
        out = stack.enter_context(_writable(refusals)) if refusals else None
        tell, on_bytes = stack.enter_context(_progress(files))
        store = open_store(settings.ledger)
        stack.callback(store.close)
        done = _import(store, settings, files, _Refusals(tell, out), on_bytes)
    click.echo(json.dumps(asdict(done)) if as_json else _summary(done))
    if done.refused > SHOWN and not refusals:
        click.echo(
            f"{done.refused - SHOWN:,} more refusals are not shown; --refusals FILE writes all of them.", err=True
        )
    return Refused.exit_code if done.refused else 0


class _Refusals:
    """Where refusals are said: the first on the terminal, all in the file."""

    def __init__(self, tell: Tell, out: IO[str] | None) -> None:
        self._tell, self._out = tell, out
        self.first: list[dict[str, Any]] = []
        self.count = 0

    def note(self, file: str, line: RefusedLine) -> None:
        reason = line.reason if len(line.reason) <= REASON else f"{line.reason[:REASON]}…"
        # What stands in a file of somebody else's must not steer the terminal.
        text = _printable(f"{file}:{line.line}: {line.field[:REASON]}: {reason}")
        self.count += 1
        if self._out is not None:
            self._out.write(f"{text}\n")
        if self.count <= SHOWN:
            self._tell(text)
            self.first.append({"file": file, "line": line.line, "field": line.field[:REASON], "reason": reason})


def _import(
    store: Store,
    settings: Settings,
    files: tuple[str, ...],
    refusals: _Refusals,
    on_bytes: Callable[[int], None] | None,
) -> Imported:
    done = Imported(len(files))
    for batch in _batches(settings, files, refusals, on_bytes):
        recorded = store.record(batch, settings.pipelines)
        done.kept += recorded.kept
        done.unchanged += recorded.unchanged
    done.refused, done.refusals = refusals.count, refusals.first
    return done


def _batches(
    settings: Settings, files: tuple[str, ...], refusals: _Refusals, on_bytes: Callable[[int], None] | None
) -> Iterator[list[Observation]]:
    batch: list[Observation] = []
    for file in files:
        for entry in read(file, settings.pipelines, on_bytes):
            if isinstance(entry, RefusedLine):
                refusals.note(file, entry)
                continue
            batch.append(entry)
            if len(batch) >= BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _summary(done: Imported) -> str:
    files = "1 file" if done.files == 1 else f"{done.files} files"
    return f"{files}: {done.kept:,} kept, {done.unchanged:,} unchanged, {done.refused:,} refused"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


@contextmanager
def _writable(path: str) -> Iterator[IO[str]]:
    try:
        out = Path(path).open("w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  only opening may fail so
    except OSError as error:
        raise ConfigError(f"--refusals {path}: cannot be written: {error.strerror or error}") from None
    with out:
        yield out


@contextmanager
def _progress(files: tuple[str, ...]) -> Iterator[tuple[Tell, Callable[[int], None] | None]]:
    """How to say something, and whom to tell about bytes: a bar on the terminal, where there is one."""
    if not sys.stderr.isatty():
        yield lambda text: click.echo(text, err=True), None
        return
    # Only a terminal needs it, and it takes a tenth of a second to import.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    size = sum(Path(file).stat().st_size for file in files if Path(file).is_file())
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(TextColumn("reading"), *columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None if STDIN in files else size)
        yield (
            lambda text: progress.console.print(text, markup=False, highlight=False, soft_wrap=True),
            lambda count: progress.advance(task, count),
        )
