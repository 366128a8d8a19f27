"""`reconciler check-config`: is the configuration sound, and what follows from it?"""

import json
import os
from collections.abc import Iterator
from typing import Any

import click

from reconciler.app import now
from reconciler.commands.asking import Answer, Reply, ask_all, ask_channels, permissions_json, permissions_text
from reconciler.commands.options import as_time, config_option, json_option
from reconciler.core.adoption import QUEUE_PROVES, Level, Standing, standings
from reconciler.core.cases import RESOLVE_AFTER
from reconciler.core.conditions import PAGE_BEFORE, TICKET_BEFORE
from reconciler.core.lifecycle import LONGEST_PATIENCE
from reconciler.core.objectives import ALERTS
from reconciler.core.pipelines import HEARD_WITHIN, Pipeline, Queue
from reconciler.core.times import HOUR, SECOND, Micros, format_duration
from reconciler.settings import Settings, json_schema, load
from reconciler.settings.schema import ConnectorOptions, SamplerOptions

MILLION = 1_000_000


@click.command(
    epilog="""\b
Examples:
  reconciler check-config --config reconciler.yaml
  reconciler check-config --connect
  reconciler check-config --permissions

Exit codes: 0 sound; 2 something is wrong with the configuration; and with --connect 3 a connector refused a part, 4 one
or a channel is out of reach.
"""
)
@click.argument("file", required=False)
@config_option
@json_option
@click.option("--schema", is_flag=True, help="Print the JSON schema of the configuration instead, for editors.")
@click.option(
    "--connect",
    is_flag=True,
    help="Ask every connector and channel too, and say what it answers; nothing is stored or sent.",
)
@click.option("--now", "at", metavar="TIME", callback=as_time, help="Ask as of then.  [default: the machine's clock]")
@click.option("--permissions", is_flag=True, help="Print the rights that each connector needs instead, all to read.")
def command(
    file: str | None, config: str, at: Micros | None, *, as_json: bool, schema: bool, connect: bool, permissions: bool
) -> int | None:
    """Say all that is wrong with the configuration, or what follows from it, defaults included.

    FILE stands for --config. It ends with 2 if anything is wrong. Nothing is connected to, unless --connect is given.
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return None
    settings = load(file or config)
    if permissions:
        click.echo(permissions_json(settings) if as_json else "\n".join(permissions_text(settings)))
        return None
    answers: list[Answer | Reply] = []
    if connect:
        answers = [*ask_all(settings, now() if at is None else at), *ask_channels(settings)]
    if as_json:
        told = {"answers": [answer.record() for answer in answers]} if connect else {}
        click.echo(json.dumps(as_record(settings) | told, indent=2))
    else:
        click.echo("\n".join([*as_text(settings), *(line for answer in answers for line in answer.text())]))
    return max((answer.exit_code for answer in answers), default=0)


def as_record(settings: Settings) -> dict[str, Any]:
    """What follows from the settings, for programs; durations in seconds, without secrets."""
    return {
        "file": str(settings.path),
        "tick_seconds": settings.tick // SECOND,
        "public_url": settings.public_url or None,
        "pipelines": [
            _pipeline_record(pipeline) | {"adoption": [_standing_record(one) for one in _standings(settings, pipeline)]}
            for pipeline in settings.pipelines.values()
        ],
        "connectors": [
            {"name": found.name, "kind": found.kind}
            | found.options.model_dump(mode="json", include={"pipeline", "stage"})
            for found in settings.connectors.values()
        ],
        "notifiers": [
            {"name": name, "kind": found.kind, "severities": list(found.options.severities)}
            | {"pipelines": list(found.options.pipelines), "kinds": found.options.kinds}
            for name, found in settings.notifiers.items()
        ],
        "sources": {pattern: known.model_dump(mode="json") for pattern, known in settings.sources.items()},
    }


def _pipeline_record(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "stages": list(pipeline.stages),
        "hops": [{"from": hop.from_stage, "to": hop.to_stage} for hop in pipeline.hops],
        "bucket_seconds": pipeline.width // SECOND,
        "mode": "alert" if pipeline.alert else "observe",
        "objective": pipeline.objective,
        "objectives": dict(pipeline.objectives),
        "budget_seconds": pipeline.budget_window // SECOND,
        "paging": {"lost": pipeline.paging.lost, "burn": pipeline.paging.burn},
        "runbooks": pipeline.runbooks,
        "tolerance": {"events": pipeline.tolerance.events, "ratio": pipeline.tolerance.ratio},
        "clock_allowance_seconds": pipeline.clock_allowance // SECOND,
        "queues": [_queue_record(pipeline, queue) for queue in pipeline.queues.values()],
        "reporters": {
            stage: {"expect": list(found.expect), "missing_after_seconds": _seconds(found.missing_after)}
            for stage, found in pipeline.reporters.items()
        },
    }


def _queue_record(pipeline: Pipeline, queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "from": queue.hop.from_stage,
        "to": queue.hop.to_stage,
        "retention_seconds": _seconds(queue.policy.retention),
        "replicas": queue.policy.replicas,
        "sources": list(queue.sources),
        "reaction_seconds": _seconds(pipeline.reaction_for(queue, None) or None),
    }


def _standings(settings: Settings, pipeline: Pipeline) -> list[Standing]:
    fed: dict[str, list[Level]] = {}
    for found in settings.connectors.values():
        options = found.options
        if isinstance(options, ConnectorOptions) and options.pipeline == pipeline.name:
            fed.setdefault(options.stage, []).append(options.level())
    return standings(pipeline, fed, broker=pipeline.stamped_by_broker)


def _standing_record(standing: Standing) -> dict[str, Any]:
    rung = standing.rung
    return {
        "from": standing.hop.from_stage,
        "to": standing.hop.to_stage,
        "level": int(rung.level),
        "name": rung.name,
        "held_by": list(standing.held_by),
        "queue_is_sampled": standing.queue,
        "proves": rung.proves,
        "cannot": rung.cannot,
        "next": rung.next or None,
    }


def _standing_text(standing: Standing) -> Iterator[str]:
    """What the counts of a hop prove, and what they cannot; see docs/adoption.md."""
    rung, hop = standing.rung, standing.hop
    yield f"  level        {int(rung.level)} of {len(Level)} ({rung.name}) from {hop.from_stage} to {hop.to_stage}"
    yield f"    proves     {rung.proves}"
    if standing.queue:
        yield f"    proves     {QUEUE_PROVES}"
    yield f"    cannot     {rung.cannot}"
    if not standing.queue:
        yield "    cannot     prove where late events are: no connector looks at a queue between these stages"
    if rung.next:
        yield f"    higher     {rung.next} (now: {' and '.join(standing.held_by)})"


def _seconds(span: Micros | None) -> int | None:
    return None if span is None else span // SECOND


def as_text(settings: Settings) -> Iterator[str]:
    """The same for people, line by line."""
    yield f"{settings.path} is sound."
    yield f"It looks every {format_duration(settings.tick)}."
    for pipeline in settings.pipelines.values():
        yield ""
        yield from _pipeline_text(pipeline)
        for standing in _standings(settings, pipeline):
            yield from _standing_text(standing)
        for found in settings.connectors.values():
            options = found.options
            if isinstance(options, SamplerOptions) and options.pipeline == pipeline.name:
                yield f"  connector    {found.name} ({found.kind}) {_connector_text(options)}"
    for sender in settings.senders:
        yield f"\nsenders {sender.pattern}: {sender.name}, {sender.way.value}"
    yield from _channels_text(settings)
    for pattern, known in settings.sources.items():
        yield f"\nsources {pattern}: {known.owner or 'no owner'}"


def _channels_text(settings: Settings) -> Iterator[str]:
    """Who is told of what."""
    yield ""
    if not settings.notifiers:
        yield "channels: none; nobody is told of anything (see notifiers)"
    for name, found in settings.notifiers.items():
        options = found.options
        kinds = "all kinds" if options.kinds is None else ", ".join(options.kinds)
        given_up = format_duration(options.give_up_after)
        yield f"channel {name} ({found.kind}): {', '.join(options.severities)} of {', '.join(options.pipelines)}"
        yield f"  {kinds}; what it does not take for {given_up} is a dead letter"
    if settings.notifiers:
        missing = "none; messages have no link to their incident (set service.public_url)"
        yield f"links   {settings.public_url or missing}"
        yield f"spool   {_spool_text(settings)}"


def _spool_text(settings: Settings) -> str:
    """Where samples wait while the ledger is out of reach, and whether they could."""
    folder = settings.path.resolve().parent / settings.watchdog.spool
    there = next(place for place in (folder, *folder.parents) if place.exists())
    fits = there.is_dir() and os.access(there, os.W_OK)
    return f"{settings.watchdog.spool}{'' if fits else f'; {there} cannot be written to, so none would wait'}"


def _connector_text(options: SamplerOptions) -> str:
    every = format_duration(options.every)
    if isinstance(options, ConnectorOptions):
        return f"counts at {options.stage} every {every}, {format_duration(options.window)} back"
    return f"samples {', '.join(options.samples()) or 'what is there'} every {every}"


def _pipeline_text(pipeline: Pipeline) -> Iterator[str]:
    mode = "alert: people are told" if pipeline.alert else "observe: judged and reported, but nobody is paged"
    missing = round((1 - pipeline.objective) * MILLION)
    tolerance = pipeline.tolerance
    yield f"pipeline {pipeline.name}"
    yield f"  mode         {mode}"
    yield f"  stages       {', '.join(pipeline.stages)}; events are accepted at {pipeline.stages[0]}"
    yield f"  hops         {', '.join(f'{hop.from_stage} to {hop.to_stage}' for hop in pipeline.hops)}"
    yield f"  bucket       {format_duration(pipeline.width)}, at most {format_duration(pipeline.clock_allowance)} ahead"
    yield f"  objective    {100 * pipeline.objective:g}%: {missing:,} of a million events may be missing"
    yield f"  tolerance    {tolerance.events} events or {100 * tolerance.ratio:g}% of a cell"
    yield from _severity_text(pipeline)
    for queue in pipeline.queues.values():
        yield f"  queue        {_queue_text(pipeline, queue)}"
    for stage in pipeline.stages:
        yield f"  reporters    {_reporters_text(pipeline, stage)}"


def _severity_text(pipeline: Pipeline) -> Iterator[str]:
    """From when on somebody is woken."""
    paging = pipeline.paging
    fast = [one for one in ALERTS if one.severity == "page"]
    rates = " or ".join(
        f"{one.rate:g} over {format_duration(one.long)} and {format_duration(one.short)}" for one in fast
    )
    yield "  pages        unread events that a queue has deleted, or is about to delete"
    passed = f"{paging.lost:,} events that the consumer passed over, or fewer when a warning is due"
    yield f"  pages        {passed}"
    yield f"  pages        a loss of {paging.lost:,} events, whatever share of the source it is"
    yield f"  pages        a loss of {paging.burn:,} events while the budget burns too fast: {rates}"
    ends, soon = format_duration(PAGE_BEFORE), format_duration(TICKET_BEFORE)
    yield f"  pages        a capacity that ends within {ends} at its present pace, or is used up"
    yield f"  tickets      smaller losses, delays, policies that are not kept; a capacity that ends within {soon}"
    calm, most = format_duration(RESOLVE_AFTER), format_duration(LONGEST_PATIENCE)
    yield f"  over         after {calm} without a bad minute, twice as long whenever it is back, at most {most};"
    yield "               a loss once all has come again, or somebody closes it"
    yield f"  budget       over {format_duration(pipeline.budget_window)}"
    for pattern, objective in pipeline.objectives:
        yield f"  objective    {100 * objective:g}% of sources {pattern}"
    for kind, url in sorted(pipeline.runbooks.items()):
        yield f"  runbook      {kind}: {url}"


def _queue_text(pipeline: Pipeline, queue: Queue) -> str:
    policy, reaction = queue.policy, pipeline.reaction_for(queue, None)
    promises = [f"keeps {format_duration(policy.retention)}"] if policy.retention else ["promises no retention"]
    if policy.replicas:
        promises.append(f"{policy.replicas} replicas")
    # Where nothing is promised, the retention that is read decides.
    seen = "a quarter of what it is seen to keep, at most 12 h,"
    warned = format_duration(reaction) if reaction else seen
    carries = "" if queue.sources == ("*",) else f"; carries {', '.join(queue.sources)}"
    hop = f"{queue.hop.from_stage} to {queue.hop.to_stage}"
    return f"{queue.name} ({hop}) {', '.join(promises)}; a warning comes {warned} before a loss{carries}"


def _reporters_text(pipeline: Pipeline, stage: str) -> str:
    found = pipeline.reporters.get(stage)
    heard = f"whoever was heard in the last {HEARD_WITHIN // HOUR} h"
    expected = f"{', '.join(found.expect)}, and {heard}" if found and found.expect else heard
    silent = found.missing_after if found else None
    usual = f"{format_duration(3 * pipeline.width)} or three usual intervals, the longer"
    return f"at {stage}: {expected}; missing after {format_duration(silent) if silent else usual}"
