"""`reconciler drill`: does every channel really reach somebody, and how fast?"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from reconciler.announce import Channel, routes_of
from reconciler.app import App, now, opened
from reconciler.commands.options import as_duration, config_option, json_option
from reconciler.commands.terminal import say, say_records
from reconciler.core.drills import PREFIX, Drill
from reconciler.core.notices import Notice, notice_of
from reconciler.core.observations import Observation
from reconciler.core.outbox import Post, posts
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import HOUR, SECOND, Micros, format_duration
from reconciler.errors import ConfigError, OutOfReach
from reconciler.service import Telling, judge

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

    It is observed, recorded, judged in the ledger and told through the outbox, as a pipeline of its own that nothing
    else sees and of which nothing stays. Where the service runs, the service sends it; otherwise this command does. At
    the end the same message says that the drill is over. It wakes people: that is what it is for.
    """
    with opened(config) as app:
        (name, known), *_ = app.pipelines(pipeline).items()
        if not app.settings.notifiers:
            raise ConfigError(f"{app.settings.path} configures no notifiers: a real loss would reach nobody either")
        with _drilling(app, Drill(known, now(), severity)) as drill:
            found = list(_drill(app, drill, wait))
    if as_json:
        say_records(found)
    else:
        say(map(_line, found))
        if not known.alert:
            say([f"A real loss of {name} would reach nobody: it is in mode observe."])
    if any(one["wanted"] and not one["told"] for one in found):
        return OutOfReach.exit_code
    return 0 if known.alert and any(one["told"] for one in found) else 1


@dataclass(frozen=True, slots=True)
class _Telling(Telling):
    """Tells of the loss only, and as of a drill; mutes and the mode of the pipeline hold back no drill."""

    drill: Drill = field(kw_only=True)

    def posts(self, pipeline: Pipeline, lines: Iterable[Mapping[str, Any]]) -> list[Post]:
        """What goes to which channel."""
        told = [self.drill.told(notice_of(line), now()) for line in lines if line["kind"] == "loss"]
        return posts(self.routes, told)


@contextmanager
def _drilling(app: App, drill: Drill) -> Iterator[Drill]:
    """Whatever happens, nothing of it stays in the ledger; nor of an earlier one that was killed."""
    for name in app.store.drills():
        if int(name.removeprefix(PREFIX).rstrip(")")) * SECOND < drill.began - HOUR:
            app.store.forget_drill(name)
    try:
        yield drill
    finally:
        app.store.forget_drill(drill.pipeline.name)


def _drill(app: App, drill: Drill, wait: Micros) -> Iterator[dict[str, Any]]:
    routes = {route.channel: route for route in routes_of(app.settings)}
    for at, seen in drill.minutes():
        _look(app, drill, at, seen)
    notice = _told(app, drill)
    wanted = {name for name, route in routes.items() if route.takes(notice)}
    taken = _await(app, notice.id, drill.began, wanted, wait)
    errors = {one.channel: one.error for one in app.store.outbox.backlogs()}
    at, seen = drill.again()
    _look(app, drill, at, seen)
    _look(app, drill, drill.over, [])
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


def _look(app: App, drill: Drill, at: Micros, seen: Sequence[Observation]) -> None:
    """One look of the service at what is observed."""
    pipeline = drill.pipeline
    app.store.record(seen, {pipeline.name: pipeline})
    judge(app.store, pipeline, at, telling=_Telling(app.telling.routes, app.telling.public_url, drill=drill))


def _told(app: App, drill: Drill) -> Notice:
    """What was judged, whether or not a channel is told of it. Raises `OutOfReach` where the loss was not found."""
    lines = [one for one in app.store.incidents(drill.pipeline.name, drill.began) if one["kind"] == "loss"]
    if not lines:
        raise OutOfReach(
            "the drill's loss was recorded in the ledger, and the judgement has not found it: see `reconciler status`"
        )
    return drill.told(notice_of(lines[0]), drill.began)


def _announce(app: App) -> None:
    """Send what is in the outbox, unless a service runs that does."""
    tenure = app.store.tenure()
    if tenure is None or tenure.left <= 0:
        for notifier in app.notifiers():
            Channel(notifier, app.settings.public_url).announce(app.store, now)


def _await(app: App, incident: str, began: Micros, wanted: set[str], wait: Micros) -> Mapping[str, Micros]:
    """How long each channel took, of those that took it in time."""
    pause, end = threading.Event(), now() + wait
    while True:
        _announce(app)
        sendings = [one for one in app.store.outbox.sendings(incident) if one.what != "dead"]
        taken = {one.channel: max(0, one.at - began) for one in sendings}
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
