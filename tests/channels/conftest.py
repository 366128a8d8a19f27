"""What the tests of telling people may ask for."""

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


@pytest.fixture
def embedded(sqlite_database: str) -> Iterator[SqlStore]:
    """A fresh embedded ledger."""
    migrate(sqlite_database)
    opened = open_store(sqlite_database)
    yield opened
    opened.close()
