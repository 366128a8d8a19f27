"""What the tests of the HTTP face may ask for."""

from collections.abc import Iterator

import pytest

from reconciler.store import SqlStore, open_store
from tests.web.serving import Service, service


@pytest.fixture
def store(ledger_url: str) -> Iterator[SqlStore]:
    """A fresh ledger; the test runs once on each kind of database."""
    opened = open_store(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def embedded(sqlite_ledger: str) -> Iterator[SqlStore]:
    """A fresh ledger in a file."""
    opened = open_store(sqlite_ledger)
    yield opened
    opened.close()


@pytest.fixture
def served(store: SqlStore) -> Iterator[Service]:
    """A running service, on each kind of database."""
    with service(store) as running:
        yield running


@pytest.fixture
def local(embedded: SqlStore) -> Iterator[Service]:
    """A running service on an embedded ledger."""
    with service(embedded) as running:
        yield running
