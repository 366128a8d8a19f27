"""What the registry itself says against what is locked: a release that its makers have taken back (yanked).

python -m tests.yanked build/registry.json requirements.lock      # the report of `pip install --dry-run --report`

It is what can be known where nobody can be asked for advisories. What is locked for other systems is not looked at.
"""

import json
import re
import sys
from pathlib import Path


def taken_back(report: str, lock: str) -> list[str]:
    """What is wrong; empty: nothing. Raises `KeyError` where the installer does not say whether a release is yanked."""
    told = {
        one["metadata"]["name"].lower().replace("_", "-").replace(".", "-"): (
            one["metadata"]["version"],
            one["is_yanked"],
        )
        for one in json.loads(report)["install"]
    }
    everywhere = re.findall(r"^([\w.-]+)==([\w.]+) \\$", lock, flags=re.MULTILINE)
    found = [
        f"{name} {version} was taken back by its makers: make lock"
        for name, (version, yanked) in told.items()
        if yanked
    ]
    return found + [
        f"{name} {version} is locked, and nothing was said of it"
        for name, version in everywhere
        if told.get(name, ("",))[0] != version
    ]


def main() -> int:
    """Say what is wrong; 1: something is."""
    report, lock = (Path(name).read_text() for name in sys.argv[1:3])
    found = taken_back(report, lock)
    for line in found:
        print(f"error: {line}", file=sys.stderr)  # noqa: T201  a script
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
