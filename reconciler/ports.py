"""What the passes need from the outside world: Protocols, and the values that cross them."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reconciler.core.acts import Act
from reconciler.core.cases import Incident
from reconciler.core.directory import Directory
from reconciler.core.ledger import Ledger
from reconciler.core.looked import Looked
from reconciler.core.observations import Observation, QueueSample, Refusal
from reconciler.core.outbox import Post
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import Bools, CountTile, Ints, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.errors import OutOfReach
from reconciler.posting import Outbox


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
    """What became of a batch of observations; the three add up to all of them."""

    kept: int
    """Observations that said something new, of now or of the past."""
    unchanged: int
    """Observations that said again what was known."""
    too_old: int = 0
    """Counts of buckets that have been pruned: they can be compared with nothing any more, and are not stored."""


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
    incidents: list[Incident]
    """The incidents that are not resolved, or that were resolved in the last 24 h."""
    acts: list[Act]
    """What people had said by `now` of these incidents, mutes that may hold, and all planned work; in order."""
    state: dict[str, Any]
    """Small memory of the engine by name: JSON values or bytes."""
    week: bytes
    """The usual week of all sources, as it was last learned; empty while nothing was."""

    def save(
        self,
        now: Micros,
        dirty: Iterable[TileKey],
        said: Sequence[Said],
        incidents: Sequence[Incident],
        changes: Sequence[dict[str, Any]],
        state: Mapping[str, Any],
        posts: Sequence[Post] = (),
    ) -> None:
        """Write the verdict tiles `dirty` of the ledger and all that was said; `state` replaces the former state.
        `posts` is what goes to the outbox.

        An incident needs `id`, `kind` and `status`; a change needs `id`. Without `save` nothing is written.
        """

    def keep_looked(self, come_to: Looked) -> None:
        """Write what many looks at queues have come to, instead of what was kept of them before."""

    def keep(self, now: Micros, state: Mapping[str, Any], week: bytes) -> None:
        """Write what was learned; nothing is judged by it. `state` replaces the former state."""


class Store(Protocol):
    """The ledger at rest. All its errors are `reconciler.errors.ReconcilerError`."""

    tokens: "Tokens"
    """Who may use the HTTP face."""
    acts: "Acts"
    """What people said of incidents."""
    outbox: Outbox
    """What is still to be told to whom."""

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

    def remembered(self, pipeline: Pipeline) -> dict[str, Any]:
        """The engine's small memory of a pipeline, as `Judging.state`."""

    def samples(self, pipeline: Pipeline, first: Micros, last: Micros) -> list[QueueSample]:
        """The samples of the pipeline's queues that were taken from `first` to `last` (inclusive), in order."""

    def reached(self, pipeline: Pipeline) -> Ints:
        """By source: before which instant every bucket is settled and complete at every hop, as last judged, µs.

        It never lies beyond a bucket that is not. `NEVER`: the source has no bucket.
        """

    def horizon(self, pipeline: Pipeline) -> "Horizon":
        """How far back the pipeline is remembered."""

    def closed(self, pipeline: Pipeline) -> frozenset[str] | None:
        """The names of all sources, where it has as many beyond `max_sources` as up to it; `None`: it has not."""

    def said(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros
    ) -> Generator[tuple[TileKey, VerdictTile, Ints], None, None]:
        """What had been said by `as_of`, as in `verdicts_as_of`, and when: `(CHUNK, SPAN)`, µs; 0 for no cell."""

    def close(self) -> None:
        """Give back the connections."""


class ConnectorFailed(OutOfReach):
    """A connector could not read. The message says what, where and what to do, and bears no secret."""


