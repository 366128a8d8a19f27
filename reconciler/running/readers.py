"""Asks connectors at the same time, each in a thread of its own: one that hangs holds up nobody.

What a late one says in the end is stored all the same. Until then it has failed, is not asked again, and the stage that
it feeds is missing.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from reconciler.collect import Collected, collect_one, due
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import SECOND, Micros, format_duration, format_time
from reconciler.errors import ReconcilerError
from reconciler.ports import Connector, ConnectorFailed, LeaseLost, Store

Answer = Collected | LeaseLost


@dataclass(slots=True)
class Readers:
    """The connectors of a process, and which of them are being read."""

    connectors: Sequence[Connector]
    pipelines: Mapping[str, Pipeline]
    _busy: dict[str, Micros] = field(default_factory=dict)
    """Since when each that has not answered is being asked."""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def read(self, store: Store, now: Micros, deadline: Micros) -> list[Collected]:
        """Ask all that are due, and wait so long for their answers. Raises `LeaseLost`."""
        answers: SimpleQueue[Answer] = SimpleQueue()
        done: list[Collected] = []
        waited: dict[str, Connector] = {}
        for connector in due(store, self.connectors, now):
            if since := self._begin(connector.name, now):
                done.append(_late(connector, now, f"is being read since {format_time(since)} and has not answered"))
                continue
            waited[connector.name] = connector
            thread = threading.Thread(
                target=self._ask, args=(store, connector, now, answers), name=f"read {connector.name}", daemon=True
            )
            thread.start()
        end = time.monotonic() + deadline / SECOND
        while waited:
            try:
                answer = answers.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            if isinstance(answer, LeaseLost):
                raise answer
            del waited[answer.connector]
            done.append(answer)
        within = f"has not answered within {format_duration(deadline)}"
        return [*done, *(_late(connector, now, within) for connector in waited.values())]

    def _begin(self, name: str, now: Micros) -> Micros | None:
        """Note that a connector is asked; since when, if it already is."""
        with self._guard:
            since = self._busy.get(name)
            if since is None:
                self._busy[name] = now
            return since

    def _ask(self, store: Store, connector: Connector, now: Micros, answers: "SimpleQueue[Answer]") -> None:
        # A fault of the connector's own ends its thread with a traceback on standard error, and this is its answer.
        answer: Answer = _failed(connector, now, f"connector {connector.name} broke; the log has the traceback")
        try:
            answer = collect_one(store, connector, self.pipelines, now)
        except LeaseLost as lost:
            answer = lost
        except ReconcilerError as error:
            answer = _failed(connector, now, error.message)
        finally:
            with self._guard:
                del self._busy[connector.name]
            answers.put(answer)


def _late(connector: Connector, now: Micros, what: str) -> Collected:
    where = f"connector {connector.name} ({connector.pipeline}, {connector.stage})"
    return _failed(connector, now, f"{where}: {what}\n  What it feeds is missing until it does.")


def _failed(connector: Connector, now: Micros, message: str) -> Collected:
    return Collected(connector.name, now, now, failure=ConnectorFailed(message))
