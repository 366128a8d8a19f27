"""What a backtest costs: reading, judging and writing four days of one pipeline, in one process.

python -m benchmarks.bench_backtest                # 7 sources, 4 partitions, 5,760 ticks, about 300,000 lines
python -m benchmarks.bench_backtest --minutes 600
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.cli import group, run
from reconciler.core.times import DAY, MINUTE, SECOND, format_time

START = 27_000_000 * MINUTE
SOURCES, REPORTERS, PARTITIONS, WRITTEN = 7, 2, 4, 1_800
CONFIG = """
pipelines:
  batch:
    stages: [ingress, processed]
    mode: alert
    queues:
      events: {from: ingress, to: processed, policy: {retention: 7d, replicas: 2}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=5_760)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as folder:
        story, config, output = (Path(folder) / name for name in ("seen.ndjson", "reconciler.yaml", "said.ndjson"))
        config.write_text(CONFIG)
        with story.open("w") as file:
            count = sum(file.write(json.dumps(line) + "\n") > 0 for line in lines(minutes))
        wall, cpu = time.perf_counter(), time.process_time()
        code = run(group, ["backtest", str(story), "--config", str(config), "--output", str(output)])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{count:,} lines, {minutes:,} ticks, exit {code}: {wall:.1f} s, {cpu:.1f} s of CPU, {memory} MB")


def lines(minutes: int) -> Iterator[dict[str, Any]]:
    """Two reporters a stage; two thirds of each minute are processed at once, the rest in the next."""
    for minute in range(minutes):
        at = START + (minute + 1) * MINUTE
        base = {"at": format_time(at), "pipeline": "batch"}
        for source in range(SOURCES):
            for reporter in range(REPORTERS):
                yield _count(base, source, minute, _events(source, minute), "ingress", reporter)
                yield _count(base, source, minute, _events(source, minute) * 2 // 3, "processed", reporter)
                if minute:
                    yield _count(base, source, minute - 1, _events(source, minute - 1), "processed", reporter)
        end = (minute + 1) * WRITTEN
        for partition in range(PARTITIONS):
            offsets = {"start_offset": max(0, end - 2_880 * WRITTEN), "end_offset": end, "committed_offset": end}
            kept = {"retention_seconds": 2 * DAY // SECOND, "replicas": 2}
            yield {"type": "queue", **base, "queue": "events", "partition": partition, **offsets, **kept}
        for stage in ("ingress", "processed"):
            for reporter in range(REPORTERS):
                own = {"stage": stage, "reporter": f"{stage}-{reporter}", "through": format_time(at)}
                yield {"type": "progress", **base, **own}


def _events(source: int, minute: int) -> int:
    return 500 + (minute * 7 + source * 13) % 50


def _count(base: dict[str, Any], source: int, minute: int, events: int, stage: str, reporter: int) -> dict[str, Any]:
    cell = {"stage": stage, "source": f"source-{source}", "bucket": format_time(START + minute * MINUTE)}
    return {"type": "count", **base, **cell, "count": events, "reporter": f"{stage}-{reporter}"}


if __name__ == "__main__":
    main()
