"""Sources and series of each pipeline at rest, with what this process has already read of them."""

import copy
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from reconciler.core.directory import OVERFLOW, Directory, SeriesKey
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import SECOND
from reconciler.errors import ConfigError
from reconciler.store import tables
from reconciler.store.database import insert_all
from reconciler.store.marks import horizon_of


def digest_of(*parts: object) -> bytes:
    """What keys hold in place of names of any length."""
    return hashlib.sha256(json.dumps(parts).encode()).digest()


class Directories:
    """Reads directories, and of each only what is new since this process read it last."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Directory]] = {}
        self._lock = threading.Lock()

    def load(self, connection: Connection, pipeline: Pipeline) -> Directory:
        """The directory as of this transaction; a copy that the caller may change."""
        head = _head(connection, pipeline)
        with self._lock:
            revision, known = self._known.get(pipeline.name, (None, None))
        if known is None or revision != head:
            known = Directory()
        directory = copied(known)
        _read_more(connection, pipeline.name, directory)
        if head is not None and len(directory.series) > len(known.series):
            self._remember(pipeline.name, head, directory)
        if first := horizon_of(connection, pipeline.name).verdicts:  # cells go back as far as they are remembered
            directory.first_bucket = [max(born, first) for born in directory.first_bucket]
        return directory

    def closed(self, connection: Connection, pipeline: Pipeline) -> frozenset[str] | None:
        """See `reconciler.ports.Store.closed`; it takes no time as long as there are not too many sources."""
        table = tables.source.c
        crowded = select(table.ordinal).where(table.pipeline == pipeline.name, table.name_hash == digest_of(OVERFLOW))
        if connection.execute(crowded).first() is None:
            return None
        return self.load(connection, pipeline).closed(pipeline.max_sources)

    def save(self, connection: Connection, pipeline: Pipeline, before: Directory, after: Directory) -> bool:
        """Write what `after` has more than `before`; returns whether there was anything."""
        if _head(connection, pipeline) is None:
            row = {"name": pipeline.name, "width": pipeline.width, "revision": 0}
            connection.execute(insert(tables.pipeline), [row])
        moved = _moved(before, after)
        if moved:
            _update(connection, pipeline.name, after, moved)
        fresh = range(len(before.sources), len(after.sources))
        insert_all(connection, tables.source, [_source_row(pipeline.name, after, ordinal) for ordinal in fresh])
        lines = enumerate(after.series[len(before.series) :], len(before.series))
        insert_all(connection, tables.series, [_series_row(pipeline.name, number, key) for number, key in lines])
        return bool(moved or fresh or len(after.series) > len(before.series))

    def _remember(self, name: str, revision: int, directory: Directory) -> None:
        with self._lock:
            self._known[name] = (revision, copied(directory))

    def forget(self) -> None:
        """Read everything anew next time: a transaction has failed, and what it had seen may not exist."""
        with self._lock:
            self._known.clear()


def copied(directory: Directory) -> Directory:
    """Another directory with the same content."""
    return Directory(**{part.name: copy.copy(getattr(directory, part.name)) for part in fields(directory)})


def _head(connection: Connection, pipeline: Pipeline) -> int | None:
    """The revision of the pipeline's directory; ``None`` while it has none."""
    table = tables.pipeline.c
    row = connection.execute(select(table.width, table.revision).where(table.name == pipeline.name)).first()
    if row is None:
        return None
    if row.width != pipeline.width:
        raise ConfigError(
            f"pipelines.{pipeline.name}.bucket is {pipeline.width // SECOND}s, but the ledger has its counts in "
            f"buckets of {row.width // SECOND}s; give the pipeline another name, or its former bucket"
        )
    return int(row.revision)


def _read_more(connection: Connection, pipeline: str, directory: Directory) -> None:
    source, series = tables.source.c, tables.series.c
    later = select(source.name, source.first_bucket, source.retired_at)
    later = later.where(source.pipeline == pipeline, source.ordinal >= len(directory.sources)).order_by(source.ordinal)
    for name, first_bucket, retired_at in connection.execute(later):
        ordinal = directory.source(name)
        directory.first_bucket[ordinal], directory.retired_at[ordinal] = first_bucket, retired_at
    more = select(series.stage, series.source, series.outcome, series.reporter, series.replay, series.origin)
    more = more.where(series.pipeline == pipeline, series.number >= len(directory.series)).order_by(series.number)
    for row in connection.execute(more):
        directory.series_id(SeriesKey(*row))


def _moved(before: Directory, after: Directory) -> list[int]:
    """Known sources whose first bucket or retirement is another now."""
    was = zip(before.first_bucket, before.retired_at, strict=True)
    now = zip(after.first_bucket, after.retired_at, strict=False)
    return [ordinal for ordinal, (one, other) in enumerate(zip(was, now, strict=False)) if one != other]


def _update(connection: Connection, pipeline: str, directory: Directory, moved: Sequence[int]) -> None:
    table = tables.source
    rows = [{"key": number, **_life(directory, number)} for number in moved]
    statement = update(table).where(table.c.pipeline == pipeline, table.c.ordinal == bindparam("key"))
    connection.execute(statement, rows)
    one = tables.pipeline
    connection.execute(update(one).where(one.c.name == pipeline).values(revision=one.c.revision + 1))


def _life(directory: Directory, ordinal: int) -> dict[str, int]:
    return {"first_bucket": directory.first_bucket[ordinal], "retired_at": directory.retired_at[ordinal]}


def _source_row(pipeline: str, directory: Directory, ordinal: int) -> dict[str, Any]:
    name = directory.sources[ordinal]
    row = {"pipeline": pipeline, "ordinal": ordinal, "name": name, "name_hash": digest_of(name)}
    return row | _life(directory, ordinal)


def _series_row(pipeline: str, number: int, key: SeriesKey) -> dict[str, Any]:
    return {"pipeline": pipeline, "number": number, "key_hash": digest_of(*key)} | key._asdict()
