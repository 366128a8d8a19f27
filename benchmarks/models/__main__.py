"""`python -m benchmarks.models --volume FOLDER`: the whole protocol in one run, lag and volume."""

import argparse
from pathlib import Path

from benchmarks.models import lag, volume
from reconciler.core.times import parse_duration


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--volume", type=Path, help="folder of count series: wide CSVs and labels.csv")
    parser.add_argument("--bucket", default="30m", help="narrower buckets are summed up to this (default: 30m)")
    parser.add_argument("--no-lag", action="store_true", help="leave out the simulated pipelines")
    parser.add_argument("--runs", type=int, default=3, help="runs of each simulated pipeline (default: 3)")
    parser.add_argument("--story", default="", help="only the simulated pipelines with this in their name")
    parser.add_argument("--quick", action="store_true", help="fewer losses and runs, and without the slow rival")
    parser.add_argument("--seed", type=int, default=20210720)
    asked = parser.parse_args()
    if asked.volume is None and asked.no_lag:
        parser.error("nothing to measure: give --volume FOLDER, or leave out --no-lag")
    if asked.volume is not None:
        volume.measure(asked.volume, parse_duration(asked.bucket), quick=asked.quick, seed=asked.seed)
    if not asked.no_lag:
        lag.main(1 if asked.quick else asked.runs, asked.story)


if __name__ == "__main__":
    main()
