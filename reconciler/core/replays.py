"""Replays: who sends what again, by when, and how nothing counts twice; and what came of it, source by source.

A plan is made of the holes that are known at an instant, and kept as it was made. What came back is read from the cells
themselves, so that a replay that nobody announced counts too, and one that was announced and never came does not.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from reconciler.core.incidents import Condition
from reconciler.core.observations import QueueSample
from reconciler.core.pipelines import MISPLACED_WITHIN, Pipeline
from reconciler.core.senders import Sender, Way, sender_of
from reconciler.core.times import DAY, HOUR, Micros, format_duration, format_time

State = Literal["planned", "started", "closed"]
TICKET_BEFORE: Micros = 3 * DAY
"""What is still missing so long before it can be sent no more is a ticket."""
PAGE_BEFORE: Micros = 12 * HOUR
"""And so long before, it pages, where the pipeline has no `reaction` of its own."""


@dataclass(frozen=True, slots=True)
class Window:
    """Neighbouring buckets of a source in which events were lost."""

    start: Micros
    end: Micros
    """Exclusive."""
    events: int
    """Lost, or passed over by the consumer, when the plan was made."""
    kept: int = 0
    """Of them passed over, and still in the queue: reading again brings them back."""


@dataclass(frozen=True, slots=True)
class Rewind:
    """Where a consumer has to be set back to, in one partition."""

    queue: str
    partition: int
    first: int
    """The offset to read from: no record of the window lies before it, of those that can still be read."""
    end: int
    """The offset to stop before."""
    deleted: int
    """Records of the window that the queue has deleted meanwhile: they do not come back this way."""
    until: Micros | None
    """When the first of them is deleted; `None`: not known."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one source has to send again, for one hop."""

    hop: str
    """``from>to``."""
    source: str
    windows: tuple[Window, ...]
    way: Way | None
    """`None`: nobody has said how it can send again."""
    who: str = ""
    """What people call the sender."""
    contact: str = ""
    consent: bool = False
    """Each customer has to agree first."""
    identity: str = ""
    """The field by which copies are dropped; empty: nothing recognises them."""
    copies_until: Micros | None = None
    """Until when copies of what was processed the first time are still recognised; `None`: no end is known."""
    until: Micros | None = None
    """The last instant at which it can be sent again."""
    rewinds: tuple[Rewind, ...] = ()
    warnings: tuple[str, ...] = ()
    """What would go wrong if nobody looked."""
    state: State = "planned"
    label: str = ""
    """What the counts of the events that are sent again bear as `replay`."""

    @property
    def events(self) -> int:
        """Lost when the plan was made."""
        return sum(window.events for window in self.windows)

    @property
    def rule(self) -> str:
        """What keeps events from counting twice, in a sentence."""
        exactly = "send exactly these windows, or drop by source and accept time afterwards"
        if not self.identity:
            return f"nothing recognises copies: {exactly}"
        by_id = f"copies are dropped by {self.identity}"
        if self.copies_until is None:
            return by_id
        return f"{by_id} until {format_time(self.copies_until)}; later {exactly}"


