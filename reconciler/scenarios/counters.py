"""Those who count: the reporters of the stages, their lives, silences and clocks, and the lines that they send."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from reconciler.scenarios.story import Minute, ReporterEvent, Story

Line: TypeAlias = dict[str, Any]  # one observation of the contract
Sent: TypeAlias = tuple[int, Line]  # with the second, since t0, at which the service learns it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=65536)
def rfc3339(seconds: int, micros: int = 0) -> str:
    """An instant since the Unix epoch as text, in UTC."""
    text = (_EPOCH + timedelta(seconds=seconds, microseconds=micros)).isoformat()
    return text.replace("+00:00", "Z")


def instant(t0: int, micros: int) -> str:
    """The instant so many microseconds behind t0."""
    return rfc3339(t0 + micros // 1_000_000, micros % 1_000_000)


class Stage:
    """The counters of one stage of one pipeline."""

    def __init__(
        self, story: Story, pipeline: str, name: str, outcome: str, bucket: Minute, sources: list[str]
    ) -> None:
        self._story = story
        self._pipeline = pipeline
        self._name = name
        self.outcome = outcome  # of what this stage counts by default
        self._width = 60 * bucket
        self._by_source = name in story.reporters_by_source
        own = sources if self._by_source else [f"{name}-1"]
        self._lives = dict.fromkeys(own, 1)
        self._events: dict[str, list[ReporterEvent]] = {reporter: [] for reporter in own}
        for event in story.reporter_events:
            if event.stage == name and event.reporter in self._events:
                self._events[event.reporter].append(event)
        self._clocks = [clock for clock in story.clocks if clock.stage == name]
        self._counts: dict[tuple[str, ...], int] = {}
        self._unsent: dict[str, dict[tuple[str, ...], None]] = {reporter: {} for reporter in own}

    def count(self, now: Minute, source: str, bucket: Minute, events: int, outcome: str = "", replay: str = "") -> None:
        """Count events of this accept minute, in the minute `now`, with the clock that the stage has now."""
        for stamped, share in self._stamped(now, bucket, events):
            reporter = source if self._by_source else f"{self._name}-1"
            start = (self._story.t0 + 60 * stamped) // self._width * self._width
            life = self._life(reporter)
            key = (rfc3339(start), source, outcome or self.outcome, life, replay)
            self._counts[key] = self._counts.get(key, 0) + share
            self._unsent[reporter][key] = None

    def counts_at(self, now: Minute) -> Iterator[Sent]:
        """All readings that changed and can be sent at this instant."""
        for reporter, unsent in self._unsent.items():
            delay = self._delay(reporter, now)
            if delay is None:
                continue
            for key in sorted(unsent):
                yield 60 * (now + delay), self._count_line(key, now + delay)
            unsent.clear()

    def progress_at(self, now: Minute) -> Iterator[Sent]:
        """What the living say at this instant, and the last word of those whose life ends in it."""
        for reporter in self._lives:
            for event in self._events[reporter]:
                if event.action == "restart" and event.start == now:
                    if event.orderly:
                        yield 60 * now, self._progress_line(self._life(reporter), now, now, final=True)
                    self._lives[reporter] += 1
            delay = self._delay(reporter, now)
            if delay is not None:
                yield 60 * (now + delay), self._progress_line(self._life(reporter), now + delay, now)

    def _life(self, reporter: str) -> str:
        """A process that starts again is a new reporter."""
        life = self._lives[reporter]
        return reporter if life == 1 else f"{reporter}#{life}"

    def _delay(self, reporter: str, now: Minute) -> Minute | None:
        """How late the reporter is with what it knows at this instant; None: it says nothing."""
        delay = 0
        for event in self._events[reporter]:
            if event.start < now and (event.end is None or now <= event.end):
                if event.action == "silent":
                    return None
                if event.action == "late":
                    delay = event.minutes
        return delay

    def _stamped(self, now: Minute, bucket: Minute, events: int) -> list[tuple[Minute, int]]:
        """The minutes in which a clock that is ahead puts events that came evenly over their minute."""
        offset = sum(clock.offset for clock in self._clocks if clock.start <= now < clock.end)
        if not offset:
            return [(bucket, events)]
        ahead, seconds = divmod(offset, 60)
        later = events * seconds // 60
        return [(bucket + ahead, events - later), (bucket + ahead + 1, later)]

    def _count_line(self, key: tuple[str, ...], at: Minute) -> Line:
        bucket, source, outcome, reporter, replay = key
        line = {
            "type": "count",
            "at": rfc3339(self._story.t0 + 60 * at),
            "pipeline": self._pipeline,
            "stage": self._name,
            "source": source,
            "bucket": bucket,
            "count": self._counts[key],
            "outcome": outcome,
            "reporter": reporter,
        }
        return line | {"replay": replay} if replay else line

    def _progress_line(self, reporter: str, at: Minute, through: Minute, *, final: bool = False) -> Line:
        line: Line = {
            "type": "progress",
            "at": rfc3339(self._story.t0 + 60 * at),
            "pipeline": self._pipeline,
            "stage": self._name,
            "reporter": reporter,
            "through": rfc3339(self._story.t0 + 60 * through),
        }
        return line | {"final": True} if final else line
