"""`reconciler drill`: does every channel really reach somebody, and how fast?"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import click

from reconciler.announce import Channel, routes_of
from reconciler.app import App, now, opened
from reconciler.commands.options import as_duration, config_option, json_option
from reconciler.commands.terminal import say, say_records
from reconciler.core.notices import Notice, Step
from reconciler.core.outbox import Post
from reconciler.core.times import SECOND, Micros, format_duration
from reconciler.core.wording import clock
from reconciler.errors import ConfigError, OutOfReach

POLL_SECONDS = 0.2
SEVERITIES = ("page", "ticket", "info")


@click.command(
    epilog="""\b
Examples:
  reconciler drill
  reconciler drill --pipeline batch --severity ticket --wait 5m --json

Exit codes: 0 every channel that is told of such a loss took it; 1 none is told of one; 2 usage or configuration; 4 one
did not take it in time.
"""
)
@config_option
@click.option("--pipeline", metavar="NAME", help="The pipeline that it pretends to be about.  [default: the first]")
@click.option("--severity", type=click.Choice(SEVERITIES), default="page", show_default=True, help="How severe it is.")
@click.option(
    "--wait", default="1m", show_default=True, metavar="DURATION", callback=as_duration,
    help="How long the channels have to take it.",
)  # fmt: skip
@json_option
def command(config: str, pipeline: str | None, severity: str, wait: Micros, *, as_json: bool) -> int:
    """Send a loss that did not happen the way that a real one goes, marked as a drill, and say who took it and when.

    It goes through the outbox. Where the service runs, the service sends it; otherwise this command does. At the end
    the same message says that the drill is over. It wakes people: that is what it is for.
    """
    with opened(config) as app:
        (name, known), *_ = app.pipelines(pipeline).items()
        if not app.settings.notifiers:
            raise ConfigError(f"{app.settings.path} configures no notifiers: a real loss would reach nobody either")
        found = list(_drill(app, _notice(name, severity, now()), wait))
    if as_json:
        say_records(found)
    else:
        say(map(_line, found))
        if not known.alert:
            say([f"A real loss of {name} would reach nobody: it is in mode observe."])
    if any(one["wanted"] and not one["told"] for one in found):
        return OutOfReach.exit_code
    return 0 if known.alert and any(one["told"] for one in found) else 1


def _notice(pipeline: str, severity: str, at: Micros) -> Notice:
    facts = (
        ("Since", clock(at, at)),
        ("Lost", "0 events: this is how a loss would be told"),
        ("How sure", "Nothing happened: somebody called `reconciler drill`"),
        ("Next", "this message says when the drill is over"),
    )
    todo = (Step("If you were woken by this, the channel works. There is nothing to do."),)
    return Notice(
        f"drill-{at // SECOND}", pipeline, "loss", "open", severity, at, at,
        f"DRILL, nothing is lost: {pipeline} would have lost events", facts, todo, ("drill/source",),
        drill=True, kept=False,
    )  # fmt: skip


def _drill(app: App, notice: Notice, wait: Micros) -> Iterator[dict[str, Any]]:
    routes = {route.channel: route for route in routes_of(app.settings)}
    wanted = {name for name, route in routes.items() if route.takes(notice)}
    _post(app, notice, wanted)
    taken = _await(app, notice, wanted, wait)
    errors = {one.channel: one.error for one in app.store.outbox.backlogs()}
    _post(app, replace(notice, status="resolved", at=now(), title="The drill is over. Nothing was lost."), wanted)
    _announce(app)
    for name in routes:
        took = taken.get(name)
        told = took is not None
        yield {
            "channel": name,
            "wanted": name in wanted,
            "told": told,
            "seconds": None if took is None else took / SECOND,
            "error": errors.get(name) or None if name in wanted and not told else None,
        }


def _post(app: App, notice: Notice, channels: set[str]) -> None:
    begins = notice.status != "resolved"
    app.store.outbox.post([Post(name, notice, begins=begins) for name in sorted(channels)], notice.at)


def _announce(app: App) -> None:
    """Send what is in the outbox, unless a service runs that does."""
    tenure = app.store.tenure()
    if tenure is None or tenure.left <= 0:
        for notifier in app.notifiers():
            Channel(notifier, app.settings.public_url).announce(app.store, now)


def _await(app: App, notice: Notice, wanted: set[str], wait: Micros) -> Mapping[str, Micros]:
    """How long each channel took, of those that took it in time."""
    pause, end = threading.Event(), now() + wait
    while True:
        _announce(app)
        sendings = [one for one in app.store.outbox.sendings(notice.id) if one.what != "dead"]
        taken = {one.channel: max(0, one.at - notice.at) for one in sendings}
        if wanted <= set(taken) or now() >= end:
            return taken
        pause.wait(POLL_SECONDS)


def _line(one: Mapping[str, Any]) -> str:
    if not one["wanted"]:
        return f"{one['channel']}: is not told of this (its severities, pipelines or kinds leave it out)"
    if one["told"]:
        took = format_duration(int(one["seconds"] * SECOND)) if one["seconds"] else "less than a second"
        return f"{one['channel']}: took it, after {took}"
    return f"{one['channel']}: DID NOT TAKE IT in time{': ' + one['error'] if one['error'] else ''}"
