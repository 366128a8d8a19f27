"""`reconciler missing`: the files and the offsets behind the counts, by name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from reconciler.abilities import Holed
from reconciler.app import App, now, opened
from reconciler.commands import missing_ids
from reconciler.commands.options import as_time, config_option, json_option, pipeline_option
from reconciler.commands.terminal import say, say_found, say_records
from reconciler.core.files import FileSeen, changed, missing, seen_in
from reconciler.core.identities import Oddity
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.times import DAY, Micros, format_time
from reconciler.ports import Connector


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is missing."""

    pipeline: str
    name: str
    """The file, or the first offset of a range."""
    source: str
    at: Micros
    """Start of the bucket, or accept time of the record before the range."""
    reason: str
    text: str
    events: int

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "pipeline": self.pipeline,
            "name": self.name,
            "source": self.source,
            "at": format_time(self.at),
            "reason": self.reason,
            "events": self.events,
            "text": self.text,
        }


@click.command(
    epilog="""\b
Examples:
  reconciler missing
  reconciler missing --pipeline vacuum --json
  reconciler missing --from 2021-07-20T18:00:00Z --to 2021-07-21T00:00:00Z
  reconciler missing --ids --pipeline orders --from 2021-07-20 --to 2021-07-21 --json > ids.ndjson

Exit codes: 0 done, whatever it finds; 2 usage or configuration; 4 a database or the ledger was out of reach.
""",
)
@pipeline_option
@click.option("--from", "start", metavar="TIME", callback=as_time, help="From then on.  [default: a day ago]")
@click.option("--to", "end", metavar="TIME", callback=as_time, help="Before then.  [default: the machine's clock]")
@click.option("--ids", is_flag=True, help="Which events: ids that are missing, double, extra or elsewhere.")
@config_option
@json_option
def command(
    pipeline: str | None, start: Micros | None, end: Micros | None, config: str, *, ids: bool, as_json: bool
) -> None:
    """Name the files that shrank, vanished or were never loaded, and the offsets that have not arrived; or the events.

    Files are those that the connectors of kind `files` saw at their last reading, stage by stage; nothing is read anew.
    Offsets are asked of the tables that are counted `by: offset`: ranges that are missing though later ones arrived.

    With --ids both sides of each hop are asked for digests of their ids, and for the ids only where these differ, where
    tables (`table.id`) and files (`columns.id`) name them. What is on its way just now is missing too: let --to be
    older than events usually take.
    """
    last = now() if end is None else end
    first = last - DAY if start is None else start
    with opened(config) as app:
        if ids:
            _events(app, pipeline, first, last, as_json=as_json)
            return
        found = [one for flow in app.pipelines(pipeline).values() for one in findings(app, flow, first, last)]
    say_found((one.record() for one in found), as_text(found), as_json=as_json)


def _events(app: App, pipeline: str | None, start: Micros, end: Micros, *, as_json: bool) -> None:
    """Say which events; as JSON each as soon as it is found, for there may be many."""
    unable: list[str] = []
    found = _oddities(app, pipeline, start, end, unable)
    if as_json:
        say_records(missing_ids.record(flow.name, hop, one) for flow, hop, one in found)
    else:
        some = False
        for line in missing_ids.in_short((hop, one) for _, hop, one in found):
            some = True
            say([line])
        if not some:
            say(["no id is missing or double where ids could be compared"])
    say(unable, err=True)


def _oddities(
    app: App, pipeline: str | None, start: Micros, end: Micros, unable: list[str]
) -> Iterator[tuple[Pipeline, Hop, Oddity]]:
    for flow in app.pipelines(pipeline).values():
        connectors = [one for one in app.connectors() if one.pipeline == flow.name]
        for hop in flow.hops:
            search = missing_ids.Search(hop)
            for one in search.run(flow, connectors, start, end):
                yield flow, hop, one
            unable += search.unable


def findings(app: App, pipeline: Pipeline, start: Micros, end: Micros) -> Iterator[Finding]:
    """All that is missing of a pipeline in [start, end)."""
    connectors = [one for one in app.connectors() if one.pipeline == pipeline.name]
    yield from _files(app, pipeline, connectors, start, end)
    for connector in connectors:
        for hole in connector.holes(start, end) if isinstance(connector, Holed) else ():
            last = hole.first + hole.missing - 1
            text = f"has not arrived at {connector.stage}, though later offsets have"
            yield Finding(
                pipeline.name, f"offsets {hole.first} to {last}", hole.source, hole.after, "hole", text, hole.missing
            )


def _files(
    app: App, pipeline: Pipeline, connectors: Iterable[Connector], start: Micros, end: Micros
) -> Iterator[Finding]:
    stages: dict[str, tuple[list[FileSeen], Micros]] = {}
    for connector in connectors:
        cursor = app.store.cursor(connector.name)
        if cursor is not None and connector.stage is not None and "memory" in cursor.payload:
            seen, through = stages.get(connector.stage, ([], cursor.payload["until"]))
            stages[connector.stage] = seen + seen_in(cursor.payload["memory"]), min(through, cursor.payload["until"])
    found = [one for stage, (seen, _) in stages.items() for one in changed(stage, seen)]
    for hop in pipeline.hops:
        if hop.from_stage in stages and hop.to_stage in stages:
            after, through = stages[hop.to_stage]
            found += missing(stages[hop.from_stage][0], after, (hop.from_stage, hop.to_stage), through)
    for one in sorted(found, key=lambda one: (one.bucket, one.key)):
        if start <= one.bucket < end:
            yield Finding(pipeline.name, one.key, one.source, one.bucket, one.reason, one.text, one.events)


def as_text(found: Iterable[Finding]) -> Iterator[str]:
    """For people, pipeline by pipeline."""
    some = False
    for one in found:
        some = True
        yield f"{one.pipeline} {format_time(one.at)} {one.source}: {one.name} {one.text}"
    if not some:
        yield "no file and no offset is missing, as far as the connectors can tell"
