"""Where a bucket lies in the local week of each source: slot, hour of day, holidays, hours of a clock change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from reconciler.core.times import DAY, HOUR, MINUTE, Micros

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

WEEK: Micros = 7 * DAY
LEAST_SLOT: Micros = 5 * MINUTE
"""Slots of the week are no narrower than this; narrower buckets share one."""
EPOCH = date(1970, 1, 1)
_MONDAY: Micros = 3 * DAY
"""From the last Monday before the epoch to the epoch."""


def slot_width(width: Micros) -> Micros:
    """Width of the slots that buckets of this width are learned in."""
    return max(width, LEAST_SLOT) if LEAST_SLOT % width == 0 or width > LEAST_SLOT else width


@dataclass(slots=True)
class Moment:
    """One bucket, on the clock of each source; arrays have one entry a source."""

    slot: Ints
    """Slot of the local week, from Monday 00:00."""
    hour: Ints
    """Local hour of the day, 0 to 23."""
    holiday: Flags
    unclear: Flags
    """Within an hour of a clock change: neither judged nor learned."""


def offset_at(zone: tzinfo, instant: Micros) -> Micros:
    """How far the local clock is ahead of UTC."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
    offset = moment.astimezone(zone).utcoffset() or timedelta(0)
    return round(offset.total_seconds()) * 1_000_000


@dataclass(slots=True)
class Clocks:
    """Which clock each source lives by."""

    zones: list[tzinfo]
    """Each once."""
    index: Ints
    """By source: position of its zone."""

    @classmethod
    def of(cls, zones: Sequence[tzinfo]) -> "Clocks":
        """From the zone of each source."""
        distinct = {id(zone): zone for zone in zones}
        places = {key: number for number, key in enumerate(distinct)}
        return cls(list(distinct.values()), np.array([places[id(zone)] for zone in zones], np.int64))


def moment(bucket: Micros, width: Micros, clocks: Clocks, holidays: frozenset[date]) -> Moment:
    """Place a bucket on the clocks of all sources; each zone is asked once."""
    rows = [_place(bucket, width, zone, holidays) for zone in clocks.zones]
    picked = np.array(rows, np.int64).reshape(-1, 4)[clocks.index]
    return Moment(picked[:, 0], picked[:, 1], picked[:, 2] > 0, picked[:, 3] > 0)


def _place(bucket: Micros, width: Micros, zone: tzinfo, holidays: frozenset[date]) -> tuple[int, int, bool, bool]:
    offset = offset_at(zone, bucket)
    local = bucket + offset
    slot = (local + _MONDAY) % WEEK // slot_width(width)
    day = EPOCH + timedelta(days=local // DAY)
    return slot, local % DAY // HOUR, day in holidays, changing(zone, bucket, width)


def changing(zone: tzinfo, bucket: Micros, width: Micros) -> bool:
    """Whether the clock changes in this bucket or in the hour before: its hour comes twice, or not at all."""
    return len({offset_at(zone, at) for at in (bucket - HOUR, bucket, bucket + width)}) > 1


def sunday(slot: Ints, slots: int) -> Ints:
    """The same time of day, on Sunday."""
    a_day = slots // 7
    return slot % a_day + 6 * a_day
