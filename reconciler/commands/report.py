"""`reconciler report`: how complete a day is, source by source."""

import json

import click

from reconciler.app import now, opened
from reconciler.commands.options import as_time, config_option, json_option
from reconciler.commands.terminal import say
from reconciler.core.times import DAY, Micros, floor_to
from reconciler.reports.daily import daily
from reconciler.reports.text import as_text


@click.command(
    epilog="""\b
Examples:
  reconciler report
  reconciler report --day 2021-07-20 --pipeline batch
  reconciler report --day 2021-07-20 --as-of 2021-07-20T19:00:00Z --json

Exit codes: 0 done, whatever it says; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
@click.option("--day", metavar="DATE", callback=as_time, help="The day, in UTC.  [default: yesterday]")
@click.option("--pipeline", metavar="NAME", help="Of this pipeline only.")
@click.option("--as-of", metavar="TIME", callback=as_time, help="As it was known then.")
@config_option
@json_option
def command(day: Micros | None, pipeline: str | None, as_of: Micros | None, config: str, *, as_json: bool) -> None:
    """Say how complete a day was: per source accepted, processed, accounted for, late, lost, and whether it is proven.

    `complete` is the share that is processed or accounted for, `delivered` the share that is processed; what came twice
    stands for nothing that is missing. `complete through` is the instant before which nothing is missing, in the whole
    ledger and at every hop. The worst sources come first. Nothing is judged anew: `reconciler tick` does that.
    """
    at = now()
    with opened(config) as app:
        first = floor_to(at, DAY) - DAY if day is None else floor_to(day, DAY)
        report = daily(app.store, list(app.pipelines(pipeline).values()), first, at, as_of)
    if as_json:
        click.echo(json.dumps(report.record(), ensure_ascii=False))
    else:
        say(as_text(report))
