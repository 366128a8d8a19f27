"""Where refused input is said: the first on the terminal, all of it in a file if one is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from reconciler.commands.terminal import Tell
from reconciler.core.wording import visible
from reconciler.errors import ConfigError
from reconciler.reading import RefusedLine

SHOWN = 20
"""Refusals on the terminal; the rest is counted, and all go to the file of --refusals."""
REASON = 500
"""Letters of a reason; a value of a megabyte need not be read in full."""

refusals_option = click.option("--refusals", metavar="FILE", help="Write every refusal into this file.")


class Refusals:
    """Takes refusals one by one."""

    def __init__(self, tell: Tell, out: IO[str] | None) -> None:
        self._tell, self._out = tell, out
        self.first: list[dict[str, Any]] = []
        self.count = 0

    def note(self, file: str, line: RefusedLine) -> None:
        """Say it, or only count it if many were said."""
        reason = line.reason if len(line.reason) <= REASON else f"{line.reason[:REASON]}…"
        # What stands in a file of somebody else's must not steer the terminal.
        text = visible(f"{file}:{line.line}: {line.field[:REASON]}: {reason}")
        self.count += 1
        if self._out is not None:
            self._out.write(f"{text}\n")
        if self.count <= SHOWN:
            self._tell(text)
            self.first.append({"file": file, "line": line.line, "field": line.field[:REASON], "reason": reason})

    def close(self) -> None:
        """Say how many were not shown."""
        if self.count > SHOWN and self._out is None:
            rest = self.count - SHOWN
            click.echo(f"{rest:,} more refusals are not shown; --refusals FILE writes all of them.", err=True)


@contextmanager
def refusals_file(path: str | None) -> Iterator[IO[str] | None]:
    """The file of --refusals, open for writing; None where none was asked for."""
    if path is None:
        yield None
        return
    try:
        out = Path(path).open("w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  only opening may fail so
    except OSError as error:
        raise ConfigError(f"--refusals {path}: cannot be written: {error.strerror or error}") from None
    with out:
        yield out
