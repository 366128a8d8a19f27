"""One run of one duty: what it works with, and what is noted of how it went."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.core.times import SECOND, Micros
from reconciler.errors import ReconcilerError
from reconciler.ports import LeaseLost, Run
from reconciler.running.keeper import Keeper
from reconciler.running.meters import Meters
from reconciler.serving import ServiceStore
from reconciler.settings import Settings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """One run of a duty."""

    store: ServiceStore
    settings: Settings
    now: Micros
    """As of when it works: the tick at or before the moment of its start."""
    stopping: threading.Event
    """Set when the process is to end: then a duty ends after the transaction that it is in."""
    meters: Meters
    notes: list[Run] = field(default_factory=list)
    """How its parts went."""

    def due(self, duty: str, every: Micros) -> bool:
        """Whether the time of a duty has come since it was last tried, in this process or in another."""
        last = next((run.at for run in self.store.runs() if (run.duty, run.subject) == (duty, "")), None)
        return last is None or self.now // every > last // every

    def note(self, duty: str, subject: str, seconds: float, failure: str | None) -> None:
        """Keep how a part went."""
        self.notes.append(Run(duty, subject, self.now, int(seconds * SECOND), failure))


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that the service does again and again."""

    name: str
    every: Micros
    """How often it is asked; whether there is anything to do, it finds out itself."""
    work: Callable[[Turn], bool]
    """Returns whether there was anything to do. What it raises is noted as its failure."""


class Worker:
    """Performs duties, if the lease is held, and notes how they went."""

    def __init__(
        self,
        keeper: Keeper,
        settings: Settings,
        clock: Callable[[], Micros],
        meters: Meters,
        stopping: threading.Event,
    ) -> None:
        self._keeper, self._settings, self._clock, self._meters = keeper, settings, clock, meters
        self._stopping = stopping
        self._guard = threading.Condition()
        self._begun: dict[str, float] = {}

    def perform(self, duty: Duty) -> None:
        """One run of a duty; nothing where it is still running, or another process does the work."""
        store = self._keeper.at_work()
        if store is None or self._stopping.is_set() or not self._begin(duty.name):
            return
        try:
            tick = self._settings.tick
            turn = Turn(store, self._settings, self._clock() // tick * tick, self._stopping, self._meters)
            self._run(duty, turn)
        finally:
            with self._guard:
                del self._begun[duty.name]
                self._guard.notify_all()

    def rest(self, seconds: float) -> bool:
        """Wait until no duty runs; whether that came about in time."""
        with self._guard:
            return self._guard.wait_for(lambda: not self._begun, seconds)

    def longest(self) -> float:
        """For how many seconds the duty that began first has been running; 0: none runs."""
        with self._guard:
            return time.monotonic() - min(self._begun.values(), default=time.monotonic())

    def _begin(self, name: str) -> bool:
        with self._guard:
            if name in self._begun:
                self._meters.skipped(name)
                return False
            self._begun[name] = time.monotonic()
            return True

    def _run(self, duty: Duty, turn: Turn) -> None:
        began, did = time.monotonic(), True
        failure: str | None = "it broke; the log has the traceback"  # which the timetable writes
        try:
            did, failure = duty.work(turn), None
        except LeaseLost:
            did = False
            self._keeper.lost()
        except ReconcilerError as error:
            failure = error.message
        finally:
            if did:
                self._tell(duty, turn, time.monotonic() - began, failure)

    def _tell(self, duty: Duty, turn: Turn, took: float, failure: str | None) -> None:
        self._meters.ran(duty.name, turn.now, took, well=failure is None)
        turn.note(duty.name, "", took, failure)
        if failure is not None:
            log.error("a duty failed", extra={"duty": duty.name, "failure": failure})
        self._keep(turn)

    def _keep(self, turn: Turn) -> None:
        try:
            turn.store.note_runs(turn.notes)
        except LeaseLost:
            self._keeper.lost()
        except ReconcilerError as error:
            log.warning("how it went could not be noted", extra={"failure": error.message})
