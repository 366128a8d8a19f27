"""What the overview costs: time and bytes, with every source of a day.

    python -m benchmarks.bench_pages                     # 10,000 sources x 24 h on SQLite
    python -m benchmarks.bench_pages --sources 1000 --hours 3

The day is laid down as judgements write it, with one gap in a thousand cells, and each cell is said twice: when its
minute is over, and five minutes later. Then a real server is asked over HTTP, of the present and as of past instants:
what has not changed since is read as it is, and the rest is laid together from what was said by then. With `--moved`
everything has changed since, as after a recount of the whole day.
The first answer finds nothing remembered but what the server reads when it starts; the others are told by their median.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import insert

from benchmarks.bench_store import FIRST, HOP, laying_down, opened
from reconciler.core.outlines import outline
from reconciler.core.tiles import CHUNK, SPAN, VerdictTile
from reconciler.core.times import HOUR, MINUTE, Micros, format_time
from reconciler.ports import Said
from reconciler.settings import parse
from reconciler.store import SqlStore, findings, tables, tiles
from reconciler.store.outlines import pack_outline
from reconciler.web.api import build_api
from reconciler.web.pages import warm
from tests.web.serving import Clock, serving

LOOKS = 9
LATER = 5 * MINUTE
"""So old a cell is said for the last time."""


def main() -> None:
    """Measure and print, a line each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--moved", action="store_true", help="every verdict has changed since")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        laying_down(url, asked.sources, asked.hours)
        store = opened(url)
        end = (FIRST + asked.hours * SPAN) * MINUTE
        finish(store, end, asked.sources, moved=asked.moved)
        settings = parse(f"ledger: {url}\npipelines: {{batch: {{stages: [ingress, processed]}}}}\n", Path("x.yaml"), {})
        print(f"{asked.sources:,} sources x {asked.hours} h")
        app = build_api(store, settings, Clock(end))
        warm(app).join()  # as `run` and `pages` begin to, when they start
        then = [format_time(end - ago) for ago in (HOUR, asked.hours * HOUR // 2)]
        paths = ["/", "/?page=3", "/?source=customer-99", *(f"/?as_of={at}" for at in then)]
        with serving(app) as address:
            ask(
                address,
                [*paths, "/source?source=customer-7", f"/source?source=customer-7&as_of={then[0]}", "/pipeline"],
            )
        store.close()


def finish(store: SqlStore, end: Micros, sources: int, *, moved: bool) -> None:
    """Write what a judgement writes beside its tiles: outlines, when they were judged, what was said, that all is."""
    with store.database.writing() as connection:
        found = tiles.where(connection, "batch", tiles.VERDICT)
        table, laid = tables.tile, {}
        for stored, (_, tile) in zip(found, tiles.load(connection, found, VerdictTile), strict=True):
            judged = end if moved else min(end, (stored.key.span + 1) * SPAN * MINUTE + LATER)
            row = {"outline": pack_outline(outline(tile)), "latest_at": judged}
            connection.execute(table.update().where(table.c.id == stored.id).values(**row))
            laid[stored.key.span, stored.key.chunk] = tile
        position = 1_000
        for span in sorted({span for span, _ in laid}):
            for minute in range(SPAN):
                for age in (MINUTE, LATER):
                    position += 1
                    block = told(laid, span, minute, sources)
                    findings.append_said(connection, "batch", position, (span * SPAN + minute) * MINUTE + age, block)
        connection.execute(insert(tables.judged), [{"pipeline": "batch", "hop": HOP, "at": end, "position": position}])


def told(laid: dict[tuple[int, int], VerdictTile], span: int, minute: int, sources: int) -> Said:
    """What is said of all sources of one minute."""
    rows = [laid[span, chunk] for chunk in range(-(-sources // CHUNK))]
    codes, evidence = (np.concatenate([getattr(tile, name)[:, minute] for tile in rows])[:sources]
                       for name in ("code", "evidence"))  # fmt: skip
    everyone = np.arange(CHUNK)
    parts = np.concatenate([tile.parts.take(everyone, np.full(CHUNK, minute)) for tile in rows], axis=1)[:, :sources]
    bucket = np.full(sources, (span * SPAN + minute) * MINUTE, np.int64)
    nothing = np.zeros(sources, np.int64)
    return Said(HOP, np.arange(sources), bucket, codes, evidence, parts, nothing, nothing.astype(np.bool_))


def ask(address: str, paths: Sequence[str]) -> None:
    """Ask for each page again and again."""
    with httpx.Client(base_url=address, timeout=60, headers={"Accept": "text/html"}) as client:
        for path in paths:
            spent: list[float] = []
            busy: list[float] = []
            size = 0
            for _ in range(LOOKS):
                start, worked = time.perf_counter(), time.process_time()
                answer = client.get(path)
                spent.append(time.perf_counter() - start)
                busy.append(time.process_time() - worked)
                answer.raise_for_status()
                size = len(answer.content)
            print(
                f"  {path:44} first {spent[0] * 1000:6.0f} ms, then {statistics.median(spent[1:]) * 1000:6.0f} ms, "
                f"{size / 1000:8.1f} kB (of CPU, with the asking: first {busy[0] * 1000:.0f} ms, then "
                f"{statistics.median(busy[1:]) * 1000:.0f} ms)",
                flush=True,
            )


if __name__ == "__main__":
    main()
