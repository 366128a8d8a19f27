"""The real service under a random series of faults, beside an oracle that knows what must come of it.

    make long MINUTES=30 ARGS='-k random_faults'    # both databases, half the time each
    RECONCILER_FAULT_SECONDS=600 RECONCILER_FAULT_SEED=7 make test ARGS='-k "random_faults and postgresql"'

What was tried, how often and what came of it is written to build/faults-*.md.
"""

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from reconciler.app import now
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import HOUR, MINUTE, SECOND, Micros, floor_to
from reconciler.service import judge
from reconciler.settings import load
from reconciler.store import SqlStore, migrate, open_store
from tests.fault import oracle
from tests.fault.load import SHARES, STAGES, WIDTH, Reporter, Sink
from tests.fault.trouble import EMBEDDED, SERVED, Trouble, World
from tests.integration.forks import Forks, forked, free_port
from tests.postgres import Postgres, running_postgres
from tests.until import until

SECONDS = float(os.environ.get("RECONCILER_FAULT_SECONDS", "10"))
SEED = int(os.environ.get("RECONCILER_FAULT_SEED", "20210720"))
BUILD = Path(__file__).parents[2] / "build"
DURABLE = ("synchronous_commit=on",)
"""The server is killed here, not the machine: what it has handed to the system is kept."""

pytestmark = [pytest.mark.slow, pytest.mark.long]


def configuration(folder: Path, number: int, ledger: str, port: int) -> str:
    path = folder / f"reconciler-{number}.yaml"
    service = {"listen": f"127.0.0.1:{port}", "lease": "1s", "log": "json", "blind_after": "1h"}
    pipeline = {"stages": list(STAGES), "bucket": f"{WIDTH // SECOND}s", "mode": "alert"}
    path.write_text(
        yaml.safe_dump(
            {
                "ledger": ledger,
                "pipelines": {"batch": pipeline},
                "schedule": {"tick": "1s"},
                "service": service,
                "push": {"rate": 1_000_000_000},
            }
        )
    )
    return str(path)


@dataclass
class Run:
    """One run: the ledger, what was told, what was done to the service."""

    store: SqlStore
    pipeline: Pipeline
    sink: Sink
    first: Micros
    last: int = 0
    """So many buckets were spoken of."""
    tried: "Counter[str]" = field(default_factory=Counter)
    """Faults, and how often."""


def live_through(run: Run, world: World, troubles: dict[str, Trouble], seconds: float) -> None:
    """Fault after fault, and between two of them something is taken in: whatever has happened, it goes on."""
    enough = threading.Event()
    reporters = [
        Reporter(run.sink, stage, share, run.first, enough, world.flood) for stage in STAGES for share in range(SHARES)
    ]
    threads = [threading.Thread(target=one.work, daemon=True) for one in reporters]
    for thread in threads:
        thread.start()
    until(lambda: run.sink.seen["pushes answered with success"] > 1, 120, "a service that takes pushes")
    end = max(now() + int(seconds * SECOND), run.first + 4 * WIDTH)  # there are some buckets to speak of
    names: list[str] = []
    while now() < end or len(run.tried) < len(troubles):
        names = names or world.chance.sample(sorted(troubles), len(troubles))  # each as often as the others
        name = names.pop()
        troubles[name](world)
        run.tried[name] += 1
        world.pause(0, 1.2)
        pushed = run.sink.seen["pushes answered with success"]
        until(lambda: run.sink.seen["pushes answered with success"] > pushed, 120, f"a push after: {name}")  # noqa: B023  it is called within this turn
    enough.set()
    for thread, one in zip(threads, reporters, strict=True):
        thread.join(300)
        assert not thread.is_alive()
        if one.failure is not None:
            raise one.failure
    run.last = max(one.last for one in reporters)
    for one in reporters:
        one.finish(run.last)
    judged_on(run, 0)
    world.clock.write_text(str(HOUR // SECOND))
    for one in reporters:
        one.end(run.last)
    judged_on(run, 55 * MINUTE)


def judged_on(run: Run, ahead: Micros) -> None:
    """Wait until all that was told is judged; where the clock was ahead, the service waits until that is reached."""
    told = max(now() + ahead, run.store.judged_at(run.pipeline) or 0)
    until(lambda: (run.store.judged_at(run.pipeline) or 0) > told, 120, "a judgement of all that was told")


@contextmanager
def services(folder: Path, ledger: str, ports: list[int], clock: Path) -> Iterator[list[Forks]]:
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                forked(
                    folder / f"log-{number}.ndjson",
                    configuration(folder, number, ledger, port),
                    "tests.fault.clocked",
                    str(clock),
                )
            )
            for number, port in enumerate(ports)
        ]
        yield started
        for one in started:
            one.end(signal.SIGTERM)


