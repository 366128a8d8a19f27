"""What the tests of the commands may ask for."""

from pathlib import Path

import pytest

from tests.integration.shell import Shell


@pytest.fixture
def shell(
    tmp_path: Path, ledger_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A folder with a configuration, and a ledger of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_LEDGER", ledger_url)
    (tmp_path / "reconciler.yaml").write_text("pipelines: {batch: {stages: [ingress, processed]}}\n")
    return Shell(tmp_path, capsys)
