"""The pass that reads: each connector is asked for its window, and what it says is stored with how far it has read.

A connector that fails is its own affair: the others go on, and the stage that it feeds is missing until it answers
again. Then it catches up from where it last succeeded, so that no bucket is skipped because a tick was missed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reconciler import registry
from reconciler.abilities import Note, Remembering
from reconciler.core.directory import Directory, newcomer
from reconciler.core.observations import Count, Observation, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import ABSENT, SPAN, Bools
from reconciler.core.times import Micros, floor_to
from reconciler.ports import Connector, ConnectorFailed, Cursor, Store
from reconciler.settings import Settings

Cell = tuple[str, Micros, str]
"""Source, start of the bucket, outcome."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of asking one connector."""

    connector: str
    start: Micros
    """Start of the first bucket that was to be counted."""
    until: Micros
    """Everything before it was counted and stored; equal to `start` where nothing was, or samples were taken."""
    kept: int = 0
    """Observations that said something new."""
    unchanged: int = 0
    """Observations that said again what was known."""
    withdrawn: int = 0
    """Cells that had events and are now gone; they are among those kept, as zeros."""
    refused: tuple[Refusal, ...] = ()
    failure: ConnectorFailed | None = None
    """Why it stopped before its end, if it did."""
    notes: tuple[Note, ...] = ()
    """What it found beside its counts."""
    too_old: int = 0
    """Counts of buckets that are kept no more, and that were not stored."""


def connectors_of(settings: Settings) -> list[Connector]:
    """All connectors that are configured, ready to collect."""
    return [
        registry.adapter("connectors", found.kind).build(found.name, found.options, settings.pipelines)
        for found in settings.connectors.values()
    ]


def collect(
    store: Store,
    connectors: Iterable[Connector],
    pipelines: Mapping[str, Pipeline],
    now: Micros,
    *,
    only_due: bool = True,
) -> list[Collected]:
    """Ask each connector that is due for its trailing window up to `now`."""
    asked = connectors if not only_due else due(store, connectors, now)
    return [collect_one(store, connector, pipelines, now) for connector in asked]


def due(store: Store, connectors: Iterable[Connector], now: Micros) -> list[Connector]:
    """The connectors whose time of the next reading has come."""
    return [connector for connector in connectors if _due(connector, store.cursor(connector.name), now)]


def _due(connector: Connector, cursor: Cursor | None, now: Micros) -> bool:
    """Whether the time of its next reading has come. Times are a grid, so that a tick a moment early skips none."""
    return cursor is None or now // connector.every > cursor.at // connector.every


def collect_one(store: Store, connector: Connector, pipelines: Mapping[str, Pipeline], now: Micros) -> Collected:
    """Ask one connector for its trailing window up to `now`."""
    cursor = store.cursor(connector.name)
    reading = _Reading(store, connector, pipelines, now)
    if connector.stage is None:
        return _sample(reading, connector.name, now)
    if isinstance(connector, Remembering):
        connector.recall(cursor.payload.get("memory", {}) if cursor else {})
    until = now if cursor is None else min(now, int(cursor.payload["until"]))
    # What came since it was last whole may have been accepted a window before that.
    start = reading.down(until - connector.window)
    total = Collected(connector.name, start, start)
    for first, end in slices(start, reading.down(now) + reading.width, reading.up(connector.window)):
        last = end > now
        try:
            answer = reading.ask(first, end)
        except ConnectorFailed as failure:
            return add_up(total, Collected(connector.name, first, first, failure=failure))
        until = answer.whole_until(min(end, now), until)
        # Before the last slice is stored it remains due.
        at = now if last or cursor is None else cursor.at
        memory = {"memory": connector.memory()} if isinstance(connector, Remembering) else {}
        total = add_up(total, reading.keep(answer, Cursor(connector.name, {"until": until} | memory, at)))
    return total


def _sample(reading: "_Reading", name: str, now: Micros) -> Collected:
    """Look at what is there now: nobody can see what a queue held at an earlier time."""
    start = reading.down(now)
    try:
        answer = reading.ask(start, start + reading.width)
    except ConnectorFailed as failure:
        return Collected(name, start, start, failure=failure)
    return replace(reading.keep(answer, Cursor(name, {"until": now}, now)), start=now, until=now)


