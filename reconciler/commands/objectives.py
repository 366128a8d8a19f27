"""`reconciler objectives`: how much of what was promised is spent, how fast, and the same for other programs."""

from collections.abc import Iterator
from typing import Any

import click

from reconciler.app import opened
from reconciler.commands.options import config_option, json_option, pipeline_option
from reconciler.commands.terminal import say_found
from reconciler.core.objectives import Standing
from reconciler.core.times import format_duration
from reconciler.reports.objectives import exported, record, standings


@click.command(
    epilog="""\b
Examples:
  reconciler objectives
  reconciler objectives --export prometheus > rules.yaml
  reconciler objectives --export sloth --pipeline batch
"""
)
@config_option
@pipeline_option
@click.option(
    "--export",
    type=click.Choice(["prometheus", "sloth", "openslo"]),
    help="Print them for another program instead: alerting rules, or what Sloth or OpenSLO reads.",
)
@json_option
def command(config: str, pipeline: str | None, export: str | None, *, as_json: bool) -> None:
    """Say of each objective what was promised, what of its error budget is left, and how fast it burns.

    Lost events spend the budget; late ones do not, and recovered ones give it back. As of the last judgement.
    """
    with opened(config) as app:
        pipelines = app.pipelines(pipeline)
        if export is not None:
            click.echo(exported(export, list(pipelines.values())), nl=False)
            return
        found = [one for each in pipelines.values() for one in standings(app.store, each)]
    say_found(map(record, found), _table(found), as_json=as_json)


def _table(found: list[Standing]) -> Iterator[str]:
    for one in found:
        told: dict[str, Any] = record(one)
        who = f"{one.pipeline}, sources {one.pattern}" if one.pattern else one.pipeline
        yield f"{who}: {100 * one.objective:g}% over {format_duration(one.window)}"
        if told["completeness"] is None:
            yield "  nothing was accepted in this time, so nothing is known"
            continue
        left = f"{one.left:,} of it are left" if one.left >= 0 else f"MISSED by {-one.left:,}"
        yield f"  complete     {100 * told['completeness']:.4f}% ({one.lost:,} lost of {one.accepted:,})"
        yield f"  budget       {one.budget:,} events may be lost; {left}"
        rates = ", ".join(f"{rate:.3g} over {format_duration(span)}" for span, rate in one.burns)
        word = one.burning()
        yield f"  burn         {rates}{f'  BURNS TOO FAST: {word}' if word else ''}"
    if not found:
        yield "no pipeline is configured"
