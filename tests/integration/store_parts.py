"""What the tests of the store share: a pipeline, observations, and the ledger written out for comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from reconciler.core.cases import Incident
from reconciler.core.observations import Capacity, Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import ABSENT, SPAN, CountTile, TileKey
from reconciler.core.times import MINUTE, SECOND, Micros
from reconciler.store import SqlStore
from reconciler.store.tables import metadata

START: Micros = 27_000_000 * MINUTE
"""A bucket that begins a span."""
BATCH = Pipeline("batch", ("ingress", "processed"))


def minute(number: int, seconds: int = 0) -> Micros:
    """An instant so many minutes and seconds after `START`."""
    return START + number * MINUTE + seconds * SECOND


def count(
    bucket: int, value: int, *, at: Micros, stage: str = "ingress", source: str = "segment", pipeline: str = "batch",
    **more: Any,
) -> Count:  # fmt: skip
    """A reading of the bucket that starts so many minutes after `START`."""
    outcome = more.pop("outcome", "accepted" if stage == "ingress" else "processed")
    return Count(at, pipeline, stage, source, minute(bucket), value, outcome, **more)


def some_of_everything(pipeline: str = "batch") -> list[Observation]:
    """Two minutes of a pipeline: counts that grow, a late one, progress, queue samples, a capacity."""
    counts: list[Observation] = [
        count(
            bucket, 10 * bucket + round_, at=minute(bucket + 1, round_), stage=stage, source=source, pipeline=pipeline
        )
        for bucket in (0, 1, 70)
        for round_ in (1, 2)
        for stage in ("ingress", "processed")
        for source in ("segment", "partner/a")
    ]
    return [
        *counts,
        count(0, 7, at=minute(9), pipeline=pipeline, digest=2**64 - 1, reporter="other", error=1.5, replay="again"),
        Progress(minute(1, 30), pipeline, "ingress", minute(1), "ingest-01"),
        Progress(minute(2, 30), pipeline, "ingress", minute(2), "ingest-01"),
        Progress(minute(3, 30), pipeline, "ingress", minute(2), "ingest-01", final=True),
        QueueSample(minute(2), pipeline, "events", 0, 1, 5, 3, oldest_at=minute(0)),
        QueueSample(minute(3), pipeline, "events", 0, 1, 6, None, epoch="a"),
        QueueSample(minute(3), pipeline, "events", 1, depth=4),
        Capacity(minute(3), f"disk of {pipeline}", 5, 10, (pipeline,)),
        Capacity(minute(4), f"disk of {pipeline}", 6, 10, (pipeline,)),
    ]


def pipelines(*some: Pipeline) -> Mapping[str, Pipeline]:
    """The pipelines by name."""
    return {pipeline.name: pipeline for pipeline in some or (BATCH,)}


def raw(store: SqlStore) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with store.database.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.tables.values()
        }


def current(store: SqlStore, pipeline: Pipeline = BATCH, as_of: Micros | None = None) -> dict[tuple[Any, ...], Any]:
    """By stage, source, outcome, reporter, replay and bucket: the reading in force, peak and all."""
    found: dict[tuple[Any, ...], Any] = {}
    directory = store.directory(pipeline)
    for stage in pipeline.stages:
        for key, tile in store.counts_as_of(pipeline, stage, 0, 2**62, as_of):
            found |= cells(key, tile, directory.series, directory.sources)
    return found


def cells(key: TileKey, tile: CountTile, series: Sequence[Any], sources: Sequence[str]) -> dict[tuple[Any, ...], Any]:
    """The readings of a tile by what they are readings of."""
    found = {}
    for row, number in enumerate(tile.series.tolist()):
        stage, source, *rest = series[number]
        for column in range(SPAN):
            if tile.count[row, column] != ABSENT:
                values = (tile.count, tile.at, tile.peak, tile.digest, tile.digested, tile.error)
                name = (stage, sources[source], *rest, key.span * SPAN + column)
                found[name] = tuple(array[row, column].item() for array in values)
    return found


def incident(number: str, *, kind: str = "loss", opened_at: Micros = 0, status: str = "open") -> Incident:
    """An incident of which little is known."""
    return Incident(number, "batch", "ingress>processed", kind, "", opened_at, status, opened_at)
