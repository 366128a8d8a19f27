"""The house itself: what tests stand on, and what the packaging promises."""

import pytest
from sqlalchemy import create_engine, text

from tests.postgres import Postgres


def test_a_fresh_database_of_each_kind_takes_a_table(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE cells (count BIGINT)"))
        connection.execute(text("INSERT INTO cells VALUES (9223372036854775807)"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count FROM cells")) == 2**63 - 1
    engine.dispose()


@pytest.mark.postgres
def test_a_database_can_be_copied_from_a_prepared_one(postgres: Postgres) -> None:
    prepared = postgres.create_database()
    engine = create_engine(postgres.url(prepared))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE cells (count BIGINT)"))
    engine.dispose()
    copy = postgres.create_database(template=prepared)
    engine = create_engine(postgres.url(copy))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM cells")) == 0
    engine.dispose()
    postgres.drop_database(copy)
    postgres.drop_database(prepared)
