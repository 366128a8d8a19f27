"""How many observations a second one process takes in over HTTP, and what limits it.

    python -m benchmarks.bench_push
    python -m benchmarks.bench_push --sources 1000 --batch 5000 --senders 4 --seconds 10 --database sqlite

The service (uvicorn, one worker) and PostgreSQL run for real, each in processes of its own; bodies are made beforehand
and sent as they are, so that the senders cost next to nothing. What is said of the processor is the service's own time
and the server's: on a machine that others use too, the first is what holds.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from benchmarks.measuring import server_seconds
from reconciler.core.times import MINUTE, SECOND, Micros, format_time
from reconciler.settings import parse
from reconciler.store import migrate, open_store
from reconciler.web.api import build_api
from reconciler.web.intake import Intake
from reconciler.web.unpacking import PIECE
from tests.postgres import running_postgres

FIRST = 27_000_000
"""Ordinal of the first minute; it begins a span."""
NOW = (FIRST + 100_000) * MINUTE
CONFIG = "pipelines: {batch: {stages: [ingress, processed]}}\npush: {rate: 100000000}\nledger: "


def main() -> None:
    """Measure what was asked for and print it, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--sources", type=int, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--batch", type=int, default=5_000, help="observations in a request")
    parser.add_argument("--senders", type=int, nargs="+", default=[1, 4], help="requests at the same time")
    parser.add_argument("--batches", type=int, default=60)
    asked = parser.parse_args()
    bodies = list(requests(1_000, asked.batch, 20))
    print(f"reading and checking alone: {reading(bodies) / len(bodies) / asked.batch * 1e6:.1f} µs of a processor each")
    print(f"{asked.database}, requests of {asked.batch:,} observations, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as folder, ledgers(asked.database, folder) as fresh:
        for sources in asked.sources:
            for senders in asked.senders:
                bodies = list(requests(sources, asked.batch, asked.batches))
                print(
                    f"  {sources:6,} sources, {senders} senders: {measure(next(fresh), bodies, senders, asked.batch)}"
                )


def reading(bodies: list[bytes]) -> float:
    """Seconds of the processor that the part before the ledger takes; the rest of the service's time is recording."""
    settings = parse(CONFIG + "sqlite:///nothing.db", Path("bench.yaml"), {})
    began = time.process_time()
    for body in bodies:
        intake = Intake(
            settings.pipelines, NOW, everything=True, kept_from={}, closed={}, size=2**30, observations=2**30
        )
        for start in range(0, len(body), PIECE):
            intake.feed(body[start : start + PIECE])
        intake.finish()
    return time.process_time() - began


@contextmanager
def ledgers(kind: str, folder: str) -> Iterator[Iterator[str]]:
    """Fresh ledgers of this kind."""
    if kind == "sqlite":
        yield (f"sqlite:///{Path(folder) / f'{number}.db'}" for number in range(1_000))
        return
    with running_postgres() as server:
        yield (server.url(server.create_database()) for _ in range(1_000))


def requests(sources: int, batch: int, amount: int) -> Iterator[bytes]:
    """Bodies as services send them: for each minute every source once, then progress."""
    number = 0
    for _ in range(amount):
        lines = []
        for _ in range(batch - 1):
            bucket = (FIRST + number // sources) * MINUTE
            lines.append(line(bucket, number % sources, number * 7919 % 10_000))
            number += 1
        place = {"pipeline": "batch", "stage": "ingress", "reporter": "ingest-01-5f0c9ab4"}
        lines.append(json.dumps({"type": "progress", "at": told(bucket), **place, "through": format_time(bucket)}))
        yield "\n".join(lines).encode()


def line(bucket: Micros, source: int, count: int) -> str:
    """One count."""
    return json.dumps(
        {
            "type": "count",
            "at": told(bucket),
            "pipeline": "batch",
            "stage": "ingress",
            "source": f"partner/customer-{source}",
            "bucket": format_time(bucket),
            "count": count,
            "reporter": "ingest-01-5f0c9ab4",
        }
    )


def told(bucket: Micros) -> str:
    """When a bucket is reported."""
    return format_time(bucket + MINUTE + 10 * SECOND)


def measure(url: str, bodies: list[bytes], senders: int, batch: int) -> str:
    """Send all bodies; the first ones, which meet an empty ledger, are not counted."""
    migrate(url)
    store = open_store(url)
    secret = store.tokens.create("benchmark", 0, reads=True, writes=True, pipelines=[])
    store.close()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(url, there), daemon=True)
    process.start()
    port = here.recv()
    warm = max(2, len(bodies) // 10)
    try:
        send(port, secret, bodies[:warm], 1)
        here.send("time")
        before, server = here.recv(), server_seconds(url)
        began = time.perf_counter()
        send(port, secret, bodies[warm:], senders)
        wall = time.perf_counter() - began
        here.send("time")
        spent, server = here.recv() - before, server_seconds(url) - server
    finally:
        process.terminate()
        process.join()
    amount = batch * len(bodies[warm:])
    return (
        f"{amount / wall:8,.0f} observations/s; the service {spent / amount * 1e6:.1f} µs of a processor each "
        f"({amount / spent:,.0f}/s), PostgreSQL {server / amount * 1e6:.1f} µs"
    )


def serve(url: str, pipe: Connection) -> None:
    """The service, in a process of its own; tells its port, and its time of the processor when asked."""
    settings = parse(CONFIG + json.dumps(url.replace("+psycopg", "")), Path("bench.yaml"), {})
    app = build_api(open_store(url), settings, lambda: NOW)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(answer, server, pipe)
        server.run()


def answer(server: uvicorn.Server, pipe: Connection) -> None:
    """Say the port once it is known, then the time spent each time it is asked for."""
    while not server.started:
        time.sleep(0.01)
    pipe.send(server.servers[0].sockets[0].getsockname()[1])
    while pipe.recv():
        pipe.send(time.process_time())


def send(port: int, secret: str, bodies: list[bytes], senders: int) -> None:
    """Send bodies over so many connections."""
    with ThreadPoolExecutor(senders) as pool:
        for done in [pool.submit(sender, port, secret, bodies[number::senders]) for number in range(senders)]:
            done.result()


def sender(port: int, secret: str, bodies: list[bytes]) -> None:
    """Send bodies one after the other, each once the one before is answered."""
    connection = http.client.HTTPConnection(urlsplit(f"http://127.0.0.1:{port}").netloc)
    for body in bodies:
        connection.request("POST", "/v1/observations", body, {"Authorization": f"Bearer {secret}"})
        response = connection.getresponse()
        said = response.read()
        assert response.status == 200, said[:500]


if __name__ == "__main__":
    main()
