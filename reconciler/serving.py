"""What the service asks of the ledger beyond what the passes do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reconciler.core.ledger import Ledger
from reconciler.core.observations import Capacity, Observation, QueueSample
from reconciler.core.outlines import Outline
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.core.verdicts import Verdict
from reconciler.ports import Horizon, Lease, Retirement, Run, Said, Store, Tenure, Token
from reconciler.replaying import Replays


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was said of one cell at an instant."""

    at: Micros
    verdict: Verdict
    evidence: tuple[str, ...]
    parts: dict[str, int]
    """Events by the names of `PARTS`."""
    loss_at: Micros | None
    proven: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """One count of one cell, as it was learned at `at`."""

    at: Micros
    stage: str
    outcome: str
    reporter: str
    replay: str | None
    count: int
    digest: str | None
    error: float
    """Half-width of an approximate count, in events."""


class Sessions(Protocol):
    """Browsers that somebody has let in with a token."""

    def begin(self, token: str, now: Micros, length: Micros) -> str:
        """Let a browser in with the token of this id; returns the secret of the session."""

    def find(self, secret: str, now: Micros) -> Token | None:
        """The token that the session was begun with; none where it has run out, or the token was revoked."""

    def end(self, secret: str) -> None:
        """Let the browser in no more."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A daily report as it was sent."""

    day: str
    """Local date, as in ``2021-07-20``."""
    zone: str
    made_at: Micros
    as_of: Micros | None
    """What had been said by then; None: what was said last."""
    version: str
    """Of the program that made it."""
    settings: str
    """Fingerprint of the settings that were judged by."""
    sent_to: tuple[str, ...]
    """Names of notifiers and files; none: it was kept by hand."""
    record: Mapping[str, Any]
    """What it said, as JSON."""
    html: str
    """What it looked like."""
    id: int = 0
    """Number in the ledger; 0: it is not there yet."""


class ServiceStore(Store, Protocol):
    """What the service asks of the ledger beyond what the passes do."""

    replays: Replays
    """Who sends what again."""
    sessions: Sessions
    """Browsers that were let in."""

    @property
    def proven(self) -> bool:
        """Whether it was ever reached, and is what this program understands."""

    def prove(self) -> None:
        """Reach it. Raises `OutOfReach`, and `Unfit`, a sort of it, where waiting helps nothing."""

    def take_lease(self, holder: str, length: Micros) -> Lease | None:
        """Take the lease if nobody holds it; `None` while somebody does. Of an embedded ledger: if no other process
        runs the service on it, else `ConfigError`."""

    def renew_lease(self, lease: Lease, length: Micros) -> bool:
        """Hold the lease for so much longer; whether it was still held."""

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back, so that another need not wait for its end."""

    def tenure(self) -> Tenure | None:
        """Who holds the lease; `None` where nobody ever did."""

    def leased(self, lease: Lease) -> "ServiceStore":
        """The same ledger, each write of which raises `LeaseLost` once another process has taken over."""

    def note_runs(self, runs: Sequence[Run]) -> None:
        """Keep how runs went, each in place of the one before it."""

    def runs(self) -> list[Run]:
        """The last run of each duty and subject."""

    def reporters(self, pipeline: Pipeline, now: Micros) -> Ledger:
        """All that is needed to say how far the stages of the pipeline have reported; no counts."""

    def standing(self) -> list[dict[str, Any]]:
        """The last line of each incident that is not resolved, the oldest first."""

    def drills(self) -> list[str]:
        """Names of the pipelines of drills that the ledger holds; no other question ever shows one."""

    def forget_drill(self, name: str) -> None:
        """Remove all of one of them."""

    def make_days(self, pipeline: Pipeline, now: Micros) -> int:
        """Make ready where looks at queues are kept by the day, from that of `now` on; how many days it made."""

    def prune(self, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
        """Forget what lies before the horizon, at most so many rows, in one short transaction; how many there were.

        A day of looks at queues that is dropped as a whole counts as one row.

        The horizon moves at once and never back. Counts of buckets before it are not stored any more.
        """

    def retire(self, pipeline: Pipeline, retirement: Retirement) -> None:
        """A source has no cells from then on; nobody waits for a reporter beyond what it reported. `ConfigError` where
        there is no such source or reporter."""

    def observations(
        self, pipeline: Pipeline, first: Micros, last: Micros, *, counts: bool = True
    ) -> Iterator[Observation]:
        """All that concerns the pipeline and has `at` in [first, last], in order of `at`, as far as it is remembered.

        Without `counts` all but the counts, of which there are far more than of the others.
        """

    def spoken(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros
    ) -> Iterator[tuple[Micros, Said]]:
        """What was said of buckets first to last (inclusive) until `as_of`, block by block in order, and when."""

    def keep_report(self, report: KeptReport) -> int:
        """Keep a report as it was sent; returns its number."""

    def kept_reports(self, day: str | None = None, zone: str | None = None) -> list[KeptReport]:
        """Reports that were sent (of a day, of a zone), without their contents, the oldest first."""

    def kept_report(self, number: int) -> KeptReport | None:
        """One of them in full; `None`: there is none of this number."""

    def retirements(self, pipeline: str) -> list[Retirement]:
        """All that was said, in order."""

    def outlines(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros | None = None
    ) -> Iterator[tuple[TileKey, Outline]]:
        """The tiles of `verdict_tiles`, or with `as_of` those of `verdicts_as_of`, in outline."""

    def source_tiles(
        self, pipeline: Pipeline, hop: str, source: int, first: Micros, last: Micros, as_of: Micros | None = None
    ) -> Iterator[tuple[int, VerdictTile]]:
        """By span: the verdict tiles that hold the source of this ordinal in the buckets first to last (inclusive)."""

    def judgements(self, pipeline: Pipeline, hop: str, source: int, bucket: Micros, as_of: Micros) -> list[Judgement]:
        """All that had been said of one cell by `as_of`, in order."""

    def readings(self, pipeline: Pipeline, stage: str, source: int, bucket: Micros, as_of: Micros) -> list[Reading]:
        """All that had been counted of one source and bucket at a stage by `as_of`, in order."""

    def latest_samples(self, pipeline: str, since: Micros, until: Micros, most: int) -> list[QueueSample]:
        """The latest queue samples of an interval (ends included), at most so many, in order of `at`."""

    def capacities(self, pipeline: str, now: Micros) -> dict[str, list[Capacity]]:
        """By resource that the pipeline depends on: its latest readings until `now`, oldest first."""

    def state(self, pipeline: str) -> dict[str, Any]:
        """What the engine remembers of the pipeline since its last judgement."""

    def usual_week(self, pipeline: str, start: int, length: int) -> bytes:
        """So many bytes of the usual week that was learned last, as `volume_dump` wrote it; empty: none was."""
