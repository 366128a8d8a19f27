"""`reconciler tick`: collect what is due, judge, and say what is new."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from reconciler.announce import Channel
from reconciler.app import App, now, opened
from reconciler.collect import Collected, collect
from reconciler.commands.options import as_time, config_option, json_option
from reconciler.commands.terminal import say, say_found
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, format_time
from reconciler.core.verdicts import Verdict
from reconciler.errors import OutOfReach, Refused
from reconciler.service import introduce, judge, learn

Line = Mapping[str, Any]
"""A verdict or an incident as the contract writes it."""
SHOWN = 5
"""Refusals, and notes, of a connector that are named."""
_STATUS = {"open": "OPENED", "updated": "UPDATED", "resolved": "RESOLVED"}


@click.command(
    epilog="""\b
Examples:
  reconciler tick
  reconciler tick --now 2021-07-20T18:46:00Z --json

Exit codes: 0 done, whatever was found; 2 usage or configuration; 3 rows of a connector were refused; 4 a connector, a
channel or the ledger was out of reach (the others were read or told, and all was judged).
""",
)
@config_option
@click.option("--now", "at", metavar="TIME", callback=as_time, help="Judge as of then.  [default: the machine's clock]")
@click.option("--no-announce", is_flag=True, help="Tell nobody; what is to be told waits for the next tick or `run`.")
@json_option
def command(config: str, at: Micros | None, *, no_announce: bool, as_json: bool) -> int:
    """Count what is due, judge every pipeline as of now, say what is new, and tell the configured channels.

    Twice is harmless: what was counted and said is not counted or said again. Nothing is skipped because a tick was
    late or missing. --json prints the changed verdicts and incidents as the lines that `backtest` writes.
    """
    at = now() if at is None else at
    with opened(config) as app:
        code = run(app, at, as_json=as_json)
        return code if no_announce else max(code, tell(app, at, as_json=as_json))


def run(app: App, at: Micros, *, as_json: bool) -> int:
    """One tick; returns the exit code."""
    collected = collect(app.store, app.connectors(), app.settings.pipelines, at)
    for name, pipeline in app.pipelines().items():
        former = app.store.judged_at(pipeline)
        lines = judge(app.store, pipeline, at, every=True, telling=app.telling)
        learn(app.store, pipeline, at)
        own = [done for done in collected if app.pipeline_of(done.connector) == name]
        say_found(lines, _text(pipeline, own, lines, at, former), as_json=as_json)
    return troubles(collected)


def tell(app: App, at: Micros, *, as_json: bool) -> int:
    """Tell every channel what is due, those too that an earlier tick could not reach; returns the exit code."""
    code = 0
    introduce(app.store, app.settings.pipelines, app.telling, at)
    for notifier in app.notifiers():
        done = Channel(notifier, app.settings.public_url).announce(app.store, lambda: at)
        if done.sent and not as_json:
            say([f"{done.channel}: {done.sent:,} told"])
        if done.failures:
            say([f"error: {done.failures[-1]}"], err=True)
            code = OutOfReach.exit_code
    return code


def troubles(collected: Sequence[Collected]) -> int:
    """Say what could not be counted, and return the exit code that follows from it."""
    for done in collected:
        shown = [f"{done.connector}: refused: {refusal}" for refusal in done.refused[:SHOWN]]
        if len(done.refused) > SHOWN:
            shown.append(f"{done.connector}: and {len(done.refused) - SHOWN:,} more were refused")
        if done.failure is not None:
            shown.append(f"error: {done.failure.message}")
        say(shown, err=True)
    if any(done.failure for done in collected):
        return OutOfReach.exit_code
    return Refused.exit_code if any(done.refused for done in collected) else 0


def _text(
    pipeline: Pipeline, collected: Sequence[Collected], lines: Sequence[Line], at: Micros, former: Micros | None
) -> Iterator[str]:
    observed = "" if pipeline.alert else " (mode: observe; nobody is paged)"
    yield f"{pipeline.name} as of {format_time(at)}{observed}"
    for done in collected:
        yield f"  {done.connector}: {counted(done)}"
        yield from (f"    {note}" for note in done.notes[:SHOWN])
        if len(done.notes) > SHOWN:
            yield f"    and {len(done.notes) - SHOWN:,} more notes"
    if former is not None and former >= at:
        yield f"  already judged as of {format_time(former)}"
        return
    verdicts = [line for line in lines if line["type"] == "verdict"]
    yield f"  {_words(line['verdict'] for line in verdicts)}"
    for line in lines:
        if line["type"] == "incident":
            yield f"  {_STATUS[line['status']]} {line['severity']} {line['id']}: {line['summary']}"
            if line["status"] != "resolved":
                yield f"    {line['advice']}"


def counted(done: Collected) -> str:
    """What became of asking a connector, in words."""
    news = f"{done.kept:,} new, {done.unchanged:,} unchanged"
    said = ""
    if done.until > done.start:
        said = f"counted {format_time(done.start)} to {format_time(done.until)}, {news}"
    elif done.kept or done.unchanged:
        said = f"samples of {format_time(done.until)}, {news}"
    said += f", {done.withdrawn:,} gone" if done.withdrawn else ""
    said += f", {len(done.refused):,} refused" if done.refused else ""
    said += f", {done.too_old:,} of buckets that are kept no more" if done.too_old else ""
    failed = "could not be read" if done.failure else ""
    return "; ".join(part for part in (said, failed) if part) or "nothing to count"


def _words(verdicts: Iterable[str]) -> str:
    """``3 cells lost, 12 complete``: the worst first."""
    found = Counter(verdicts)
    worst_first = [verdict.word for verdict in sorted(Verdict, reverse=True) if verdict.word in found]
    if not worst_first:
        return "nothing has changed"
    said = [f"{found[word]:,} {word.replace('_', ' ')}" for word in worst_first]
    total = sum(found.values())
    return f"{total:,} {'cell has' if total == 1 else 'cells have'} changed: {', '.join(said)}"
