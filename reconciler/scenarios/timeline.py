"""The entries of a story's timeline and its events, each from one section of the file."""

from fractions import Fraction

from reconciler.scenarios.sections import Section, StoryError, as_number, as_whole, expand
from reconciler.scenarios.story import (
    Clock,
    Interval,
    Minute,
    QueueEvent,
    QueueSpec,
    Rates,
    Replay,
    ReporterEvent,
    Retry,
    Source,
)

_ONE = Fraction(1)


def interval(section: Section, sources: dict[str, Source], queues: dict[str, QueueSpec]) -> Interval:
    """One interval. What is not said is as it should be: accepted at the usual rate, all written, all processed."""
    start, end = section.whole("from"), section.whole_or_none("to", ...)
    if end is not None and end <= start:
        raise StoryError(f"{section.path}: it ends before it begins")
    factor = as_number(section.take("factor", 1), f"{section.path}.factor")
    accepted = {name: source.rate * factor for name, source in sources.items()} | section.numbers("accepted", sources)
    appended = accepted | _of_queues(section, sources, accepted) | section.numbers("appended", sources)
    rejected = dict.fromkeys(sources, Fraction(0)) | section.numbers("rejected", sources)
    due = {name: max(appended[name] - rejected[name], Fraction(0)) for name in sources}
    processed = due | section.numbers("processed", sources)
    handled = {name: processed[name] + rejected[name] for name in sources}
    for key in ("edge_rejects", "edge_generated"):  # a total for people; `edge` says it by source
        section.take(key, None)
    entry = Interval(
        start=start,
        end=end,
        accepted=accepted,
        processed=processed,
        rejected=rejected,
        read=handled | section.numbers("read", sources),
        appended=appended,
        edge=accepted | section.numbers("edge", sources),
        retention=_wholes(section, "retention_min", queues),
        partitions=_wholes(section, "partitions", queues),
        retried=_retries(section, sources),
        latency=section.whole("latency_s", 0),
        note=section.text("note", ""),
    )
    section.close()
    return entry


def replay(section: Section, sources: dict[str, Source]) -> Replay:
    """One sender's second sending of past minutes."""
    start, end, source = section.whole("from"), section.whole("to"), section.text("source")
    if source not in sources:
        raise StoryError(f"{section.path}.source: there is no source {source!r}")
    covers = section.take("covers_accept_minutes")
    if not isinstance(covers, list) or len(covers) != 2:
        raise StoryError(f"{section.path}.covers_accept_minutes: [first, last) is needed, not {covers!r}")
    first, last = (as_whole(entry, f"{section.path}.covers_accept_minutes") for entry in covers)
    section.text("note", "")
    entry = Replay(
        start=start,
        end=end,
        source=source,
        covers=(first, last),
        accepted=section.whole("accepted"),
        deduplicated=section.whole("expected_dedup"),
        new=section.whole("expected_new"),
        label=section.text("label", f"{source}@{start}"),
    )
    section.close()
    if entry.accepted != entry.deduplicated + entry.new:
        raise StoryError(f"{section.path}: accepted is not expected_dedup + expected_new")
    if entry.accepted and (end <= start or last <= first):
        raise StoryError(f"{section.path}: it takes no time, or covers none")
    return entry


def queue_event(section: Section, queues: dict[str, QueueSpec]) -> QueueEvent:
    """What is done to a queue.

    `{t: 875, queue: batch, reset: newest}`, `{t: 30, queue: q, partition: 2, skip_to: 30}`,
    `{from: 10, to: 210, queue: buf, purge: true}`.
    """
    start, end = _span(section)
    queue, partition = section.text("queue"), section.whole_or_none("partition")
    if queue not in queues:
        raise StoryError(f"{section.path}.queue: there is no queue {queue!r}")
    reset, skip, purge = section.take("reset", None), section.whole_or_none("skip_to"), section.take("purge", None)
    section.close()
    if [reset is not None, skip is not None, purge is not None].count(True) != 1:
        raise StoryError(f"{section.path}: one of reset, skip_to and purge is needed")
    if reset is not None and reset not in ("newest", "oldest"):
        raise StoryError(f"{section.path}.reset: newest or oldest, not {reset!r}")
    if purge is not None and purge is not True:
        raise StoryError(f"{section.path}.purge: true is needed, not {purge!r}")
    action = "skip" if skip is not None else (str(reset) if reset is not None else "purge")
    return QueueEvent(start, end, queue, partition, action, skip or 0)


