"""From a story file to a `Story`. Strict: what is not understood is an error that says where."""

from datetime import UTC, datetime
from pathlib import Path

import yaml

from reconciler.scenarios import checks, timeline
from reconciler.scenarios.sections import Section, StoryError, as_number, as_whole, written_out
from reconciler.scenarios.story import QueueSpec, Source, Story

_PROSE = ("earliest", "must_not", "assumptions", "oracle", "variant", "expect_text")  # for people only
_T0 = "2024-01-15T00:00:00Z"
_DAY = 1440
_SHIPPED = Path(__file__).parent / "stories"


def names() -> list[str]:
    """The stories that come with the package, by id."""
    return sorted(_as_id(path.stem) for path in _SHIPPED.glob("*.yaml"))


def load(name_or_path: str | Path) -> Story:
    """A shipped story by its id (`SC-01a`, in any case), or any file in the same format."""
    shipped, path = _SHIPPED / f"{str(name_or_path).lower()}.yaml", Path(name_or_path)
    chosen = shipped if shipped.is_file() else path
    if not chosen.is_file():
        raise StoryError(f"{name_or_path}: no such story; there are {', '.join(names())}")
    try:
        data = yaml.safe_load(chosen.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoryError(f"{name_or_path}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError) as error:  # PyYAML lets pass on what no calendar and no UTF-8 has
        raise StoryError(f"{name_or_path}: not YAML: {error}") from error
    except RecursionError:
        raise StoryError(f"{name_or_path}: is nested too deeply") from None
    return read(data, str(name_or_path))


def read(data: object, path: str) -> Story:
    """The story that this mapping describes; `path` stands in front of every complaint."""
    top = Section(data, path)
    for key in _PROSE:
        top.take(key, None)
    base = load(top.text("follows")) if top.has("follows") else None
    queues = {name: _queue(name, section) for name, section in top.named("queues").items()}
    sources = _sources(top, queues)
    entries = [(entry, entry.has("covers_accept_minutes")) for entry in top.sections("timeline")]
    replays = tuple(timeline.replay(entry, sources) for entry, again in entries if again)
    intervals = tuple(timeline.interval(entry, sources, queues) for entry, again in entries if not again)
    if base is not None:
        intervals = base.intervals + intervals
    if not intervals:
        raise StoryError(f"{path}.timeline: at least one interval is needed")
    ends = [entry.end for entry in intervals if entry.end is not None] + [entry.end for entry in replays]
    story = Story(
        id=top.text("id"),
        title=top.text("title"),
        t0=_instant(top.take("t0", _T0), f"{path}.t0"),
        sources=sources,
        queues=queues,
        intervals=intervals,
        replays=replays,
        queue_events=(base.queue_events if base else ())
        + tuple(timeline.queue_event(entry, queues) for entry in top.sections("events")),
        reporter_events=tuple(timeline.reporter_event(entry) for entry in top.sections("reporter_events")),
        clocks=tuple(timeline.clock(entry) for entry in top.sections("clocks")),
        reporters_by_source=top.texts("reporters_by_source"),
        declared=top.texts("reporters_declared"),
        bucket=top.whole("bucket_min", 1),
        history=top.whole("history_min", _DAY),
        until=top.whole("until", max((*ends, *(entry.start for entry in intervals)))),
        idle_every=top.whole("idle_every_min", 1),
        checkpoints=tuple(checks.checkpoint(entry) for entry in top.sections("queue_checkpoints")),
        expect=tuple(checks.expectation(entry) for entry in top.sections("expect")),
        never=tuple(checks.never(entry) for entry in top.sections("never")),
        soonest=tuple(checks.soonest(entry) for entry in top.sections("soonest")),
        totals=tuple(checks.total(entry) for entry in top.sections("totals")),
        deviations=top.texts("deviations"),
    )
    top.close()
    return story


def _as_id(stem: str) -> str:
    """`sc-01a` is the file of SC-01a."""
    head, _, tail = stem.partition("-")
    return f"{head.upper()}-{tail}"


def _instant(value: object, path: str) -> int:
    """Seconds since the epoch; YAML reads an unquoted time as a datetime already."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        seconds = int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise StoryError(f"{path}: not a time: {value!r}") from error
    if moment.tzinfo is None:
        raise StoryError(f"{path}: a time needs its zone: {value!r}")
    if seconds % 60:
        raise StoryError(f"{path}: a story begins at a whole minute: {value!r}")
    return seconds


def _queue(name: str, section: Section) -> QueueSpec:
    local = section.take("local_retention_min", None)
    spec = QueueSpec(
        name=name,
        partitions=section.whole("partitions", 1),
        retention=section.whole("retention_min"),
        policy=section.whole("policy_min"),
        segment=section.whole("segment_min", 5),
        sweep=section.whole("sweep_min", 5),
        local_retention=None if local is None else as_whole(local, f"{section.path}.local_retention_min"),
    )
    section.close()
    return spec


def _sources(top: Section, queues: dict[str, QueueSpec]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for key, section in top.named("sources").items():
        queue, rate = section.text("queue"), as_number(section.take("rate"), f"{section.path}.rate")
        if queue not in queues:
            raise StoryError(f"{section.path}.queue: there is no queue {queue!r}")
        lane = section.take("partitions", None)
        shape = tuple(as_number(value, path) / 100 for value, path in section.items("day_percent"))
        if len(shape) not in (0, 24):
            raise StoryError(f"{section.path}.day_percent: 24 numbers are needed, one for each hour")
        section.close()
        for name in written_out(key):
            found[name] = Source(name, queue, rate, _lane(lane, queues[queue], section.path), shape)
    if not found:
        raise StoryError(f"{top.path}.sources: at least one source is needed")
    return found


def _lane(value: object, queue: QueueSpec, path: str) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise StoryError(f"{path}.partitions: [first, last) is needed, not {value!r}")
    first, last = (as_whole(entry, f"{path}.partitions") for entry in value)
    if not 0 <= first < last <= queue.partitions:
        raise StoryError(f"{path}.partitions: {queue.name} has the partitions 0 to {queue.partitions - 1}")
    return first, last
