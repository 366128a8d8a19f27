"""What would have been known when with other settings: the recorded past once more through the engine, and compared.

Nothing is written. The engine sees at each tick what had come in by then, as it was recorded, and judges by the other
settings; what it says is held against what was really said.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter
from typing import Any

from reconciler.backtest import backtest
from reconciler.core.observations import Capacity, Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, NEVER, Micros, format_duration, format_time, parse_time, time_of
from reconciler.errors import ConfigError
from reconciler.forensics.inquiry import AFTER, Investigation
from reconciler.forensics.standing import WAYS
from reconciler.reports.maker import maker
from reconciler.serving import ServiceStore

WARM: Micros = 2 * DAY
"""The engine begins so long before the window, to know what lag is usual. Volume takes weeks and is not judged anew."""
Key = tuple[str, str, str]
"""Pipeline, kind of incident or way of events, and what it is about: a hop, a queue, a resource."""


@dataclass(frozen=True, slots=True)
class Difference:
    """When the same thing was first said, and when it would have been."""

    pipeline: str
    kind: str
    about: str
    then: Micros | None
    """None: never."""
    otherwise: Micros | None
    severity: str = ""
    """As it was told; empty: no incident."""
    severity_otherwise: str = ""

    @property
    def text(self) -> str:
        """In words."""
        if self.then is None or self.otherwise is None:
            how = "would not have been said" if self.otherwise is None else "would have been said"
        elif self.then == self.otherwise:
            how = "at the same time"
        else:
            earlier = self.otherwise < self.then
            how = f"{format_duration(self.then - self.otherwise)} {'earlier' if earlier else 'later'}"
        if self.then is not None and self.otherwise is not None and self.severity != self.severity_otherwise:
            how += f", as {self.severity_otherwise} and not as {self.severity}"
        return how

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "pipeline": self.pipeline,
            "kind": self.kind,
            "about": self.about,
            "said_at": time_of(self.then),
            "otherwise_at": time_of(self.otherwise),
            "severity": self.severity or None,
            "severity_otherwise": self.severity_otherwise or None,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Both time lines, compared."""

    name: str
    """Of the other settings."""
    made_by: dict[str, str]
    observations: int
    """So many went through the engine."""
    since: Micros
    """The first of them."""
    tick: Micros
    differences: list[Difference]
    lost: dict[str, tuple[int, int]]
    """By pipeline: events of the window that are lost, as was said and otherwise."""

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "settings": self.name,
            "made_by": self.made_by,
            "observations": self.observations,
            "since": format_time(self.since),
            "tick": self.tick // 1_000_000,
            "differences": [one.record() for one in self.differences],
            "lost": {name: {"said": was, "otherwise": now} for name, (was, now) in self.lost.items()},
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"what would have been known when with {self.name}"
        yield (
            f"  {self.observations:,} observations since {format_time(self.since)}, judged anew every "
            f"{format_duration(self.tick)}; volume is not judged anew"
        )
        for one in self.differences:
            about = f" ({one.about})" if one.about else ""
            said, otherwise = (_when(at) for at in (one.then, one.otherwise))
            yield f"  {one.pipeline}: {one.kind.replace('_', ' ')}{about}: {said} -> {otherwise}: {one.text}"
        for name, (was, now) in self.lost.items():
            yield f"  {name}: {was:,} events of the window lost, as was said; {now:,} otherwise"


def _when(at: Micros | None) -> str:
    return "never" if at is None else format_time(at)


def what_if(
    store: ServiceStore, looked: Investigation, other: Sequence[Pipeline], name: str, tick: Micros,
    advance: Callable[[int], None] = lambda _: None,
) -> WhatIf:  # fmt: skip
    """Judge the recorded past by the settings of `other`; `looked` is what was really said."""
    pipelines = [_fitting(other, found.pipeline, name) for found in looked.found]
    kept = max((store.horizon(pipeline).detail for pipeline in pipelines), default=0)
    first = max(looked.start - WARM, kept)
    last = min(looked.end + AFTER, NEVER if looked.as_of is None else looked.as_of)
    judged = max((store.judged_at(pipeline) or 0 for pipeline in pipelines), default=0)
    seen = _Seen(_merged(store, pipelines, first, min(last, judged)), advance)
    told = _Told((looked.start, looked.end))
    for line in backtest(seen, {one.name: one for one in pipelines}, tick=tick, until=min(last, judged)):
        told.take(line)
    was = _said(looked)
    differences = [
        Difference(*key, was.get(key, _NEVER)[0], told.first.get(key, _NEVER)[0], was.get(key, _NEVER)[1],
                   told.first.get(key, _NEVER)[1])
        for key in sorted(was.keys() | told.first.keys(), key=lambda key: (_order(was, told.first, key), key))
    ]  # fmt: skip
    before = {one.pipeline.name: sum(hop.bounds().inferred for hop in one.losses) for one in looked.found}
    lost = {pipeline: (before[pipeline], told.lost(pipeline)) for pipeline in before}
    return WhatIf(name, maker(pipelines), seen.count, seen.first, tick, differences, lost)


