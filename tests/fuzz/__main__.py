"""Fuzz everything for so many minutes in all, as many at once as there are processors.

    make fuzz MINUTES=30
    make fuzz MINUTES=10 ARGS='--only api --only lines'

What is found to cover more is kept in build/fuzz/, and the next run goes on from there. How much was tried is written
to build/fuzz.md. 1: something was found, and how to see it again is said.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.targets import TARGETS

BUILD = Path("build/fuzz")
MEGABYTES = 2048
"""A target that holds more than that has found something."""
TURN = 120
"""Seconds in one process: the fuzzer itself keeps an object for each comparison that has no plain result (of arrays, of
columns of a database), some 20 kB a request, and only its end frees them."""
SLOW = 30
"""Seconds that one input may take; it is a finding too."""
LONGEST = 8192
"""Bytes of an input."""
_TRIED = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)
_COVERED = re.compile(r" cov: (\d+) ")


class Found(NamedTuple):
    """What became of a target."""

    name: str
    code: int
    tried: int
    covered: int
    """Branches."""
    said: str


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--only", action="append", choices=tuple(TARGETS))
    asked = parser.parse_args()
    names, at_once = asked.only or list(TARGETS), os.cpu_count() or 1
    seconds = max(1, int(asked.minutes * 60 * min(at_once, len(names)) / len(names)))
    with ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(lambda name: fuzzed(name, seconds), names))
    table = "\n".join(
        ["| given anything | inputs | branches reached | broke it |", "|---|---:|---:|---:|", *map(_row, results), ""]
    )
    BUILD.with_suffix(".md").write_text(table)
    print(f"{seconds} s each\n\n{table}")  # noqa: T201  it is what it is called for
    return 1 if any(one.code for one in results) else 0


def _row(one: Found) -> str:
    return f"| {TARGETS[one.name].about} | {one.tried:,} | {one.covered:,} | {1 if one.code else 0} |"


def fuzzed(name: str, seconds: int) -> Found:
    """Try one target for so long, turn by turn; each goes on from what the others have kept."""
    turns = -(-seconds // TURN)
    found = [_turn(name, seconds // turns)]
    while len(found) < turns and not found[-1].code:
        found.append(_turn(name, seconds // turns))
    return found[-1]._replace(tried=sum(one.tried for one in found))


def _turn(name: str, seconds: int) -> Found:
    corpus = BUILD / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = {
        "max_total_time": seconds,
        "max_len": LONGEST,
        "rss_limit_mb": MEGABYTES,
        "timeout": SLOW,
        "print_final_stats": 1,
        "artifact_prefix": f"{BUILD}/{name}-",
        "dict": words(name),
    }
    options = [f"-{key}={value}" for key, value in limits.items()]
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(corpus), *options]
    process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = process.stdout + process.stderr
    (BUILD / f"{name}.log").write_text(said)
    tried, covered = _TRIED.search(said), _COVERED.findall(said)
    # Whatever it says of itself: who tried nothing has shown nothing.
    code = process.returncode or (0 if tried and int(tried[1]) else 1)
    if code:
        end = "\n".join(said.splitlines()[-60:])
        print(f"== {name} ({code}), in full: {BUILD / name}.log\n{end}", file=sys.stderr)  # noqa: T201  the finding
    return Found(name, code, int(tried[1]) if tried else 0, int(covered[-1]) if covered else 0, said)


def words(name: str) -> Path:
    """The words of the seeds, as a dictionary: names of fields and settings that chance would never hit upon."""
    found = {word for seed in TARGETS[name].seeds() for word in re.findall(rb"[A-Za-z_][\w.-]{2,30}", seed)}
    place = BUILD / f"{name}.dict"
    place.write_text("".join(f'"{word.decode()}"\n' for word in sorted(found)))
    return place


if __name__ == "__main__":
    sys.exit(main())
