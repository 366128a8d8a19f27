"""How fast files of observations are read, and imported into an embedded ledger; and in how much memory.

python -m benchmarks.bench_import --lines 1000000
"""

import argparse
import gzip
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from reconciler.cli import group, run
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, floor_to, format_time, parse_time
from reconciler.reading import RefusedLine, read

SOURCES = 1_000
FIELDS = ("at", "pipeline", "stage", "source", "bucket", "count", "reporter")
FIRST = floor_to(parse_time("2021-07-20T00:00:00Z"), MINUTE)
CONFIG = "pipelines: {batch: {stages: [ingress, processed]}}\n"


def records(lines: int) -> Iterator[dict[str, object]]:
    """Counts of a thousand sources, minute after minute."""
    for number in range(lines):
        bucket = FIRST + number // SOURCES * MINUTE
        yield {
            "type": "count",
            "at": format_time(bucket + 2 * MINUTE),
            "pipeline": "batch",
            "stage": "ingress",
            "source": f"partner/source-{number % SOURCES}",
            "bucket": format_time(bucket),
            "count": number * 7919 % 10_000,
            "reporter": "ingest-01",
        }


def write(folder: Path, lines: int) -> list[Path]:
    """The same observations in each form."""
    paths = [folder / "counts.ndjson", folder / "counts.ndjson.gz", folder / "counts.csv"]
    with paths[0].open("w") as plain, gzip.open(paths[1], "wt", compresslevel=1) as packed, paths[2].open("w") as table:
        table.write(",".join(FIELDS) + "\n")
        for record in records(lines):
            line = json.dumps(record) + "\n"
            plain.write(line)
            packed.write(line)
            table.write(",".join(str(record[name]) for name in FIELDS) + "\n")
    return paths


def measure(folder: Path, lines: int) -> None:
    """Print a line for each form, and one for the whole way into a ledger."""
    pipelines = {"batch": Pipeline("batch", ("ingress", "processed"))}
    paths = write(folder, lines)
    for path in paths:
        began = Clock()
        good = sum(not isinstance(entry, RefusedLine) for entry in read(str(path), pipelines))
        say(f"read {path.suffixes[-1]:7}", good, began)
    (folder / "reconciler.yaml").write_text(CONFIG)
    for what in ("import", "import again"):
        began = Clock()
        run(group, ["import", str(paths[0]), "--config", str(folder / "reconciler.yaml")])
        say(what, lines, began)


class Clock:
    """When something began, by the wall and in time of the processor: the latter holds on a busy machine too."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def since(self) -> tuple[float, float]:
        """Seconds by the wall and of the processor."""
        return time.perf_counter() - self.wall, time.process_time() - self.processor


def say(what: str, lines: int, began: Clock) -> None:
    """One result."""
    wall, processor = began.since()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    rate = f"{wall:6.2f} s ({processor:6.2f} s of a processor: {lines / processor:>9,.0f} lines/s)"
    print(f"{what:14} {lines:>9,} lines in {rate}, {memory:.0f} MB at most")


def main() -> None:
    """Measure in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=300_000)
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), parser.parse_args().lines)


if __name__ == "__main__":
    main()
