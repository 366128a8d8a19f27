"""Tiles at rest: one row a tile, its arrays packed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from reconciler.core.tiles import PARTS, CountTile, Planes, TileKey, VerdictTile
from reconciler.store import tables
from reconciler.store.database import raw_cursor
from reconciler.store.packing import is_blank, pack, unpack, writable

COUNT = "count"
VERDICT = "verdict"
_AT_ONCE = 5_000
"""Values in one list of a statement."""
_FETCH = 64
"""Tiles held packed while they are read."""
WRITE = 128
"""Tiles held packed before they are written."""

AnyTile = TypeVar("AnyTile", CountTile, VerdictTile)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a tile lies, without its arrays."""

    id: int
    key: TileKey
    touched: int
    latest_at: int


def find(
    connection: Connection, pipeline: str, kind: str, parts: Collection[str], spans: Collection[int]
) -> dict[TileKey, Stored]:
    """The tiles of these parts and spans that exist."""
    table = tables.tile.c
    here = table.part.in_(sorted(parts))
    found: list[Stored] = []
    for some in batches(sorted(spans)):
        found += where(connection, pipeline, kind, here, table.span.in_(some))
    return {stored.key: stored for stored in found}


def where(connection: Connection, pipeline: str, kind: str, *conditions: ColumnElement[bool]) -> list[Stored]:
    """The tiles that these conditions hold for, by span and chunk."""
    table = tables.tile.c
    query = select(table.id, table.part, table.chunk, table.span, table.touched, table.latest_at)
    query = query.where(table.pipeline == pipeline, table.kind == kind, *conditions).order_by(table.span, table.chunk)
    return [
        Stored(number, TileKey(part, chunk, span), touched, latest_at)
        for number, part, chunk, span, touched, latest_at in connection.execute(query)
    ]


def flags(connection: Connection, pipeline: str, part: str, spans: Collection[int]) -> dict[tuple[int, int], int]:
    """The `borders` of the verdict tiles of a hop in these spans, by chunk and span; those without are left out."""
    table = tables.tile.c
    found: dict[tuple[int, int], int] = {}
    for some in batches(sorted(spans)):
        query = select(table.chunk, table.span, table.borders).where(
            table.pipeline == pipeline, table.kind == VERDICT, table.part == part, table.span.in_(some)
        )
        rows = connection.execute(query.where(table.borders > 0))
        found |= {(chunk, span): flags for chunk, span, flags in rows}
    return found


def load(
    connection: Connection, wanted: Iterable[Stored], kind: type[AnyTile], *, frozen: bool = False,
    only: Collection[str] | None = None,
) -> Iterator[tuple[TileKey, AnyTile]]:  # fmt: skip
    """The tiles themselves, in the order asked for, few at a time; see `unpack_tile`."""
    for some in batches(list(wanted), _FETCH):
        payloads = dict(_payloads(connection, [stored.id for stored in some]))
        for stored in some:
            yield stored.key, unpack_tile(payloads.pop(stored.id), kind, frozen=frozen, only=only)


def save(connection: Connection, pipeline: str, kind: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write tiles; each row has `key`, `payload` and, where they apply, `touched`, `latest_at`, `active`, `borders` and
    `outline`."""
    if not rows:
        return
    blank = {"pipeline": pipeline, "kind": kind, "touched": 0, "latest_at": 0, "active": 0, "borders": 0}
    blank |= {"outline": b""}
    values = [blank | row["key"]._asdict() | {name: row[name] for name in row if name != "key"} for row in rows]
    build = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = build(tables.tile)
    changed = ("touched", "latest_at", "active", "borders", "outline", "payload")
    fresh = {name: statement.excluded[name] for name in changed}
    key = ["pipeline", "kind", "part", "span", "chunk"]
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=fresh), values)


def pack_tile(tile: CountTile | VerdictTile) -> bytes:
    """The arrays of a tile, by the names of its fields; the planes of `parts` by theirs."""
    arrays: dict[str, NDArray[Any]] = {}
    for part in fields(tile):
        value = getattr(tile, part.name)
        if isinstance(value, Planes):
            arrays |= {f"parts.{name}": value[name] for name in value.filled()}
        else:
            arrays[part.name] = value
    return pack(arrays)


def unpack_tile(
    payload: bytes, kind: type[AnyTile], *, frozen: bool = False, only: Collection[str] | None = None
) -> AnyTile:
    """The tile again. An array that was not known when it was packed is blank, and so are all but `only` these.

    A frozen tile is for reading only and takes half the memory: its arrays share what they have in common.
    """
    found = unpack(payload, only)
    tile = kind()
    rows = len(found["series"]) if "series" in found else None
    for part in fields(tile):
        blank: Any = getattr(tile, part.name)
        if isinstance(blank, Planes):
            _fill(blank, found)
        elif part.name in found:
            setattr(tile, part.name, found[part.name] if frozen else writable(found[part.name]))
        elif rows is not None:
            setattr(tile, part.name, np.zeros((rows, *blank.shape[1:]), blank.dtype))
    return tile


def _fill(planes: Planes, found: Mapping[str, NDArray[Any]]) -> None:
    for name in PARTS:
        plane = found.get(f"parts.{name}")
        if plane is not None and not is_blank(plane):
            planes[name] = plane


def batches(items: Sequence[Any], size: int = _AT_ONCE) -> Iterator[Sequence[Any]]:
    """The items, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _payloads(connection: Connection, ids: list[int]) -> Iterable[tuple[int, bytes]]:
    if connection.dialect.name == "postgresql":  # binary: half the bytes, and nothing to decode
        with raw_cursor(connection) as cursor:
            return cursor.execute("SELECT id, payload FROM tile WHERE id = ANY(%s)", [ids]).fetchall()
    table = tables.tile.c
    rows = connection.execute(select(table.id, table.payload).where(table.id.in_(ids)))
    return [(row.id, row.payload) for row in rows]
