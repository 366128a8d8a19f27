"""`reconciler backfill`: count the past once, and say what holes are there already."""

from itertools import groupby
from operator import attrgetter

import click

from reconciler.app import App, now, opened
from reconciler.collect import Collected, add_up, backfill
from reconciler.commands.options import as_time, config_option, json_option, read_moment
from reconciler.commands.terminal import counting, say, say_records
from reconciler.commands.tick import troubles
from reconciler.core.times import SECOND, Micros, format_duration, format_time
from reconciler.errors import ConfigError
from reconciler.ports import Connector, ConnectorFailed
from reconciler.reports.holes import Hole, holes
from reconciler.service import judge

Span = tuple[Micros, Micros]
SHOWN = 20
"""Holes of a pipeline that are named."""


@click.command(
    epilog="""\b
Examples:
  reconciler backfill --from -30d
  reconciler backfill --from 2021-07-01 --to 2021-07-08 --connector ingress-table

Exit codes: 0 done, whatever was found; 2 usage or configuration; 3 rows were refused; 4 a connector or the ledger was
out of reach: call it again, and it goes on where it stopped.
""",
)
@click.option("--from", "start", required=True, metavar="TIME", help="Since when: a time, a date, or -30d.")
@click.option("--to", "end", metavar="TIME", help="Until when.  [default: now]")
@click.option("--connector", "names", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
@click.option("--now", "at", metavar="TIME", callback=as_time, help="Judge as of then.  [default: the machine's clock]")
@config_option
@json_option
def command(
    start: str, end: str | None, names: tuple[str, ...], at: Micros | None, config: str, *, as_json: bool
) -> int:  # fmt: skip
    """Count the past with every connector, judge once, and say what holes are there already.

    It may be broken off at any time: called again, it goes on where it stopped. --json prints the changed verdicts and
    incidents as the lines that `backtest` writes.
    """
    at = now() if at is None else at
    first, last = read_moment(start, at), at if end is None else read_moment(end, at)
    if first >= last:
        raise ConfigError(f"--from {format_time(first)} is not before --to {format_time(last)}")
    with opened(config) as app:
        found = app.connectors(names)
        if not found:
            raise ConfigError(f"{config} has no connector; `reconciler import` takes counts from files")
        connectors = [connector for connector in found if connector.stage is not None]
        if not connectors:
            raise ConfigError(f"{', '.join(one.name for one in found)}: takes samples, and nobody can sample the past")
        done = [_count(app, connector, first, last, at, quiet=as_json) for connector in connectors]
        for name in sorted({connector.pipeline for connector in connectors}):
            broken = [one.connector for one in done if one.failure and app.pipeline_of(one.connector) == name]
            _judge(app, name, (first, last), at, broken, as_json=as_json)
    return troubles(done)


def _count(app: App, connector: Connector, first: Micros, last: Micros, at: Micros, *, quiet: bool) -> Collected:
    """Count with one connector; its failure is its own, the others go on."""
    total = Collected(connector.name, first, first)
    with counting(connector.name, (last - first) // SECOND) as (_, advance):
        try:
            for done in backfill(app.store, connector, app.settings.pipelines, first, last, at):
                advance((done.until - total.until) // SECOND)
                total = add_up(total, done)
        except ConnectorFailed as failure:
            total = add_up(total, Collected(connector.name, total.until, total.until, failure=failure))
    if not quiet:
        broken = f"; broken off at {format_time(total.until)}" if total.failure else ""
        old = f", {total.too_old:,} of buckets that are kept no more" if total.too_old else ""
        click.echo(
            f"{connector.name}: {total.kept:,} new, {total.unchanged:,} unchanged, {total.withdrawn:,} gone, "
            f"{len(total.refused):,} refused{old}{broken}"
        )
    return total


def _judge(app: App, name: str, span: Span, at: Micros, broken: list[str], *, as_json: bool) -> None:
    """Judge once. Half a past would teach a lag that there never was, so that what broke off is waited for."""
    if broken:
        say(["", f"{name} is not judged: {', '.join(broken)} has not told all; call it again to go on"], err=as_json)
        return
    pipeline = app.settings.pipelines[name]
    lines = judge(app.store, pipeline, at, every=as_json)
    if as_json:
        say_records(lines)
        return
    judged = app.store.judged_at(pipeline) or at
    say(["", f"{name}, judged as of {format_time(judged)}", *_said(holes(app.store, pipeline, *span))])


def _said(found: list[Hole]) -> list[str]:
    if not found:
        return ["  no holes"]
    lines = [f"  {hole}" for hole in found[:SHOWN]]
    rest = found[SHOWN:]
    if rest:
        span = format_duration(sum(hole.end - hole.start for hole in rest))
        kinds = ", ".join(
            f"{len(list(same)):,} {verdict.word.replace('_', ' ')}"
            for verdict, same in groupby(rest, key=attrgetter("verdict"))
        )
        lines.append(f"  and {len(rest):,} more holes ({kinds}) of {span} in all")
    return lines
