"""`reconciler incidents`: what is wrong, the open first; and one of them in full."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from reconciler.app import App, opened
from reconciler.commands.draft import command as draft
from reconciler.commands.incident_acts import close, confirm, reopen
from reconciler.commands.options import config_option, json_option, pipeline_option
from reconciler.commands.terminal import say, say_found
from reconciler.core.times import NEVER
from reconciler.errors import ConfigError

WIDTH = 100
"""Columns of the text; a pipe has no width of its own."""
SEVERITIES = ("page", "ticket", "info")
_FIELDS = ("kind", "status", "severity", "pipeline", "from_stage", "to_stage", "subject", "from", "to", "opened_at")
_MORE = ("lost", "loss_at", "follows", "evidence", "mode")

Line = Mapping[str, Any]
"""An incident as contract §5 writes it."""


class _Group(click.Group):
    """`reconciler incidents` alone, or with options, is `reconciler incidents list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the word that was left out."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Group,
    epilog="""\b
Examples:
  reconciler incidents
  reconciler incidents --all --pipeline batch --json
  reconciler incidents show loss-9ac3db30fbe3
  reconciler incidents close loss-9ac3db30fbe3 --author ann --reason "all of it was sent again"

Exit codes: 0 done, whatever is open; 1 a page is open (with --exit-code only); 2 usage or configuration; 4 the ledger
was out of reach.
""",
)
def command() -> None:
    """What is wrong, as of the last judgement: `list` (which may be left out) or `show ID`. `close`, `confirm` and
    `reopen` are for people to say something of one."""


for _one in (close, confirm, reopen):
    command.add_command(_one)
command.add_command(draft, "draft")


@command.command("list", epilog="Example: reconciler incidents list --all")
@config_option
@click.option("--all", "every", is_flag=True, help="Those that are over too.")
@pipeline_option
@click.option(
    "--exit-code",
    is_flag=True,
    help="End with 1 if an open incident pages; one of a pipeline in mode observe does not.",
)
@json_option
def list_(config: str, pipeline: str | None, *, every: bool, exit_code: bool, as_json: bool) -> int:
    """List the open incidents, the most severe first."""
    with opened(config) as app:
        found = told(app, pipeline)
    still_open = [line for line in found if line["status"] != "resolved"]
    shown = found if every else still_open
    say_found(shown, _table(shown, over=len(found) - len(shown)), as_json=as_json)
    return int(exit_code and any(line["severity"] == "page" and line["mode"] == "alert" for line in still_open))


@command.command("show", epilog="Example: reconciler incidents show loss-9ac3db30fbe3")
@click.argument("incident")
@config_option
@json_option
def show(incident: str, config: str, *, as_json: bool) -> None:
    """Show all of one INCIDENT: its fields, what each source has lost, what was said of it when, and what to do."""
    with opened(config) as app:
        changes = app.store.incident_changes(incident)
        state = next((state for state in app.store.incidents() if state["id"] == incident), None)
    if not changes or state is None:
        raise ConfigError(f"there is no incident {incident!r}; `reconciler incidents --all` lists all")
    lost = {source: share[1] for source, share in sorted(state["shares"].items())}
    if as_json:
        click.echo(
            json.dumps({"incident": changes[-1], "lost_by_source": lost, "changes": changes}, ensure_ascii=False)
        )
    else:
        say(_page(changes, lost))


def told(app: App, pipeline: str | None) -> list[dict[str, Any]]:
    """What was last told of each incident: the open first, then the most severe, then the newest."""
    names = app.pipelines(pipeline)
    lines = [line for line in app.store.incidents(as_of=NEVER) if pipeline is None or line["pipeline"] in names]
    lines.sort(key=lambda line: str(line["opened_at"]), reverse=True)
    return sorted(lines, key=lambda line: (line["status"] == "resolved", SEVERITIES.index(line["severity"])))


def _table(lines: Sequence[Line], over: int) -> Iterator[str]:
    ended = f"; {over:,} that {'is' if over == 1 else 'are'} over: --all lists them too" if over else ""
    if not lines:
        yield f"no incident is open{ended}"
        return
    yield f"{'severity':<9} {'kind':<14} {'status':<9} {'since':<20} {'lost':>13} {'sources':>8}  id"
    for line in lines:
        lost, sources = f"{line['lost']:,}", f"{len(line['sources']):,}"
        row = f"{line['severity']:<9} {line['kind']:<14} {line['status']:<9} {line['from']:<20} {lost:>13} {sources:>8}"
        yield f"{row}  {line['id']}"
        yield from textwrap.wrap(line["summary"], WIDTH, initial_indent="  ", subsequent_indent="    ")
        yield from (f"    {said}" for said in spoken(line))
    if ended:
        yield f"and {ended.removeprefix('; ')}"


def _page(changes: Sequence[Line], lost: Mapping[str, int]) -> Iterator[str]:
    last = changes[-1]
    yield from textwrap.wrap(last["summary"], WIDTH)
    yield from textwrap.wrap(f"Now: {last['advice']}", WIDTH, subsequent_indent="     ")
    yield ""
    for name in (*_FIELDS, *_MORE):
        if last.get(name) not in (None, [], ""):
            yield f"{name:<11} {_plain(last[name])}"
    yield from spoken(last)
    yield from ["", "sources, and what each has lost"]
    yield from [f"  {source}  {amount:,}" for source, amount in lost.items()] or ["  not known yet"]
    yield from ["", "what was said when"]
    for line in changes:
        said = f"{line['at']}  {line['status']} ({line['severity']}): {line['summary']}"
        yield from textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent=" " * 24)


def spoken(line: Line) -> Iterator[str]:
    """What people said of an incident, and how often it came back; one sentence each."""
    for word in ("acknowledged", "confirmed", "closed"):
        if said := line.get(word):
            yield f"{word} by {said['author']} at {said['at']}: {said['reason']}"
    if said := line.get("muted"):
        yield f"muted until {said['until']} by {said['author']}: {said['reason']}"
    if times := line.get("reopened"):
        yield f"it came back {times} time{'' if times == 1 else 's'}"


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
