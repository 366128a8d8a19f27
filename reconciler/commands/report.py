"""`reconciler report`: how complete a day is, source by source."""

from collections.abc import Sequence
from datetime import UTC, date, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from reconciler.app import App, now, opened
from reconciler.commands.options import as_time, config_option, pipeline_option
from reconciler.commands.terminal import say, say_found
from reconciler.core.times import Micros, format_time, time_of
from reconciler.errors import ConfigError
from reconciler.reports import archive
from reconciler.reports.archive import report
from reconciler.reports.days import Day, day_of
from reconciler.reports.writing import FORMATS, write
from reconciler.serving import KeptReport


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
  reconciler report --kept

Exit codes: 0 done, whatever it says; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
@click.option("--day", metavar="DATE", callback=as_date, help="The day, by the clock of --zone.  [default: yesterday]")
@click.option(
    "--zone", default="UTC", show_default=True, callback=as_zone, metavar="ZONE", help="Whose midnights make the day."
)
@pipeline_option
@click.option("--as-of", metavar="TIME", callback=as_time, help="As it was known then.")
@click.option("--format", "kind", type=click.Choice(list(FORMATS)), help="How it is written.  [default: text]")
@click.option("--output", "-o", metavar="FILE", help="Where it goes.  [default: standard output]")
@click.option("--keep", is_flag=True, help="Keep it in the ledger as it is, as one that was sent.")
@click.option("--kept", is_flag=True, help="List the reports that were sent (with --day: of that day).")
@click.option("--number", metavar="N", type=int, help="Show a report as it was sent, by its number in --kept.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    day: date | None, zone: tzinfo, pipeline: str | None, as_of: Micros | None, kind: str | None, output: str | None,
    number: int | None, config: str, *, keep: bool, kept: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say how complete a day was: per source accepted, processed, accounted for, late, lost, and whether it is proven.

    `complete` is the share that is processed or accounted for, `delivered` the share that is processed; what came twice
    stands for nothing that is missing. `complete through` is the instant before which nothing is missing, in the whole
    ledger and at every hop. The worst sources come first; names with `/` are also summed by what stands before it.
    Nothing is judged anew: `reconciler tick` does that. Where a report of the day was sent before, the differences are
    told; --as-of without one tells what has changed since that instant.
    """
    at = now()
    with opened(config) as app:
        if kept:
            _list(app.store.kept_reports(None if day is None else day.isoformat()), as_json=as_json)
            return
        when = day_of(at, zone).before(1) if day is None else Day(day, zone)
        old = None if number is None else _kept(app, number)
        record = (
            report(app.store, list(app.pipelines(pipeline).values()), when, at, as_of) if old is None else old.record
        )
        if keep and old is None:
            archive.keep(app.store, record, ())
    kind = kind or ("json" if as_json else "text")
    # What was sent as HTML comes back letter by letter; the other formats are made of what it said.
    text = old.html if old is not None and kind == "html" else FORMATS[kind](record)
    if output is not None:
        write(Path(output), text.encode())
    elif kind == "text":
        say(text.splitlines())
    else:
        click.echo(text, nl=False)


def _kept(app: App, number: int) -> KeptReport:
    found = app.store.kept_report(number)
    if found is None:
        raise ConfigError(
            f"there is no report {number} in the ledger; `reconciler report --kept` lists those there are"
        )
    return found


def _list(found: Sequence[KeptReport], *, as_json: bool) -> None:
    records = (
        {"number": one.id, "day": one.day, "zone": one.zone, "made_at": format_time(one.made_at),
         "as_of": time_of(one.as_of), "version": one.version, "settings": one.settings, "sent_to": one.sent_to}
        for one in found
    )  # fmt: skip
    say_found(records, map(_line, found) if found else ["no report was sent or kept yet"], as_json=as_json)


def _line(one: KeptReport) -> str:
    known = "" if one.as_of is None else f", as known at {format_time(one.as_of)}"
    sent = ", ".join(one.sent_to) or "kept by hand"
    made = f"made at {format_time(one.made_at)} by {one.version}, settings {one.settings}"
    return f"{one.id}: {one.day} ({one.zone}){known}, {made}: {sent}"