def backfill(
    store: Store,
    connector: Connector,
    pipelines: Mapping[str, Pipeline],
    start: Micros,
    end: Micros,
    now: Micros,
    *,
    step: Micros | None = None,
) -> Iterator[Collected]:
    """Count [start, end) in steps (by default the connector's window), the oldest first; yields after each.

    One that was broken off goes on where it stopped, if it is asked for a start no earlier than the first time. Raises
    `ConnectorFailed`.
    """
    reading = _Reading(store, connector, pipelines, now)
    start, end = reading.down(start), min(reading.up(end), reading.down(now) + reading.width)
    name = f"{connector.name}\nbackfill"  # no connector can bear a name with a line end
    former, began = store.cursor(name), start
    if former is not None and not former.payload["done"] and former.payload["start"] <= start:
        began, start = int(former.payload["start"]), max(start, int(former.payload["until"]))
    # Once the connector is read regularly, how far it has reported is told there, and not back here in the past.
    quiet = store.cursor(connector.name) is not None
    for first, last in slices(start, end, reading.up(step or connector.window)):
        answer = reading.ask(first, last)
        cursor = Cursor(name, {"start": began, "until": last, "done": last >= end}, now)
        yield reading.keep(replace(answer, progress=[]) if quiet else answer, cursor)


def recount(
    store: Store, connector: Connector, pipelines: Mapping[str, Pipeline], window: Micros, now: Micros
) -> Iterator[Collected]:
    """Count again what this connector has counted and what has left its own window since, as far back as `window`.

    The oldest first, a window of the connector at a time; yields after each. One that was broken off goes on where it
    stopped. Raises `ConnectorFailed`.
    """
    reading = _Reading(store, connector, pipelines, now)
    name, former = f"{connector.name}\nrecount", store.cursor(f"{connector.name}\nrecount")
    start, end = reading.down(now - window), reading.down(now - connector.window)
    if former is not None and not former.payload["done"]:
        start = max(start, int(former.payload["until"]))
    else:
        # Of what it never counted there is nothing to compare, and the other stages have no counts either.
        start = reading.first_counted(start, end)
    if start >= end:
        store.record([], pipelines, cursor=Cursor(name, {"until": end, "done": True}, now))
    for first, last in slices(start, end, reading.up(connector.window)):
        answer = replace(reading.ask(first, last), progress=[])
        yield reading.keep(answer, Cursor(name, {"until": last, "done": last >= end}, now))


def recount_due(store: Store, connector: Connector, every: Micros, now: Micros) -> bool:
    """Whether the time of its next recount has come, or one was broken off."""
    former = store.cursor(f"{connector.name}\nrecount")
    return former is None or not former.payload["done"] or now // every > former.at // every


