"""Looks at queues, a row a partition and look. PostgreSQL keeps a table a pipeline and day, made ahead and dropped
whole; SQLite has one table, and removes rows.

What has no day of its own, such as looks of the past that are imported, lies in a table that is for all of them.
"""

from datetime import date

from sqlalchemy import Connection, MetaData, Table, func, select

from reconciler.core.times import DAY, Micros, to_datetime
from reconciler.store import tables

AHEAD = 2
"""Days that are ready before they begin: removing what is old, which makes them too, may fail for as long."""

_OTHER = tables.queue_sample.to_metadata(MetaData(), name="queue_sample_other")


def make(connection: Connection, pipeline: str, now: Micros) -> int:
    """Make ready the day of `now` and those after it; how many it made."""
    if connection.dialect.name != "postgresql":
        return 0
    days = [_day(now + number * DAY) for number in range(AHEAD + 1)]
    return sum(connection.execute(select(func.queue_sample_make(pipeline, day))).scalar_one() for day in days)


def drop(connection: Connection, pipeline: str, before: Micros, most: int) -> int:
    """Drop days that were over by `before`, the oldest first, at most so many; how many.

    A day that somebody reads stays until the next time: nobody is to wait for it.
    """
    if connection.dialect.name != "postgresql" or most <= 0:
        return 0
    found = connection.execute(select(func.queue_sample_drop(pipeline, _day(before), most))).scalar_one()
    return int(found)


def by_row(connection: Connection) -> Table:
    """The table of looks that are removed row by row."""
    return _OTHER if connection.dialect.name == "postgresql" else tables.queue_sample


def _day(at: Micros) -> date:
    return to_datetime(at).date()
