"""What the tests of the commands may ask for."""

from pathlib import Path

import pytest

from tests.integration.shell import Shell
from tests.integration.tables import Warehouse


@pytest.fixture
def shell(
    tmp_path: Path, ledger_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A folder with a configuration, and a ledger of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_LEDGER", ledger_url)
    (tmp_path / "reconciler.yaml").write_text("pipelines: {batch: {stages: [ingress, processed]}}\n")
    return Shell(tmp_path, capsys)


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A folder with nothing in it, to call the command in."""
    monkeypatch.chdir(tmp_path)
    for name in ("RECONCILER_LEDGER", "VACUUM_FILES", "EVENTS_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    return Shell(tmp_path, capsys)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres), "duckdb"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """An empty table in a database of each kind that can run here."""
    if request.param == "duckdb":
        url = f"duckdb:///{tmp_path / 'events.duckdb'}"
    else:
        url = request.getfixturevalue("sqlite_database" if request.param == "sqlite" else "postgres_database")
    made = Warehouse(url)
    made.make()
    return made
