"""Progress, queue samples and capacities at rest: plain rows, one a reading; the same reading twice is one row."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from reconciler.core.ledger import ADVANCES, CAPACITY_READINGS, Reporter
from reconciler.core.observations import Capacity, Progress, QueueSample
from reconciler.core.times import Micros
from reconciler.store import looked, tables
from reconciler.store.database import upsert
from reconciler.store.directories import digest_of


def add_progress(connection: Connection, lines: Sequence[Progress]) -> int:
    """Store lines of progress and what they come to; returns how many said something new."""
    rows = [asdict(line) | {"reporter_hash": digest_of(line.reporter)} for line in lines]
    kept = upsert(connection, tables.progress, rows)
    if kept:
        own: dict[str, list[Progress]] = defaultdict(list)
        for line in sorted(lines, key=lambda line: line.at):
            own[line.pipeline].append(line)
        for pipeline, some in sorted(own.items()):
            _retell(connection, pipeline, some)
    return kept


def add_samples(connection: Connection, samples: Sequence[QueueSample]) -> int:
    """Store queue samples; returns how many said something new."""
    rows = [asdict(sample) | {"queue_hash": digest_of(sample.queue)} for sample in samples]
    kept = upsert(connection, tables.queue_sample, rows)
    if kept:
        looked.take_late(connection, samples)
    return kept


def add_capacities(connection: Connection, readings: Sequence[Capacity]) -> int:
    """Store readings of capacities; returns how many said something new."""
    rows = [
        asdict(reading) | {"pipelines": json.dumps(reading.pipelines), "resource_hash": digest_of(reading.resource)}
        for reading in readings
    ]
    return upsert(connection, tables.capacity, rows)


def _retell(connection: Connection, pipeline: str, lines: Sequence[Progress]) -> None:
    """Bring what is told of reporters up to date: by the new lines, or anew where one of them comes late."""
    told = _told(connection, pipeline)
    late: set[tuple[str, str]] = set()
    for line in lines:
        key = (line.stage, line.reporter)
        one = told.get(key)
        if one is None or line.at <= one.heard_at:
            late.add(key)
        if one is None:
            one = told[key] = Reporter(line.stage, line.reporter, line.at, line.through)
        one.advance(line)
    for stage, name in late:
        anew = _retold(connection, pipeline, stage, name, None)
        if anew is not None:
            told[stage, name] = anew
    keys = sorted({(line.stage, line.reporter) for line in lines})
    upsert(connection, tables.reporter, [_summary(pipeline, told[key]) for key in keys])


def _told(connection: Connection, pipeline: str) -> dict[tuple[str, str], Reporter]:
    rows = connection.execute(select(tables.reporter).where(tables.reporter.c.pipeline == pipeline))
    told = map(_reporter, rows)
    return {(one.stage, one.name): one for one in told}


def _retold(connection: Connection, pipeline: str, stage: str, name: str, until: Micros | None) -> Reporter | None:
    """The reporter as its lines tell it, those up to `until`."""
    table = tables.progress.c
    query = select(table.at, table.through, table.final).where(
        table.pipeline == pipeline, table.stage == stage, table.reporter_hash == digest_of(name)
    )
    if until is not None:
        query = query.where(table.at <= until)
    told: Reporter | None = None
    for at, through, final in connection.execute(query.order_by(table.at)):
        told = told or Reporter(stage, name, at, through)
        told.advance(Progress(at, pipeline, stage, through, name, final))
    return told


def _summary(pipeline: str, told: Reporter) -> dict[str, Any]:
    row = asdict(told) | {"pipeline": pipeline, "reporter_hash": digest_of(told.name)}
    return row | {"advances": json.dumps(told.advances)}


def _reporter(row: Row[Any]) -> Reporter:
    advances = tuple((at, through) for at, through in json.loads(row.advances))
    return Reporter(row.stage, row.name, row.heard_at, row.through, row.final, advances[-ADVANCES:])


def reporters(connection: Connection, pipeline: str, now: Micros) -> dict[tuple[str, str], Reporter]:
    """The reporters of a pipeline as of `now`, by stage and name."""
    told = sorted(_told(connection, pipeline).items())
    by_then = ((key, one if one.heard_at <= now else _retold(connection, pipeline, *key, now)) for key, one in told)
    return {key: one for key, one in by_then if one is not None}


def samples(connection: Connection, pipeline: str, since: Micros, now: Micros) -> list[QueueSample]:
    """The queue samples of an interval, in order of `at`."""
    table = tables.queue_sample.c
    names = [part.name for part in fields(QueueSample)]
    query = select(*(table[name] for name in names)).where(
        table.pipeline == pipeline, table.at >= since, table.at <= now
    )
    rows = connection.execute(query.order_by(table.at, table.queue_hash, table.partition))
    return [QueueSample(*row) for row in rows]


def latest_samples(connection: Connection, pipeline: str, since: Micros, until: Micros, most: int) -> list[QueueSample]:
    """The latest queue samples of an interval, at most so many, in order of `at`."""
    table = tables.queue_sample.c
    query = select(*(table[part.name] for part in fields(QueueSample)))
    query = query.where(table.pipeline == pipeline, table.at >= since, table.at <= until)
    rows = connection.execute(query.order_by(table.at.desc(), table.queue_hash, table.partition).limit(most)).all()
    return [QueueSample(*row) for row in reversed(rows)]


def capacities(connection: Connection, pipeline: str, now: Micros) -> dict[str, list[Capacity]]:
    """By resource that the pipeline depends on: its latest readings, oldest first."""
    found: dict[str, list[Capacity]] = {}
    for resource in resources(connection):
        rows = connection.execute(_LATEST, {"resource": resource, "now": now}).all()
        readings = [capacity_of(row) for row in reversed(rows)]
        if readings and (not readings[-1].pipelines or pipeline in readings[-1].pipelines):
            found[readings[-1].resource] = readings
    return dict(sorted(found.items()))


_READING = tables.capacity.c
_LATEST = (
    select(_READING.at, _READING.resource, _READING.used, _READING.limit, _READING.pipelines)
    .where(_READING.resource_hash == bindparam("resource"), _READING.at <= bindparam("now"))
    .order_by(_READING.at.desc())
    .limit(CAPACITY_READINGS)
)
_FIRST = select(_READING.resource_hash).order_by(_READING.resource_hash).limit(1)
_NEXT = _FIRST.where(_READING.resource_hash > bindparam("found"))
"""Made once: with a thousand resources, making them anew would cost more than asking."""


def resources(connection: Connection) -> Iterator[bytes]:
    """The hashes of all resources, each found by a jump in the index: there are few, with many readings each."""
    found = connection.execute(_FIRST).scalar()
    while found is not None:
        yield found
        found = connection.execute(_NEXT, {"found": found}).scalar()


def capacity_of(row: Row[Any]) -> Capacity:
    """A reading as it was written."""
    return Capacity(row.at, row.resource, row.used, row.limit, _names(row.pipelines))


@lru_cache(maxsize=1024)
def _names(stored: str) -> tuple[str, ...]:
    return tuple(json.loads(stored))
