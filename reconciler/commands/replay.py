"""`reconciler replay`: who sends what again, and the proof of what came of it."""

from dataclasses import asdict

import click

from reconciler.app import now, opened
from reconciler.commands.options import as_time, config_option, json_option, now_option
from reconciler.commands.terminal import say_found, say_whole
from reconciler.core.times import Micros, format_time, parse_time
from reconciler.reports import replay_deeds
from reconciler.reports.replay_deeds import Deed
from reconciler.reports.replay_text import list_text, part_record, plan_text, proof_text, record

author_option = click.option("--author", required=True, metavar="WHO", help="Who says so.")
source_option = click.option(
    "--source", "pattern", metavar="PATTERN", default="*", show_default=True, help="Of sources such as partner/*."
)


@click.group(
    epilog="""\b
Examples:
  reconciler replay plan --incident loss-9ac3db30fbe3 --author ann
  reconciler replay start replay-3f2a… --source 'partner/*' --label partners-july --consented --author ann
  reconciler replay verify replay-3f2a…
  reconciler replay close replay-3f2a… --source 'direct/*' --author ann --reason 'the deadline is over'

Exit codes: 0 done; 1 (of verify) events are still missing; 2 usage or configuration; 4 the ledger was out of reach.
""",
)
def command() -> None:
    """Plan who sends lost events again, note that it has begun, prove what came of it, and close it.

    How each source can send again stands in the configuration under `senders`. Events that are sent again are counted
    with the label of the replay (`replay` in the observations), in the buckets in which they were first accepted.
    """


@command.command("plan", epilog="Example: reconciler replay plan --pipeline batch --from 2021-07-20 --author ann")
@click.option("--pipeline", metavar="NAME", help="Of this pipeline; with --incident it need not be said.")
@click.option("--incident", metavar="ID", help="What this incident covers.")
@click.option("--from", "start", metavar="TIME", callback=as_time, help="Buckets from then on.")
@click.option("--to", "end", metavar="TIME", callback=as_time, help="Buckets before then.  [default: now]")
@source_option
@author_option
@now_option
@config_option
@json_option
def plan_(
    pipeline: str | None, incident: str | None, start: Micros | None, end: Micros | None, pattern: str, author: str,
    at: Micros | None, config: str, *, as_json: bool,
) -> None:  # fmt: skip
    """Plan a replay of what is lost: windows, numbers, way, what keeps events from counting twice, and by when."""
    moment = now() if at is None else at
    with opened(config) as app:
        if incident is not None:
            pipeline, first, last = replay_deeds.of_incident(app.store, incident)
            start, end = start or first, end or last
        if pipeline is None or start is None:
            raise click.UsageError("say --incident, or --pipeline and --from")
        flow, span = app.pipelines(pipeline)[pipeline], (start, moment if end is None else end)
        deed = Deed(author, moment)
        made = replay_deeds.plan(app.store, app.settings.senders, flow, span, pattern, deed)
    say_whole(record(made), plan_text(made), as_json=as_json)


@command.command("show", epilog="Example: reconciler replay show replay-3f2a…")
@click.argument("replay")
@config_option
@json_option
def show(replay: str, config: str, *, as_json: bool) -> None:
    """Show a REPLAY as it was planned, and what was done with it."""
    with opened(config) as app:
        found, acts = replay_deeds.found_replay(app.store, replay), app.store.replays.acts(replay)
    done = [asdict(act) | {"at": format_time(act.at)} for act in acts]
    lines = [f"{act['at']}  {act['act']} {act['author']} {act['reason']}".rstrip() for act in done]
    say_whole(record(found) | {"acts": done}, [*plan_text(found), "", *lines], as_json=as_json)


@command.command("list", epilog="Example: reconciler replay list --all --json")
@click.option("--all", "every", is_flag=True, help="Those that are closed too.")
@config_option
@json_option
def list_(config: str, *, every: bool, as_json: bool) -> None:
    """List the replays, those that are due first at the top."""
    with opened(config) as app:
        found = [one for one in app.store.replays.all() if every or one.state != "closed"]
    found.sort(key=lambda one: (one.state == "closed", one.due or parse_time("9999-01-01T00:00:00Z"), one.id))
    say_found(map(record, found), list_text(found), as_json=as_json)


@command.command("start", epilog="Example: reconciler replay start replay-3f2a… --source vacuum --author ann")
@click.argument("replay")
@source_option
@click.option("--label", metavar="TEXT", help="What the counts bear as `replay`.  [default: the id of the replay]")
@click.option("--consented", is_flag=True, help="Every customer who has to agree has agreed.")
@click.option("--reason", metavar="TEXT", default="", help="Whatever should be remembered.")
@author_option
@now_option
@config_option
@json_option
def start_(
    replay: str, pattern: str, label: str | None, reason: str, author: str, at: Micros | None, config: str, *,
    consented: bool, as_json: bool,
) -> None:  # fmt: skip
    """Note that sources of a REPLAY send again from now on, and under which label."""
    with opened(config) as app:
        deed = Deed(author, now() if at is None else at, reason)
        found, begun = replay_deeds.start(app.store, replay, pattern, label, deed, consented=consented)
    say_whole(
        record(found), [f"{part.source}: started under the label {part.label}" for part in begun], as_json=as_json
    )


@command.command("verify", epilog="Example: reconciler replay verify replay-3f2a… --json")
@click.argument("replay")
@now_option
@config_option
@json_option
def verify(replay: str, at: Micros | None, config: str, *, as_json: bool) -> int:
    """Prove what came of a REPLAY, source by source, as last judged; ends with 1 while events are missing.

    recovered: filled the hole. already there: had been processed before, and were dropped as copies. duplicated: count
    twice. missing: still lost. What was accepted and processed the first time is apart from all of these.
    """
    moment = now() if at is None else at
    with opened(config) as app:
        found, proofs = replay_deeds.verify(app.store, app.pipelines(), replay, Deed("", moment))
    told = [part_record(part, proof, moment) for part, proof in proofs]
    say_whole(record(found) | {"sources": told}, proof_text(found, proofs, moment), as_json=as_json)
    return int(
        any((proof.missing or proof.waiting or proof.unknown) and part.state != "closed" for part, proof in proofs)
    )


@command.command("close", epilog="Example: reconciler replay close replay-3f2a… --author ann --reason 'all is back'")
@click.argument("replay")
@source_option
@click.option("--reason", required=True, metavar="TEXT", help="Why nothing more is expected.")
@author_option
@now_option
@config_option
@json_option
def close(
    replay: str, pattern: str, reason: str, author: str, at: Micros | None, config: str, *, as_json: bool
) -> None:
    """Say that nothing more is expected of sources of a REPLAY; what is missing then is final, and kept as such."""
    with opened(config) as app:
        deed = Deed(author, now() if at is None else at, reason)
        found, final = replay_deeds.close(app.store, app.pipelines(), replay, pattern, deed)
    lines = [f"{source}: closed, {missing:,} events missing for good" for source, missing in final.items()]
    say_whole(record(found), lines, as_json=as_json)
