"""The SQL connector against real databases."""

from pathlib import Path
from typing import Any

import pytest

from reconciler.connectors.sql import Options, SqlConnector, build
from reconciler.core.observations import Count, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND, parse_time
from reconciler.ports import ConnectorFailed
from tests.integration.tables import COUNT_BUCKETS, Tables

NOW = parse_time("2021-07-20T18:45:30Z")
START, END = parse_time("2021-07-20T18:40:00Z"), parse_time("2021-07-20T18:46:00Z")
BUCKET = parse_time("2021-07-20T18:44:00Z")
PIPELINES = {"batch": Pipeline("batch", ("ingress", "processed"))}


@pytest.fixture
def tables(database_url: str) -> Tables:
    """Empty tables in a database of each kind."""
    tables = Tables(database_url)
    tables.make()
    return tables


def connector(tables: Tables, **changes: Any) -> SqlConnector:
    stage = changes.get("stage", "ingress")
    table = "accepted" if stage == "ingress" else "processed"
    query = COUNT_BUCKETS.format(table=table)
    options = {"pipeline": "batch", "stage": stage, "url": tables.url, "query": query} | changes
    return build("table", Options.model_validate(options), PIPELINES)


def answer(asked: SqlConnector) -> list[Any]:
    """All that it says, refusals as text."""
    said = asked.collect(START, END, NOW)
    return [str(entry) if isinstance(entry, Refusal) else entry for entry in said]


def count(number: int, source: str = "a", stage: str = "ingress", outcome: str = "accepted", **changes: int) -> Count:
    return Count(NOW, "batch", stage, source, changes.get("bucket", BUCKET), number, outcome, "table")


def progress(through: int = NOW, stage: str = "ingress") -> Progress:
    return Progress(NOW, "batch", stage, through, "table")


def test_instants_are_put_into_their_buckets_and_summed(tables: Tables) -> None:
    tables.add("accepted", "a", ["2021-07-20T18:44:00Z", "2021-07-20T18:44:59.999999Z", "2021-07-20T18:43:59Z"])
    tables.add("accepted", "b", ["2021-07-20T18:44:30Z"])
    tables.add("accepted", "outside", ["2021-07-20T18:39:59.999Z", "2021-07-20T18:46:00Z"])
    said = answer(connector(tables))
    assert set(said[:-1]) == {count(2), count(1, bucket=BUCKET - MINUTE), count(1, source="b")}
    assert said[-1] == progress()


def test_buckets_that_the_database_has_counted_are_taken_as_they_are(tables: Tables) -> None:
    tables.add("accepted", "a", ["2021-07-20T18:44:00Z", "2021-07-20T18:44:10Z"])
    sqlite = tables.url.startswith("sqlite")
    bucket = "strftime('%Y-%m-%d %H:%M', accepted_at)" if sqlite else "date_trunc('minute', accepted_at)"
    query = f"""SELECT source AS "SOURCE", {bucket} AS bucket, count(*) AS count FROM accepted
                WHERE accepted_at >= :start AND accepted_at < :end GROUP BY 1, 2"""
    assert answer(connector(tables, query=query)) == [count(2), progress()]


def test_an_empty_table_is_counted_and_not_unknown(tables: Tables) -> None:
    assert answer(connector(tables)) == [progress()]


def test_the_usual_outcome_is_that_of_the_stage_and_a_column_may_say_another(tables: Tables) -> None:
    query = COUNT_BUCKETS.format(table="processed").replace("1 AS count", "1 AS count, outcome")
    tables.add("processed", "a", ["2021-07-20T18:44:00Z"], "filtered")
    tables.add("processed", "b", ["2021-07-20T18:44:00Z"], "processed")
    said = answer(connector(tables, stage="processed", query=query))
    assert said == [
        count(1, stage="processed", outcome="filtered"),
        count(1, source="b", stage="processed", outcome="processed"),
        progress(stage="processed"),
    ]
    assert answer(connector(tables, stage="processed"))[0] == count(1, stage="processed", outcome="processed")


