"""When each duty is asked: on a grid since the epoch, one at a time, what was missed only once."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from reconciler.core.times import SECOND, Micros

GRID = datetime(1970, 1, 1, tzinfo=UTC)


class Timetable:
    """Calls functions again and again, each in a thread of a pool."""

    def __init__(self, threads: int) -> None:
        # That a duty still runs when it is due again is told by a meter; the library would say so each time.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(threads)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def add(self, name: str, every: Micros, work: Callable[[], None]) -> None:
        """Call at each multiple of `every`."""
        trigger = IntervalTrigger(seconds=every / SECOND, start_date=GRID, timezone=UTC)
        self._scheduler.add_job(work, trigger, id=name)

    def at_once(self, name: str, work: Callable[[], None]) -> None:
        """Call once, now."""
        self._scheduler.add_job(work, id=f"{name} at once", replace_existing=True)

    def start(self) -> None:
        """Begin to call."""
        self._scheduler.start()

    def stop(self) -> None:
        """Call no more; what runs goes on."""
        self._scheduler.shutdown(wait=False)
