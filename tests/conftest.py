"""What every test may ask for: databases and ledgers of both kinds, each fresh; a Kafka broker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from reconciler.store import SqlStore, migrate, open_store
from tests.postgres import Postgres, running_postgres
from tests.postgres_ledgers import PostgresLedgers
from tests.servers.install import NO_KAFKA

if TYPE_CHECKING:
    from tests.servers.kafka import Broker
    from tests.servers.objects import ObjectStore


# A slow machine must not fail a test: neither an example nor the drawing of it has a deadline.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it loudly where the Kafka connector was not tried against Kafka."""
    if NO_KAFKA.exists():
        terminalreporter.section("NO APACHE KAFKA: AN EMULATOR STOOD IN FOR IT", red=True, bold=True)
        terminalreporter.line(NO_KAFKA.read_text())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The one PostgreSQL server of the session. A server that cannot start fails the test; nothing is skipped."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """SQLAlchemy's URL of a fresh, empty PostgreSQL database."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def sqlite_database(tmp_path: Path) -> str:
    """SQLAlchemy's URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy's URL of a fresh, empty database: the test runs once on each kind."""
    name = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    return str(request.getfixturevalue(name))


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded ledger with nothing in it, to be copied: that takes a fiftieth of the time of making one."""
    file = tmp_path_factory.mktemp("template") / "ledger.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_ledgers(postgres: Postgres) -> PostgresLedgers:
    """The ledgers of the one server."""
    return PostgresLedgers(postgres)


@pytest.fixture
def sqlite_ledger(sqlite_database: str, empty_ledger: Path) -> str:
    """SQLAlchemy's URL of a fresh embedded ledger."""
    shutil.copyfile(empty_ledger, sqlite_database.removeprefix("sqlite:///"))
    return sqlite_database


@pytest.fixture
def postgres_ledger(postgres_ledgers: PostgresLedgers) -> Iterator[str]:
    """SQLAlchemy's URL of a ledger on the server with nothing in it."""
    with postgres_ledgers.lent() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy's URL of a fresh ledger: the test runs once on each kind."""
    return str(request.getfixturevalue("sqlite_ledger" if request.param == "sqlite" else "postgres_ledger"))


@pytest.fixture
def store(ledger_url: str) -> Iterator[SqlStore]:
    """A fresh ledger; the test runs once on each kind of database."""
    with closing(open_store(ledger_url)) as opened:
        yield opened


@pytest.fixture
def shared(postgres_ledger: str) -> Iterator[SqlStore]:
    """A fresh ledger on the server."""
    with closing(open_store(postgres_ledger)) as opened:
        yield opened


@pytest.fixture
def embedded(sqlite_ledger: str) -> Iterator[SqlStore]:
    """A fresh embedded ledger."""
    with closing(open_store(sqlite_ledger)) as opened:
        yield opened


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The one Kafka broker of the session; where it could not be installed, an emulator, and the summary says so."""
    from tests.servers.kafka import running_broker  # only where it is needed: it loads the library of Kafka

    with running_broker() as running:
        yield running


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """The one object store of the session."""
    from tests.servers.objects import running_store  # only where it is needed: it loads the libraries of S3

    with running_store() as running:
        yield running