class Connector(Protocol):
    """Reads from where events are kept or pass through.

    There are two sorts. One counts the events of a stage, bucket by bucket, and can count the past again. The other
    takes samples of what is there now (queues, capacities): it has no stage, no window and no past. What the second
    sort fails to look at grows stale, and then proves nothing.
    """

    @property
    def name(self) -> str:
        """Unique among connectors; the reporter that its counts bear."""

    @property
    def pipeline(self) -> str:
        """The pipeline that it counts for."""

    @property
    def stage(self) -> str | None:
        """The stage at which its events are counted; `None`: it takes samples."""

    @property
    def every(self) -> Micros:
        """Time between two readings, µs."""

    @property
    def window(self) -> Micros:
        """How far back each reading counts again, µs; 0: it takes samples."""

    @property
    def withdraws(self) -> bool:
        """Whether a cell that it has counted, and now does not name, is empty (a table does not forget).

        False: it may merely not know any more (a metrics store forgets), and what it once counted stands.
        """

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterable[Observation | Refusal]:
        """Count everything accepted in [start, end) anew, as seen at `now`; the ends lie on edges of buckets.

        The answer is whole: up to the `through` of its progress, a cell of the window that it does not name is empty.
        Where anything is refused there is no progress, for then the answer is not whole. Raises `ConnectorFailed`.

        One that takes samples is asked for the present bucket and tells what it sees at `now`. What it cannot see it
        refuses by name, and says nothing of it: it never makes up a zero.
        """

    def permissions(self) -> Sequence[str]:
        """Every right that it needs, all to read only, as an administrator would type it; nothing is connected to."""


class LeaseLost(OutOfReach):
    """Another process does the work now: this one may write nothing that the lease is for."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do the service's work, of which there is one for each ledger."""

    holder: str
    """Names the process."""
    epoch: int
    """Grows each time that another process takes over; what was begun under an earlier one is refused."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """Who holds the lease, or held it last."""

    lease: Lease
    since: Micros
    """When it was taken, by the clock of the database."""
    left: Micros
    """How long it lasts unless it is renewed; zero or less: it has run out."""


@dataclass(frozen=True, slots=True)
class Run:
    """How the last run of a duty of the service went."""

    duty: str
    """`collect`, `judge`, `prune`, …"""
    subject: str
    """The connector or the pipeline that it was about; empty: none."""
    at: Micros
    took: Micros
    failure: str | None = None
    """What went wrong, if anything did."""
    succeeded_at: Micros | None = None
    """When it last went well; `None`: never."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far back a ledger remembers a pipeline; 0: everything that ever came."""

    detail: Micros = 0
    """Start of the first bucket whose counts and history are kept."""
    verdicts: Micros = 0
    """Start of the first bucket whose last verdict is kept."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """Somebody said that a source or a reporter has ended, or it came back."""

    pipeline: str
    kind: Literal["source", "reporter"]
    name: str
    stage: str
    """Of a reporter; empty for a source."""
    at: Micros
    """When that was said."""
    effective: Micros | None
    """From when it holds; `None`: it is back."""
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Token:
    """Leave to use the HTTP face. The secret itself is shown once, when it is made, and kept nowhere."""

    id: str
    """Public; the first part of the secret."""
    name: str
    """Who has it, for people."""
    reads: bool
    writes: bool
    pipelines: tuple[str, ...]
    """Those that it is for; none: all."""
    created_at: Micros
    used_at: Micros | None = None
    """When it was last used, to a minute."""
    revoked_at: Micros | None = None
    operates: bool = False
    """May act for people: mute, acknowledge, close."""


class Tokens(Protocol):
    """The tokens of a ledger."""

    def create(
        self, name: str, now: Micros, *, reads: bool, writes: bool, pipelines: Sequence[str], operates: bool = False
    ) -> str:
        """Make a token; returns its secret, which nobody can be told again."""

    def all(self) -> list[Token]:
        """Every token that was ever made, the oldest first; revoked ones too."""

    def revoke(self, token: str, now: Micros) -> bool:
        """Take the token of this id back, for good; whether there was one to take back."""

    def find(self, secret: str) -> Token | None:
        """The token that this is the secret of, unless it was revoked."""

    def any(self) -> bool:
        """Whether a token was ever made."""

    def use(self, token: str, now: Micros) -> None:
        """Note that the token of this id was used."""


class Acts(Protocol):
    """What people said of incidents. The next judgement takes it; nothing is ever changed or removed."""

    def add(self, act: Act) -> Act:
        """Write down what somebody said; returns it with its id."""

    def all(self, incident: str | None = None) -> list[Act]:
        """All that was ever said, or all about one incident, in order."""
