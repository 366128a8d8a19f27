"""`python -m benchmarks.models --volume FOLDER`: the whole protocol in one run, lag and volume.

`python -m benchmarks.models --year` lives through a year of harmless things instead, and counts what is said falsely.
"""

import argparse
from pathlib import Path

from benchmarks.models import lag, volume, year
from reconciler.core.times import MINUTE, parse_duration


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volume", type=Path, help="folder of count series: wide CSVs and labels.csv")
    parser.add_argument("--bucket", default="30m", help="narrower buckets are summed up to this (default: 30m)")
    parser.add_argument("--no-lag", action="store_true", help="leave out the simulated pipelines")
    parser.add_argument("--runs", type=int, default=3, help="runs of each simulated pipeline (default: 3)")
    parser.add_argument("--story", default="", help="only the simulated pipelines with this in their name")
    parser.add_argument("--quick", action="store_true", help="fewer losses and runs, and without the slow rival")
    parser.add_argument("--seed", type=int, default=20210720)
    parser.add_argument("--year", action="store_true", help="a year of harmless things, and nothing else")
    parser.add_argument("--days", type=int, default=365, help="with --year: so many (default: 365)")
    parser.add_argument("--width", default="15m", help="with --year: a bucket")
    parser.add_argument("--every", default="", help="with --year: time between two ticks (default: a bucket)")
    parser.add_argument("--queue", choices=("seen", "unseen"), default="seen", help="with --year")
    parser.add_argument("--only", default="", help="with --year: only the harmless things with this in their name")
    asked = parser.parse_args()
    if asked.year:
        width, every = (parse_duration(one) // MINUTE for one in (asked.width, asked.every or asked.width))
        if width % every or every < 1:
            parser.error("--every: whole minutes of which a bucket is a multiple")
        queue = asked.queue == "seen"
        year.run(asked.days, width, every=every, queue=queue, seed=asked.seed, only=asked.only)
        return
    if asked.volume is None and asked.no_lag:
        parser.error("nothing to measure: give --volume FOLDER, or leave out --no-lag")
    if asked.volume is not None:
        volume.measure(asked.volume, parse_duration(asked.bucket), quick=asked.quick, seed=asked.seed)
    if not asked.no_lag:
        lag.main(1 if asked.quick else asked.runs, asked.story)


if __name__ == "__main__":
    main()
