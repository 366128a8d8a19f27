"""`python -m benchmarks.models --volume FOLDER`: the whole protocol in one run."""

import argparse
from pathlib import Path

from benchmarks.models import volume
from reconciler.core.times import parse_duration


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--volume", type=Path, help="folder of count series: wide CSVs and labels.csv")
    parser.add_argument("--bucket", default="30m", help="narrower buckets are summed up to this (default: 30m)")
    parser.add_argument("--quick", action="store_true", help="fewer losses, and without the slow rival")
    parser.add_argument("--seed", type=int, default=20210720)
    asked = parser.parse_args()
    if asked.volume is None:
        parser.error("nothing to measure: give --volume FOLDER")
    volume.measure(asked.volume, parse_duration(asked.bucket), quick=asked.quick, seed=asked.seed)


if __name__ == "__main__":
    main()
