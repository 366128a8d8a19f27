"""Goes on where the ledger itself is out of reach, which may happen in the hour in which a queue begins to lose.

While the ledger answers it learns from there how queues and finite things stand, and keeps that beside the ledger.
When the ledger cannot be read, or not be written, at two looks running, or is away when the process starts, it asks the
connectors of samples itself, keeps what they say in the spool, judges policies, the time to loss and what runs out from
memory, and tells people directly. When the ledger is back, what waited is stored and its alarms end.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from reconciler.core.alarms import AWAY, ledger_away
from reconciler.core.observations import Observation, Refusal
from reconciler.core.times import HOUR, Micros, floor_to
from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.ports import Connector, ConnectorFailed, Run
from reconciler.running.direct import Direct
from reconciler.running.memory import APART, OLDEST, Memory
from reconciler.running.patience import Patient
from reconciler.running.spool import Spool
from reconciler.serving import ServiceStore
from reconciler.settings import Settings

log = logging.getLogger(__name__)

LOOKS = 2
"""The ledger must be away at so many looks running before people are told."""
OTHERS = 3
"""A process that does not do the work waits so many times longer: the one that does may live, and speak. One that never
saw the ledger does not know of another, and does not wait for it: rather is it said twice than not at all."""


@dataclass(slots=True)
class Sentinel:
    """One for each process; it needs neither the lease nor the ledger."""

    store: ServiceStore
    settings: Settings
    samplers: Sequence[Connector]
    clock: Callable[[], Micros]
    leads: Callable[[], bool]
    """Whether this process does the work."""
    spool: Spool
    direct: Direct
    patient: Patient
    memory: Memory = field(init=False)
    _known_at: Micros = 0
    """Until when samples were read from the ledger; 0: this process never saw it."""
    _kept_at: Micros = 0
    """When what is known was last kept for the next process."""
    _away: int = 0
    """Looks running at which the ledger was out of reach."""
    _since: Micros = 0
    """When it was first found out of reach."""
    _why: str = ""
    """What was wrong with it then: one that hangs says something else each time, and that is no news."""
    _looking: Lock = field(default_factory=Lock)
    """Held while a look is under way; one may hang until its patience is over."""

    def __post_init__(self) -> None:
        self.memory = Memory(self.settings.pipelines)

    def look(self) -> None:
        """One look, at the pace of the service."""
        with self._looking:
            self._look(self.clock())

    def rest(self, seconds: float) -> bool:
        """Wait until no look is under way; whether that came about in time."""
        rested = self._looking.acquire(timeout=seconds)
        if rested:
            self._looking.release()
        return rested

    def _look(self, now: Micros) -> None:
        failure = self._ledger_fails(now)
        if failure is None:
            self._away = 0
            if not self.direct.idle:
                self.direct.tell([], now, lambda _: "the ledger is back; what is still wrong is told from there")
            return
        self._away += 1
        if self._away == 1:
            self._why = failure
            self._begin(now)
        log.error("the ledger cannot be used", extra={"failure": failure, "looks": self._away})
        waits = LOOKS * (1 if self.leads() or not self._known_at else OTHERS)
        if self._away >= waits:
            self._ask(now)
            self._tell(now)

    def _begin(self, now: Micros) -> None:
        """The ledger is away: what is wrong by now is known. A process that never saw it asks the one before it."""
        if not self._known_at:
            kept = [one for one in self.spool.remembered(self.settings.pipelines) if now - one.at <= OLDEST]
            self.memory.hear(kept)
        self._since = self.direct.since(AWAY) or now
        self.memory.mark(now)
        if not self._known_at:
            self.memory.hear(self.spool.waiting(self.settings.pipelines))

    # --- the ledger ---------------------------------------------------------------------------------------------------

    def _ledger_fails(self, now: Micros) -> str | None:
        """Why the ledger cannot be used; `None`: it can. One that hangs is as bad as one that is not there."""
        answer: list[str | None] = []

        def ask() -> None:
            try:
                self._use(now)
                answer.append(None)
            except ReconcilerError as error:
                answer.append(error.message)

        if self.patient.do({"the ledger": ask}):
            return f"the ledger has not answered within {self.patient.seconds:g} s"
        return answer[0] if answer else "the ledger could not be asked; the log has the traceback"

    def _use(self, now: Micros) -> None:
        """Read how things stand, write that somebody looked, store what waited, and keep what the next must know."""
        first = self._known_at - 2 * self.settings.tick if self._known_at else now - HOUR
        pipelines = self.settings.pipelines
        found: list[Observation] = [
            sample for pipeline in pipelines.values() for sample in self.store.samples(pipeline, first, now)
        ]
        keeps = now - self._kept_at >= APART
        if keeps:
            for name in pipelines:
                found += (one for known in self.store.capacities(name, now).values() for one in known)
        self.store.note_runs([Run("sentinel", "", now, 0)])
        for path, waiting in self.spool.taken(pipelines).items():
            self.store.record(waiting, pipelines)
            path.unlink(missing_ok=True)  # another look, which hung until now, may have stored it too
            log.info("what waited in the spool is in the ledger", extra={"observations": len(waiting)})
        self._known_at = now
        self.memory.hear(found)
        if keeps:
            self.spool.remember(self.memory.kept())
            self._kept_at = now

    # --- without it ---------------------------------------------------------------------------------------------------

    def _ask(self, now: Micros) -> None:
        """Ask those who take samples; what they say is kept for the ledger."""
        heard: list[Observation] = []
        self.patient.do({one.name: _asking(one, self.settings, now, heard.append) for one in self.samplers})
        said = list(heard)  # one that is late still adds to the other
        self.spool.add(said)
        self.memory.hear(said)

    def _tell(self, now: Micros) -> None:
        alarm = ledger_away(self._why, (self.memory.queues, self.memory.resources), self._since, now)
        found, over = self.memory.notices(self._since, now)
        self.direct.tell([alarm, *found], now, lambda told: "samples show it no more" if told.id in over else "")


def _asking(
    connector: Connector, settings: Settings, now: Micros, hear: Callable[[Observation], None]
) -> Callable[[], None]:
    start = floor_to(now, settings.pipelines[connector.pipeline].width)

    def ask() -> None:
        try:
            for one in connector.collect(start, start + settings.pipelines[connector.pipeline].width, now):
                if isinstance(one, Refusal):
                    log.warning("refused", extra={"connector": connector.name, "what": str(one)})
                else:
                    hear(one)
        except (ConnectorFailed, OutOfReach) as failure:
            fields = {"connector": connector.name, "failure": failure.message}
            log.error("a connector could not be read", extra=fields)

    return ask
