"""`reconciler wait`: for schedulers, which must not read past what is complete."""

from collections.abc import Iterator
from typing import Any

import click

from reconciler.app import now, opened, pause
from reconciler.commands.options import as_duration, config_option, json_option, read_time
from reconciler.commands.terminal import say_whole
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, format_time, parse_duration, time_of
from reconciler.ports import Store
from reconciler.reports.completion import completion, hindrances, in_the_way


def _as_span(_context: click.Context, _option: click.Parameter, text: str) -> Micros:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _as_needed_time(_context: click.Context, _option: click.Parameter, text: str) -> Micros:
    return read_time(text)


@click.command(
    epilog="""\b
Examples:
  reconciler wait --pipeline batch --through 2021-07-20
  reconciler wait --pipeline batch --source 'partner/*' --through 2021-07-20T18:00:00Z --timeout 2h && ./load-partners

Exit codes: 0 nothing is missing before that instant; 1 something is, or is not known, and what it is was said; 2 usage
or configuration; 4 the ledger was out of reach.
""",
)
@click.option("--pipeline", metavar="NAME", required=True, help="Of this pipeline.")
@click.option(
    "--source", "pattern", metavar="PATTERN", default="*", show_default=True, help="Of sources such as partner/*."
)
@click.option(
    "--through", metavar="TIME", required=True, callback=_as_needed_time, help="All that was accepted before then."
)
@click.option(
    "--timeout", metavar="SPAN", default="0s", show_default=True, callback=_as_span, help="Wait so long at most."
)
@click.option("--every", metavar="SPAN", default="15s", show_default=True, callback=as_duration, help="Look so often.")
@config_option
@json_option
def command(
    pipeline: str, pattern: str, through: Micros, timeout: Micros, every: Micros, config: str, *, as_json: bool
) -> int:
    """Wait until every event accepted before an instant is settled and complete at every hop of a pipeline.

    It goes by what was last judged, so `reconciler run` or `tick` has to be at work. It never jumps over a hole: a
    bucket that is lost, late, unknown or not judged yet holds up all that comes after it. A source that has ended
    (`reconciler sources retire`) and is complete to its end holds nobody up.
    """
    with opened(config) as app:
        flow = app.pipelines(pipeline)[pipeline]
        end = now() + timeout
        answer = look(app.store, flow, pattern, through)
        while not answer["complete"] and now() < end:
            pause(min(every, end - now()))
            answer = look(app.store, flow, pattern, through)
    say_whole(answer, as_text(answer), as_json=as_json)
    return 0 if answer["complete"] else 1


def look(store: Store, pipeline: Pipeline, pattern: str, through: Micros) -> dict[str, Any]:
    """Whether it is so, and what stands in the way."""
    found, judged_at = completion(store, pipeline), store.judged_at(pipeline)
    asked = found.matching(pattern)
    behind = found.behind(pattern, through)
    return {
        "complete": bool(asked) and not behind,
        "pipeline": pipeline.name,
        "source": pattern,
        "through": format_time(through),
        "judged_at": time_of(judged_at),
        "sources": len(asked),
        "behind": len(behind),
        "waits_for": [
            {
                "source": source,
                "complete_through": time_of(at),
                "text": in_the_way(source, at, said),
                "said": said,
            }
            for source, at, said in hindrances(store, pipeline, behind)
        ],
    }


def as_text(answer: dict[str, Any]) -> Iterator[str]:
    """For people."""
    where, judged = f"{answer['pipeline']} {answer['source']}", answer["judged_at"] or "never"
    if answer["complete"]:
        yield f"{where}: complete through {answer['through']} ({answer['sources']:,} sources; judged {judged})"
        return
    if not answer["sources"]:
        yield f"{where}: no such source was ever counted, so nothing is known of it (judged {judged})"
        return
    yield f"{where}: not complete through {answer['through']}; judged {judged}"
    yield from (f"  {one['text']}" for one in answer["waits_for"])
    if more := answer["behind"] - len(answer["waits_for"]):
        yield f"  and {more:,} more sources"