def test_rows_that_make_no_sense_are_refused_and_then_nothing_is_said_to_be_whole(tables: Tables) -> None:
    tables.add("accepted", None, ["2021-07-20T18:44:00Z"], "accepted")
    tables.add("accepted", "", ["2021-07-20T18:44:01Z"], "accepted")
    tables.add("accepted", "a", ["2021-07-20T18:44:02Z"], "vanished")
    tables.add("accepted", "a", ["2021-07-20T18:44:03Z"], "accepted")
    query = COUNT_BUCKETS.format(table="accepted").replace("1 AS count", "1 AS count, outcome") + "ORDER BY accepted_at"
    first, second, third, good = answer(connector(tables, query=query))
    assert (first, second) == ("source: of row 1 of the query is NULL", "source: of row 2 of the query is empty")
    assert third.startswith("outcome: of row 3 of the query is 'vanished', not one of accepted, processed")
    assert good == count(1)


def test_a_row_outside_the_window_shows_a_query_that_compares_wrongly(tables: Tables) -> None:
    tables.add("accepted", "a", ["2021-07-20T12:00:00Z"])
    query = "SELECT source, accepted_at AS time, 1 AS count FROM accepted WHERE :start <> :end"
    said = answer(connector(tables, query=query, bind="iso"))
    assert len(said) == 1
    assert "outside of 2021-07-20T18:40:00Z to 2021-07-20T18:46:00Z" in said[0]


def test_a_bucket_that_is_no_bucket_is_refused(tables: Tables) -> None:
    tables.add("accepted", "a", ["2021-07-20T18:44:01Z"])
    said = answer(connector(tables, query=COUNT_BUCKETS.format(table="accepted").replace("time", "bucket")))
    assert said == [
        "bucket: of row 1 of the query is 2021-07-20T18:44:01Z, not the start of a bucket; "
        "a column named time need not be one"
    ]


def test_a_table_is_whole_as_far_as_its_loads_say(tables: Tables) -> None:
    tables.add("accepted", "a", ["2021-07-20T18:44:00Z"])
    loads = connector(tables, through="SELECT max(until) FROM loads")
    assert answer(loads) == [count(1)], "nothing is loaded yet"
    tables.loaded("2021-07-20T18:30:00Z")
    assert answer(loads) == [count(1), progress(parse_time("2021-07-20T18:30:00Z"))]
    tables.loaded("2021-07-20T23:00:00Z")
    assert answer(loads) == [count(1), progress(NOW)], "nobody knows the future"


def test_a_live_table_is_not_whole_where_rows_may_still_be_written(tables: Tables) -> None:
    assert answer(connector(tables, settle="30s")) == [progress(NOW - 30 * SECOND)]


def test_what_lies_before_now_is_whole_only_to_the_end_that_was_asked_for(tables: Tables) -> None:
    asked = connector(tables).collect(START, END, NOW + 86_400 * SECOND)
    assert [entry.through for entry in asked if isinstance(entry, Progress)] == [END]


KEPT_AS = {
    "epoch": ("BIGINT", "1626806640", "UTC"),
    "epoch_ms": ("BIGINT", "1626806640500", "UTC"),
    "iso": ("TEXT", "'2021-07-20T18:44:00Z'", "UTC"),
    "naive": ("TIMESTAMP", "'2021-07-20 14:44:00'", "America/New_York"),
}


@pytest.mark.parametrize(("bind", "kept"), KEPT_AS.items(), ids=KEPT_AS.keys())
def test_numbers_text_and_naive_times_can_be_compared_too(
    tables: Tables, bind: str, kept: tuple[str, str, str]
) -> None:
    kind, value, zone = kept
    tables.run(f"CREATE TABLE odd (source TEXT, at {kind})")
    tables.run(f"INSERT INTO odd VALUES ('a', {value})")
    query = "SELECT source, at AS time, 1 AS count FROM odd WHERE at >= :start AND at < :end"
    assert answer(connector(tables, query=query, bind=bind, timezone=zone)) == [count(1), progress()]


