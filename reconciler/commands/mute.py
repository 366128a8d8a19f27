"""`reconciler mute`: who is not to be told of what, until when, and why."""

from typing import Any

import click

from reconciler import deeds
from reconciler.app import now, opened
from reconciler.commands.options import (
    Usual,
    as_time,
    author_option,
    config_option,
    json_option,
    read_duration,
    reason_option,
)
from reconciler.commands.terminal import say, say_found
from reconciler.core.times import Micros, format_time


@click.group(
    cls=Usual,
    usual="add",
    alone=False,
    epilog="""\b
Examples:
  reconciler mute --pipeline batch --kind delay --for 2h --author ann --reason "known, being drained"
  reconciler mute --planned --source "partner/*" --from 2024-05-17T22:00:00Z --until 2024-05-18T02:00:00Z \\
      --author ann --reason "the partner moves house"
  reconciler mute list
  reconciler mute end 7 --author ann --reason "drained"
""",
)
def command() -> None:
    """Keep incidents quiet for a while: `add` (which may be left out), `list`, `end`.

    What is muted is judged, listed and reported like everything else, and says that it is muted; it is only not told.
    """


@command.command("add", epilog="""Example: reconciler mute --kind delay --for 2h --author ann --reason "known" """)
@config_option
@click.option("--pipeline", default="", metavar="PATTERN", help="Of these pipelines only.")
@click.option("--kind", type=click.Choice(deeds.KINDS), metavar="KIND", help="Of this kind only.")
@click.option(
    "--source", "sources", default="*", metavar="PATTERN", help="Only where no source is touched but such as these."
)
@click.option("--from", "since", metavar="TIME", callback=as_time, help="From then on.  [default: now]")
@click.option("--until", metavar="TIME", callback=as_time, help="Until then. This or --for is needed.")
@click.option("--for", "span", metavar="DURATION", help="For so long, such as 2h.")
@click.option(
    "--planned", is_flag=True, help="Announced work: what is lost or at risk is told all the same, and no model learns."
)
@author_option
@reason_option
def add(
    config: str, until: Micros | None, span: str | None, since: Micros | None, author: str, reason: str,
    kind: str | None, **matcher: Any,
) -> None:  # fmt: skip
    """Tell nobody of incidents that fit, until an end. Without a pipeline, kind or source: of none at all."""
    moment = now()
    if (until is None) == (span is None):
        raise click.UsageError("a mute needs one end: --until TIME, or --for DURATION")
    end = until if until is not None else (since or moment) + read_duration(span or "")
    with opened(config) as app:
        act = deeds.mute(app.store, author, reason, moment, end, since=since, kind=kind or "", **matcher)
    say([f"from the next look on, until {format_time(end)}: {deeds.mute_text(act, moment)}"])


@command.command("list", epilog="Example: reconciler mute list --json")
@config_option
@json_option
def list_(config: str, *, as_json: bool) -> None:
    """List what holds now, or will."""
    moment = now()
    with opened(config) as app:
        found = deeds.mutes(app.store, moment)
    lines = [deeds.mute_text(act, moment) for act in found] or ["nothing is muted"]
    say_found((deeds.mute_record(act, moment) for act in found), lines, as_json=as_json)


@command.command("end", epilog="""Example: reconciler mute end 7 --author ann --reason "drained" """)
@click.argument("number", type=int)
@config_option
@author_option
@reason_option
def end(number: int, config: str, author: str, reason: str) -> None:
    """End the mute of this NUMBER now."""
    with opened(config) as app:
        deeds.unmute(app.store, number, author, reason, now())
    say([f"mute {number} ends with the next look"])