_NEVER: tuple[Micros | None, str] = (None, "")


def _order(was: dict[Key, tuple[Micros, str]], now: dict[Key, tuple[Micros, str]], key: Key) -> Micros:
    return min(found[key][0] for found in (was, now) if key in found)


def _fitting(other: Sequence[Pipeline], recorded: Pipeline, name: str) -> Pipeline:
    found = next((one for one in other if one.name == recorded.name), None)
    if found is None:
        raise ConfigError(f"{name}: has no pipeline {recorded.name!r}; what was recorded of it cannot be judged anew")
    if found.width != recorded.width:
        raise ConfigError(
            f"{name}: pipelines.{found.name}.bucket is {format_duration(found.width)}, but it was counted in "
            f"buckets of {format_duration(recorded.width)}; counts cannot be cut anew"
        )
    return found


def _merged(
    store: ServiceStore, pipelines: Sequence[Pipeline], first: Micros, last: Micros
) -> Iterator[Observation]:  # fmt: skip
    """What was recorded of all pipelines, in order of `at`; a capacity that several depend on comes once."""
    own = [_known(pipeline, store.observations(pipeline, first, last)) for pipeline in pipelines]
    instant, told = 0, set[str]()
    for seen in merge(*own, key=attrgetter("at")):
        if isinstance(seen, Capacity):
            if seen.at != instant:
                instant, told = seen.at, set()
            if seen.resource in told:
                continue
            told.add(seen.resource)
        yield seen


def _known(pipeline: Pipeline, recorded: Iterable[Observation]) -> Iterator[Observation]:
    """Without the counts of stages that the other settings do not have."""
    for seen in recorded:
        if not isinstance(seen, Count | Progress) or seen.stage in pipeline.stages:
            yield seen


@dataclass(slots=True)
class _Seen:
    """Counts what goes by."""

    source: Iterable[Observation]
    advance: Callable[[int], None]
    count: int = 0
    first: Micros = 0

    def __iter__(self) -> Iterator[Observation]:
        for seen in self.source:
            self.first = self.first or seen.at
            self.count += 1
            if self.count % 1000 == 0:
                self.advance(1000)
            yield seen


@dataclass(slots=True)
class _Told:
    """What the engine said with the other settings."""

    span: tuple[Micros, Micros]
    first: dict[Key, tuple[Micros, str]] = field(default_factory=dict)
    cells: dict[tuple[str, str, str, str], tuple[int, ...]] = field(default_factory=dict)
    """By pipeline, hop, source and bucket: events by `WAYS`."""

    def take(self, line: dict[str, Any]) -> None:
        """Note a line of the backtest."""
        if line["type"] == "incident":
            if _concerns(line, self.span):
                self.first.setdefault(_key(line), (parse_time(line["at"]), str(line["severity"])))
            return
        if not self.span[0] <= parse_time(line["bucket"]) < self.span[1]:
            return
        amounts = _ways(line)
        hop = f"{line['from_stage']}>{line['to_stage']}"
        self.cells[line["pipeline"], hop, line["source"], line["bucket"]] = amounts
        for way, amount in zip(WAYS, amounts, strict=True):
            if amount:
                self.first.setdefault((line["pipeline"], f"events {way}", hop), (parse_time(line["at"]), ""))

    def lost(self, pipeline: str) -> int:
        """Events of the window that are lost in the end."""
        return sum(amounts[-1] for key, amounts in self.cells.items() if key[0] == pipeline)


def _ways(line: dict[str, Any]) -> tuple[int, ...]:
    """Where the missing events of a cell are said to be, as in `standing`."""
    waiting = line["retained"] + line["in_flight"] + line["unproven"]
    delayed = waiting if line["verdict"] == "delayed" else 0
    risk = line["passed_over"] + (line["retained"] if line["verdict"] == "at_risk" else 0)
    return delayed * line["proven"], delayed * (not line["proven"]), risk, line["lost"]


def _key(line: dict[str, Any]) -> Key:
    about = line.get("subject") or f"{line.get('from_stage')}>{line.get('to_stage')}"
    return str(line["pipeline"]), str(line["kind"]), str(about)


def _concerns(line: dict[str, Any], span: tuple[Micros, Micros]) -> bool:
    """Whether it has to do with the window, or stands when it begins."""
    covers = parse_time(line["from"]) < span[1] and parse_time(line["to"]) > span[0]
    return covers or ("subject" in line and parse_time(line["at"]) < span[1])


def _said(looked: Investigation) -> dict[Key, tuple[Micros, str]]:
    """When each thing was first said."""
    found: dict[Key, tuple[Micros, str]] = {}
    for one in looked.found:
        for changes in one.incidents:
            at, severity = parse_time(changes[0]["at"]), str(changes[0]["severity"])
            key = _key(changes[0])
            if key not in found or at < found[key][0]:
                found[key] = at, severity
        for standing in one.standing:
            for way, amount in standing.events.items():
                if amount:
                    found.setdefault((one.pipeline.name, f"events {way}", standing.hop), (standing.at, ""))
    return found
