"""How far each source is complete, at rest: carried on in the transaction that judges, and read by SQL views too.

One row a hop and chunk of sources, with an instant a source as a JSON array, which both kinds of database can take
apart: ten thousand sources are forty rows to write, not ten thousand.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from sqlalchemy import Connection, delete, select

from reconciler.core.completeness import Reach, good_cells
from reconciler.core.directory import Directory
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, Bools, Ints, TileKey, VerdictTile
from reconciler.core.times import NEVER
from reconciler.store import replay_tables, tables, tiles
from reconciler.store.database import upsert


def carry_on(
    connection: Connection,
    pipeline: Pipeline,
    directory: Directory,
    verdicts: Mapping[TileKey, VerdictTile],
    dirty: Iterable[TileKey],
) -> None:
    """Take the tiles that were judged anew (`verdicts` holds them) and write what has moved."""
    changed: dict[tuple[str, int], list[int]] = defaultdict(list)
    for key in dirty:
        changed[key.part, key.chunk].append(key.span)
    first = np.array(directory.first_bucket, np.int64)
    known = _load(connection, pipeline.name)
    rows = []
    hops = [hop.part for hop in pipeline.hops]
    for part, chunk in ((part, chunk) for part in hops for chunk in range(directory.chunks)):
        reach = known.get((part, chunk), Reach())
        before = reach.born.tobytes(), reach.through.tobytes()

        def look(span: int, part: str = part, chunk: int = chunk) -> Bools | None:
            return _look(connection, pipeline.name, verdicts, TileKey(part, chunk, span))

        reach.follow(first[chunk * CHUNK : (chunk + 1) * CHUNK], changed[part, chunk], look, pipeline.width)
        if before != (reach.born.tobytes(), reach.through.tobytes()):
            place = {"pipeline": pipeline.name, "hop": part, "chunk": chunk}
            rows.append(place | {"born": _written(reach.born), "through": _written(reach.through)})
    if rows:
        upsert(connection, replay_tables.reach, rows)
    if gone := {part for part, _ in known} - set(hops):
        here = replay_tables.reach.c.pipeline == pipeline.name, replay_tables.reach.c.hop.in_(sorted(gone))
        connection.execute(delete(replay_tables.reach).where(*here))


def reached(connection: Connection, pipeline: Pipeline, directory: Directory) -> Ints:
    """By source: before which instant every bucket is settled and complete at every hop; `NEVER`: it has none."""
    born = np.array(directory.first_bucket, np.int64)
    known, through = _load(connection, pipeline.name), born.copy()
    for position, hop in enumerate(pipeline.hops):
        at = born.copy()  # where nothing was said of a source yet, it is complete before it began, and no further
        for chunk in range(directory.chunks):
            reach = known.get((hop.part, chunk), Reach())
            rows = slice(chunk * CHUNK, chunk * CHUNK + min(len(reach.through), len(born) - chunk * CHUNK))
            own = reach.through[: rows.stop - rows.start]
            at[rows] = np.where(own < NEVER, own, at[rows])
        through = np.minimum(through, at) if position else at
    return through


def _load(connection: Connection, pipeline: str) -> dict[tuple[str, int], Reach]:
    table = replay_tables.reach.c
    query = select(table.hop, table.chunk, table.born, table.through).where(table.pipeline == pipeline)
    return {(hop, chunk): Reach(_read(born), _read(through)) for hop, chunk, born, through in connection.execute(query)}


def _look(connection: Connection, pipeline: str, verdicts: Mapping[TileKey, VerdictTile], key: TileKey) -> Bools | None:
    if key in verdicts:
        return good_cells(verdicts[key])
    table = tables.tile.c
    found = tiles.where(
        connection, pipeline, tiles.VERDICT, table.part == key.part, table.span == key.span, table.chunk == key.chunk
    )
    return next((good_cells(tile) for _, tile in tiles.load(connection, found, VerdictTile)), None)


def _written(instants: Ints) -> str:
    return json.dumps([None if at == NEVER else at for at in instants.tolist()], separators=(",", ":"))


def _read(text: str) -> Ints:
    return np.array([NEVER if at is None else at for at in json.loads(text)], np.int64)
