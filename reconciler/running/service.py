"""The service of one process: its lease, its duties, its timetable, and how it ends."""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial

from reconciler.announce import routes_of
from reconciler.core.times import SECOND, Micros
from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.ports import Connector
from reconciler.posting import Notifier
from reconciler.running.direct import Direct
from reconciler.running.duties import duties_of
from reconciler.running.health import Health
from reconciler.running.keeper import Keeper
from reconciler.running.meters import Meters
from reconciler.running.patience import Patient
from reconciler.running.sentinel import Sentinel
from reconciler.running.spool import Spool
from reconciler.running.timetable import Timetable
from reconciler.running.turns import Worker
from reconciler.serving import ServiceStore
from reconciler.settings import Settings

log = logging.getLogger(__name__)

SPARE_THREADS = 4
"""Beside one for each duty: the lease is renewed whatever hangs."""


LOOK_SECONDS = 1.0
"""A look at a ledger that answers is over in so long."""
LEDGER_SECONDS = 10.0
"""A ledger that answers within so long is no dead one, however short the ticks are."""


class Service:
    """Does the work while it holds the lease, and waits for it while another does."""

    def __init__(
        self,
        store: ServiceStore,
        settings: Settings,
        connectors: Sequence[Connector],
        clock: Callable[[], Micros],
        notifiers: Sequence[Notifier] = (),
    ) -> None:
        self.meters = Meters()
        self._store = store
        self._stopping = threading.Event()
        self._keeper = Keeper(store, name_of_process(), settings.lease, self.meters, self._begin)
        self._worker = Worker(self._keeper, settings, clock, self.meters, self._stopping)
        self.health = Health(store, settings, clock, self._worker, self._stopping)
        self._duties = duties_of(settings, connectors, notifiers, clock)
        spool = Spool(settings.path.resolve().parent / settings.watchdog.spool)
        self._sentinel = Sentinel(
            store, settings, [one for one in connectors if one.stage is None], clock,
            lambda: self._keeper.at_work() is not None, spool, Direct(notifiers, routes_of(settings), spool),
            Patient(max(settings.deadline / SECOND, LEDGER_SECONDS)),
        )  # fmt: skip
        self._tick = settings.tick
        self._timetable = Timetable(len(self._duties) + SPARE_THREADS)

    def start(self) -> None:
        """Begin. Raises `ConfigError` if an embedded ledger is served by another process."""
        self._beat()
        if not self._store.proven:
            log.error("the ledger is out of reach; it is waited for, and queues are watched from memory meanwhile")
        elif self._keeper.at_work() is None:
            log.info("another process does the work; this one takes what is pushed, and waits")
        self._timetable.add("lease", self._keeper.every, self._beat)
        for duty in self._duties:
            self._timetable.add(duty.name, duty.every, partial(self._worker.perform, duty))
        self._timetable.add("sentinel", self._tick, self._sentinel.look)
        self._timetable.start()

    def stop(self, seconds: float) -> bool:
        """End what runs at its next transaction and give the lease back; whether all had ended in time."""
        self._stopping.set()
        self._timetable.stop()
        rested = self._worker.rest(seconds)
        try:
            self._keeper.release()
        except ReconcilerError as error:
            log.warning("the lease could not be given back; it will run out", extra={"failure": error.message})
        return self._sentinel.rest(LOOK_SECONDS) and rested

    def _begin(self) -> None:
        """The lease was taken: what has been missed is not to wait for the next tick."""
        for duty in self._duties:
            self._timetable.at_once(duty.name, partial(self._worker.perform, duty))

    def _beat(self) -> None:
        if not self._store.proven:
            return  # `Reaching` tries, with patience
        try:
            self._keeper.beat()
        except OutOfReach as error:  # at the start too: somebody may hold up the ledger who is about to be cut off
            log.warning("the lease could not be looked at", extra={"failure": error.message})


def name_of_process() -> str:
    """For people who look at the lease; another at each start."""
    return f"{socket.gethostname()}, process {os.getpid()}, {secrets.token_hex(3)}"
