"""The day against its objective: how many events may be missing, and how many are."""

from dataclasses import dataclass
from functools import total_ordering
from typing import Any

from reconciler.reports.rows import Row

WAITING = ("late", "at_risk", "undetermined")


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    """What an objective allows on a day, and what is left of it; the worse one is the lesser."""

    objective: float
    allowed: int
    """Events that may be missing."""
    lost: int
    waiting: int
    """Not lost yet: late, at risk, or of cells that are unknown."""
    unknown: int
    """Cells of which nothing is known."""
    accepted: int

    @property
    def spent(self) -> float | None:
        """Share of what is allowed that is lost; above 1: missed. None where nothing is allowed."""
        return self.lost / self.allowed if self.allowed else None

    @property
    def word(self) -> str:
        """`met`, `missed`, or `open`: what waits or is not known decides. `nothing` was accepted."""
        if self.lost > self.allowed:
            return "missed"
        if self.unknown or self.lost + self.waiting > self.allowed:
            return "open"
        return "met" if self.accepted else "nothing"

    def __lt__(self, other: "Budget") -> bool:
        return self.allowed - self.lost - self.waiting < other.allowed - other.lost - other.waiting

    def record(self) -> dict[str, Any]:
        """For programs."""
        amounts = {"allowed": self.allowed, "lost": self.lost, "waiting": self.waiting, "unknown": self.unknown}
        return {"objective": self.objective, "result": self.word, **amounts, "spent": self.spent}


def budget(objective: float, total: Row | None) -> Budget:
    """How the sum of a hop stands against an objective."""
    if total is None:
        return Budget(objective, 0, 0, 0, 0, 0)
    amounts = total.amounts
    # Rounded first: 1 − 0.9999 is a little more than 0.0001 in binary, and the allowance a little less than it should.
    allowed = int(round(1 - objective, 12) * amounts["accepted"] + 1e-6)
    waiting = sum(amounts[name] for name in WAITING)
    return Budget(objective, allowed, amounts["lost"], waiting, total.unknown, amounts["accepted"])
