"""What the tests of the store may ask for."""

from collections.abc import Iterator

import pytest

from reconciler.store import SqlStore, migrate, open_store


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    """A fresh ledger; the test runs once on each kind of database."""
    migrate(database_url)
    opened = open_store(database_url)
    yield opened
    opened.close()
