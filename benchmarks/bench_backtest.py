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
from reconciler.core.times import DAY, MINUTE, format_time

START = 27_000_000 * MINUTE
SOURCES, PARTITIONS, WRITTEN = 7, 4, 1_800
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
    """Two thirds of each minute are processed at once, the rest in the next; the queue is read at once."""
    for minute in range(minutes):
        at = START + (minute + 1) * MINUTE
        base = {"at": format_time(at), "pipeline": "batch"}
        for source in range(SOURCES):
            for age, share in ((0, 2), (1, 3)):
                if minute >= age:
                    yield _counts(base, source, minute - age, share, first=age == 0)
                    if age == 0:
                        yield _accepted(base, source, minute)
        end = (minute + 1) * WRITTEN
        for partition in range(PARTITIONS):
            offsets = {"start_offset": max(0, end - 2_880 * WRITTEN), "end_offset": end, "committed_offset": end}
            retention = 2 * DAY // 1_000_000
            yield {"type": "queue", **base, "queue": "events", "partition": partition, **offsets} | {
                "retention_seconds": retention,
                "replicas": 2,
            }
        for stage in ("ingress", "processed"):
            yield {"type": "progress", **base, "stage": stage, "through": format_time(at)}


def _events(source: int, minute: int) -> int:
    return 1_000 + (minute * 7 + source * 13) % 50


def _accepted(base: dict[str, Any], source: int, minute: int) -> dict[str, Any]:
    bucket = format_time(START + minute * MINUTE)
    return {"type": "count", **base, "stage": "ingress", "source": f"source-{source}", "bucket": bucket} | {
        "count": _events(source, minute)
    }


def _counts(base: dict[str, Any], source: int, minute: int, share: int, *, first: bool) -> dict[str, Any]:
    bucket, events = format_time(START + minute * MINUTE), _events(source, minute)
    done = events * share // 3 if first else events
    return {
        "type": "count",
        **base,
        "stage": "processed",
        "source": f"source-{source}",
        "bucket": bucket,
        "count": done,
    }


if __name__ == "__main__":
    main()
