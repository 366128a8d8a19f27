"""What the commands and pages ask of the ledger about replays: a Protocol, and the values that cross it."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from reconciler.core.replays import Replay
from reconciler.core.times import Micros


@dataclass(frozen=True, slots=True)
class ReplayAct:
    """What somebody did with a replay; never changed."""

    replay: str
    at: Micros
    act: Literal["plan", "start", "verify", "close"]
    author: str
    reason: str
    payload: dict[str, Any]
    """What came of it; JSON."""


class Replays(Protocol):
    """Who sends what again, and what people did about it."""

    def all(self, pipeline: str | None = None) -> list[Replay]:
        """Every replay that was ever planned (of this pipeline), the oldest first."""

    def find(self, replay: str) -> Replay | None:
        """The replay of this id."""

    def save(self, replay: Replay, act: ReplayAct) -> None:
        """Keep it as it is now, and add the act that made it so, in one transaction."""

    def acts(self, replay: str) -> list[ReplayAct]:
        """All that was done with one, in order."""
