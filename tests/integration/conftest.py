"""What the tests of the store and of the commands may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.store import SqlStore, open_store
from tests.integration.shell import Shell


@pytest.fixture
def store(ledger_url: str) -> Iterator[SqlStore]:
    """A fresh ledger; the test runs once on each kind of database."""
    opened = open_store(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def shell(
    tmp_path: Path, ledger_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A folder with a configuration, and a ledger of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_LEDGER", ledger_url)
    (tmp_path / "reconciler.yaml").write_text("pipelines: {batch: {stages: [ingress, processed]}}\n")
    return Shell(tmp_path, capsys)
