"""What the tests of the HTTP face may ask for."""

from collections.abc import Iterator

import pytest

from reconciler.store import SqlStore
from tests.web.listener import Listener, listening
from tests.web.serving import Service, service


@pytest.fixture
def heard() -> Iterator[Listener]:
    """Somebody to push to, who keeps what was pushed."""
    with listening() as listener:
        yield listener


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
