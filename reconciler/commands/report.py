"""`reconciler report`: how complete a day is, source by source."""

import json
from collections.abc import Callable
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from reconciler.app import now, opened
from reconciler.commands.options import as_time, config_option
from reconciler.commands.terminal import say
from reconciler.core.times import Micros
from reconciler.errors import ConfigError
from reconciler.reports.daily import daily
from reconciler.reports.days import Day, day_of
from reconciler.reports.html import as_html
from reconciler.reports.markdown import as_markdown
from reconciler.reports.tables import as_csv
from reconciler.reports.text import as_text
from reconciler.reports.words import Record


def _lines(write: Callable[[Record], Any]) -> Callable[[Record], str]:
    return lambda record: "".join(f"{line}\n" for line in write(record))


FORMATS: dict[str, Callable[[Record], str]] = {
    "text": _lines(as_text),
    "json": lambda record: json.dumps(record, ensure_ascii=False) + "\n",
    "html": as_html,
    "markdown": _lines(as_markdown),
    "csv": as_csv,
}


def as_date(_context: click.Context, _option: click.Parameter, text: str | None) -> date | None:
    """Callback of an option that names a date."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"is {text!r}, not a date such as 2021-07-20") from None


def as_zone(_context: click.Context, _option: click.Parameter, text: str) -> tzinfo:
    """Callback of an option that names a time zone."""
    try:
        return UTC if text == "UTC" else ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"is {text!r}, not a time zone such as Europe/Berlin") from None


@click.command(
    epilog="""\b
Examples:
  reconciler report
  reconciler report --day 2021-07-20 --pipeline batch
  reconciler report --day 2021-07-20 --format html --output day.html
  reconciler report --day 2021-07-20 --as-of 2021-07-20T19:00:00Z --json

Exit codes: 0 done, whatever it says; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
@click.option("--day", metavar="DATE", callback=as_date, help="The day, by the clock of --zone.  [default: yesterday]")
@click.option(
    "--zone", default="UTC", show_default=True, callback=as_zone, metavar="ZONE", help="Whose midnights make the day."
)
@click.option("--pipeline", metavar="NAME", help="Of this pipeline only.")
@click.option("--as-of", metavar="TIME", callback=as_time, help="As it was known then.")
@click.option("--format", "kind", type=click.Choice(list(FORMATS)), help="How it is written.  [default: text]")
@click.option("--output", "-o", metavar="FILE", help="Where it goes.  [default: standard output]")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    day: date | None, zone: tzinfo, pipeline: str | None, as_of: Micros | None, kind: str | None, output: str | None,
    config: str, *, as_json: bool,
) -> None:  # fmt: skip
    """Say how complete a day was: per source accepted, processed, accounted for, late, lost, and whether it is proven.

    `complete` is the share that is processed or accounted for, `delivered` the share that is processed; what came twice
    stands for nothing that is missing. `complete through` is the instant before which nothing is missing, in the whole
    ledger and at every hop. The worst sources come first; names with `/` are also summed by what stands before it.
    Nothing is judged anew: `reconciler tick` does that.
    """
    at = now()
    with opened(config) as app:
        when = day_of(at, zone).before(1) if day is None else Day(day, zone)
        record = daily(app.store, list(app.pipelines(pipeline).values()), when, at, as_of).record()
    kind = kind or ("json" if as_json else "text")
    if output is not None:
        write(Path(output), FORMATS[kind](record))
    elif kind == "text":
        say(as_text(record))
    else:
        click.echo(FORMATS[kind](record), nl=False)


def write(path: Path, text: str) -> None:
    """A file, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"--output {path}: cannot be written: {error.strerror or error}") from None
