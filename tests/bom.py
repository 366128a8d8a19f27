"""Holds a bill of materials to a lock: the same packages, the same versions, a hash for each.

python -m tests.bom build/bom.json requirements.lock
"""

import json
import re
import sys
from pathlib import Path


def differences(bill: str, lock: str) -> list[str]:
    """What the one has and the other has not; empty: none."""
    named = {one["name"].lower().replace("_", "-"): one for one in json.loads(bill)["components"]}
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, flags=re.MULTILINE))
    found = [f"{name} {version} is locked and not named" for name, version in locked.items() if name not in named]
    for name, one in named.items():
        if one.get("version") != locked.get(name):
            found.append(f"{name} is named as {one.get('version')}, locked is {locked.get(name)}")
        if not any(place.get("hashes") for place in one.get("externalReferences", [])):
            found.append(f"{name} is named without a hash")
    return found


def main() -> int:
    """Say what is wrong; 1: something is."""
    bill, lock = (Path(name).read_text() for name in sys.argv[1:3])
    for line in differences(bill, lock):
        print(f"error: {line}", file=sys.stderr)  # noqa: T201  a script
    return 1 if differences(bill, lock) else 0


if __name__ == "__main__":
    sys.exit(main())