@dataclass(frozen=True, slots=True)
class Replay:
    """Who sends what again, of one pipeline."""

    id: str
    pipeline: str
    created_at: Micros
    parts: tuple[Part, ...]

    @property
    def state(self) -> State:
        """Closed when all of it is."""
        states = {part.state for part in self.parts}
        return "closed" if states <= {"closed"} else "planned" if "started" not in states else "started"

    @property
    def due(self) -> Micros | None:
        """The first instant at which something of it can be sent no more."""
        known = (part.until for part in self.parts if part.until is not None and part.state != "closed")
        return min(known, default=None)


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of the replay of one source; events."""

    sent: int
    """Accepted under the label, as the first stage counted them."""
    recovered: int
    """Filled the hole that they were sent for."""
    already_there: int
    """Sent though they had been processed the first time, and dropped as copies: they count once."""
    dropped: int
    """Ended otherwise: filtered, rejected and so on."""
    duplicated: int
    """Processed a second time: they count twice until somebody removes them."""
    missing: int
    """Still lost in the windows, or passed over and not read again."""
    waiting: int
    """Neither processed nor lost, as far as is known: on the way, or in buckets of which too little is known."""
    unknown: int
    """Buckets of the windows of which nothing can be said."""
    live_accepted: int
    """Accepted in the windows the first time; what was sent again is not in it."""
    live_processed: int
    """Processed of that the first time."""

    @property
    def under_way(self) -> int:
        """Sent, and nothing was heard of them since."""
        return max(0, self.sent - self.recovered - self.already_there - self.dropped - self.duplicated)


def plan(
    pipeline: Pipeline,
    holes: Mapping[tuple[str, str], Sequence[Window]],
    senders: Sequence[Sender],
    samples: Sequence[QueueSample],
    now: Micros,
) -> Replay:
    """Who sends again what was lost; `holes` by hop and source, `samples` of the time of the holes and of late."""
    parts = tuple(
        _part(pipeline, hop, source, tuple(windows), sender_of(senders, source), samples, now)
        for (hop, source), windows in sorted(holes.items())
    )
    said = repr((pipeline.name, now, [(part.hop, part.source, part.windows) for part in parts]))
    name = f"replay-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    return Replay(name, pipeline.name, now, tuple(replace(part, label=name) for part in parts))


def _part(
    pipeline: Pipeline, hop: str, source: str, windows: tuple[Window, ...], sender: Sender | None,
    samples: Sequence[QueueSample], now: Micros,
) -> Part:  # fmt: skip
    kept = tuple(window for window in windows if window.kept)
    back = kept if sender is None or sender.way != Way.REWIND else windows
    rewinds = tuple(_rewinds(pipeline, hop, source, back, samples)) if back else ()
    if sender is None or (rewinds and all(window.kept == window.events for window in windows)):
        part = Part(hop, source, windows, Way.REWIND if rewinds else None, rewinds=rewinds)
    else:
        copies = None if sender.dedupe is None else windows[0].start + sender.dedupe
        deadlines = (sender.deadline(window.start) for window in windows)
        part = Part(
            hop, source, windows, sender.way, sender.name, sender.contact, sender.consent, sender.identity, copies,
            min((at for at in deadlines if at is not None), default=None),
        )  # fmt: skip
    ends = [one.until for one in rewinds if one.until is not None]
    ends += [] if part.until is None else [part.until]
    part = replace(part, rewinds=rewinds, until=min(ends, default=None))
    return replace(part, warnings=tuple(_warnings(pipeline, part, samples, now)))


def _warnings(pipeline: Pipeline, part: Part, samples: Sequence[QueueSample], now: Micros) -> Iterable[str]:
    if part.way is None:
        yield "nobody has said how this source can send again: add it to `senders` in the configuration"
    if part.until is not None and part.until <= now:
        yield f"it was to be sent again by {format_time(part.until)}; what is still missing is lost for good"
    if part.copies_until is not None and part.copies_until <= now:
        yield f"copies are recognised no more since {format_time(part.copies_until)}: what is sent twice counts twice"
    if part.way == Way.REWIND and not part.rewinds:
        yield "no queue that is sampled still holds these windows: there is nothing to set back to"
    elif deleted := sum(one.deleted for one in part.rewinds):
        yield f"{deleted:,} records of these windows are deleted already: they do not come back by reading again"
    if part.way == Way.REWIND:
        return
    age = now - part.windows[0].start
    for queue, kept in sorted(_retentions(pipeline, part.source, samples).items()):
        if age >= kept:
            yield (
                f"queue {queue} keeps {format_duration(kept)}, and these events are up to "
                f"{format_duration(_whole(age))} old: where retention looks at the time of the event, they are deleted "
                "again as soon as they are written. Raise the retention first, or let the broker stamp the time "
                "(message.timestamp.type=LogAppendTime)"
            )


def _whole(span: Micros) -> Micros:
    step = next((step for step in (DAY, HOUR) if span >= 2 * step), HOUR // 60)
    return span // step * step


def _latest(samples: Iterable[QueueSample]) -> dict[tuple[str, int], QueueSample]:
    return {(sample.queue, sample.partition): sample for sample in sorted(samples, key=lambda one: one.at)}


def _retentions(pipeline: Pipeline, source: str, samples: Sequence[QueueSample]) -> dict[str, Micros]:
    """By queue that carries the source: for how long its records were last said to stay."""
    found: dict[str, Micros] = {}
    for (name, _), sample in _latest(samples).items():
        if sample.retention is not None and pipeline.queue(name).carries(source):
            found[name] = min(sample.retention, found.get(name, sample.retention))
    return found


def _rewinds(
    pipeline: Pipeline, hop: str, source: str, windows: Sequence[Window], samples: Sequence[QueueSample]
) -> Iterable[Rewind]:
    """Where to set the consumer back to, as far as the queue still holds the windows; from the offsets alone."""
    start, end = windows[0].start, windows[-1].end + MISPLACED_WITHIN
    for (name, partition), last in sorted(_latest(samples).items()):
        queue = pipeline.queue(name)
        if queue.hop.part != hop or not queue.carries(source):
            continue
        own = [one for one in samples if (one.queue, one.partition, one.epoch) == (name, partition, last.epoch)]
        before = [one.end_offset for one in own if one.at <= start and one.end_offset is not None]
        after = [one.end_offset for one in own if one.at >= end and one.end_offset is not None]
        beyond = min(after, default=last.end_offset)
        if not before or beyond is None or last.start_offset is None or beyond <= last.start_offset:
            continue
        first = max(*before, last.start_offset)
        kept = None if last.retention is None else start + last.retention
        yield Rewind(name, partition, first, beyond, first - max(before), kept)


def changed(replay: Replay, parts: Iterable[Part]) -> Replay:
    """The replay with these parts in place of those of the same hop and source."""
    fresh = {(part.hop, part.source): part for part in parts}
    return replace(replay, parts=tuple(fresh.get((part.hop, part.source), part) for part in replay.parts))


@dataclass(frozen=True, slots=True)
class Due:
    """A part of a replay that can soon be sent no more, and what it still lacks."""

    replay: str
    source: str
    until: Micros
    missing: int


def is_near(until: Micros | None, now: Micros) -> bool:
    """Whether somebody should look at what is still missing."""
    return until is not None and until - now <= TICKET_BEFORE


def alarms(pipeline: Pipeline, dues: Iterable[Due], now: Micros) -> list[Condition]:
    """Replays whose deadline comes near, or is over, while events are missing: one condition a replay."""
    found: dict[str, list[Due]] = {}
    for due in dues:
        if due.missing and is_near(due.until, now):
            found.setdefault(due.replay, []).append(due)
    return [_alarm(pipeline, name, own, now) for name, own in sorted(found.items())]


def _alarm(pipeline: Pipeline, replay: str, dues: Sequence[Due], now: Micros) -> Condition:
    ahead = [due for due in dues if due.until > now]
    told = ahead or dues
    until = min(due.until for due in told) if ahead else max(due.until for due in told)
    names = sorted({due.source for due in told})
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    events = f"{sum(due.missing for due in told):,} events of {shown}"
    if not ahead:
        text = f"is over since {format_time(until)}: {events} were never sent again"
        return Condition(replay, "replay", "overdue", text, "ticket")
    text = f"still lacks {events}, which can be sent again until {format_time(until)}"
    urgent = until - now <= (PAGE_BEFORE if pipeline.reaction is None else pipeline.reaction)
    return Condition(replay, "replay", "overdue", text, "page" if urgent else "ticket", until)


def dump(replay: Replay) -> dict[str, Any]:
    """As plain values, to be kept."""
    return asdict(replay)


def restore(stored: Mapping[str, Any]) -> Replay:
    """What `dump` wrote."""
    parts = [
        Part(**part | {
            "windows": tuple(Window(**one) for one in part["windows"]),
            "way": None if part["way"] is None else Way(part["way"]),
            "rewinds": tuple(Rewind(**one) for one in part["rewinds"]),
            "warnings": tuple(part["warnings"]),
        })
        for part in stored["parts"]
    ]  # fmt: skip
    return Replay(**{**stored, "parts": tuple(parts)})
