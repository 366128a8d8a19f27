"""Killed again and again under load: what was answered with success is in the ledger once, and no verdict differs.

RECONCILER_KILLS sets how often, for each kind of database:  RECONCILER_KILLS=100 make test ARGS='-k killed_again'
"""

import json
import os
import random
import signal
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
import yaml

from reconciler.app import now
from reconciler.collect import collect, connectors_of
from reconciler.core.observations import parse
from reconciler.core.times import MINUTE, SECOND, Micros, floor_to, format_time, to_datetime
from reconciler.core.verdicts import Verdict
from reconciler.service import judge
from reconciler.settings import Settings, load
from reconciler.store import SqlStore, open_store, tables
from reconciler.store.packing import unpack
from tests.integration.forks import forked, free_port
from tests.until import until

KILLS = int(os.environ.get("RECONCILER_KILLS", "4"))
SOURCES, BUCKETS = 1_000, 6
QUERY = "SELECT source, bucket, count FROM stored WHERE bucket >= :start AND bucket < :end"
PARTS = ("accepted", "processed", "accounted", "lost", "surplus")

pytestmark = pytest.mark.slow

Line = dict[str, Any]


@dataclass
class Load:
    """Pushes readings that grow, and sends each again until it is answered with success."""

    port: int
    token: str
    first: Micros
    """Start of the first bucket."""
    answered: list[list[Line]] = field(default_factory=list)
    """Requests that were answered with success, in order."""
    refused: int = 0
    again: int = 0
    """Requests that were sent once more."""
    rounds: int = 0
    failure: str = ""
    """Why the last request was not answered with success."""

    def push_while(self, going: Event) -> None:
        """Another reading of each source of one bucket after the other; ends when all buckets have the same number."""
        while not going.is_set() or self.rounds % BUCKETS:
            self._push(self._lines(self.rounds % BUCKETS, self.rounds // BUCKETS))
            self.rounds += 1
        through = format_time(self.first + BUCKETS * MINUTE)
        at = format_time(self.first + (BUCKETS + 2) * MINUTE + self.rounds // BUCKETS * SECOND // 10)
        place = {"pipeline": "batch", "stage": "ingress", "reporter": "pusher"}
        self._push([{"type": "progress", "at": at, **place, "through": through}])

    def _lines(self, bucket: int, reading: int) -> list[Line]:
        start = self.first + bucket * MINUTE
        at = format_time(start + MINUTE + reading * SECOND // 10)
        place = {"pipeline": "batch", "stage": "ingress", "reporter": "pusher", "bucket": format_time(start)}
        return [
            {"type": "count", "at": at, "source": f"s{source:04}", **place, "count": accepted(source, reading)}
            for source in range(SOURCES)
        ]

    def _push(self, lines: list[Line]) -> None:
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        url = f"http://127.0.0.1:{self.port}/v1/observations"
        headers = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(url, body, headers)

        def send() -> bool:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  our own process
                    self.refused += int(json.load(answer)["refused"])
                    return True
            except (OSError, HTTPException) as error:
                if getattr(error, "code", 503) != 503:  # it would be refused for ever
                    raise
                self.again, self.failure = self.again + 1, repr(error)
                return False

        until(send, seconds=120, what=f"a push that is answered; {self.failure}")
        self.answered.append(lines)


def accepted(source: int, reading: int) -> int:
    """So many events of a source had been counted at the reading of this number."""
    return 1_000_000 + source + reading


def configuration(folder: Path, ledger: str, events: str, port: int) -> str:
    connector = {"kind": "sql", "pipeline": "batch", "stage": "processed", "url": events, "query": QUERY}
    path = folder / "reconciler.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "ledger": ledger,
                "pipelines": {"batch": {"stages": ["ingress", "processed"]}},
                "connectors": {"stored": connector | {"every": "1s", "window": "2h", "bind": "epoch"}},
                "schedule": {"tick": "1s"},
                "service": {"listen": f"127.0.0.1:{port}", "lease": "1s", "log": "json"},
                "push": {"rate": 1_000_000_000},
            }
        )
    )
    return str(path)


def store_events(url: str, first: Micros, reading: int) -> None:
    """What arrived: everything of most sources; of each hundredth one event too many, of each next one too few."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    rows = [
        {
            "source": f"s{source:04}",
            "bucket": int(to_datetime(first + bucket * MINUTE).timestamp()),
            "count": accepted(source, reading) + {0: 1}.get(source % 100, 0),
        }
        for source in range(SOURCES)
        for bucket in range(BUCKETS)
    ]
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS stored"))
        connection.execute(sa.text("CREATE TABLE stored (source TEXT, bucket BIGINT, count BIGINT)"))
        connection.execute(sa.text("INSERT INTO stored VALUES (:source, :bucket, :count)"), rows)


def history(store: SqlStore) -> Counter[tuple[int, int, int, int]]:
    """How often each reading of the first stage is in the ledger: series, bucket, at, count."""
    found: Counter[tuple[int, int, int, int]] = Counter()
    with store.database.reading() as connection:
        query = sa.select(tables.reading.c.payload).where(tables.reading.c.stage == "ingress")
        for payload in connection.execute(query).scalars():
            block = unpack(payload)
            lines = (block[name].tolist() for name in ("series", "column", "at", "count"))
            found.update(zip(*lines, strict=True))
    return found


def cells(store: SqlStore, settings: Settings) -> dict[str, list[list[Any]]]:
    """By source: verdict and amounts of each of its buckets, in order."""
    pipeline = settings.pipelines["batch"]
    names = store.directory(pipeline).sources
    found: dict[str, list[list[Any]]] = {}
    for key, tile in store.verdict_tiles(pipeline, "ingress>processed", 0, now()):
        for row, column in np.argwhere(tile.parts["accepted"] > 0).tolist():
            values = [Verdict(int(tile.code[row, column])).word, *tile.parts.row(row)[:, column].tolist()]
            found.setdefault(names[key.chunk * tile.code.shape[0] + row], []).append(values)
    return found


@pytest.mark.long
def test_killed_again_and_again_under_load_it_loses_and_doubles_nothing(
    tmp_path: Path, ledger_url: str, sqlite_database: str
) -> None:
    events = f"sqlite:///{tmp_path / 'events.db'}"
    store = open_store(ledger_url)
    token = store.tokens.create("pusher", now(), reads=False, writes=True, pipelines=["batch"])
    load_on = Load(free_port(), token, floor_to(now(), MINUTE) - 60 * MINUTE)
    store_events(events, load_on.first, 0)
    config = configuration(tmp_path, ledger_url, events, load_on.port)
    chance, enough = random.Random(7), Event()
    pusher = Thread(target=load_on.push_while, args=(enough,), daemon=True)
    with forked(tmp_path / "log.ndjson", config) as service:
        pusher.start()
        for _ in range(KILLS):
            rounds = load_on.rounds
            until(lambda rounds=rounds: load_on.rounds > rounds, 120, "a push between two kills")  # type: ignore[misc]  # its default is the value of this turn
            Event().wait(chance.uniform(0, 1))  # anywhere in a push, a reading or a judgement
            service.end(signal.SIGKILL)
            service.start()
        enough.set()
        pusher.join(300)
        assert not pusher.is_alive()
        service.end(signal.SIGTERM)
    assert load_on.refused == 0
    assert load_on.again >= KILLS / 2, "the kills have hit nothing"

    settings = load(config)
    calm = open_store(f"sqlite:///{tmp_path / 'calm.db'}")
    said = [parse(line, settings.pipelines) for lines in load_on.answered for line in lines]
    calm.record(said, settings.pipelines)
    store_events(events, load_on.first, load_on.rounds // BUCKETS - 1)
    end = now() + MINUTE
    for ledger in (store, calm):
        collect(ledger, connectors_of(settings), settings.pipelines, end)
        judge(ledger, settings.pipelines["batch"], end)
    disturbed, undisturbed = history(store), history(calm)
    assert set(disturbed.values()) == {1}, "a reading is there twice"
    assert sum(disturbed.values()) == SOURCES * load_on.rounds
    assert sorted(line[1:] for line in disturbed) == sorted(line[1:] for line in undisturbed)
    verdicts = cells(store, settings)
    assert verdicts == cells(calm, settings)
    assert Counter(cell[0] for source in verdicts.values() for cell in source) == {
        "complete": (SOURCES - SOURCES // 100) * BUCKETS,
        "surplus": SOURCES // 100 * BUCKETS,
    }
    store.close()
    calm.close()
