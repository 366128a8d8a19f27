"""`reconciler forensics`: what happened, what was known when, who is affected."""

import json
from pathlib import Path

import click

from reconciler.app import opened
from reconciler.commands.options import as_time, config_option, json_option
from reconciler.commands.terminal import say
from reconciler.core.times import Micros
from reconciler.forensics.export import export
from reconciler.forensics.inquiry import investigate
from reconciler.forensics.tables import record
from reconciler.forensics.text import as_text


@click.command(
    epilog="""\b
Examples:
  reconciler forensics --from 2021-07-20T18:00:00Z --to 2021-07-21T11:00:00Z
  reconciler forensics --from 2021-07-20T18:00:00Z --to 2021-07-21T11:00:00Z --output incident/
  reconciler forensics --from 2021-07-20T18:00:00Z --to 2021-07-21T11:00:00Z --as-of 2021-07-20T19:30:00Z

Exit codes: 0 done, whatever it finds; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
@click.option("--from", "start", metavar="TIME", required=True, callback=as_time, help="Buckets from then on.")
@click.option("--to", "end", metavar="TIME", required=True, callback=as_time, help="Buckets before then.")
@click.option("--pipeline", metavar="NAME", help="Of this pipeline only.")
@click.option("--as-of", metavar="TIME", callback=as_time, help="As it was known then.")
@click.option("--output", "-o", metavar="FOLDER", help="Write tables, time line and drafts into this folder.")
@click.option("--parquet/--no-parquet", default=True, show_default=True, help="With --output: Parquet beside the CSV.")
@config_option
@json_option
def command(
    start: Micros, end: Micros, pipeline: str | None, as_of: Micros | None, output: str | None, config: str,
    *, parquet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say what happened in a window of the past, what was known when, what is lost, whose it is and who can mend it.

    All of it has been recorded or said before; nothing is judged anew. What is lost has bounds: at least what direct
    evidence proves, at most what is missing and not proven to be safe. --output writes CSV and Parquet (timeline,
    sources, buckets, cells, standing, offsets, queues), forensics.json, postmortem.md and a letter for each entry
    point; in the drafts, what no record shows stands in brackets.
    """
    with opened(config) as app:
        looked = investigate(app.store, app.settings, list(app.pipelines(pipeline).values()), start, end, as_of)
    if output is not None:
        files = export(looked, Path(output), parquet=parquet)
        click.echo(f"{len(files)} files written to {output}", err=True)
    if as_json:
        click.echo(json.dumps(record(looked), ensure_ascii=False))
    elif output is None:
        say(as_text(looked))
