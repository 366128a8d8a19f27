"""Whether the service lives, and whether it sees. Gaps in a pipeline are no fault of the service; being blind is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event

from reconciler.core.times import MINUTE, SECOND, Micros, format_duration, format_time
from reconciler.errors import ReconcilerError
from reconciler.running.turns import Worker
from reconciler.serving import ServiceStore
from reconciler.settings import Settings


@dataclass(frozen=True, slots=True)
class Health:
    """Asked by whoever watches the process."""

    store: ServiceStore
    settings: Settings
    clock: Callable[[], Micros]
    worker: Worker
    stopping: Event = field(default_factory=Event)

    def stuck(self) -> str | None:
        """What has been running for so long that only a restart can help; `None`: nothing."""
        seconds, most = self.worker.longest(), max(10 * self.settings.tick, 15 * MINUTE)
        if seconds * SECOND <= most:
            return None
        return f"a duty has been running for {format_duration(int(seconds * SECOND))}"

    def blind(self) -> list[str]:
        """Why nobody should rely on it now; empty: it sees. The ledger is asked, so each replica says the same."""
        try:
            return list(self._blind())
        except ReconcilerError as error:
            return [error.message]

    def _blind(self) -> Iterator[str]:
        if self.stopping.is_set():
            yield "the process is about to end"
        now, most = self.clock(), self.settings.blind_after
        for name, pipeline in sorted(self.settings.pipelines.items()):
            judged_at = self.store.judged_at(pipeline)
            if judged_at is None:
                yield f"pipeline {name} has never been judged"
            elif now - judged_at > most:
                yield f"pipeline {name} was last judged as of {format_time(judged_at)}"
