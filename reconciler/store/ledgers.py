"""The ledger at rest, as the passes see it."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from reconciler.core.directory import Directory
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Capacity, Observation, QueueSample
from reconciler.core.outlines import Outline
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import SPAN, CountTile, Ints, TileKey, VerdictTile
from reconciler.core.times import Micros
from reconciler.ports import Cursor, Horizon, Lease, Portion, Recorded, Retirement, Run, Said, Tenure
from reconciler.serving import Judgement, KeptReport, Reading, ServiceStore
from reconciler.store import (
    archive,
    days,
    drills,
    facts,
    findings,
    history,
    journal,
    leases,
    looks,
    marks,
    past,
    pruning,
    reach,
    retirements,
    services,
    tables,
    tiles,
)
from reconciler.store.acts import SqlActs
from reconciler.store.database import Database, upsert
from reconciler.store.directories import Directories
from reconciler.store.journal import Place
from reconciler.store.judging import SqlJudging, portions
from reconciler.store.leases import Leases
from reconciler.store.outbox import SqlOutbox
from reconciler.store.outlines import outlines
from reconciler.store.recording import Recording
from reconciler.store.replays import SqlReplays
from reconciler.store.sessions import SqlSessions
from reconciler.store.tokens import SqlTokens

TILES_AT_ONCE = 64
"""Tiles of sources by buckets that one transaction judges, about a million cells."""


class SqlStore(ServiceStore):
    """One for each process; threads may share it."""

    def __init__(self, database: Database, lease: Lease | None = None) -> None:
        self.database = database
        self._directories = Directories()
        self._leases = Leases(database)
        self._lease = lease
        self.tokens = SqlTokens(database)
        self.sessions = SqlSessions(database)
        self.acts = SqlActs(database)
        self.replays = SqlReplays(database)
        self.outbox = SqlOutbox(database, self._writing)

    @property
    def proven(self) -> bool:
        return self.database.first is None

    def prove(self) -> None:
        with self.database.reading():
            pass

    def record(
        self,
        observations: Sequence[Observation],
        pipelines: Mapping[str, Pipeline],
        *,
        skip_unchanged: bool = False,
        cursor: Cursor | None = None,
    ) -> Recorded:
        with self._writing() as connection:
            recording = Recording(connection, self._directories, skip_unchanged=skip_unchanged)
            kept = recording.take(observations, pipelines)
            too_old = recording.too_old
            if cursor is not None:
                row = {"name": cursor.name, "payload": json.dumps(cursor.payload), "at": cursor.at}
                upsert(connection, tables.connector_cursor, [row])
        return Recorded(kept, len(observations) - kept - too_old, too_old)

    def portions(self, pipeline: Pipeline, now: Micros) -> list[Portion]:
        with self.database.reading() as connection:
            return portions(connection, pipeline, TILES_AT_ONCE)

    @contextmanager
    def judging(self, pipeline: Pipeline, now: Micros, portion: Portion | None = None) -> Iterator[SqlJudging]:
        with self._writing() as connection:
            yield SqlJudging(connection, self._directories, pipeline, now, portion)

    def cursor(self, name: str) -> Cursor | None:
        table = tables.connector_cursor
        with self.database.reading() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).first()
        return None if row is None else Cursor(row.name, json.loads(row.payload), row.at)

    def directory(self, pipeline: Pipeline) -> Directory:
        with self.database.reading() as connection:
            return self._directories.load(connection, pipeline)

    def counts_as_of(
        self, pipeline: Pipeline, stage: str, first: Micros, last: Micros, as_of: Micros | None = None
    ) -> Iterator[tuple[TileKey, CountTile]]:
        with self.database.reading() as connection:
            directory = self._directories.load(connection, pipeline)
            place = Place(pipeline.name, stage, pipeline.width)
            for span, stored in _by_span(connection, pipeline, tiles.COUNT, stage, first, last):
                if as_of is None or all(one.latest_at <= as_of for one in stored):
                    yield from tiles.load(connection, stored, CountTile, frozen=True)
                else:
                    yield from journal.rebuild(connection, place, directory, span, as_of)

    def verdict_tiles(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros
    ) -> Iterator[tuple[TileKey, VerdictTile]]:
        with self.database.reading() as connection:
            for _, stored in _by_span(connection, pipeline, tiles.VERDICT, hop, first, last):
                yield from tiles.load(connection, stored, VerdictTile)

    def verdicts_as_of(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros
    ) -> Iterator[tuple[TileKey, VerdictTile]]:
        with self.database.reading() as connection:
            for _, stored in _by_span(connection, pipeline, tiles.VERDICT, hop, first, last):
                yield from past.tiles_as_of(connection, pipeline, hop, stored, as_of)

    def said(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros
    ) -> Generator[tuple[TileKey, VerdictTile, Ints], None, None]:
        with self.database.reading() as connection:
            for span, _ in _by_span(connection, pipeline, tiles.VERDICT, hop, first, last):
                yield from findings.said_when(connection, pipeline, hop, span, as_of)

    def incidents(self, pipeline: str | None = None, as_of: Micros | None = None) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            return findings.incidents(connection, pipeline, as_of)

    def incident_changes(self, incident: str) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            return findings.incident_changes(connection, incident)

    def learned_at(self, pipeline: Pipeline) -> Micros | None:
        with self.database.reading() as connection:
            return findings.learned_at(connection, pipeline.name)

    def remembered(self, pipeline: Pipeline) -> dict[str, Any]:
        with self.database.reading() as connection:
            return findings.load_state(connection, pipeline.name)

    def judged_at(self, pipeline: Pipeline) -> Micros | None:
        table = tables.judged.c
        with self.database.reading() as connection:
            found = connection.execute(select(table.at).where(table.pipeline == pipeline.name)).scalars().all()
        return min(found, default=None)

    def samples(self, pipeline: Pipeline, first: Micros, last: Micros) -> list[QueueSample]:
        with self.database.reading() as connection:
            return facts.samples(connection, pipeline.name, first, last)

    def reached(self, pipeline: Pipeline) -> Ints:
        with self.database.reading() as connection:
            return reach.reached(connection, pipeline, self._directories.load(connection, pipeline))

    def take_lease(self, holder: str, length: Micros) -> Lease | None:
        return self._leases.take(holder, length)

    def renew_lease(self, lease: Lease, length: Micros) -> bool:
        return self._leases.renew(lease, length)

    def release_lease(self, lease: Lease) -> None:
        self._leases.release(lease)

    def tenure(self) -> Tenure | None:
        return self._leases.tenure()

    def leased(self, lease: Lease) -> "SqlStore":
        other = SqlStore(self.database, lease)
        other._directories, other._leases = self._directories, self._leases
        return other

    def note_runs(self, runs: Sequence[Run]) -> None:
        with self._writing() as connection:
            services.note_runs(connection, runs)

    def runs(self) -> list[Run]:
        with self.database.reading() as connection:
            return services.runs(connection)

    def reporters(self, pipeline: Pipeline, now: Micros) -> Ledger:
        with self.database.reading() as connection:
            return services.reporters(connection, pipeline, self._directories.load(connection, pipeline), now)

    def standing(self) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            return findings.standing(connection)

    def drills(self) -> list[str]:
        with self.database.reading() as connection:
            return drills.names(connection)

    def forget_drill(self, name: str) -> None:
        with self._writing() as connection:
            drills.forget(connection, name)
        self._directories.forget()

    def horizon(self, pipeline: Pipeline) -> Horizon:
        with self.database.reading() as connection:
            return marks.horizon_of(connection, pipeline.name)

    def closed(self, pipeline: Pipeline) -> frozenset[str] | None:
        with self.database.reading() as connection:
            return self._directories.closed(connection, pipeline)

    def make_days(self, pipeline: Pipeline, now: Micros) -> int:
        with self._writing() as connection:
            return days.make(connection, pipeline.name, now)

    def prune(self, pipeline: Pipeline, horizon: Horizon, most: int) -> int:
        with self._writing() as connection:
            return pruning.prune(connection, pipeline, horizon, most)

    def retire(self, pipeline: Pipeline, retirement: Retirement) -> None:
        with self._writing() as connection:
            retirements.retire(connection, self._directories, pipeline, retirement)

    def retirements(self, pipeline: str) -> list[Retirement]:
        with self.database.reading() as connection:
            return retirements.told(connection, pipeline)

    def outlines(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros | None = None
    ) -> Iterator[tuple[TileKey, Outline]]:
        with self.database.reading() as connection:
            yield from outlines(connection, pipeline, hop, first, last, as_of)

    def source_tiles(
        self, pipeline: Pipeline, hop: str, source: int, first: Micros, last: Micros, as_of: Micros | None = None
    ) -> Iterator[tuple[int, VerdictTile]]:
        with self.database.reading() as connection:
            yield from looks.source_tiles(connection, pipeline, hop, source, first, last, as_of)

    def judgements(self, pipeline: Pipeline, hop: str, source: int, bucket: Micros, as_of: Micros) -> list[Judgement]:
        with self.database.reading() as connection:
            return looks.judgements(connection, pipeline, hop, source, bucket, as_of)

    def readings(self, pipeline: Pipeline, stage: str, source: int, bucket: Micros, as_of: Micros) -> list[Reading]:
        with self.database.reading() as connection:
            directory = self._directories.load(connection, pipeline)
            return looks.readings(connection, pipeline, directory, stage, source, bucket, as_of)

    def latest_samples(self, pipeline: str, since: Micros, until: Micros, most: int) -> list[QueueSample]:
        with self.database.reading() as connection:
            return facts.latest_samples(connection, pipeline, since, until, most)

    def capacities(self, pipeline: str, now: Micros) -> dict[str, list[Capacity]]:
        with self.database.reading() as connection:
            return facts.capacities(connection, pipeline, now)

    def state(self, pipeline: str) -> dict[str, Any]:
        with self.database.reading() as connection:
            return findings.load_state(connection, pipeline)

    def usual_week(self, pipeline: str, start: int, length: int) -> bytes:
        with self.database.reading() as connection:
            return findings.part_of_week(connection, pipeline, start, length)

    def observations(
        self, pipeline: Pipeline, first: Micros, last: Micros, *, counts: bool = True
    ) -> Iterator[Observation]:
        with self.database.reading() as connection:
            directory = self._directories.load(connection, pipeline)
            yield from history.observations(connection, pipeline, directory if counts else None, first, last)

    def spoken(
        self, pipeline: Pipeline, hop: str, first: Micros, last: Micros, as_of: Micros
    ) -> Iterator[tuple[Micros, Said]]:
        with self.database.reading() as connection:
            yield from history.spoken(connection, pipeline, hop, first, last, as_of)

    def keep_report(self, report: KeptReport) -> int:
        with self._writing() as connection:
            return archive.keep(connection, report)

    def kept_reports(self, day: str | None = None, zone: str | None = None) -> list[KeptReport]:
        with self.database.reading() as connection:
            return archive.kept(connection, day, zone)

    def kept_report(self, number: int) -> KeptReport | None:
        with self.database.reading() as connection:
            return archive.whole(connection, number)

    def close(self) -> None:
        self.database.engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        written = False
        try:
            with self.database.writing() as connection:
                if self._lease is not None:
                    leases.require(connection, self._lease)
                yield connection
            written = True
        finally:
            if not written:
                self._directories.forget()


def _by_span(
    connection: Connection, pipeline: Pipeline, kind: str, part: str, first: Micros, last: Micros
) -> Iterator[tuple[int, list[tiles.Stored]]]:
    """The tiles that hold the buckets first to last, span by span, each in order of chunk."""
    table = tables.tile.c
    first_span, last_span = (instant // pipeline.width // SPAN for instant in (first, last))
    found = tiles.where(
        connection, pipeline.name, kind, table.part == part, table.span >= first_span, table.span <= last_span
    )
    for span, stored in groupby(found, key=lambda one: one.key.span):
        yield span, list(stored)
