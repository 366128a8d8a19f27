"""What truly became of the events: the ledger that a detector has to find out, kept by the simulator itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from reconciler.scenarios.story import Minute

Name = tuple[str, Minute]  # source and accept minute


@dataclass(frozen=True)
class Parts:
    """One cell at one instant, in events. What was sent again and known to be stored is in none of them."""

    accepted: int
    processed: int
    accounted: int
    retained: int  # unread, in the queue
    working: int  # read, and processed later
    passed_over: int  # behind the consumer, not processed, still in the queue
    lost: int
    surplus: int


@dataclass(slots=True)
class Cell:
    """The records of one source and accept minute, while the run goes on."""

    accepted: int = 0
    coming: int = 0  # accepted, on the way to the queue
    written: int = 0
    left: int = 0  # records that are no longer unread: read, passed over or deleted
    processed: int = 0  # as counted: copies count
    accounted: int = 0
    handled: int = 0  # records that were processed or accounted for
    working: int = 0
    passed: int = 0
    gone: int = 0  # deleted without having been processed
    again: int = 0  # new events of replays

    def parts(self) -> Parts:
        """The parts add up: accepted is the sum of all others but surplus, less surplus."""
        missing = self.accepted - self.coming - self.written + self.gone
        copies = self.processed + self.accounted - self.handled
        return Parts(
            accepted=self.accepted,
            processed=self.processed + self.again,
            accounted=self.accounted,
            retained=self.written - self.left,
            working=self.working + self.coming,
            passed_over=self.passed,
            lost=max(0, missing - self.again),
            surplus=copies + max(0, self.again - missing),
        )


@dataclass
class Cells:
    """All cells, and which of them changed since somebody looked."""

    _cells: dict[Name, Cell] = field(default_factory=dict)
    _changed: dict[Name, None] = field(default_factory=dict)

    def at(self, source: str, bucket: Minute) -> Cell:
        """The cell, to be changed."""
        name = (source, bucket)
        self._changed[name] = None
        found = self._cells.get(name)
        if found is None:
            found = self._cells[name] = Cell()
        return found

    def stored(self, source: str, bucket: Minute) -> int:
        """Events of the cell that were processed when they came first."""
        found = self._cells.get((source, bucket))
        return 0 if found is None else found.processed

    def drain(self) -> list[tuple[Name, Parts]]:
        """The changed cells as they are now."""
        changed = [(name, self._cells[name].parts()) for name in self._changed]
        self._changed.clear()
        return changed


class Meter:
    """Whole numbers out of exact rates: what is left of one minute is carried over to the next."""

    def __init__(self, phases: dict[str, Fraction] | None = None) -> None:
        self._phases = phases or {}
        self._carried: dict[object, Fraction] = {}

    def take(self, key: object, amount: Fraction) -> int:
        if amount.denominator == 1:  # nothing to carry, and by far the most usual
            return amount.numerator
        carried = self._carried.get(key)
        if carried is None:
            carried = self._phases.get(str(key), Fraction(0))
        carried += amount
        whole = int(carried)
        self._carried[key] = carried - whole
        return whole


def evenly(names: list[str]) -> dict[str, Fraction]:
    """Phases that let the fractions of many sources fall into different minutes."""
    return {name: Fraction(index, len(names)) for index, name in enumerate(names)}


Observer = Callable[[Minute, list[tuple[Name, Parts]]], None]
