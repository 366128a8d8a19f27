"""`reconciler count`: raw events in files into observations."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click

from reconciler.app import now
from reconciler.commands.options import as_time, config_option, json_option
from reconciler.commands.refusals import Refusals, refusals_file, refusals_option
from reconciler.commands.terminal import counting
from reconciler.core.observations import Observation
from reconciler.core.records import record_of
from reconciler.core.times import Micros, format_time
from reconciler.counting.definition import UNITS, Definition, Unit, count_of, progress_of
from reconciler.counting.duck import DuckEngine
from reconciler.counting.places import Source, find, stored
from reconciler.counting.spark import SparkEngine
from reconciler.counting.tally import Engine
from reconciler.errors import ConfigError, Refused
from reconciler.settings import Settings, load
from reconciler.store import open_store

BATCH = 20_000
"""Observations in a transaction."""


@dataclass(slots=True)
class Counted:
    """What became of the files."""

    files: int
    rows: int
    """Rows that were read."""
    outside: int
    """Rows beyond --from and --until."""
    refused: int
    """Rows, or whole files, that could not be used."""
    cells: int = 0
    """Sources, buckets and outcomes."""
    events: int = 0
    """Sum of all counts."""
    duplicates: int = 0
    """Rows whose id was there already, in the same cell."""
    through: str | None = None
    """Until when the counts are said to be whole."""
    refusals: list[dict[str, Any]] | None = None
    """The first of them."""
    stored: int | None = None
    """With --import: observations that said something new."""


@click.command(
    epilog="""\b
Examples:
  reconciler count 'events/2021-07-20/*.parquet' --pipeline batch --stage stored \\
    --source customer --time accepted_at --id event_id --through 2021-07-21T00:00:00Z --import
  reconciler count log.ndjson.gz --pipeline batch --stage ingress --source "team || '/' || feed" \\
    --time headers.received_at > counts.ndjson
  reconciler count 's3://lake/events/dt=2021-07-20/**/*.parquet' -p batch --stage stored --source who --time ts
  reconciler count 's3a://lake/events/dt=2021-07-20/*/*.parquet' -p batch --stage stored --source who --time ts \\
    --id event_id --engine spark --master yarn

