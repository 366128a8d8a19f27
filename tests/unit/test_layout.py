"""The rules of the house that no linter knows."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import reconciler
from benchmarks.__main__ import SIZES

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("reconciler", "migrations", "tests", "benchmarks", "config", ".ci")
LOCKS = ("requirements.lock", "requirements-dev.lock")
HEAVY = {
    "alembic",
    "fastapi",
    "msgspec",
    "numpy",
    "pandas",
    "psycopg",
    "pydantic",
    "rich",
    "slack_sdk",
    "sqlalchemy",
    "statsmodels",
    "uvicorn",
    "yaml",
}


def python_files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def locked(lock: str) -> dict[str, set[str]]:
    """The versions of each package in a lock; there may be several, for several Pythons."""
    pins: dict[str, set[str]] = {}
    for name, pin in re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / lock).read_text(), flags=re.MULTILINE):
        pins.setdefault(name, set()).add(pin)
    return pins


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    ask = "import sys, reconciler.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    answer = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert not HEAVY & set(answer.stdout.split())


def test_the_package_says_the_version_that_it_was_packed_with() -> None:
    assert version("reconciler") == reconciler.__version__


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in python_files()}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_an_ignored_rule_bears_its_reason_on_the_same_line() -> None:
    bare = re.compile(r"#\s*(noqa(: *[A-Z0-9, ]+)?|type: *ignore(\[[a-z, -]+\])?)\s*$")
    assert [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if bare.search(line)
    ] == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    private = re.compile(r"(?<![\w.])/(?:root|work|home|Users)/\w")
    texts = [*python_files(), *ROOT.glob("[!.]*.*"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    assert [path.relative_to(ROOT) for path in texts if path.is_file() and private.search(path.read_text())] == []


def test_every_benchmark_is_run_by_the_one_command() -> None:
    assert set(SIZES) == {path.stem.removeprefix("bench_") for path in (ROOT / "benchmarks").glob("bench_*.py")}


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-bench.lock", "requirements-fuzz.lock"])
def test_a_lock_names_no_host(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()
    assert "--index" not in (ROOT / lock).read_text()


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=~!; ]", entry, maxsplit=1)[0] for entry in declared}
    assert names - locked("requirements-dev.lock").keys() == set()


def test_tests_run_on_the_versions_that_people_run() -> None:
    run, dev = (locked(lock) for lock in LOCKS)
    assert {name: dev.get(name) for name in run} == run
