"""The ledger may be away at the start, in the very hour in which somebody restarts what watches over it."""

import logging
import threading

from reconciler.errors import OutOfReach, Unfit
from reconciler.serving import ServiceStore

log = logging.getLogger(__name__)

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 30.0
"""The pause between two tries is doubled from the one to the other."""


class Reaching:
    """Tries until the ledger is there or the process is to end; in a thread of its own, for a server may hang."""

    def __init__(self, store: ServiceStore, stop: threading.Event) -> None:
        self._store, self._stop = store, stop
        self.unfit: Unfit | None = None
        """Why the process was told to end: waiting helps nothing."""

    def start(self) -> None:
        """Begin, if there is anything to wait for."""
        if not self._store.proven:
            threading.Thread(target=self._try, name="reach the ledger", daemon=True).start()

    def _try(self) -> None:
        pause = FIRST_SECONDS
        while not self._stop.is_set():
            try:
                self._store.prove()
                log.info("the ledger is there")
                return
            except Unfit as unfit:
                self.unfit = unfit
                self._stop.set()
            except OutOfReach as failure:
                log.error("the ledger is out of reach; this goes on without it", extra={"failure": failure.message})
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_SECONDS)
