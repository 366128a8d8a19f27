"""`reconciler status`: how far everything is, and what is missing."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from reconciler.app import now, opened
from reconciler.commands.options import config_option, json_option, now_option
from reconciler.commands.terminal import say_whole
from reconciler.core.times import Micros
from reconciler.running.status import status

Record = Mapping[str, Any]


@click.command(
    epilog="""\b
Examples:
  reconciler status
  reconciler status --json --exit-code

Exit codes: 0 done, whatever is found; 1 with --exit-code only: a pipeline was not judged for too long, counts are
missing, or a channel has dead letters; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
@config_option
@now_option
@click.option(
    "--exit-code", "tells", is_flag=True, help="End with 1 if a pipeline is not judged, or counts are missing."
)
@json_option
def command(config: str, at: Micros | None, *, tells: bool, as_json: bool) -> int:
    """Say of each pipeline how far its stages have reported, when it was judged and will be, and what is missing.

    It reads the ledger, so it says the same beside the service, on another machine, or while no service runs.
    """
    with opened(config) as app:
        found = status(app.store, app.settings, now() if at is None else at)
    say_whole(found, _text(found), as_json=as_json)
    wrong = any(one["blind"] or one["missing"] for one in found["pipelines"])
    wrong |= any(one["dead_letters"] for one in found["channels"])
    return 1 if tells and wrong else 0


def _text(found: Record) -> Iterator[str]:
    service = found["service"]
    if service is None or not service["running"]:
        yield f"as of {found['at']}; no service is running on this ledger"
    else:
        yield f"as of {found['at']}; the work is done by {service['holder']}, since {service['since']}"
    for pipeline in found["pipelines"]:
        yield ""
        yield from _pipeline(pipeline)
    for one in found["mutes"]:
        held = "" if one["holds"] else f" from {one['from']}"
        what = "planned work" if one["planned"] else "muted"
        where = f"pipeline {one['pipeline']}, kind {one['kind']}, sources {one['sources']}"
        yield f"{what} {one['id']}: {where}{held} until {one['until']} ({one['author']}: {one['reason']})"
    if found["channels"]:
        yield ""
        yield from (_channel(one) for one in found["channels"])
    failed = [duty for duty in found["duties"] if duty["failure"]]
    if failed:
        yield ""
        yield from (f"{duty['duty']} failed at {duty['at']}: {duty['failure']}" for duty in failed)


def _channel(one: Record) -> str:
    said = f"channel {one['channel']} ({one['kind'] or 'not configured any more'}): "
    said += f"told at {one['sent_at']}" if one["sent_at"] else "nothing told yet"
    if one["pending"]:
        said += f", {one['pending']:,} waiting"
    if one["dead_letters"]:
        said += f", {one['dead_letters']:,} DEAD LETTERS"
    if one["failing_since"]:
        said += f", failing since {one['failing_since']}: {one['failure']}"
    return said


def _pipeline(one: Record) -> Iterator[str]:
    blind = "  BLIND: for too long" if one["blind"] else ""
    yield f"{one['pipeline']} ({one['mode']})"
    yield f"  judged       {one['judged_at'] or 'never'}, next {one['next_at']}{blind}"
    if one["failure"]:
        yield f"               {one['failure']}"
    for stage in one["stages"]:
        reporters = f"{stage['reporters']:,} reporter{'' if stage['reporters'] == 1 else 's'}"
        yield f"  {stage['stage']:<12} reported until {stage['through'] or 'nothing yet'}, {reporters}"
        for gone in stage["missing"]:
            yield f"    MISSING    {gone['reporter']}: {_last(gone['through'])}"
    yield from _complete(one["complete_through"])
    for connector in one["connectors"]:
        if connector["failure"]:
            yield f"  connector    {connector['connector']} failed at {connector['at']}: {connector['failure']}"
        elif connector["at"] is None:
            yield f"  connector    {connector['connector']} has not been asked yet"
    for objective in one["objectives"]:
        if objective["left"] < 0:
            who = objective["sources"] or "all sources"
            yield f"  objective    {100 * objective['objective']:g}% of {who} MISSED by {-objective['left']:,} events"
    incidents = ", ".join(f"{number:,} {severity}" for severity, number in one["incidents"].items())
    yield f"  incidents    {incidents or 'none open'}"


def _complete(reach: Record) -> Iterator[str]:
    if reach["at"] is None:
        yield "  complete     nothing has been judged complete yet"
    else:
        yield f"  complete     until {reach['at']}, held back by {reach['held_back_by']} ({reach['sources']:,} sources)"
    if reach["beyond_limit"]:
        yield f"  TOO MANY     {reach['beyond_limit']:,} beyond max_sources are judged together, as (overflow)"


def _last(through: str | None) -> str:
    return "it was never heard" if through is None else f"last reported until {through}"
