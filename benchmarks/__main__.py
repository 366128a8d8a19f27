"""All benchmarks, one after the other, and one table of what they found.

    python -m benchmarks                                    # the short form, into build/benchmarks.md
    python -m benchmarks --size full --output benchmarks.md # the sizes that the claims speak of: an hour and 8 GB
    python -m benchmarks --only rivals --only tick

Each runs in a process of its own. Where others use the machine too, read the processor's seconds.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SIZES: dict[str, dict[str, list[str]]] = {
    "rivals": {"short": ["--sources=300"], "full": ["--sources=10000"]},
    "tick": {
        "short": ["--sources=100", "--sources=1000", "--hours=6"],
        "full": [f"--sources={sources}" for sources in (100, 1_000, 10_000, 100_000)],
    },
    "growth": {"short": ["--scale=1"], "full": ["--scale=10"]},
    "month": {"short": ["--sources=100", "--days=5", "--every=30m"], "full": []},
    "store": {"short": ["--sources=300", "--hours=6", "--minutes=3"], "full": []},
    "import": {"short": ["--lines=100000"], "full": ["--lines=1000000"]},
    "push": {"short": ["--sources=1000", "--batches=12", "--senders=2"], "full": []},
    "agent": {"short": ["--senders=10", "--sources=100"], "full": []},
    "backtest": {"short": ["--minutes=300"], "full": []},
    "count": {"short": ["--events=200000"], "full": []},
    "missing": {"short": ["--ids=100000", "--minutes=60"], "full": []},
    "pages": {"short": ["--sources=500", "--hours=6"], "full": []},
    "volume": {"short": ["--sources=300"], "full": []},
    "kafka": {"short": ["--partitions=500"], "full": []},
}
"""By benchmark, what it is given in the short and in the full form; a test holds the names to the files."""
LIMITS = {"short": 180, "full": 5_400}
"""Seconds by the clock that one of them may take; it is ended then, and what it has found by then is told."""
GRACE = 60
"""Seconds that it has to end."""


def main() -> int:
    """Run what was asked for; 1: one of them failed, and the table says which."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("short", "full"), default="short")
    parser.add_argument("--only", action="append", choices=tuple(SIZES))
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks.md"))
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, by the children too
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    parts = [f"{machine()}; {asked.size} form.\n"]
    for name in asked.only or SIZES:
        print(f"== {name}", flush=True)
        part, code = section(name, SIZES[name][asked.size], LIMITS[asked.size])
        parts.append(part)
        failed += code != 0
        asked.output.write_text("\n".join(parts))
    print(f"{asked.output.read_text()}\nwritten: {asked.output}")
    return 1 if failed else 0


def section(name: str, arguments: list[str], seconds: float) -> tuple[str, int]:
    """What one benchmark said, as Markdown, and its exit code."""
    command = [sys.executable, "-m", f"benchmarks.bench_{name}", *arguments]
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603  our own module
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        # It is interrupted, so that it takes down the servers that it has started; if it does not hear, it is killed.
        ends = ((seconds, signal.SIGINT), (seconds + GRACE, signal.SIGKILL))
        timers = [threading.Timer(when, os.killpg, (process.pid, number)) for when, number in ends]
        for timer in timers:
            timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        for timer in timers:
            timer.cancel()
        code = process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        said.seek(0)
        text = said.read()
    if wall >= seconds:
        text = text.partition("Traceback (most recent call last)")[0]  # of the interruption
    print(text, flush=True)
    spent = f"{usage.ru_utime + usage.ru_stime:.0f} s of a processor, {wall:.0f} s by the clock"
    ended = f"; ENDED after {seconds:.0f} s" if wall >= seconds else f"; FAILED ({code})" if code else ""
    heading = f"## {name}\n\n`{' '.join(['python', *command[1:]])}`: {spent}{ended}\n"
    return f"{heading}\n{tabled(text)}", code


def tabled(text: str) -> str:
    """Lines as a Markdown table; a table stays as it is."""
    rows = []
    lines = [line for line in text.splitlines() if line.strip()]
    if any(line.startswith("|---") for line in lines):
        return "\n".join(f"{line}\n" if not line.startswith("|") else line for line in lines) + "\n"
    for line in lines:
        what, _, found = line.strip().partition(": ") if ": " in line else line.strip().partition("  ")
        rows.append(f"| {_cell(what)} | {_cell(found)} |")
    return "| what | found |\n|---|---|\n" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")


def machine() -> str:
    """What it ran on, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    found = {"processors": os.cpu_count(), "memory": f"{memory} GB", "Python": platform.python_version()}
    return ", ".join(f"{key} {value}" for key, value in found.items())


if __name__ == "__main__":
    sys.exit(main())
