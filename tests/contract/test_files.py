"""The contract of connectors, held by the files connector in a folder and in an object store, in each of its ways."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.times import HOUR, Micros, parse_time
from tests.contract.suite import CountingContract
from tests.integration.places import Disk, Objects, Place, csv, ndjson, parquet

PATH = "{customer}/dt=%Y-%m-%d/hour=%H/*"
BUCKET = parse_time("2021-07-20T17:00:00Z")


@dataclass
class FilesCounterpart:
    """Files of two customers, and a manifest of them."""

    place: Place
    scratch: Path
    way: str
    kind: str = "files"
    now: Micros = field(default_factory=lambda: parse_time("2021-07-20T18:30:00Z"))
    pipeline: dict[str, Any] = field(default_factory=lambda: {"bucket": "1h"})

    @property
    def options(self) -> dict[str, Any]:
        shared = self.place.options | {"stage": "ingress", "window": "2d", "every": "5m"}
        if self.way == "manifest":
            return shared | {"path": "manifests/*.ndjson", "manifest": {"names": PATH}}
        return shared | {"path": PATH}

    @property
    def away(self) -> dict[str, Any]:
        if isinstance(self.place, Disk):
            return {"url": str(self.scratch / "nowhere")}
        return {"endpoint": "http://127.0.0.1:1", "timeout": "1s"}

    def fill(self) -> dict[tuple[str, Micros], int]:
        files = {
            "acme/dt=2021-07-20/hour=17/a.parquet": (parquet(self.scratch, 300), 300),
            "acme/dt=2021-07-20/hour=17/b.csv": (csv(7), 7),
            "bolt/dt=2021-07-20/hour=18/c.csv": (csv(3), 3),
        }
        if self.way == "manifest":
            rows = [{"file": path, "rows": rows} for path, (_, rows) in files.items()]
            self.place.put("manifests/one.ndjson", ndjson(rows))
        else:
            for path, (content, _) in files.items():
                self.place.put(path, content)
        return {("acme", BUCKET): 307, ("bolt", BUCKET + HOUR): 3}


@pytest.fixture(params=["disk", "objects", "manifest"])
def counterpart(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FilesCounterpart:
    place: Place = Disk(tmp_path / "landing")
    if request.param == "objects":
        place = Objects.lent(request, monkeypatch)
    else:
        (tmp_path / "landing").mkdir()
    return FilesCounterpart(place, tmp_path, request.param)


class TestFiles(CountingContract):
    pass
