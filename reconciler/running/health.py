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
        for name, judged_at in behind(self.store, self.settings, self.clock()):
            yield late(name, judged_at)


def behind(store: ServiceStore, settings: Settings, now: Micros) -> Iterator[tuple[str, Micros | None]]:
    """The pipelines that were not judged lately, and when they last were; `None`: never."""
    for name, pipeline in sorted(settings.pipelines.items()):
        judged_at = store.judged_at(pipeline)
        if judged_at is None or now - judged_at > settings.blind_after:
            yield name, judged_at


def late(name: str, judged_at: Micros | None) -> str:
    """The same in words."""
    if judged_at is None:
        return f"pipeline {name} has never been judged"
    return f"pipeline {name} was last judged as of {format_time(judged_at)}"
