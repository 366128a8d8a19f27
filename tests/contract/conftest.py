"""What the contracts may ask for; a connector's own file brings its `counterpart`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.store import SqlStore, open_store
from tests.contract.suite import Bench, Counterpart


@pytest.fixture
def bench(counterpart: Counterpart, tmp_path: Path) -> Bench:
    """The counterpart with a configuration that has the connector in it."""
    return Bench(counterpart, tmp_path)


@pytest.fixture
def store(empty_ledger: Path, tmp_path: Path) -> Iterator[SqlStore]:
    """A fresh ledger."""
    opened = open_store(f"sqlite:///{shutil.copy(empty_ledger, tmp_path / 'the-ledger.db')}")
    yield opened
    opened.close()
