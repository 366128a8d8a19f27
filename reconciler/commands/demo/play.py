"""The play: the story of 20 July 2021 as observations, recorded and judged tick by tick on a virtual clock."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

from reconciler.core.observations import Observation, parse
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND, Micros, floor_to, format_time
from reconciler.ports import Store
from reconciler.scenarios import Story, simulate
from reconciler.scenarios import load as load_story
from reconciler.service import judge_all
from reconciler.settings import Settings, load
from reconciler.store import open_store

CONFIG, OBSERVATIONS, LEDGER = "reconciler.yaml", "observations.ndjson", "reconciler.db"
"""What it leaves in its folder."""
Tick = tuple[Micros, list[dict[str, Any]]]
"""An instant, and the lines of the contract that say what is new."""

STORY = "SC-01a"
LASTS = 975
"""Minutes after the story's t0 at which the curtain falls: 11:00 UTC, when all that can still be deleted has been."""
PARTITIONS = 2
"""Of each queue: enough to be seen, few enough to be quick. They carry all of the story's events."""
PACE = (
    *((-3, 60), (30, 1), (40, 5)),
    *((420, 30), (425, 1), (435, 5)),
    *((870, 30), (882, 1), (910, 5), (LASTS, 30)),
)
"""Until which minute of the story it is judged every so many minutes: finely where much happens."""

SEQUENCE = "postgres:main/public.events_id_seq"
"""Every event that is processed takes a number out of it."""
FULL = 2**31 - 1
WIDENED = 2**63 - 1
"""Its limit once somebody has made the number a bigint, which is how processing came back."""
READ_EVERY = 5
"""Minutes between two readings of the sequence."""


def observations(story: Story) -> Iterator[dict[str, Any]]:
    """All that could be observed, in the order of `at`: counts, progress, queue samples, and the sequence."""
    told = simulate(story, until=LASTS, partitions=PARTITIONS)
    return merge(told, _sequence(story), key=itemgetter("at"))


def _sequence(story: Story) -> Iterator[dict[str, Any]]:
    """Readings of a sequence that is used up at t0: it gives a number to each event that the story processes."""
    rates = {minute: _processed(story, minute) for minute in range(story.first, LASTS)}
    used = FULL - sum(rate for minute, rate in rates.items() if minute < 0)
    widened = next(minute for minute, rate in rates.items() if minute >= 0 and rate)
    for minute, rate in rates.items():
        if minute % READ_EVERY == 0:
            yield {
                "type": "capacity",
                "at": format_time((story.t0 + 60 * minute) * SECOND),
                "resource": SEQUENCE,
                "used": used,
                "limit": FULL if minute < widened else WIDENED,
                "pipelines": sorted(story.queues),
            }
        used += rate


def _processed(story: Story, minute: int) -> int:
    """Events that are processed in this minute; before the first interval all is as in it."""
    interval = story.interval(minute) or story.intervals[0]
    return int(sum(interval.processed.values()))


def ticks(story: Story) -> list[Micros]:
    """When it is judged: after the first minute, and then at the pace."""
    t0 = story.t0 * SECOND
    instants = [t0 + (story.first + 1) * MINUTE]
    for until, step in PACE:
        while instants[-1] < t0 + until * MINUTE:
            instants.append(min(floor_to(instants[-1], step * MINUTE) + step * MINUTE, t0 + until * MINUTE))
    return instants


def taped(lines: Iterable[dict[str, Any]], file: Path, pipelines: Mapping[str, Pipeline]) -> Iterator[Observation]:
    """Write each line into the file and hand on what it says, read as any other file of observations is."""
    with file.open("w", encoding="utf-8") as tape:
        for line in lines:
            tape.write(json.dumps(line, separators=(",", ":")) + "\n")
            yield parse(line, pipelines)


@dataclass(slots=True)
class Play:
    """One performance in a folder that holds the configuration; its ledger is closed at the end."""

    folder: Path
    story: Story = field(init=False)
    settings: Settings = field(init=False)
    store: Store = field(init=False)
    instants: list[Micros] = field(init=False)
    """When it is judged."""
    observed: int = 0
    """Observations recorded so far."""

    def __enter__(self) -> Self:
        self.story = load_story(STORY)
        self.instants = ticks(self.story)
        # Without the environment: a variable that names somebody's real ledger must not lead the demo there.
        self.settings = load(self.folder / CONFIG, environment={})
        self.store = open_store(self.settings.ledger)
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def ticks(self) -> Iterator[Tick]:
        """At each instant record what has been seen by then and judge it; yields what is new."""
        pipelines = self.settings.pipelines
        coming = taped(observations(self.story), self.folder / OBSERVATIONS, pipelines)
        seen = next(coming, None)
        for now in self.instants:
            batch: list[Observation] = []
            while seen is not None and seen.at <= now:
                batch.append(seen)
                seen = next(coming, None)
            self.store.record(batch, pipelines)
            self.observed += len(batch)
            yield now, judge_all(self.store, pipelines, now, every=True)
