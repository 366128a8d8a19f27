"""`reconciler reporters`: who counts, and that one of them has ended."""

from collections.abc import Iterator
from typing import Any

import click

from reconciler.app import App, now, opened
from reconciler.commands.options import (
    author_option,
    config_option,
    json_option,
    now_option,
    pipeline_option,
    reason_option,
)
from reconciler.commands.sources import the_pipeline
from reconciler.commands.terminal import say, say_found
from reconciler.core.pipelines import HEARD_WITHIN, Pipeline
from reconciler.core.stages import stage_now
from reconciler.core.times import HOUR, Micros, format_time
from reconciler.errors import ConfigError
from reconciler.ports import Retirement


@click.group(
    epilog="""\b
Examples:
  reconciler reporters list --missing
  reconciler reporters retire ingest-01 --stage ingress --author ann --reason "scaled in"
"""
)
def command() -> None:
    """Who counts at each stage: `list` them, or `retire` one that will never say itself that it has ended."""


@command.command("list", epilog="Example: reconciler reporters list --missing --json")
@config_option
@pipeline_option
@click.option("--missing", is_flag=True, help="Only those whose counts are missing.")
@now_option
@json_option
def list_reporters(config: str, pipeline: str | None, at: Micros | None, *, missing: bool, as_json: bool) -> None:
    """Each reporter: how far it has reported, and whether it is waited for, missing, or has ended."""
    moment = now() if at is None else at
    with opened(config) as app:
        found = [record for one in app.pipelines(pipeline).values() for record in _records(app, one, moment)]
    found = [record for record in found if record["state"] == "missing" or not missing]
    say_found(found, _table(found), as_json=as_json)


@command.command(
    "retire", epilog="""Example: reconciler reporters retire ingest-01 --author ann --reason "scaled in" """
)
@click.argument("reporter")
@config_option
@click.option("--pipeline", metavar="NAME", help="The pipeline; may be left out where there is one only.")
@click.option("--stage", metavar="NAME", help="The stage; may be left out where it counts at one only.")
@author_option
@reason_option
def retire(reporter: str, config: str, pipeline: str | None, stage: str | None, author: str, reason: str) -> None:
    """Say that REPORTER counts no more: what it has reported is all that it will ever report.

    Then nobody waits for it. What it had seen and not reported when it ended stays uncounted, so say this only of one
    that cannot come back; if it reports again, it is waited for again.
    """
    moment = now()
    with opened(config) as app:
        one = the_pipeline(app, pipeline)
        stage = stage or _stage_of(app, one, reporter, moment)
        expected = one.reporters.get(stage)
        if expected is not None and reporter in expected.expect:
            place = f"pipelines.{one.name}.reporters.{stage}.expect, or is a connector"
            raise ConfigError(f"{reporter} is in {place}: remove it from the configuration instead")
        app.store.retire(one, Retirement(one.name, "reporter", reporter, stage, moment, moment, author, reason))
    say([f"{one.name}, {stage}: nobody waits for {reporter} any more"])


def _stage_of(app: App, pipeline: Pipeline, reporter: str, now: Micros) -> str:
    stages = sorted({stage for stage, name in app.store.reporters(pipeline, now).reporters if name == reporter})
    if len(stages) > 1:
        raise ConfigError(f"--stage is needed, for {reporter} counts at several: {', '.join(stages)}")
    return stages[0] if stages else pipeline.stages[0]


def _records(app: App, pipeline: Pipeline, now: Micros) -> Iterator[dict[str, Any]]:
    ledger = app.store.reporters(pipeline, now)
    said = {(one.stage, one.name): one for one in app.store.retirements(pipeline.name) if one.kind == "reporter"}
    for stage in pipeline.stages:
        heard = {name: one for (where, name), one in ledger.reporters.items() if where == stage}
        gone = {one.name for one in stage_now(ledger, stage, now).missing}
        for name in sorted({*heard, *gone}):
            one, why = heard.get(name), said.get((stage, name))
            if name in gone:
                state = "missing"
            elif one is None or one.final:
                state = "ended"
            else:
                state = "waited for" if now - one.heard_at <= HEARD_WITHIN else "forgotten"
            yield {
                "pipeline": pipeline.name,
                "stage": stage,
                "reporter": name,
                "state": state,
                "through": format_time(one.through) if one else None,
                "heard_at": format_time(one.heard_at) if one else None,
                "author": why.author if why and state == "ended" else None,
                "reason": why.reason if why and state == "ended" else None,
            }


def _table(records: list[dict[str, Any]]) -> Iterator[str]:
    if not records:
        yield "no reporter has been heard yet"
    for one in records:
        until = f"reported until {one['through']}" if one["through"] else "never heard"
        said = f" ({one['author']}: {one['reason']})" if one["author"] else ""
        note = f" (silent for more than {HEARD_WITHIN // HOUR} h)" if one["state"] == "forgotten" else ""
        yield f"{one['pipeline']}  {one['stage']}  {one['reporter']}  {one['state']}, {until}{said}{note}"
