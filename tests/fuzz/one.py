"""One target in a process of its own, guided by what it covers.

    python -m tests.fuzz.one lines build/fuzz/lines -max_total_time=60
    python -m tests.fuzz.one lines build/fuzz/lines-crash-…          # once more what was found

What follows the name is libFuzzer's.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris

atheris.enabled_hooks.add("str")
GUIDES = ["reconciler", "yaml"]
"""Packages whose branches show the way."""

with atheris.instrument_imports(include=GUIDES):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Try until the time is over, or something is found."""
    name = sys.argv.pop(1)
    memory = Path("/dev/shm")  # noqa: S108  only a folder of its own is used there
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        with atheris.instrument_imports(include=GUIDES):  # what is imported by it only now
            attempt = TARGETS[name].make(Path(folder))
        atheris.Setup(sys.argv, attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