Exit codes: 0 all was counted; 2 usage or configuration; 3 rows or files were refused, and all others are counted;
4 the object store or the ledger was out of reach.
""",
)
@click.argument("files", nargs=-1, required=True)
@config_option
@click.option("--pipeline", "-p", required=True, metavar="NAME", help="The pipeline that the events belong to.")
@click.option("--stage", required=True, metavar="NAME", help="The stage that the files are the books of.")
@click.option("--source", required=True, metavar="SQL", help="Who sent the event: a column, or an SQL expression.")
@click.option("--time", required=True, metavar="SQL", help="When the first stage accepted it; without a zone UTC.")
@click.option("--outcome", metavar="SQL", help="What became of it. Default, and where empty: the stage's usual one.")
@click.option("--id", "identity", metavar="SQL", help="Its id: equal ids of a cell count once, and digests are told.")
@click.option("--unit", type=click.Choice(list(UNITS)), default="s", show_default=True, help="Of times in numbers.")
@click.option("--reporter", metavar="NAME", help="Who counts. Default: count-STAGE.")
@click.option("--at", callback=as_time, metavar="TIME", help="When the count is made. Default: now.")
@click.option("--from", "start", callback=as_time, metavar="TIME", help="Leave out rows of earlier buckets.")
@click.option("--until", "end", callback=as_time, metavar="TIME", help="Leave out rows of this bucket and later ones.")
@click.option("--through", callback=as_time, metavar="TIME", help="The files hold everything before this. Said as "
              "progress, but not if anything is refused; without it the counts are not called whole.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["parquet", "csv", "ndjson"]), help="Default: as the names end.")
@click.option("--delimiter", metavar="LETTER", help="Between columns of CSV. Default: a comma, in .tsv a tab.")
@click.option(
    "--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True, help="Who counts."
)
@click.option(
    "--master", metavar="URL", help="Of Spark: the cluster, as spark://…, yarn, k8s://… Default: this machine."
)
@click.option(
    "--memory", default="1GB", show_default=True, metavar="SIZE", help="On this machine; the rest is on disk."
)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="On this machine.")
@click.option("--endpoint", metavar="URL", help="Of an object store that is not Amazon's.")
@click.option("--region", metavar="NAME", help="Of the bucket.")
@click.option("--output", "-o", default="-", metavar="FILE", help="Where the observations go. Default: - (stdout).")
@click.option("--import", "into_ledger", is_flag=True, help="Put them into the ledger instead.")
@refusals_option
@json_option
def command(files: tuple[str, ...], config: str, *, into_ledger: bool, as_json: bool, **options: Any) -> int:
    """Count the events in FILES (Parquet, CSV, NDJSON; packed or not; globs, s3://) by source and bucket of acceptance.

    What comes out are observations, as `import`, `backtest` and POST /v1/observations take them. A row without a
    source or with a time that is none is refused by file, row and reason, and counted; then no progress is said,
    because the counts are not whole. A count replaces what the same reporter said before: give all the files of a
    bucket at once. Columns of CSV and NDJSON are text; `a.b` is a key within a key.
    """
    settings = load(config)
    if into_ledger and options["output"] != "-":
        raise click.UsageError("--import and --output say two places; take one")
    asked = _definition(settings, options)
    with ExitStack() as stack:
        out = stack.enter_context(refusals_file(options["refusals"]))
        engine, sources = _begun(files, asked, options, stack)
        refused = _take(engine, sources, out)
        totals = engine.totals
        done = Counted(len(sources), totals.rows, totals.outside, totals.refused, refusals=refused.first)
        observations = _observations(engine, asked, options, done)
        if into_ledger:
            done.stored = _store(settings, observations)
        else:
            _write(options["output"], observations)
    shown = options["output"] == "-" and not into_ledger
    click.echo(json.dumps(asdict(done)) if as_json else _summary(done, options["through"]), err=shown)
    refused.close()
    return Refused.exit_code if done.refused else 0


def _definition(settings: Settings, options: dict[str, Any]) -> Definition:
    name, stage = options["pipeline"], options["stage"]
    pipeline = settings.pipelines.get(name)
    if pipeline is None:
        known = ", ".join(sorted(settings.pipelines))
        raise ConfigError(f"--pipeline: there is no pipeline {name!r}; configured: {known or 'none'}")
    if stage not in pipeline.stages:
        raise ConfigError(f"--stage: {stage!r} is no stage of {name}; known: {', '.join(pipeline.stages)}")
    for option in ("start", "end"):
        moment: Micros | None = options[option]
        if moment is not None and moment % pipeline.width:
            raise ConfigError(f"--{'from' if option == 'start' else 'until'}: {format_time(moment)} is within a bucket")
    at: Micros = now() if options["at"] is None else options["at"]
    if options["through"] is not None and options["through"] > at + pipeline.clock_allowance:
        raise ConfigError(f"--through: {format_time(options['through'])} lies ahead of --at ({format_time(at)})")
    unit: Unit = options["unit"]
    columns = options["source"], options["time"], options["outcome"], options["identity"]
    return Definition(*columns, unit, pipeline, stage, at, options["start"], options["end"])


def _begun(
    files: tuple[str, ...], asked: Definition, options: dict[str, Any], stack: ExitStack
) -> tuple[Engine, list[Source]]:
    """The engine that was asked for, and the files; what is wrong with their names is said before it starts."""
    kind, measures = options["kind"], {name: options[name] for name in ("delimiter", "memory", "threads")}
    if options["engine"] == "duckdb":
        if options["master"]:
            raise ConfigError("--master: only --engine spark has one")
        sources = find(files, kind, stored(kind, options["endpoint"], options["region"]))
        duck = DuckEngine(asked, **measures)
        stack.callback(duck.close)
        return duck, sources
    find([file for file in files if "://" not in file], kind, lambda url: ())
    spark = SparkEngine(asked, **measures, master=options["master"])
    stack.callback(spark.close)
    return spark, find(files, kind, lambda url: spark.list(url, kind))


def _take(engine: Engine, sources: list[Source], out: Any) -> Refusals:
    """Count all files, with a bar of their bytes."""
    with counting("counting", sum(source.size for source in sources)) as (tell, advance):
        refused = Refusals(tell, out)
        engine.take(sources, refused.note, advance)
    return refused


def _observations(engine: Engine, asked: Definition, options: dict[str, Any], done: Counted) -> Iterator[Observation]:
    reporter = options["reporter"] or f"count-{asked.stage}"
    for cell in engine.cells():
        done.cells += 1
        done.events += cell.count
        done.duplicates += cell.rows - cell.count
        yield count_of(cell, asked, reporter)
    if options["through"] is not None and not done.refused:
        done.through = format_time(options["through"])
        yield progress_of(asked, reporter, options["through"])


def _store(settings: Settings, observations: Iterator[Observation]) -> int:
    store = open_store(settings.ledger)
    kept = 0
    try:
        while batch := list(islice(observations, BATCH)):
            kept += store.record(batch, settings.pipelines).kept
    finally:
        store.close()
    return kept


def _write(path: str, observations: Iterator[Observation]) -> None:
    with _opened(path) as file:
        for seen in observations:
            file.write(json.dumps(record_of(seen), ensure_ascii=False, separators=(",", ":")) + "\n")


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    if path == "-":
        yield sys.stdout
        return
    try:
        file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115  only opening may fail so
    except OSError as error:
        raise ConfigError(f"--output {path}: cannot be written: {error.strerror or error}") from None
    with file:
        yield file


def _summary(done: Counted, through: Micros | None) -> str:
    files = "1 file" if done.files == 1 else f"{done.files:,} files"
    parts = [f"{done.events:,} events in {done.cells:,} cells", f"{done.refused:,} refused"]
    if done.duplicates:
        parts.insert(1, f"{done.duplicates:,} duplicates")
    if done.outside:
        parts.append(f"{done.outside:,} outside of the span")
    if done.stored is not None:
        parts.append(f"{done.stored:,} observations new to the ledger")
    whole = f"whole through {done.through}" if done.through else "not called whole"
    if not done.through:
        whole += " (something was refused)" if through is not None else " (no --through)"
    return f"{files}, {done.rows:,} rows: {', '.join(parts)}; {whole}"
