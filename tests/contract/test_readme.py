"""The connector that the README of the connectors shows holds the contract, exactly as it is printed there."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import reconciler.connectors
from reconciler.core.times import MINUTE, Micros, parse_time
from tests.contract.suite import CountingContract

README = Path(reconciler.connectors.__file__).parent / "README.md"


def printed() -> str:
    """The first block of Python."""
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@dataclass
class TallyCounterpart:
    """A file."""

    path: Path
    kind: str = "tally"
    now: Micros = field(default_factory=lambda: parse_time("2021-07-20T18:45:30Z"))
    pipeline: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        return {"stage": "ingress", "path": str(self.path), "window": "10m"}

    @property
    def away(self) -> dict[str, Any]:
        return {"path": f"{self.path}.gone"}

    def fill(self) -> dict[tuple[str, Micros], int]:
        self.path.write_text("a,2021-07-20T18:44:00Z,7\nb,2021-07-20T18:43:00Z,5\nold,2021-07-20T10:00:00Z,1\n")
        bucket = parse_time("2021-07-20T18:44:00Z")
        return {("a", bucket): 7, ("b", bucket - MINUTE): 5}


@pytest.fixture
def counterpart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TallyCounterpart]:
    folder = tmp_path / "connectors"
    folder.mkdir()
    (folder / "tally.py").write_text(printed())
    monkeypatch.setattr(reconciler.connectors, "__path__", [*reconciler.connectors.__path__, str(folder)])
    yield TallyCounterpart(tmp_path / "tally.csv")
    sys.modules.pop("reconciler.connectors.tally", None)


class TestTally(CountingContract):
    def test_it_has_hardly_more_than_fifty_lines(self) -> None:
        assert len([line for line in printed().splitlines() if line.strip()]) <= 55
