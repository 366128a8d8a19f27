"""`reconciler model`: what was learned, said to people."""

import json
from pathlib import Path

import click
import numpy as np

from reconciler.app import App, now, opened
from reconciler.commands.options import config_option, json_option
from reconciler.commands.terminal import say
from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import SPAN
from reconciler.core.times import DAY, HOUR, Micros, floor_to
from reconciler.core.volume_account import WEEK_HOURS, Account, account
from reconciler.core.volume_clock import offset_at
from reconciler.core.volume_history import MONDAY, Scope, spans
from reconciler.core.volume_tails import Floats
from reconciler.core.volume_watch import Watch
from reconciler.errors import ConfigError
from reconciler.reports.volumes import Picture, as_png, as_text
from reconciler.service import NOTHING

WEEKS_SHOWN: Micros = 42 * DAY


@click.group(
    epilog="""\b
Example:
  reconciler model show partner/segment
""",
)
def command() -> None:
    """Say what volume is usual for a source, and what is not known yet."""


@command.command(
    epilog="""\b
Examples:
  reconciler model show partner/segment
  reconciler model show partner/segment --pipeline batch --png segment.png

Exit codes: 0 done, also where nothing is known yet; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
@click.argument("source")
@click.option("--pipeline", metavar="NAME", help="The pipeline.  [default: the only one]")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw it, too: the extra `charts`.")
@config_option
@json_option
def show(source: str, pipeline: str | None, png: Path | None, config: str, *, as_json: bool) -> None:
    """Show the usual week of SOURCE, how far its counts stray, and when its silence would mean something."""
    with opened(config) as app:
        chosen = app.pipelines(pipeline)
        if len(chosen) > 1:
            raise ConfigError(f"there are several pipelines; name one with --pipeline: {', '.join(chosen)}")
        picture = picture_of(app, next(iter(chosen.values())), source)
    if picture is None:
        text = (
            f"{source}: untrained. Seven days of its counts must lie in the ledger, and a midnight (UTC) have passed."
        )
        click.echo(json.dumps({"source": source, "trained": False}) if as_json else text)
        return
    if png is not None:
        as_png(picture, png)
    if as_json:
        click.echo(json.dumps(_record(picture), ensure_ascii=False))
    else:
        say(as_text(picture))


def picture_of(app: App, pipeline: Pipeline, source: str) -> Picture | None:
    """What is known of the source; `None`: nothing yet."""
    directory = app.store.directory(pipeline)
    if source not in directory.sources:
        raise ConfigError(f"the ledger knows no source {source!r} in {pipeline.name}")
    row = directory.sources.index(source) + 1
    with app.store.judging(pipeline, now(), NOTHING) as work:
        watch = Watch(pipeline)
        watch.restore(work.state, work.week)
    if watch.model is None or row >= watch.model.sources:
        return None
    known = account(watch.model, row, pipeline.volume.budget, len(directory.sources) + 1)
    if known is None:
        return None
    ledger = Ledger(pipeline, directory)
    until = floor_to(watch.upcoming * pipeline.width, HOUR)
    hours = _hours(app, ledger, row - 1, until)
    first = until - len(hours) * HOUR
    begins = (first + offset_at(pipeline.volume.zone_of(source), first) + MONDAY) // HOUR % WEEK_HOURS
    return Picture(source, pipeline.width, known, hours, begins)


def _hours(app: App, ledger: Ledger, source: int, until: Micros) -> Floats:
    """Events accepted by hour of the last weeks, the newest last; NaN where there was none to count."""
    pipeline = ledger.pipeline
    first = max(until - WEEKS_SHOWN, ledger.directory.first_bucket[source])
    found = np.full(max((until - first) // HOUR, 0), np.nan)
    scope = Scope(ledger.directory, pipeline.width, progressed=True)
    for span in spans(app.store.counts_as_of(pipeline, pipeline.stages[0], first, until), scope):
        for column in np.flatnonzero(span.known[source]).tolist():
            hour = ((span.number * SPAN + column) * pipeline.width - (until - len(found) * HOUR)) // HOUR
            if 0 <= hour < len(found):
                found[hour] = np.nan_to_num(found[hour]) + span.counts[source, column]
    return found


def _record(picture: Picture) -> dict[str, object]:
    known: Account = picture.account
    return {
        "source": picture.source, "trained": True, "history_seconds": known.history // 1_000_000,
        "bucket_seconds": picture.width // 1_000_000, "week": [round(float(one), 3) for one in known.week],
        "levels": {str(half): round(level, 4) for half, level in known.levels.items()},
        "scatter": [round(float(one), 4) for one in known.scatter], "enough_due": round(known.enough_due, 1),
        "unknown": known.unknown,
    }  # fmt: skip
