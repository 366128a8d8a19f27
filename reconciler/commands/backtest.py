"""`reconciler backtest`: recorded observations through the engine of the service, on a virtual clock."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from reconciler.backtest import backtest
from reconciler.commands.options import as_duration, as_time, config_option
from reconciler.commands.refusals import Refusals, refusals_file, refusals_option
from reconciler.commands.terminal import Advance, counting, reading
from reconciler.core.observations import Observation
from reconciler.core.times import DAY, Micros, format_duration, format_time
from reconciler.errors import ConfigError, Refused
from reconciler.reading import STDIN, RefusedLine, read
from reconciler.settings import Settings, load

STEP = 1000
"""Observations between two moves of the bar."""
GULF: Micros = 366 * DAY
"""More than this between two observations is taken for a broken clock."""


@click.command(
    epilog="""\b
Example:
  reconciler backtest counts.ndjson.gz --config reconciler.yaml --output events.ndjson

Exit codes: 0 the run was made, whatever it found; 2 usage or configuration; 3 some observations were refused.
""",
)
@click.argument("observations")
@config_option
@click.option("--output", "-o", required=True, metavar="FILE", help="Where the lines go; `-` is standard output.")
@click.option(
    "--tick", default="1m", show_default=True, metavar="DURATION", callback=as_duration, help="Time between judgements."
)
@click.option("--until", metavar="TIME", callback=as_time, help="The last judgement.  [default: the last observation]")
@refusals_option
def command(
    observations: str, config: str, output: str, tick: Micros, until: Micros | None, refusals: str | None
) -> int:  # fmt: skip
    """Judge recorded OBSERVATIONS as the service would have, and write every verdict and incident that changed.

    OBSERVATIONS is a file as for `import` (`-` is standard input), in order of `at`. The same input gives the same
    output, byte for byte: no clock, no network and no ledger plays a part.
    """
    settings = load(config)
    _apart(observations, output)
    seen, refused = _read(observations, settings, refusals)
    _without_gulf(seen, until)
    gc.freeze()  # what was read stays to the end: it need not be looked through again and again
    with _output(output) as out, counting("judging", len(seen)) as (_, advance):
        written = _write(backtest(_moving(seen, advance), settings.pipelines, tick=tick, until=until), out)
    said = f"{written['verdict']:,} verdicts and {written['incident']:,} incidents"
    click.echo(f"{len(seen):,} observations used, {refused:,} refused: {said} written to {output}", err=True)
    return Refused.exit_code if refused else 0


def _apart(observations: str, output: str) -> None:
    same = STDIN not in (observations, output) and Path(observations).exists() and Path(output).exists()
    if same and Path(observations).samefile(output):
        raise ConfigError(f"--output {output}: is the file of the observations; name another")


def _without_gulf(seen: list[Observation], until: Micros | None) -> None:
    """A broken clock far in the future would be years of ticks at which nothing happens."""
    for before, after in pairwise(seen):
        if until is not None and after.at > until:
            return
        if after.at - before.at > GULF:
            raise ConfigError(
                f"the observation at {format_time(after.at)} comes {format_duration(after.at - before.at)} after the "
                f"one before it, at {format_time(before.at)}; every tick between them would be judged. If its clock "
                f"was wrong, mend or remove it, or end before it with --until {format_time(before.at)}"
            )


def _read(file: str, settings: Settings, refusals: str | None) -> tuple[list[Observation], int]:
    """All observations in order of `at`, and how many lines were refused."""
    with ExitStack() as stack:
        out = stack.enter_context(refusals_file(refusals))
        tell, on_bytes = stack.enter_context(reading([file]))
        refused = Refusals(tell, out)
        seen: list[Observation] = []
        latest, displaced = 0, 0
        for entry in read(file, settings.pipelines, on_bytes):
            if isinstance(entry, RefusedLine):
                refused.note(file, entry)
                continue
            displaced += entry.at < latest
            latest = max(latest, entry.at)
            seen.append(entry)
    refused.close()
    if displaced:
        seen.sort(key=attrgetter("at"))
        click.echo(
            f"{file}: {displaced:,} observations stood after later ones; all were put in order of `at`", err=True
        )
    return seen, refused.count


def _moving(seen: list[Observation], advance: Advance) -> Iterator[Observation]:
    for start in range(0, len(seen), STEP):
        yield from seen[start : start + STEP]
        advance(STEP)


def _write(lines: Iterable[dict[str, Any]], out: IO[bytes]) -> Counter[str]:
    encode = msgspec.json.Encoder().encode
    written: Counter[str] = Counter()
    for line in lines:
        out.write(encode(line) + b"\n")
        written[line["type"]] += 1
    return written


@contextmanager
def _output(path: str) -> Iterator[IO[bytes]]:
    """Where to write. A file appears whole, at the end, or not at all."""
    if path == STDIN:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    target = Path(path)
    ordinary = target.is_file() or not target.exists()  # a pipe or a device is written to as it is
    part = target.with_name(f".{target.name}.{os.getpid()}.part") if ordinary else target
    try:
        out = part.open("wb")
    except OSError as error:
        raise ConfigError(f"--output {path}: cannot be written: {error.strerror or error}") from None
    try:
        with out:
            yield out
        if ordinary:
            part.replace(target)
    finally:
        if ordinary:
            part.unlink(missing_ok=True)
