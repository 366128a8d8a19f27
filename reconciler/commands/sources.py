"""`reconciler sources`: who sends, and that one of them has ended."""

from collections.abc import Iterator

import click

from reconciler.app import App, now, opened
from reconciler.commands.options import (
    as_time,
    author_option,
    config_option,
    json_option,
    pipeline_option,
    reason_option,
)
from reconciler.commands.terminal import say, say_found
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, format_time, time_of
from reconciler.errors import ConfigError
from reconciler.ports import Retirement


@click.group(
    epilog="""\b
Examples:
  reconciler sources list --pipeline batch
  reconciler sources retire partner/old --pipeline batch --author ann --reason "contract ended"
"""
)
def command() -> None:
    """The sources of each pipeline: `list` them, or `retire` one. A source has cells until it is retired."""


@command.command("list", epilog="Example: reconciler sources list --json")
@config_option
@pipeline_option
@json_option
def list_sources(config: str, pipeline: str | None, *, as_json: bool) -> None:
    """Each source: its first bucket, and since when it is retired, by whom and why."""
    with opened(config) as app:
        found = [record for one in app.pipelines(pipeline).values() for record in _records(app, one)]
    say_found(found, _table(found), as_json=as_json)


@command.command("retire", epilog="""Example: reconciler sources retire partner/old --author ann --reason "ended" """)
@click.argument("source")
@config_option
@click.option("--pipeline", metavar="NAME", help="The pipeline; may be left out where there is one only.")
@click.option("--at", metavar="TIME", callback=as_time, help="Has no buckets from then on.  [default: now]")
@author_option
@reason_option
@click.option("--undo", is_flag=True, help="It has not ended after all.")
def retire(
    source: str, config: str, pipeline: str | None, at: Micros | None, author: str, reason: str, *, undo: bool
) -> None:
    """Say that SOURCE sends no more: from then on it has no buckets, and its silence is none.

    If events of it are counted all the same, it is back by itself, and that is kept too.
    """
    moment = now()
    effective = None if undo else moment if at is None else at
    with opened(config) as app:
        one = the_pipeline(app, pipeline)
        app.store.retire(one, Retirement(one.name, "source", source, "", moment, effective, author, reason))
    said = "is back" if effective is None else f"has no buckets from {format_time(effective)} on"
    say([f"{one.name}: {source} {said}"])


def the_pipeline(app: App, name: str | None) -> Pipeline:
    """The pipeline of this name; without one, the only one."""
    found = list(app.pipelines(name).values())
    if len(found) != 1:
        raise ConfigError(f"--pipeline is needed, for there are several: {', '.join(one.name for one in found)}")
    return found[0]


def _records(app: App, pipeline: Pipeline) -> Iterator[dict[str, str | None]]:
    directory = app.store.directory(pipeline)
    said = {one.name: one for one in app.store.retirements(pipeline.name) if one.kind == "source"}
    for ordinal, name in sorted(enumerate(directory.sources), key=lambda entry: entry[1]):
        retired, why = directory.retired_at[ordinal], said.get(name)
        yield {
            "pipeline": pipeline.name,
            "source": name,
            "first_bucket": time_of(directory.first_bucket[ordinal]),
            "retired_at": time_of(retired),
            "author": why.author if why else None,
            "reason": why.reason if why else None,
        }


def _table(records: list[dict[str, str | None]]) -> Iterator[str]:
    if not records:
        yield "no source has been counted yet"
    for one in records:
        life = f"since {one['first_bucket']}" if one["first_bucket"] else "not counted yet"
        if one["retired_at"]:
            life += f", retired at {one['retired_at']}"
        said = f" ({one['author']}: {one['reason']})" if one["author"] else ""
        yield f"{one['pipeline']}  {one['source']}  {life}{said}"
