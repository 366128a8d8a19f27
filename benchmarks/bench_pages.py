"""What the overview costs: time and bytes, with every source of a day.

    python -m benchmarks.bench_pages                     # 10,000 sources x 24 h on SQLite
    python -m benchmarks.bench_pages --sources 1000 --hours 3

The day is laid down as judgements write it, with one gap in a thousand cells; then a real server is asked over HTTP.
The first answer finds nothing remembered; the others are told by their median.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from benchmarks.bench_store import FIRST, HOP, laying_down, opened
from reconciler.core.outlines import outline
from reconciler.core.tiles import SPAN, VerdictTile
from reconciler.core.times import MINUTE
from reconciler.settings import parse
from reconciler.store import SqlStore, tables, tiles
from reconciler.store.outlines import pack_outline
from reconciler.web.api import build_api
from tests.web.serving import Clock, serving

LOOKS = 9


def main() -> None:
    """Measure and print, a line each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=24)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        laying_down(url, asked.sources, asked.hours)
        store = opened(url)
        end = (FIRST + asked.hours * SPAN) * MINUTE
        finish(store, end)
        settings = parse(f"ledger: {url}\npipelines: {{batch: {{stages: [ingress, processed]}}}}\n", Path("x.yaml"), {})
        print(f"{asked.sources:,} sources x {asked.hours} h")
        with serving(build_api(store, settings, Clock(end))) as address:
            ask(address, ["/", "/?page=3", "/?source=customer-99", "/source?source=customer-7", "/pipeline"])
        store.close()


def finish(store: SqlStore, end: int) -> None:
    """Write the outlines that a judgement writes beside its tiles, and that all is judged."""
    with store.database.writing() as connection:
        found = tiles.where(connection, "batch", tiles.VERDICT)
        table = tables.tile
        for stored, (_, tile) in zip(found, tiles.load(connection, found, VerdictTile), strict=True):
            packed = pack_outline(outline(tile))
            connection.execute(table.update().where(table.c.id == stored.id).values(outline=packed))
        row: dict[str, Any] = {"pipeline": "batch", "hop": HOP, "at": end, "position": 0}
        connection.execute(insert(tables.judged), [row])


def ask(address: str, paths: Sequence[str]) -> None:
    """Ask for each page again and again."""
    with httpx.Client(base_url=address, timeout=60, headers={"Accept": "text/html"}) as client:
        for path in paths:
            spent: list[float] = []
            size = 0
            for _ in range(LOOKS):
                start = time.perf_counter()
                answer = client.get(path)
                spent.append(time.perf_counter() - start)
                answer.raise_for_status()
                size = len(answer.content)
            print(
                f"  {path:28} first {spent[0] * 1000:6.0f} ms, then {statistics.median(spent[1:]) * 1000:6.0f} ms, "
                f"{size / 1000:8.1f} kB",
                flush=True,
            )


if __name__ == "__main__":
    main()
