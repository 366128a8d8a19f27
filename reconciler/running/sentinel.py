"""Goes on where the ledger itself is out of reach, which may happen in the hour in which a queue begins to lose.

While the ledger answers it learns from there how the queues stand. When the ledger cannot be read, or not be written,
at two looks running, it asks the connectors of samples itself, keeps what they say in the spool, judges policies and
the time to loss from memory, and tells people directly. When the ledger is back, what waited is stored and its alarms
end.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from reconciler.core.alarms import ledger_away
from reconciler.core.observations import Observation, QueueSample, Refusal
from reconciler.core.queues import QueueLedger
from reconciler.core.threats import Watched, may_end, notices
from reconciler.core.times import HOUR, Micros, floor_to
from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.ports import Connector, ConnectorFailed, Run
from reconciler.running.direct import Direct
from reconciler.running.patience import Patient
from reconciler.running.spool import Spool
from reconciler.serving import ServiceStore
from reconciler.settings import Settings

log = logging.getLogger(__name__)

LOOKS = 2
"""The ledger must be away at so many looks running before people are told."""
OTHERS = 3
"""A process that does not do the work waits so many times longer: the one that does may live, and speak."""


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
    _queues: dict[tuple[str, str], Watched] = field(default_factory=dict)
    _known_at: Micros = 0
    """Until when samples were read from the ledger."""
    _away: int = 0
    """Looks running at which the ledger was out of reach."""
    _since: Micros = 0
    """When it was first found out of reach."""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        """One look, at the pace of the service."""
        now = self.clock()
        failure = self._ledger_fails(now)
        if failure is None:
            self._away = 0
            if not self.direct.idle:
                self.direct.tell([], now, lambda _: "the ledger is back; what is still wrong is told from there")
            return
        self._away += 1
        if self._away == 1:
            self._since = now
            with self._guard:
                self._queues = {key: _marked(one) for key, one in self._queues.items()}
        log.error("the ledger cannot be used", extra={"failure": failure, "looks": self._away})
        if self._away >= LOOKS * (1 if self.leads() else OTHERS):
            self._ask(now)
            self._tell(failure, now)

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
        """Read how the queues stand, write that somebody looked, and store what waited."""
        first = self._known_at - 2 * self.settings.tick if self._known_at else now - HOUR
        found = [
            sample
            for pipeline in self.settings.pipelines.values()
            for sample in self.store.samples(pipeline, first, now)
        ]
        self.store.note_runs([Run("sentinel", "", now, 0)])
        for path, waiting in self.spool.taken(self.settings.pipelines).items():
            self.store.record(waiting, self.settings.pipelines)
            path.unlink(missing_ok=True)  # another look, which hung until now, may have stored it too
            log.info("what waited in the spool is in the ledger", extra={"observations": len(waiting)})
        self._known_at = now
        self._hear(found)

    # --- memory -------------------------------------------------------------------------------------------------------

    def _hear(self, samples: Sequence[QueueSample]) -> None:
        """Take samples, in order of `at`, into memory; those that are there already change nothing."""
        with self._guard:
            for sample in samples:
                pipeline = self.settings.pipelines[sample.pipeline]
                queue = pipeline.queues.get(sample.queue)
                if queue is None:
                    continue
                key = (sample.pipeline, sample.queue)
                if key not in self._queues:
                    self._queues[key] = Watched(pipeline, QueueLedger(queue, pipeline.width))
                self._queues[key].ledger.observe(sample)
            for one in self._queues.values():
                one.ledger.forget(one.first)

    def _ask(self, now: Micros) -> None:
        """Ask those who take samples; what they say is kept for the ledger."""
        heard: list[Observation] = []
        self.patient.do({one.name: _asking(one, self.settings, now, heard.append) for one in self.samplers})
        said = list(heard)  # one that is late still adds to the other
        self.spool.add(said)
        self._hear(sorted((one for one in said if isinstance(one, QueueSample)), key=lambda one: one.at))

    def _tell(self, failure: str, now: Micros) -> None:
        found, recovered = [ledger_away(failure, len(self._queues), self._since, now)], set[str]()
        for _, one in sorted(self._queues.items()):
            found += notices(one, self._since, now)
            recovered |= may_end(one, now)
        self.direct.tell(found, now, lambda told: "samples show it no more" if told.id in recovered else "")


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


def _marked(one: Watched) -> Watched:
    """As it is when the ledger goes away: what is wrong by then, people were told."""
    return replace(one, expired_before=one.ledger.expired_total, policies_before=tuple(one.broken()))
