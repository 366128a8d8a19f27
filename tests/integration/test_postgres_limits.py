"""What is finite in a real PostgreSQL database."""

from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from reconciler.connectors.postgres_limits import STOP, Options, build, used_of
from reconciler.core.observations import Capacity, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, parse_time
from reconciler.errors import ConfigError
from reconciler.ports import ConnectorFailed
from tests.integration.tables import Database

NOW = parse_time("2021-07-20T11:45:00Z")
PIPELINES = {name: Pipeline(name, ("ingress", "processed")) for name in ("batch", "streaming")}
INT, BIG = 2**31 - 1, 2**63 - 1

pytestmark = pytest.mark.postgres


@dataclass(frozen=True, slots=True)
class Server(Database):
    """A database whose limits are read."""

    def said(self, **changes: Any) -> list[Capacity | Refusal]:
        options = {"pipeline": "batch", "url": self.url, "label": "main", "transactions": False} | changes
        connector = build("limits", Options.model_validate(options), PIPELINES)
        return list(connector.collect(NOW, NOW + MINUTE, NOW))

    def used(self, **changes: Any) -> dict[str, tuple[int, int]]:
        said = self.said(**changes)
        assert [str(one) for one in said if isinstance(one, Refusal)] == []
        return {
            one.resource.removeprefix("postgres:main/"): (one.used, one.limit)
            for one in said
            if isinstance(one, Capacity)
        }


@pytest.fixture
def server(postgres_database: str) -> Server:
    return Server(postgres_database)


def test_a_serial_key_is_as_large_as_its_column_and_as_far_as_its_sequence(server: Server) -> None:
    server.run_all("CREATE TABLE events (id serial PRIMARY KEY)", "SELECT setval('events_id_seq', 2147000000)")
    assert server.used() == {"public.events_id_seq": (2_147_000_000, INT)}


def test_an_identity_and_a_large_key_are_read_too(server: Server) -> None:
    server.run_all(
        "CREATE TABLE a (id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
        "INSERT INTO a DEFAULT VALUES",
        "CREATE TABLE b (id bigserial PRIMARY KEY)",
    )
    assert server.used() == {"public.a_id_seq": (1, 32_767), "public.b_id_seq": (0, BIG)}


def test_a_large_sequence_that_feeds_a_small_column_ends_with_the_column(server: Server) -> None:
    server.run_all(
        "CREATE SEQUENCE ids",
        "CREATE TABLE events (id integer PRIMARY KEY DEFAULT nextval('ids'))",
        "INSERT INTO events DEFAULT VALUES",
    )
    assert server.used() == {"public.ids": (1, INT)}


def test_a_sequence_that_counts_down_is_used_from_its_top(server: Server) -> None:
    server.run_all("CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 MAXVALUE -1", "SELECT setval('down', -90)")
    assert server.used() == {"public.down": (90, 100)}


def test_a_key_that_no_sequence_feeds_is_as_far_as_its_greatest_value(server: Server) -> None:
    server.run_all(
        'CREATE TABLE "Odd:Events" ("The Id" integer PRIMARY KEY)',
        'INSERT INTO "Odd:Events" VALUES (7), (2000000000)',
        "CREATE TABLE empty (id integer PRIMARY KEY)",
        "CREATE TABLE texts (id text PRIMARY KEY)",
        "CREATE TABLE pairs (a integer, b integer, PRIMARY KEY (a, b))",
        "CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE part_one PARTITION OF parts FOR VALUES FROM (0) TO (1000)",
        "INSERT INTO parts VALUES (999)",
    )
    assert server.used() == {
        "public.Odd:Events.The Id": (2_000_000_000, INT),
        "public.empty.id": (0, INT),
        "public.pairs.a": (0, INT),
        "public.parts.id": (999, INT),
    }
    assert server.used(keys=False) == {}


def test_only_the_schemas_that_are_meant_are_looked_at(server: Server) -> None:
    server.run_all("CREATE SCHEMA app_1", "CREATE SEQUENCE app_1.ids", "CREATE SEQUENCE ids")
    assert server.used(schemas=["app_*"]) == {"app_1.ids": (0, BIG)}


def test_the_age_of_transaction_ids_of_every_database_is_told(server: Server) -> None:
    said = [one for one in server.said(transactions=True) if isinstance(one, Capacity)]
    names = {one.resource for one in said}
    assert {"postgres:main/transaction ids of postgres", "postgres:main/multixact ids of postgres"} <= names
    assert {one.limit for one in said} == {STOP}
    before = {one.resource: one.used for one in said}["postgres:main/transaction ids of postgres"]
    server.run_all(*["SELECT txid_current()"] * 1)
    server.run_all("SELECT txid_current()")
    after = {one.resource: one.used for one in server.said(transactions=True) if isinstance(one, Capacity)}
    assert after["postgres:main/transaction ids of postgres"] >= before + 2, "each transaction takes one"


def test_every_reading_names_the_pipelines_that_depend_on_it(server: Server) -> None:
    server.run_all("CREATE SEQUENCE ids")
    (one,) = server.said(also=["streaming"])
    assert isinstance(one, Capacity)
    assert one.pipelines == ("batch", "streaming")
    with pytest.raises(ConfigError, match="'strems' is no pipeline"):
        server.said(also=["strems"])


def test_what_may_not_be_read_is_refused_with_the_grant_that_is_missing(server: Server) -> None:
    role = f"reader_{sa.make_url(server.url).database}"
    server.run_all(
        "CREATE SEQUENCE ids",
        "CREATE TABLE events (id integer PRIMARY KEY)",
        "CREATE TABLE mine (id integer PRIMARY KEY)",
        "ALTER TABLE mine ENABLE ROW LEVEL SECURITY",
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT ON mine TO {role}",
    )
    theirs = Server(sa.make_url(server.url).set(username=role).render_as_string(hide_password=False))
    try:
        assert [str(one) for one in theirs.said()] == [
            "public.ids: may not be read: GRANT SELECT ON SEQUENCE public.ids",
            "public.events.id: may not be read: GRANT SELECT ON public.events",
            "public.mine.id: hides rows from this user: let it bypass row security",
        ]
        server.run_all(f"GRANT pg_read_all_data TO {role}", f"ALTER ROLE {role} BYPASSRLS")
        assert theirs.used() == {"public.ids": (0, BIG), "public.events.id": (0, INT), "public.mine.id": (0, INT)}
    finally:
        server.run_all(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_server_out_of_reach_is_a_failure(server: Server) -> None:
    away = Server("postgresql://user:hush@127.0.0.1:1/app")
    with pytest.raises(ConnectorFailed) as caught:
        away.said()
    assert "hush" not in caught.value.message


def test_a_range_that_no_number_holds_is_halved() -> None:
    used, limit = used_of(True, -(2**63), BIG, 0)
    assert limit == 2**62
    assert used / limit == pytest.approx(0.5)
