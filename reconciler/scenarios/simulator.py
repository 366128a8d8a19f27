"""Runs a story minute by minute and tells what could have been observed.

In each minute: events are accepted and written, the queue deletes what is due at the minute's end, and the consumer
reads. All numbers are whole and exact; there is no chance in it, so the same story gives the same lines.
"""

import heapq
from collections.abc import Iterator
from fractions import Fraction

from reconciler.scenarios.cells import Observer
from reconciler.scenarios.counters import Line, Sent, instant, rfc3339
from reconciler.scenarios.options import Options
from reconciler.scenarios.pipeline import Pipeline
from reconciler.scenarios.queues import Partition
from reconciler.scenarios.story import Minute, Story

_REPLICAS = 2


def simulate(
    story: Story,
    *,
    until: Minute | None = None,
    latency_minutes: int = 0,
    sample_offset_seconds: int = 0,
    append_delay_minutes: int = 0,
    partitions: int | None = None,
    scale: float | Fraction = 1,
    bucket_minutes: int | None = None,
    edge: bool = False,
) -> Iterator[Line]:
    """The observations of the story in the order of `at`, from its history to the instant `until` (see `Options`)."""
    options = Options(
        until=until,
        latency_minutes=latency_minutes,
        sample_offset_seconds=sample_offset_seconds,
        append_delay_minutes=append_delay_minutes,
        partitions=partitions,
        scale=Fraction(str(scale)),
        bucket_minutes=bucket_minutes,
        edge=edge,
    )
    return run(story, options)


def run(story: Story, options: Options, observer: Observer | None = None) -> Iterator[Line]:
    """As `simulate`; the observer is told at each instant which cells changed, and how they truly stand."""
    pipelines = [Pipeline(story, name, options) for name in story.queues]
    until = story.until if options.until is None else options.until
    waiting: list[tuple[int, int, Line]] = []
    serial = 0
    for now, sent in _minutes(story, pipelines, options, until, observer):
        for at, line in sent:
            serial += 1
            heapq.heappush(waiting, (at, serial, line))
        while waiting and waiting[0][0] <= 60 * now:
            yield heapq.heappop(waiting)[2]


def _minutes(
    story: Story, pipelines: list[Pipeline], options: Options, until: Minute, observer: Observer | None
) -> Iterator[tuple[Minute, list[Sent]]]:
    """The lines of each instant, with the second since t0 at which each is learned."""
    yield story.first, [sample for pipeline in pipelines for sample in _samples(story, pipeline, 60 * story.first)]
    for minute in range(story.first, until):
        sent: list[Sent] = []
        now = minute + 1
        for pipeline in pipelines:
            sent += _one_minute(story, pipeline, options, minute)
        if observer is not None:
            observer(now, [change for pipeline in pipelines for change in pipeline.cells.drain()])
        yield now, sent


def _one_minute(story: Story, pipeline: Pipeline, options: Options, minute: Minute) -> list[Sent]:
    """What one pipeline tells of one minute, most of it at the minute's end."""
    offset, now = options.sample_offset_seconds, minute + 1
    pipeline.begin(minute)
    samples: list[Sent] = []
    if offset:
        pipeline.pass_time(0, offset)
        samples = list(_samples(story, pipeline, 60 * minute + offset))
    pipeline.pass_time(offset, 60)
    pipeline.end()
    if pipeline.idle and now % story.idle_every:
        return []
    if not offset:
        samples = list(_samples(story, pipeline, 60 * now))
    counts = [line for stage in pipeline.stages for line in stage.counts_at(now)]
    return samples + counts + [line for stage in pipeline.stages for line in stage.progress_at(now)]


def _samples(story: Story, pipeline: Pipeline, second: int) -> Iterator[Sent]:
    """One sample of each partition, so many seconds after t0."""
    for number, partition in enumerate(pipeline.queue.partitions):
        yield second, _sample(story, pipeline, number, partition, second)


def _sample(story: Story, pipeline: Pipeline, number: int, partition: Partition, second: int) -> Line:
    line: Line = {
        "type": "queue",
        "at": rfc3339(story.t0 + second),
        "pipeline": pipeline.name,
        "queue": pipeline.name,
        "partition": number,
        "start_offset": partition.start,
        "end_offset": partition.end,
        "committed_offset": partition.committed,
    }
    oldest, unread = partition.oldest(), partition.first_unread()
    if oldest is not None:
        line["oldest_at"] = instant(story.t0, oldest)
    if unread is not None:
        line["committed_at"] = instant(story.t0, unread)
    return line | {"retention_seconds": 60 * pipeline.queue.retention, "replicas": _REPLICAS}
