"""Holds the lease: of several processes on one ledger, one does the work."""

import logging
import threading
from collections.abc import Callable

from reconciler.core.times import Micros
from reconciler.ports import Lease
from reconciler.running.meters import Meters
from reconciler.serving import ServiceStore

log = logging.getLogger(__name__)

BEATS = 3
"""How often the lease is renewed in the time that it lasts: two beats may fail before it is lost."""


class Keeper:
    """Takes the lease when it is free, renews it, and hands out the ledger to write to while it is held."""

    def __init__(
        self, store: ServiceStore, holder: str, length: Micros, meters: Meters, on_taken: Callable[[], None]
    ) -> None:
        self._store, self._holder, self._length = store, holder, length
        self._meters, self._on_taken = meters, on_taken
        self._held: tuple[Lease, ServiceStore] | None = None
        self._guard = threading.Lock()
        self._ended = False
        meters.leads(None)

    @property
    def every(self) -> Micros:
        """Time between two beats."""
        return max(self._length // BEATS, 1)

    def at_work(self) -> ServiceStore | None:
        """The ledger, for the duties of this process; `None` while another does them."""
        held = self._held
        return None if held is None else held[1]

    def beat(self) -> None:
        """Renew the lease, or take it if it is free. Raises `OutOfReach`, and on an embedded ledger `ConfigError`."""
        with self._guard:
            if self._ended:
                return
            if self._held is None:
                self._take()
            elif not self._store.renew_lease(self._held[0], self._length):
                self._lose()

    def lost(self) -> None:
        """A write was refused, for another process has taken over."""
        with self._guard:
            self._lose()

    def release(self) -> None:
        """Give the lease back, and take it no more."""
        with self._guard:
            self._ended = True
            held, self._held = self._held, None
            if held is not None:
                self._store.release_lease(held[0])

    def _take(self) -> None:
        lease = self._store.take_lease(self._holder, self._length)
        if lease is None:
            return
        self._held = (lease, self._store.leased(lease))
        self._meters.leads(lease.epoch)
        log.info("this process does the work now", extra={"epoch": lease.epoch, "holder": lease.holder})
        self._on_taken()

    def _lose(self) -> None:
        if self._held is not None:
            log.warning("another process does the work now", extra={"epoch": self._held[0].epoch})
            self._held = None
            self._meters.leads(None)
