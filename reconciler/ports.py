"""What the passes need from the outside world: Protocols, and the values that cross them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reconciler.core.directory import Directory
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Observation, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import Bools, CountTile, Ints, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.errors import OutOfReach


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a connector has read; stored in the transaction that stores what it read."""

    name: str
    """Of the connector, as configured."""
    payload: dict[str, Any]
    """Whatever the connector needs to go on; JSON."""
    at: Micros


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch of observations; the two add up to all of them."""

    kept: int
    """Observations that said something new, of now or of the past."""
    unchanged: int
    """Observations that said again what was known."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a judgement said anew of cells of one hop, as parallel arrays with one entry (n) a cell.

    Arrays that a verdict tile also has bear the same names: what was said by an instant is laid back into tiles.
    """

    hop: str
    """``from>to``, as in `TileKey.part`."""
    source: Ints
    """Ordinal of the source."""
    bucket: Ints
    """Start of the bucket, µs."""
    code: NDArray[np.uint8]
    evidence: NDArray[np.uint32]
    parts: Ints
    """`(len(PARTS), n)`, events."""
    loss_at: Ints
    """µs; 0: none."""
    proven: Bools


@dataclass(frozen=True, slots=True)
class Portion:
    """A stretch of buckets that is judged in a transaction of its own, so that a backlog of any size needs no more
    memory than a portion. Only the last one moves the mark up to which the pipeline is judged.
    """

    first: int
    """First span of tiles."""
    last: int
    """Last span of tiles, inclusive."""
    position: int
    """What was recorded until here is judged once the last portion is saved."""
    is_last: bool


class Judging(Protocol):
    """One judgement of one pipeline: what was loaded, and the door to write what came of it."""

    ledger: Ledger
    """As of now: the cells that changed since the last judgement or that time may change, and what they need."""
    judged_at: Micros
    """`now` of the last judgement; 0 before the first, and after a hop was added."""
    incidents: list[dict[str, Any]]
    """States of the incidents that are not resolved, or that were resolved in the last 24 h."""
    state: dict[str, Any]
    """Small memory of the engine by name: JSON values or bytes."""
    week: bytes
    """The usual week of all sources, as it was last learned; empty while nothing was."""

    def save(
        self,
        now: Micros,
        dirty: Iterable[TileKey],
        said: Sequence[Said],
        incidents: Sequence[dict[str, Any]],
        changes: Sequence[dict[str, Any]],
        state: Mapping[str, Any],
    ) -> None:
        """Write the verdict tiles `dirty` of the ledger and all that was said; `state` replaces the former state.

        An incident needs `id`, `kind` and `status`; a change needs `id`. Without `save` nothing is written.
        """

    def keep(self, now: Micros, state: Mapping[str, Any], week: bytes) -> None:
        """Write what was learned; nothing is judged by it. `state` replaces the former state."""


class Store(Protocol):
    """The ledger at rest. All its errors are `reconciler.errors.ReconcilerError`."""

    def record(
        self,
        observations: Sequence[Observation],
        pipelines: Mapping[str, Pipeline],
        *,
        skip_unchanged: bool = False,
        cursor: Cursor | None = None,
    ) -> Recorded:
        """Store a batch, in order of arrival, and the cursor, in one transaction.

        `skip_unchanged` drops a count that is later than the current one and equal to it: for a reader that reads a
        trailing window again and again.
        """

    def portions(self, pipeline: Pipeline, now: Micros) -> list[Portion]:
        """How the work of a judgement is cut, oldest first; nearly always one."""

    def judging(
        self, pipeline: Pipeline, now: Micros, portion: Portion | None = None
    ) -> AbstractContextManager[Judging]:
        """One transaction that loads a portion (default: all there is to judge), and by `Judging.save` writes.

        Meanwhile nobody else judges or records.
        """

    def cursor(self, name: str) -> Cursor | None:
        """How far the connector of this name has read."""

    def directory(self, pipeline: Pipeline) -> Directory:
        """Sources and series of the pipeline; a copy."""

    def counts_as_of(
        self, pipeline: Pipeline, stage: str, first: Micros, last: Micros, as_of: Micros | None = None
    ) -> Iterator[tuple[TileKey, CountTile]]:
        """The tiles that hold the buckets first to last (inclusive), in order of span and chunk.

        They hold what was known at `as_of` (by the `at` of each reading), or all that is known. Tiles come whole:
        columns may lie outside the range asked for.
        """

    def verdict_tiles(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros
    ) -> Iterator[tuple[TileKey, VerdictTile]]:
        """What was last said of the buckets first to last (inclusive), tile by tile as in `counts_as_of`."""

    def verdicts_as_of(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros
    ) -> Iterator[tuple[TileKey, VerdictTile]]:
        """What had been said by `as_of`; `active` is not known of the past and is false."""

    def incidents(self, pipeline: str | None = None, as_of: Micros | None = None) -> list[dict[str, Any]]:
        """States of all incidents, the oldest first; with `as_of`, the last line said of each by then."""

    def incident_changes(self, incident: str) -> list[dict[str, Any]]:
        """All that was said of one incident, in order."""

    def learned_at(self, pipeline: Pipeline) -> Micros | None:
        """When somebody last looked whether there was something to learn."""

    def judged_at(self, pipeline: Pipeline) -> Micros | None:
        """`now` of the last judgement of the pipeline."""

    def close(self) -> None:
        """Give back the connections."""


class ConnectorFailed(OutOfReach):
    """A connector could not read. The message says what, where and what to do, and bears no secret."""


class Connector(Protocol):
    """Reads counts from where events are kept."""

    @property
    def name(self) -> str:
        """Unique among connectors; the reporter that its counts bear."""

    @property
    def pipeline(self) -> str:
        """The pipeline that it counts for."""

    @property
    def stage(self) -> str:
        """The stage at which its events are counted."""

    @property
    def every(self) -> Micros:
        """Time between two readings, µs."""

    @property
    def window(self) -> Micros:
        """How far back each reading counts again, µs."""

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterable[Observation | Refusal]:
        """Count everything accepted in [start, end) anew, as seen at `now`; the ends lie on edges of buckets.

        The answer is whole: up to the `through` of its progress, a cell of the window that it does not name is empty.
        Where anything is refused there is no progress, for then the answer is not whole. Raises `ConnectorFailed`.
        """
