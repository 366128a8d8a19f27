"""What many looks at queues have come to, at rest: a row a queue, beside what was learned."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from sqlalchemy import Connection, delete, select

from reconciler.core.looked import Looked
from reconciler.core.observations import QueueSample
from reconciler.core.queues import Known
from reconciler.core.rules import VERSION
from reconciler.core.times import Micros
from reconciler.store import tables
from reconciler.store.database import upsert
from reconciler.store.packing import pack, unpack

FORM = 1
"""Of the payload."""
_NAME = "looked."
_OURS = f"{_NAME}{VERSION}."
"""What another version has made of looks is not read: the next judgement goes through all of them by its own rules."""
_KNOWN = "known"


@dataclass(slots=True)
class _Row:
    queue: str
    since: Micros
    known: Known


def load(connection: Connection, pipeline: str) -> Looked | None:
    """What was kept last, if anything was and nothing has been told since that belongs into it."""
    table = tables.model.c
    query = select(table.at, table.payload).where(
        table.pipeline == pipeline, table.name.startswith(_OURS, autoescape=True)
    )
    queues, found = {}, None
    for at, payload in connection.execute(query.order_by(table.name)):
        arrays = unpack(payload)
        row = msgspec.msgpack.decode(zlib.decompress(arrays.pop(_KNOWN).tobytes()), type=_Row)
        queues[row.queue] = row.known, arrays
        found = Looked(row.since, at, queues)
    return found


def save(connection: Connection, pipeline: str, looked: Looked) -> None:
    """Replace what was kept."""
    _drop(connection, pipeline, 0)
    rows = []
    for number, (queue, (known, arrays)) in enumerate(looked.queues.items()):
        plain = zlib.compress(msgspec.msgpack.encode(_Row(queue, looked.since, known)), 1)
        payload = pack({**arrays, _KNOWN: np.frombuffer(plain, np.uint8)})
        row = {"pipeline": pipeline, "name": f"{_OURS}{number:06}", "version": FORM}
        rows.append(row | {"at": looked.at, "payload": payload})
    upsert(connection, tables.model, rows)


def take_late(connection: Connection, samples: Sequence[QueueSample]) -> None:
    """Forget what was kept where samples that are new belong into it: the next judgement goes through all again."""
    earliest: dict[str, Micros] = {}
    for sample in samples:
        earliest[sample.pipeline] = min(sample.at, earliest.get(sample.pipeline, sample.at))
    for pipeline, at in sorted(earliest.items()):
        _drop(connection, pipeline, at)


def _drop(connection: Connection, pipeline: str, at: Micros) -> None:
    table = tables.model
    here = (table.c.pipeline == pipeline, table.c.name.startswith(_NAME), table.c.at >= at)
    connection.execute(delete(table).where(*here))
