"""What the service asks of the ledger beyond what the passes do."""

from collections.abc import Sequence
from typing import Any, Protocol

from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros
from reconciler.ports import Horizon, Lease, Retirement, Run, Store, Tenure
from reconciler.replaying import Replays


class ServiceStore(Store, Protocol):
    """What the service asks of the ledger beyond what the passes do."""

    @property
    def replays(self) -> Replays:
        """Who sends what again."""

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

    def prune(self, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
        """Forget what lies before the horizon, at most so many rows, in one short transaction; how many there were.

        The horizon moves at once and never back. Counts of buckets before it are not stored any more.
        """

    def retire(self, pipeline: Pipeline, retirement: Retirement) -> None:
        """A source has no cells from then on; nobody waits for a reporter beyond what it reported. `ConfigError` where
        there is no such source or reporter."""

    def retirements(self, pipeline: str) -> list[Retirement]:
        """All that was said, in order."""
