"""What is installed is what was locked: one version of each, a hash for every archive, and no address of anybody."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.yanked import taken_back

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[0-9][\w.]*)( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def locked(name: str) -> dict[str, str]:
    """By package its version."""
    pins = (PIN.match(line) for line in (ROOT / name).read_text().splitlines())
    return {pin["name"]: pin["version"] for pin in pins if pin}


def wanted(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", one)[0].lower().replace("_", "-") for one in requirements}


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_is_one_version_or_the_hash_of_an_archive(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []
    pinned = [number for number, line in enumerate(lines) if PIN.match(line)]
    assert pinned
    assert all(HASH.match(lines[number + 1]) for number in pinned), "each version has a hash at least"


def test_all_that_is_asked_for_is_locked_and_one_version_is_tested_and_run() -> None:
    run = locked("requirements.lock")
    assert wanted(PROJECT["dependencies"]) <= run.keys()
    assert wanted(PROJECT["optional-dependencies"]["dev"]) <= locked("requirements-dev.lock").keys()
    assert wanted(PROJECT["optional-dependencies"]["spark"]) <= locked("requirements-spark.lock").keys()
    for name in LOCKS:
        others = locked(name)
        assert {one: others[one] for one in run} == run, name


def test_what_was_taken_back_or_is_not_spoken_of_is_told() -> None:
    told = {"install": [{"metadata": {"name": "A.b", "version": "1"}, "is_yanked": True}]}
    lock = "a-b==1 \\\n    --hash=sha256:0\nc==2 \\\n    --hash=sha256:0\nd==3 ; sys_platform == 'win32' \\\n"
    assert taken_back(json.dumps(told), lock) == [
        "a-b 1 was taken back by its makers: make lock",
        "c 2 is locked, and nothing was said of it",
    ]
