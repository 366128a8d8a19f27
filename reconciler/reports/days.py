"""A day as people live it: from midnight to midnight of a zone, 23, 24 or 25 hours long."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from reconciler.core.times import HOUR, Micros, from_datetime, to_datetime


@dataclass(frozen=True, slots=True)
class Day:
    """A local date. A bucket belongs to the day in which it starts."""

    date: date
    zone: tzinfo = UTC

    @property
    def start(self) -> Micros:
        """Its first instant."""
        return from_datetime(datetime.combine(self.date, time.min, self.zone).astimezone(UTC))

    @property
    def end(self) -> Micros:
        """The first instant of the next day."""
        return self.before(-1).start

    @property
    def span(self) -> tuple[Micros, Micros]:
        """From its first instant until before the next day."""
        return self.start, self.end

    @property
    def zone_name(self) -> str:
        """As people configure it."""
        return zone_name(self.zone)

    @property
    def hours(self) -> list[Micros]:
        """Starts of its hours."""
        return list(range(self.start, self.end, HOUR))

    def before(self, days: int) -> "Day":
        """The day so many days earlier."""
        return Day(self.date - timedelta(days=days), self.zone)

    def local(self, instant: Micros) -> datetime:
        """The instant by the clock of the zone."""
        return to_datetime(instant).astimezone(self.zone)


def zone_name(zone: tzinfo) -> str:
    """The name of a zone as it is configured."""
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


def day_of(instant: Micros, zone: tzinfo = UTC) -> Day:
    """The day that holds an instant."""
    return Day(to_datetime(instant).astimezone(zone).date(), zone)