def slices(start: Micros, end: Micros, size: Micros) -> Iterator[tuple[Micros, Micros]]:
    """[start, end) in pieces of about this size; a rest smaller than a piece goes with the one before it."""
    while end - start >= 2 * size:
        yield start, start + size
        start += size
    if start < end:
        yield start, end


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a connector said of [start, end)."""

    start: Micros
    end: Micros
    counts: list[Observation]
    gone: list[Observation]
    """Zeros for the cells that it has counted before and now does not find."""
    progress: list[Observation]
    refused: tuple[Refusal, ...]
    through: Micros | None
    """Until when it is whole; `None` where it does not say."""

    def whole_until(self, end: Micros, former: Micros) -> Micros:
        """From where the next reading has to look for what is new.

        Refused rows pass out of the window like others; a table in which nothing is loaded is waited for.
        """
        if self.through is not None:
            return min(self.through, end)
        return end if self.refused else former


class _Reading:
    """One connector at one instant."""

    def __init__(self, store: Store, connector: Connector, pipelines: Mapping[str, Pipeline], now: Micros) -> None:
        self.store, self.connector, self.pipelines, self.now = store, connector, pipelines, now
        self.pipeline = pipelines[connector.pipeline]
        self.width = self.pipeline.width

    def down(self, instant: Micros) -> Micros:
        """The edge of a bucket at or before the instant."""
        return floor_to(instant, self.width)

    def up(self, instant: Micros) -> Micros:
        """The edge of a bucket at or after the instant."""
        return -floor_to(-instant, self.width)

    def ask(self, start: Micros, end: Micros) -> _Answer:
        """Count [start, end) and compare with what was counted before; nothing is stored yet."""
        counts: list[Observation] = []
        progress: list[Progress] = []
        refused: list[Refusal] = []
        closed = self.store.closed(self.pipeline)
        for entry in self.connector.collect(start, end, self.now):
            if isinstance(entry, Refusal):
                refused.append(entry)
            elif isinstance(entry, Progress):
                progress.append(entry)
            elif isinstance(entry, Count) and (fault := newcomer(entry, closed, self.pipeline.max_sources)):
                refused.append(fault)
            else:
                counts.append(entry)
        through = max((entry.through for entry in progress), default=None)
        # Only as far as the answer is whole: what is not loaded yet has not gone.
        whole = start if through is None else self.down(min(through, end))
        gone = self._gone(start, whole, counts) if whole > start and self.connector.withdraws else []
        return _Answer(start, end, counts, gone, list(progress), tuple(refused), through)

    def keep(self, answer: _Answer, cursor: Cursor) -> Collected:
        """Store the answer and the cursor in one transaction."""
        said = [*answer.gone, *answer.counts, *answer.progress]
        recorded = self.store.record(said, self.pipelines, skip_unchanged=True, cursor=cursor)
        return Collected(
            self.connector.name,
            answer.start,
            answer.end,
            recorded.kept,
            recorded.unchanged,
            len(answer.gone),
            answer.refused,
            notes=tuple(self.connector.notes()) if isinstance(self.connector, Remembering) else (),
            too_old=recorded.too_old,
        )

    def first_counted(self, start: Micros, end: Micros) -> Micros:
        """Start of the first bucket of [start, end) that this connector has counted; `end` if there is none."""
        if start >= end:
            return end
        mine = self._mine(self.store.directory(self.pipeline))
        for key, tile in self.store.counts_as_of(self.pipeline, self.connector.stage or "", start, end - self.width):
            columns = np.flatnonzero((mine[tile.series][:, np.newaxis] & (tile.count != ABSENT)).any(axis=0))
            buckets = (key.span * SPAN + columns) * self.width
            inside = buckets[(buckets >= start) & (buckets < end)]
            if len(inside):
                return int(inside[0])
        return end

    def _mine(self, directory: Directory) -> Bools:
        """By series, whether it is this connector's."""
        name = self.connector.name
        return np.array([key.reporter == name and key.replay is None for key in directory.series], np.bool_)

    def _gone(self, start: Micros, end: Micros, counts: Sequence[Observation]) -> list[Observation]:
        found = {(entry.source, entry.bucket, entry.outcome) for entry in counts if isinstance(entry, Count)}
        name, stage, reporter = self.pipeline.name, self.connector.stage or "", self.connector.name
        return [
            Count(self.now, name, stage, source, bucket, 0, outcome, reporter)
            for source, bucket, outcome in self._known(stage, start, end)
            if (source, bucket, outcome) not in found
        ]

    def _known(self, stage: str, start: Micros, end: Micros) -> Iterator[Cell]:
        """Cells of [start, end) in which, as far as the ledger knows, this connector has seen events."""
        width, directory = self.width, self.store.directory(self.pipeline)
        mine = self._mine(directory)
        if not mine.any():
            return
        for key, tile in self.store.counts_as_of(self.pipeline, stage, start, end - width):
            rows, columns = np.nonzero(mine[tile.series][:, np.newaxis] & (tile.count > 0))
            buckets = (key.span * SPAN + columns) * width
            inside = (buckets >= start) & (buckets < end)
            numbers = tile.series[rows[inside]].tolist()
            for number, bucket in zip(numbers, buckets[inside].tolist(), strict=True):
                series = directory.series[number]
                yield series.origin or directory.sources[series.source], bucket, series.outcome


def add_up(total: Collected, part: Collected) -> Collected:
    """What became of both, one after the other."""
    return Collected(
        total.connector,
        total.start,
        part.until,
        total.kept + part.kept,
        total.unchanged + part.unchanged,
        total.withdrawn + part.withdrawn,
        total.refused + part.refused,
        part.failure,
        total.notes + part.notes,
        total.too_old + part.too_old,
    )
