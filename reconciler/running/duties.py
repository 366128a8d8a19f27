"""What the service does beside its look. A new duty is a function of a `Turn` and a line in `duties_of`."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from reconciler.abilities import Attaching
from reconciler.announce import Channel, routes_of
from reconciler.collect import recount, recount_due
from reconciler.core.times import SECOND, Micros
from reconciler.errors import OutOfReach
from reconciler.ports import Connector, Horizon
from reconciler.posting import Notifier
from reconciler.running.look import Look
from reconciler.running.pictures import Sent, attach
from reconciler.running.readers import Readers
from reconciler.running.reporting import report_daily
from reconciler.running.selfcheck import tell_alive, tell_blindness, tell_observed
from reconciler.running.turns import Duty, Turn
from reconciler.service import Telling, introduce, learn
from reconciler.settings import Settings
from reconciler.settings.schema import ConnectorOptions, RecountSettings

log = logging.getLogger(__name__)

ANNOUNCE: Micros = 5 * SECOND
"""So often a channel looks whether there is something to say."""
MOST_PICTURES = 20
"""More messages than that wait for no picture."""
ROWS = 200
"""Rows that are removed in one transaction: a look that is due meanwhile waits for a few hundredths of a second."""
BREATH_SECONDS = 0.05
"""For so long others may write between two such transactions."""


def duties_of(
    settings: Settings,
    connectors: Sequence[Connector],
    notifiers: Sequence[Notifier] = (),
    clock: Callable[[], Micros] = int,
) -> list[Duty]:
    """All duties of a service with these settings. What is to follow each judging goes into the `after` of `Look`."""
    tick = settings.tick
    telling = Telling(tuple(routes_of(settings)), settings.public_url)
    look = Look(Readers(connectors, settings.pipelines), telling=telling)
    duties = [Duty("look", tick, look), Duty("prune", tick, prune)]
    duties.append(Duty("learn", tick, learn_volume))
    duties += [Duty("introduce", tick, Introduce(telling)), Duty("self-check", tick, tell_blindness)]
    duties += [Duty("watchdog", tick, tell_alive), Duty("observed", tick, tell_observed)]
    if settings.reports is not None:
        duties.append(Duty("report", tick, report_daily))
    # One for each channel: one that hangs delays no other.
    duties += [
        duty for one in notifiers for duty in _announcing(Channel(one, settings.public_url), min(tick, ANNOUNCE), clock)
    ]
    for connector in connectors:
        options = settings.connectors[connector.name].options
        if isinstance(options, ConnectorOptions) and options.recount is not None:
            # One each: a recount that hangs holds up no other.
            work = partial(recount_one, connector, options.recount)
            duties.append(Duty(f"recount {connector.name}", tick, work))
    return duties


def _announcing(channel: Channel, every: Micros, clock: Callable[[], Micros]) -> Iterator[Duty]:
    notifier = channel.notifier
    drawing: deque[Sent] = deque(maxlen=MOST_PICTURES)
    yield Duty(f"announce {notifier.name}", every, Announce(channel, clock, drawing))
    if isinstance(notifier, Attaching) and notifier.pictures:
        yield Duty(f"draw {notifier.name}", every, partial(draw, notifier, drawing))


def draw(notifier: Notifier, drawing: deque[Sent], turn: Turn) -> bool:
    """Put pictures beside what was said already."""
    waiting = [drawing.popleft() for _ in range(len(drawing))]
    return bool(attach(turn.store, turn.settings.pipelines, notifier, waiting))


@dataclass(frozen=True, slots=True)
class Announce:
    """Tells one channel what is due. It goes by the clock and not by the tick: people are waiting."""

    channel: Channel
    clock: Callable[[], Micros]
    drawing: deque[Sent]
    """What may get a picture: a duty of its own, for which no text waits."""

    def __call__(self, turn: Turn) -> bool:
        """Send; raises `OutOfReach` where the channel did not take something."""
        done = self.channel.announce(turn.store, self.clock, turn.stopping.is_set)
        turn.meters.announced(done)
        turn.meters.outbox(turn.store.outbox.backlogs(), self.clock())
        self.drawing.extend(done.said)
        if done.sent:
            log.info("announced", extra={"channel": done.channel, "sent": done.sent})
        if done.failures:
            raise OutOfReach(done.failures[-1])
        return done.something


@dataclass(slots=True)
class Introduce:
    """Tells channels what was open before they were configured, or before the pipeline was in mode alert; once, for the
    configuration stays while the process lives.
    """

    telling: Telling
    done: bool = False

    def __call__(self, turn: Turn) -> bool:
        """Whether there was anything to tell."""
        if self.done:
            return False
        told, self.done = introduce(turn.store, turn.settings.pipelines, self.telling, turn.now), True
        return bool(told)


def learn_volume(turn: Turn) -> bool:
    """Once a day and pipeline: learn from the weeks in the ledger what volume is usual."""
    learned = [name for name, one in sorted(turn.settings.pipelines.items()) if learn(turn.store, one, turn.now)]
    for name in learned:
        log.info("learned", extra={"pipeline": name})
    return bool(learned)


def prune(turn: Turn) -> bool:
    """Remove what is older than the retention, a little at a time; before it, make ready what is kept by the day."""
    if not turn.due("prune", turn.settings.schedule.prune):
        return False
    retention = turn.settings.retention
    horizon = Horizon(turn.now - retention.detail, turn.now - retention.verdicts)
    for name, pipeline in sorted(turn.settings.pipelines.items()):
        total = 0
        if pipeline.queues and (days := turn.store.make_days(pipeline, turn.now)):
            log.info("made ahead", extra={"pipeline": name, "days": days})
        while not turn.stopping.is_set() and (removed := turn.store.prune(pipeline, horizon, ROWS)):
            total += removed
            turn.meters.pruned(removed)
            turn.stopping.wait(BREATH_SECONDS)
        if total:
            log.info("pruned", extra={"pipeline": name, "rows": total})
    return True


def recount_one(connector: Connector, settings: RecountSettings, turn: Turn) -> bool:
    """Count again what has left the window of a connector; stored window by window, so that a stop loses little."""
    if not recount_due(turn.store, connector, settings.every, turn.now):
        return False
    for done in recount(turn.store, connector, turn.settings.pipelines, settings.window, turn.now):
        turn.meters.collected(done, turn.now)
        fields = {"connector": connector.name, "kept": done.kept, "gone": done.withdrawn, "refused": len(done.refused)}
        log.info("counted again", extra=fields)
        if turn.stopping.is_set():
            break
    return True