def disturbed(
    folder: Path, url: str, server: Postgres | None, troubles: dict[str, Trouble], seconds: float = SECONDS
) -> Run:
    migrate(url)
    store, chance, clock = open_store(url), random.Random(SEED), folder / "wrong-by"
    clock.write_text("0")
    ports = [free_port() for _ in range(1 if server is None else 2)]
    token = store.tokens.create("reporters", now(), reads=False, writes=True, pipelines=["batch"])
    sink = Sink(ports, token)
    place = make_url(url).database or ""
    with services(folder, url, ports, clock) as started:
        pipeline = load(str(folder / "reconciler-0.yaml")).pipelines["batch"]
        run = Run(store, pipeline, sink, floor_to(now(), WIDTH))
        world = World(started, place, server, clock, threading.Event(), sink, chance)
        live_through(run, world, troubles, seconds)
    return run


def found(run: Run, folder: Path) -> dict[str, Any]:
    """What the oracle has to say; lists, all of which must be empty."""
    observations = oracle.told(run.sink.kept, run.pipeline)
    wanted, held = oracle.expected(observations), oracle.history(run.store, run.pipeline)
    buckets = range(run.first // WIDTH, run.first // WIDTH + run.last)
    by_itself = oracle.cells(run.store, run.pipeline, now() + 2 * HOUR)
    end = max(now(), run.store.judged_at(run.pipeline) or 0) + MINUTE
    calm = open_store(f"sqlite:///{folder / 'calm.db'}")
    migrate(f"sqlite:///{folder / 'calm.db'}")
    calm.record(observations, {"batch": run.pipeline})
    for store in (run.store, calm):
        judge(store, run.pipeline, end)
    cells, undisturbed = (oracle.cells(store, run.pipeline, end) for store in (run.store, calm))
    logs = [
        json.loads(line)
        for log in sorted(folder.glob("log-*.ndjson"))
        for line in log.read_text().splitlines()
        if line[:1] == "{"
    ]
    calm.close()
    return {
        "observations lost": sorted((wanted - held).elements()),
        "observations there twice": sorted(one for one, often in held.items() if often > 1),
        "observations that nobody told": sorted(held.keys() - wanted.keys()),
        "verdicts of the service that are wrong by construction": oracle.by_construction(by_itself, buckets),
        "verdicts after one more judgement that are wrong by construction": oracle.by_construction(cells, buckets),
        "cells with other numbers than in an undisturbed run": oracle.unlike(cells, undisturbed),
        "answers that nobody may get": run.sink.strange,
        "tracebacks in the log": [line["traceback"] for line in logs if "traceback" in line],
    }


def written(run: Run, verdict: dict[str, Any], kind: str) -> str:
    """What was tried and what came of it, for people."""
    lines = [f"| {name} | {often:,} |" for name, often in sorted(run.tried.items())]
    lines += [f"| {name} | {often:,} |" for name, often in sorted(run.sink.seen.items())]
    lines += waits(run.sink.took)
    lines.append(f"| observations acknowledged, each once | {len(oracle.told(run.sink.kept, run.pipeline)):,} |")
    lines += [f"| **{name}** | **{len(entries)}** |" for name, entries in verdict.items()]
    BUILD.mkdir(exist_ok=True)
    text = f"| {kind}, {SECONDS:.0f} s, seed {SEED} | how often |\n|---|---:|\n" + "\n".join(lines) + "\n"
    (BUILD / f"faults-{kind}.md").write_text(text)
    return text


def waits(took: list[float]) -> Iterator[str]:
    """How long a push took to be answered, in the run's first, middle and last third: it must not grow with history."""
    third = max(len(took) // 3, 1)
    for name, start in (("first", 0), ("middle", third), ("last", 2 * third)):
        some = sorted(took[start : start + third]) or [0.0]
        usual, late, most = (1000 * some[int(share * (len(some) - 1))] for share in (0.5, 0.99, 1))
        what = f"a push answered after, ms: median; 99 in 100; slowest; {name} third"
        yield f"| {what} | {usual:.0f}; {late:.0f}; {most:.0f} |"


def tried_on(folder: Path, url: str, server: Postgres | None) -> None:
    troubles = EMBEDDED if server is None else SERVED
    run = disturbed(folder, url, server, troubles)
    verdict = found(run, folder)
    text = written(run, verdict, "sqlite" if server is None else "postgresql")
    run.store.close()
    assert run.tried.keys() == troubles.keys()
    assert run.last > 0, "too little was told for anything to go wrong"
    assert not any(verdict.values()), text + json.dumps({name: some[:5] for name, some in verdict.items()}, indent=1)


def test_under_random_faults_nothing_is_lost_and_no_verdict_is_wrong_on_sqlite(
    tmp_path: Path, sqlite_database: str
) -> None:
    tried_on(tmp_path, sqlite_database, None)


@pytest.mark.postgres
def test_under_random_faults_nothing_is_lost_and_no_verdict_is_wrong_on_postgresql(tmp_path: Path) -> None:
    with running_postgres(*DURABLE) as server:
        tried_on(tmp_path, server.url(server.create_database()), server)
