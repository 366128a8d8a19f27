"""The ledger may be away at the start, in the very hour in which somebody restarts what watches over it."""

import logging
import threading

from reconciler.errors import OutOfReach, Unfit
from reconciler.serving import ServiceStore

log = logging.getLogger(__name__)

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 30.0
"""The pause between two tries is doubled from the one to the other."""


def reach(store: ServiceStore, stop: threading.Event) -> Unfit | None:
    """Try until the ledger is there or the process is to end; what it is unfit for, if waiting helps nothing."""
    pause = FIRST_SECONDS
    while not (stop.is_set() or store.proven):
        try:
            store.prove()
            log.info("the ledger is there")
        except Unfit as unfit:
            return unfit
        except OutOfReach as failure:
            log.error("the ledger is out of reach; this goes on without it", extra={"failure": failure.message})
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_SECONDS)
    return None