def reporter_event(section: Section) -> ReporterEvent:
    """`{stage: processed, reporter: processed-1, silent: [10, 40]}`, `… late: [10, 40], minutes: 5`, `… restart: 30`"""
    stage, reporter = section.text("stage"), section.text("reporter")
    chosen = [key for key in ("silent", "late", "restart") if section.has(key)]
    if len(chosen) != 1:
        raise StoryError(f"{section.path}: one of silent, late and restart is needed")
    action = chosen[0]
    if action == "restart":
        event = ReporterEvent(
            stage, reporter, action, section.whole("restart"), orderly=bool(section.take("orderly", True))
        )
    else:
        bounds = section.take(action)
        if not isinstance(bounds, list) or len(bounds) != 2:
            raise StoryError(f"{section.path}.{action}: [from, to) is needed, not {bounds!r}")
        end = None if bounds[1] is None else as_whole(bounds[1], f"{section.path}.{action}[1]")
        minutes = section.whole("minutes") if action == "late" else 0
        event = ReporterEvent(stage, reporter, action, as_whole(bounds[0], f"{section.path}.{action}[0]"), end, minutes)
    section.close()
    return event


def clock(section: Section) -> Clock:
    """`{stage: processed, from: 30, to: 90, offset_s: 90}`"""
    start, end = _span(section)
    entry = Clock(section.text("stage"), start, end, section.whole("offset_s"))
    section.close()
    if entry.offset < 0:
        raise StoryError(f"{section.path}.offset_s: only a clock that is ahead can be told")
    return entry


def _span(section: Section) -> tuple[Minute, Minute]:
    """`t: 875` is the one minute; else `from` and `to`."""
    if section.has("t"):
        start = section.whole("t")
        return start, start + 1
    return section.whole("from"), section.whole("to")


def _of_queues(section: Section, sources: dict[str, Source], accepted: Rates) -> Rates:
    """`queue_appended: {broker: 0}`: what reaches a queue, shared among its sources as they were accepted."""
    found: Rates = {}
    for queue, total in section.numbers("queue_appended", {source.queue for source in sources.values()}).items():
        own = [name for name, source in sources.items() if source.queue == queue]
        whole = sum((accepted[name] for name in own), Fraction(0))
        found |= {name: accepted[name] * total / whole if whole else Fraction(0) for name in own}
    return found


def _wholes(section: Section, key: str, queues: dict[str, QueueSpec]) -> dict[str, int]:
    path = f"{section.path}.{key}"
    entries = expand(section.take(key, None) or {}, tuple(queues), path)
    return {name: as_whole(value, f"{path}.{name}") for name, value in entries.items()}


def _retries(section: Section, sources: dict[str, Source]) -> dict[str, Retry]:
    """`retried: {all: {percent: 10, after_min: 60, stamp: processing}}`"""
    found = {}
    for name, entry in section.named("retried").items():
        share = as_number(entry.take("percent"), f"{entry.path}.percent") / 100
        stamp = entry.text("stamp", "accept")
        if name not in sources or share > _ONE or stamp not in ("accept", "processing"):
            raise StoryError(f"{entry.path}: a source, up to 100 percent, stamp accept or processing")
        found[name] = Retry(share, entry.whole("after_min"), stamp)
        entry.close()
    return found
