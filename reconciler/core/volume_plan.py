"""What the user says about volume: clocks, days off, planned work, and how many false alarms are bearable."""

from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from fnmatch import fnmatchcase

from reconciler.core.times import Micros


@dataclass(frozen=True, slots=True)
class Planned:
    """Work that was announced: what comes, or does not come, is neither judged nor learned."""

    since: Micros
    until: Micros
    sources: tuple[str, ...] = ("*",)
    """Patterns."""

    def covers(self, source: str, bucket: Micros, width: Micros) -> bool:
        """Whether it touches this bucket of the source."""
        touched = bucket + width > self.since and bucket < self.until
        return touched and any(fnmatchcase(source, pattern) for pattern in self.sources)


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """How the volume of a pipeline is judged."""

    budget: float = 1.0
    """False alarms a month that all sources of the pipeline together may cause."""
    zone: tzinfo = UTC
    """The clock that the senders live by."""
    zones: tuple[tuple[str, tzinfo], ...] = ()
    """By pattern of the source's name; the first that fits holds."""
    holidays: frozenset[date] = frozenset()
    """Local dates that resemble a Sunday."""
    planned: tuple[Planned, ...] = ()

    def zone_of(self, source: str) -> tzinfo:
        """The clock of this source."""
        return next((zone for pattern, zone in self.zones if fnmatchcase(source, pattern)), self.zone)
