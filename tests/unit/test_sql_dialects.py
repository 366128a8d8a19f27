"""Queries for databases that cannot run here are read by an independent parser of each dialect."""

import re

import pytest
import sqlalchemy as sa
import sqlglot

from reconciler.connectors._sql_dialects import DIALECTS
from reconciler.connectors._sql_table import Counting, TableSettings
from reconciler.core.times import MINUTE

PARSERS = {"postgresql": "postgres", "clickhousedb": "clickhouse"}
"""Where sqlglot has another name than SQLAlchemy."""
COMPILED = {
    "postgresql": "postgresql+psycopg://host/database",
    "sqlite": "sqlite://",
    "duckdb": "duckdb://",
    "redshift": "redshift+redshift_connector://host/database",
    "clickhousedb": "clickhousedb://host/database",
    "trino": "trino://host/catalogue",
}
"""The dialects of SQLAlchemy that are light; those of BigQuery, Snowflake and Databricks bring half a cloud."""

TABLE = TableSettings(
    name="events", time="accepted_at", source="sender", outcome="what", id="event_id", where="kind <> 'test'",
    topic="topic", partition="part", offset="position",
)  # fmt: skip
ROWS = TABLE.model_copy(update={"id": None})


def queries(name: str) -> dict[str, str]:
    """Every query that can be made for a database."""
    made: dict[str, str] = {}
    for bind in ("datetime", "naive", "iso", "epoch", "epoch_ms"):
        one = Counting(TABLE, DIALECTS[name], bind, MINUTE)
        rows = Counting(ROWS, DIALECTS[name], bind, MINUTE)
        made |= {
            f"{bind} ids": one.by_time(),
            f"{bind} rows": rows.by_time(),
            f"{bind} arrived": one.by_offset("arrived"),
            f"{bind} written": one.by_offset("written"),
            f"{bind} holes": one.holes(),
        }
    return made


@pytest.mark.parametrize("name", DIALECTS)
def test_every_query_is_sql_of_its_database(name: str) -> None:
    for what, query in queries(name).items():
        (tree,) = sqlglot.parse(query, dialect=PARSERS.get(name, name), error_level=sqlglot.ErrorLevel.RAISE)
        assert isinstance(tree, sqlglot.exp.Select), what
        commands = list(tree.find_all(sqlglot.exp.Command))
        assert commands == [], "nothing that the parser merely skipped"


@pytest.mark.parametrize("name", DIALECTS)
def test_every_query_gives_the_columns_that_are_read(name: str) -> None:
    for what, query in queries(name).items():
        tree = sqlglot.parse_one(query, dialect=PARSERS.get(name, name))
        assert isinstance(tree, sqlglot.exp.Select), what
        assert tree.named_selects[:2] == ["source", {"holes": "r_at"}.get(what.split()[1], "bucket")], what


@pytest.mark.parametrize(("name", "url"), COMPILED.items(), ids=COMPILED.keys())
def test_every_query_is_compiled_with_its_values_bound(name: str, url: str) -> None:
    dialect = sa.make_url(url).get_dialect()()
    assert dialect.name == name, "the dialect is found by the name that SQLAlchemy gives it"
    for query in queries(name).values():
        compiled = sa.text(query).compile(dialect=dialect)
        assert set(compiled.params) == set(re.findall(r"(?<!\w):(\w+)", query))
        assert {"start", "end"} <= set(compiled.params)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_a_session_is_told_is_filled_in(name: str) -> None:
    dialect = DIALECTS[name]
    said = [*dialect.session(MINUTE), *dialect.url_query(MINUTE).values()]
    assert not [one for one in said if "{" in one]
    assert dialect.notes


def test_a_hash_is_read_in_two_halves_so_that_no_sum_overflows() -> None:
    assert 2**32 * 2**31 <= 2**63
    assert [DIALECTS["sqlite"].high("x"), DIALECTS["sqlite"].low("x")] == [
        "reconciler_hash(x, 1)",
        "reconciler_hash(x, 5)",
    ]


def test_colons_of_the_users_sql_are_no_names_of_values() -> None:
    table = TABLE.model_copy(update={"source": TableSettings(name="t", time="x", source="a::text").source})
    query = Counting(table, DIALECTS["postgresql"], "datetime", MINUTE).by_time()
    compiled = sa.text(query).compile(dialect=sa.make_url("postgresql+psycopg://h/d").get_dialect()())
    assert "a::text AS r_source" in str(compiled)
