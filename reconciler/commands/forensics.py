"""`reconciler forensics`: what happened, what was known when, who is affected."""

import json
from pathlib import Path

import click

from reconciler.app import opened
from reconciler.commands.options import as_duration, as_time, config_option, json_option, pipeline_option
from reconciler.commands.terminal import counting, say
from reconciler.core.times import Micros
from reconciler.forensics.export import export
from reconciler.forensics.inquiry import Investigation, investigate
from reconciler.forensics.tables import record
from reconciler.forensics.text import as_text
from reconciler.forensics.whatif import WhatIf, what_if
from reconciler.serving import ServiceStore
from reconciler.settings import load


@click.command(
    epilog="""\b
Examples:
  reconciler forensics --from 2021-07-20T18:00:00Z --to 2021-07-21T11:00:00Z
  reconciler forensics --from 2021-07-20T18:00:00Z --to 2021-07-21T11:00:00Z --output incident/
  reconciler forensics --from 2021-07-20T18:00:00Z --to 2021-07-21T11:00:00Z --as-of 2021-07-20T19:30:00Z
  reconciler forensics --from 2021-07-20T18:00:00Z --to 2021-07-21T11:00:00Z --what-if other.yaml

Exit codes: 0 done, whatever it finds; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
@click.option("--from", "start", metavar="TIME", required=True, callback=as_time, help="Buckets from then on.")
@click.option("--to", "end", metavar="TIME", required=True, callback=as_time, help="Buckets before then.")
@pipeline_option
@click.option("--as-of", metavar="TIME", callback=as_time, help="As it was known then.")
@click.option("--output", "-o", metavar="FOLDER", help="Write tables, time line and drafts into this folder.")
@click.option("--parquet/--no-parquet", default=True, show_default=True, help="With --output: Parquet beside the CSV.")
@click.option("--what-if", "other", metavar="FILE", help="Judge the record once more by the settings of this file.")
@click.option(
    "--tick",
    default="1m",
    show_default=True,
    metavar="DURATION",
    callback=as_duration,
    help="With --what-if: time between judgements.",
)
@config_option
@json_option
def command(
    start: Micros, end: Micros, pipeline: str | None, as_of: Micros | None, output: str | None, other: str | None,
    tick: Micros, config: str,
    *, parquet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say what happened in a window of the past, what was known when, what is lost, whose it is and who can mend it.

    All of it has been recorded or said before; nothing is judged anew. What is lost has bounds: at least what direct
    evidence proves, at most what is missing and not proven to be safe. --output writes CSV and Parquet (timeline,
    sources, buckets, cells, standing, offsets, queues), forensics.json, postmortem.md and a letter for each entry
    point; in the drafts, what no record shows stands in brackets.

    --what-if runs the recorded observations through the engine again, with the pipelines of another configuration, and
    says what would have been known when. Nothing is written by it.
    """
    with opened(config) as app:
        looked = investigate(app.store, app.settings, list(app.pipelines(pipeline).values()), start, end, as_of)
        otherwise = None if other is None else _otherwise(app.store, looked, other, tick)
    if output is not None:
        files = export(looked, Path(output), parquet=parquet, otherwise=otherwise)
        click.echo(f"{len(files)} files written to {output}", err=True)
    if as_json:
        click.echo(json.dumps(record(looked, otherwise), ensure_ascii=False))
    elif output is None:
        say(as_text(looked))
        say(["", *otherwise.lines()] if otherwise is not None else [])


def _otherwise(store: ServiceStore, looked: Investigation, other: str, tick: Micros) -> WhatIf:
    pipelines = list(load(other).pipelines.values())
    with counting("judging anew", 0) as (_, advance):
        return what_if(store, looked, pipelines, other, tick, advance)
