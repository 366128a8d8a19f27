"""Requests that come at the same time are recorded in one transaction, in order of arrival.

A transaction costs much and an observation little, and the ledger has one writer anyway: whoever comes while a batch is
being written waits for the next one, together with all others who came. Nobody is answered before it is durable.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Protocol

from reconciler.core.observations import Observation
from reconciler.core.pipelines import Pipeline
from reconciler.ports import Horizon, Recorded
from reconciler.settings import Settings

AT_ONCE = 50_000
"""Observations in a transaction, unless one request alone has more."""

_Waiting = tuple[Sequence[Observation], Future[None]]


class Records(Protocol):
    """Where pushes end up: a ledger, or the spool of an agent."""

    def record(self, observations: Sequence[Observation], pipelines: Mapping[str, Pipeline]) -> Recorded:
        """Keep the observations, durably; see `ports.Store`."""

    def horizon(self, pipeline: Pipeline) -> Horizon:
        """From which bucket on counts are kept."""

    def closed(self, pipeline: Pipeline) -> frozenset[str] | None:
        """The names of all sources, where the pipeline takes counts of no other one any more; `None`: it does."""


class Recorder:
    """Writes what requests bring."""

    def __init__(self, store: Records, settings: Settings) -> None:
        self._store, self._pipelines = store, settings.pipelines
        self._waiting: deque[_Waiting] = deque()
        self._lock = Lock()
        self._writer = ThreadPoolExecutor(1, "recorder")

    def submit(self, observations: Sequence[Observation]) -> Future[None]:
        """Have the observations recorded; the future ends once they are durable, or bears why they are not."""
        done: Future[None] = Future()
        with self._lock:
            self._waiting.append((observations, done))
        self._writer.submit(self._write)
        return done

    def close(self) -> None:
        """Write what waits, and take no more."""
        self._writer.shutdown(wait=True)

    def _write(self) -> None:
        some = self._take()
        if self._failure([seen for observations, _ in some for seen in observations]) is None:
            for _, done in some:
                done.set_result(None)
            return
        # What one request brings may be at fault; it must not take the others with it.
        for observations, done in some:
            failure = self._failure(observations)
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

    def _failure(self, observations: Sequence[Observation]) -> Exception | None:
        """Record these; returns why they could not be."""
        try:
            if observations:
                self._store.record(observations, self._pipelines)
        except Exception as error:  # noqa: BLE001  whatever it is, it is raised where the request is answered
            return error
        return None

    def _take(self) -> list[_Waiting]:
        """Those who wait, as many as fit into a transaction."""
        some: list[_Waiting] = []
        size = 0
        with self._lock:
            while self._waiting and (not some or size + len(self._waiting[0][0]) <= AT_ONCE):
                one = self._waiting.popleft()
                if one[1].set_running_or_notify_cancel():  # nobody waits any more for one that is cancelled
                    size += len(one[0])
                    some.append(one)
        return some
