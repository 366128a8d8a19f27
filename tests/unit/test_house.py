"""The house itself: what tests stand on, and what the packaging promises."""

import pytest
from sqlalchemy import create_engine, text

from reconciler.store import open_store
from tests.integration.ledgers import everything
from tests.integration.store_parts import pipelines, some_of_everything
from tests.postgres import Postgres
from tests.postgres_ledgers import PostgresLedgers


def test_a_fresh_database_of_each_kind_takes_a_table(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE cells (count BIGINT)"))
        connection.execute(text("INSERT INTO cells VALUES (9223372036854775807)"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count FROM cells")) == 2**63 - 1
    engine.dispose()


@pytest.mark.postgres
def test_a_ledger_that_a_test_has_used_is_as_new_for_the_next_or_gone(postgres: Postgres) -> None:
    ledgers = PostgresLedgers(postgres)
    with ledgers.lent() as first:
        new = everything(first)
        store = open_store(first)
        store.record(some_of_everything(), pipelines())
        store.close()
        assert everything(first) != new
    with ledgers.lent() as second:
        assert (second, everything(second)) == (first, new)
        engine = create_engine(second)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE events (count BIGINT)"))
            connection.execute(text("ALTER TABLE reading ALTER COLUMN payload DROP NOT NULL"))
        engine.dispose()
    with ledgers.lent() as third:
        assert third != second
