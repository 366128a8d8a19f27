"""Replays at rest: each as it is planned now, and, append-only, what people did with it."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, insert, select, update

from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.replays import Due, Part, Replay, dump, is_near, restore
from reconciler.core.tiles import CHUNK, SPAN, TileKey, VerdictTile
from reconciler.core.times import MINUTE, Micros
from reconciler.replaying import ReplayAct, Replays
from reconciler.store import replay_tables, tables, tiles
from reconciler.store.database import Database, upsert

COUNTED_EVERY: Micros = 15 * MINUTE
"""While a deadline is near, what is still missing is counted so often."""
_GAP = ("lost", "passed_over", "retained", "in_flight", "unproven")


class SqlReplays(Replays):
    """Those of one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, pipeline: str | None = None) -> list[Replay]:
        table = replay_tables.replay.c
        query = select(table.state).order_by(table.created_at, table.id)
        with self._database.reading() as connection:
            rows = connection.execute(query if pipeline is None else query.where(table.pipeline == pipeline)).scalars()
            return [restore(json.loads(state)) for state in rows]

    def find(self, replay: str) -> Replay | None:
        with self._database.reading() as connection:
            state = connection.execute(
                select(replay_tables.replay.c.state).where(replay_tables.replay.c.id == replay)
            ).scalar()
        return None if state is None else restore(json.loads(state))

    def save(self, replay: Replay, act: ReplayAct) -> None:
        row = {
            "id": replay.id,
            "pipeline": replay.pipeline,
            "status": replay.state,
            "created_at": replay.created_at,
            "due": replay.due,
            "missing": "{}",
            "counted_at": 0,
            "state": json.dumps(dump(replay), ensure_ascii=False, separators=(",", ":")),
        }
        with self._database.writing() as connection:
            upsert(connection, replay_tables.replay, [row])
            done = {"replay": replay.id, "at": act.at, "act": act.act, "author": act.author, "reason": act.reason}
            connection.execute(insert(replay_tables.replay_act), [done | {"payload": json.dumps(act.payload)}])

    def acts(self, replay: str) -> list[ReplayAct]:
        table = replay_tables.replay_act.c
        query = select(table.replay, table.at, table.act, table.author, table.reason, table.payload)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(table.replay == replay).order_by(table.id)).all()
        return [ReplayAct(*row[:-1], payload=json.loads(row.payload)) for row in rows]


class Deadlines:
    """What is still missing of the replays whose deadline is near; counted now and then, for it takes a while."""

    def __init__(self, connection: Connection, pipeline: Pipeline, now: Micros) -> None:
        self._connection, self._pipeline, self._now = connection, pipeline, now
        self._fresh: dict[str, dict[str, int]] = {}
        table = replay_tables.replay.c
        query = select(table.due, table.missing, table.counted_at, table.state)
        rows = connection.execute(query.where(table.pipeline == pipeline.name, table.status != "closed")).mappings()
        self._near = [row for row in rows if is_near(row["due"], now)]

    def dues(self, ledger: Ledger) -> list[Due]:
        """See `Ledger.dues`: by what the present judgement has said of the cells, and earlier ones of the others."""
        return [due for row in self._near for due in self._dues(row, ledger)]

    def save(self) -> None:
        """Keep what was counted, until it is time to count again."""
        for replay, missing in self._fresh.items():
            values = {"missing": json.dumps(missing, ensure_ascii=False), "counted_at": self._now}
            self._connection.execute(
                update(replay_tables.replay).where(replay_tables.replay.c.id == replay).values(**values)
            )

    def _dues(self, row: RowMapping, ledger: Ledger) -> list[Due]:
        replay, missing = restore(json.loads(row["state"])), json.loads(row["missing"])
        parts = [part for part in replay.parts if part.state != "closed" and is_near(part.until, self._now)]
        if self._now - row["counted_at"] >= COUNTED_EVERY or any(_key(part) not in missing for part in parts):
            missing = self._fresh[replay.id] = self._count(parts, ledger)
        return [Due(replay.id, part.source, part.until or 0, missing[_key(part)]) for part in parts]

    def _count(self, parts: Iterable[Part], ledger: Ledger) -> dict[str, int]:
        """By part: events of its windows that have not come, as was last said."""
        width, ordinal = self._pipeline.width, ledger.directory.source
        found = {_key(part): 0 for part in parts}
        wanted: dict[TileKey, list[tuple[Part, int, int]]] = defaultdict(list)
        for part in parts:
            chunk = ordinal(part.source) // CHUNK
            for window in part.windows:
                first, end = window.start // width, window.end // width
                for span in range(first // SPAN, (end - 1) // SPAN + 1):
                    wanted[TileKey(part.hop, chunk, span)].append((part, first, end))
        for key, own in wanted.items():
            tile, ordinals = self._tile(key, ledger), key.span * SPAN + np.arange(SPAN)
            for part, first, end in own if tile is not None else ():
                row, inside = ordinal(part.source) % CHUNK, (ordinals >= first) & (ordinals < end)
                found[_key(part)] += sum(int(tile.parts[name][row, inside].sum()) for name in _GAP)
        return found

    def _tile(self, key: TileKey, ledger: Ledger) -> Any:
        if key in ledger.verdicts:
            return ledger.verdicts[key]
        table = tables.tile.c
        here = (table.part == key.part, table.span == key.span, table.chunk == key.chunk)
        stored = tiles.where(self._connection, self._pipeline.name, tiles.VERDICT, *here)
        return next((tile for _, tile in tiles.load(self._connection, stored, VerdictTile)), None)


def _key(part: Part) -> str:
    return f"{part.hop} {part.source}"
