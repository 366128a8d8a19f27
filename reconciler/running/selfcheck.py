"""What the service tells of itself by the usual way, the outbox: that it is blind or late, that it lives, and what the
pipelines that are only observed would have said. Where the outbox is away too, the sentinel speaks.
"""

from collections.abc import Iterator
from dataclasses import replace

from reconciler.announce import routes_of
from reconciler.core.alarms import ALIVE, BLIND, alive, blind, observed
from reconciler.core.notices import Notice
from reconciler.core.outbox import Post, posts
from reconciler.core.times import DAY, NEVER, floor_to
from reconciler.core.wording import clock
from reconciler.running.health import behind
from reconciler.running.turns import Turn


def tell_blindness(turn: Turn) -> bool:
    """Say that nobody should rely on it now, and when that is over. Which of the two stands, the outbox knows."""
    standing, found = turn.store.outbox.newest(BLIND), list(faults(turn))
    told = None if standing is None or standing.status == "resolved" else standing
    if found:
        alarm = blind(found, turn.now if told is None else told.opened_at, turn.now)
        if told is None or told.facts != alarm.facts:
            return _post(turn, alarm)
    elif told is not None:
        return _end(turn, told, "reconciler sees again")
    return False


def faults(turn: Turn) -> Iterator[str]:
    """Why nobody should rely on it now. Whoever has just begun has time to look first: a restart wakes nobody."""
    settings, now = turn.settings, turn.now
    tenure = turn.store.tenure()
    begun, longest = 0 if tenure is None else tenure.since, now - settings.blind_after
    for name, judged_at in behind(turn.store, settings, now):
        if max(judged_at or 0, begun) < longest:
            since = "ever" if judged_at is None else f"since {clock(judged_at, now)}"
            yield f"pipeline {name} was not judged {since}"
    asked = [run for run in turn.store.runs() if run.duty == "collect" and run.subject in settings.connectors]
    if asked and all(run.failure is not None and max(run.succeeded_at or 0, begun) < longest for run in asked):
        yield f"none of its connectors could be read lately; {asked[0].subject} last said: {asked[0].failure}"


def tell_alive(turn: Turn) -> bool:
    """A sign of life, for as long as it sees. Then it is over: a dead man's switch is to notice."""
    every, standing = turn.settings.watchdog.every, turn.store.outbox.newest(ALIVE)
    lives = standing is not None and standing.status != "resolved"
    if any(behind(turn.store, turn.settings, turn.now)) or any(faults(turn)):
        return lives and standing is not None and _end(turn, standing, "reconciler gives no sign of life: it is blind")
    if every is None or (lives and not turn.due("watchdog", every)):
        return False
    judged = {name: turn.store.judged_at(one) for name, one in turn.settings.pipelines.items()}
    return _post(turn, alive(judged, standing.opened_at if standing is not None and lives else turn.now, turn.now))


def tell_observed(turn: Turn) -> bool:
    """Once a day: what the pipelines that are only observed would have said of the day before."""
    if not turn.due("observed", DAY):
        return False
    day = floor_to(turn.now, DAY) - DAY
    for name, pipeline in sorted(turn.settings.pipelines.items()):
        if not pipeline.alert and (turn.store.judged_at(pipeline) or 0) > day:
            _post(turn, observed(name, turn.store.incidents(name, NEVER), day, turn.now))
    return True


def _post(turn: Turn, notice: Notice) -> bool:
    turn.store.outbox.post(posts(routes_of(turn.settings), [notice]), turn.now)
    return True


def _end(turn: Turn, told: Notice, title: str) -> bool:
    over = replace(told, status="resolved", at=turn.now, title=title, facts=(), steps=())
    turn.store.outbox.post([Post(one.channel, over, begins=False) for one in routes_of(turn.settings)], turn.now)
    return True
