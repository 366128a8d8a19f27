"""What the tests of telling people may ask for."""

from collections.abc import Iterator

import pytest

from reconciler.store import SqlStore, open_store


@pytest.fixture
def store(ledger_url: str) -> Iterator[SqlStore]:
    """A fresh ledger; the test runs once on each kind of database."""
    opened = open_store(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def embedded(sqlite_ledger: str) -> Iterator[SqlStore]:
    """A fresh embedded ledger."""
    opened = open_store(sqlite_ledger)
    yield opened
    opened.close()