@pytest.mark.postgres
def test_postgresql_compares_naive_columns_in_the_zone_that_is_configured(postgres_database: str) -> None:
    tables = Tables(postgres_database)
    tables.run("CREATE TABLE odd (source TEXT, at TIMESTAMP)")
    tables.run("INSERT INTO odd VALUES ('a', '2021-07-20 14:44:00')")
    query = "SELECT source, at AS time, 1 AS count FROM odd WHERE at >= :start AND at < :end"
    assert answer(connector(tables, query=query, timezone="America/New_York")) == [count(1), progress()]


WRONG = {
    "a table that is not there": ("SELECT source FROM nowhere WHERE :start < :end", "nowhere"),
    "a column too few": (
        "SELECT source, 1 AS count FROM accepted WHERE :start <> :end",
        "gives the columns source, count",
    ),
    "a column too many": (
        "SELECT source, accepted_at AS time, 1 AS count, 2 AS extra FROM accepted WHERE :start <> :end",
        "gives the columns source, time, count, extra",
    ),
    "bucket and time": (
        "SELECT source, accepted_at AS time, accepted_at AS bucket, 1 AS count FROM accepted WHERE :start <> :end",
        "gives the columns source, time, bucket, count",
    ),
}


@pytest.mark.parametrize(("query", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_query_that_cannot_be_right_fails_with_what_where_and_what_to_do(
    tables: Tables, query: str, said: str
) -> None:
    with pytest.raises(ConnectorFailed) as caught:
        answer(connector(tables, query=query, bind="iso"))
    what, where, remedy = caught.value.message.splitlines()
    assert what.startswith("connector table (batch, ingress): ")
    assert said in what
    assert where.startswith("  at sqlite:///" if tables.url.startswith("sqlite") else "  at postgresql+psycopg://")
    assert remedy.endswith(".")


def test_a_bucket_that_is_counted_twice_fails_and_is_not_added_up(tables: Tables) -> None:
    tables.add("accepted", "a", ["2021-07-20T18:44:00Z", "2021-07-20T18:44:00Z"])
    with pytest.raises(ConnectorFailed, match="twice"):
        answer(connector(tables, query=COUNT_BUCKETS.format(table="accepted").replace("time", "bucket")))


@pytest.mark.parametrize(
    ("through", "said"),
    {
        "no row": ("SELECT until FROM loads WHERE 1 = 0", "gives no row"),
        "two values": ("SELECT 1, 2", "gives more than one value"),
        "no time": ("SELECT 'soon'", "is 'soon', not a time"),
    }.values(),
)
def test_a_load_time_that_is_none_fails(tables: Tables, through: str, said: str) -> None:
    with pytest.raises(ConnectorFailed, match=said):
        answer(connector(tables, through=through))


@pytest.mark.postgres
def test_postgresql_is_told_that_this_only_reads(postgres_database: str) -> None:
    tables = Tables(postgres_database)
    tables.run("CREATE SEQUENCE counter")
    query = "SELECT 'a' AS source, :start AS time, nextval('counter') AS count WHERE :start <> :end"
    with pytest.raises(ConnectorFailed, match="read-only"):
        answer(connector(tables, query=query))


OUT_OF_REACH = {
    "no server": ("postgresql://user:hush@127.0.0.1:1/events", "127.0.0.1:1/events"),
    "no driver": ("oracle://user:hush@host/events", "pip install"),
    "no dialect": ("abacus://user:hush@host/events", "Install the package"),
}


@pytest.mark.parametrize(("url", "said"), OUT_OF_REACH.values(), ids=OUT_OF_REACH.keys())
def test_a_database_out_of_reach_is_a_failure_that_tells_no_password(url: str, said: str) -> None:
    with pytest.raises(ConnectorFailed) as caught:
        answer(connector(Tables(url)))
    assert said in caught.value.message
    assert "hush" not in caught.value.message
    assert caught.value.exit_code == 4


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConnectorFailed, match="no such file"):
        answer(connector(Tables(f"sqlite:///{tmp_path}/events.db")))
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_no_database_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("this is a letter, not a database" * 100)
    with pytest.raises(ConnectorFailed, match="not a database"):
        answer(connector(Tables(f"sqlite:///{tmp_path}/events.db")))
