"""Tables that are counted by their columns: the same answers from every database that can run here."""

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from reconciler.connectors.sql import Options, SqlConnector, build
from reconciler.core.observations import Count, Observation, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND, Micros, format_time, parse_time
from reconciler.ports import ConnectorFailed
from tests.integration.tables import Warehouse

NOW = parse_time("2021-07-20T18:45:30Z")
PIPELINES = {"batch": Pipeline("batch", ("ingress", "stored"))}
START, END = parse_time("2021-07-20T18:40:00Z"), parse_time("2021-07-20T18:46:00Z")


def ask(connector: SqlConnector, start: Micros = START, end: Micros = END) -> list[Observation | Refusal]:
    return list(connector.collect(start, end, NOW))


def counts(said: Iterable[Observation | Refusal]) -> dict[str, int]:
    """By source, minute and outcome."""
    return {
        f"{one.source} {format_time(one.bucket)[11:16]} {one.outcome}": one.count
        for one in said
        if isinstance(one, Count)
    }


def through(said: Iterable[Observation | Refusal]) -> str | None:
    return next((format_time(one.through)[11:19] for one in said if isinstance(one, Progress)), None)


def digest(*ids: str) -> int:
    """As the contract defines it."""
    return sum(int.from_bytes(hashlib.sha256(one.encode()).digest()[:8], "big") for one in ids) % 2**64


def test_rows_are_counted_by_source_and_bucket(warehouse: Warehouse) -> None:
    warehouse.add({"time": time} for time in ("18:39:59.9", "18:44:00", "18:44:59.999", "18:45:00"))
    warehouse.add([{"source": "b"}])
    said = ask(warehouse.connector())
    assert counts(said) == {"a 18:44 accepted": 2, "a 18:45 accepted": 1, "b 18:44 accepted": 1}
    assert through(said) == "18:45:30"


def test_columns_may_be_any_expression_and_rows_may_be_left_out(warehouse: Warehouse) -> None:
    warehouse.add([{"kind": "track"}, {"kind": "test"}, {"kind": "dropped"}])
    said = ask(
        warehouse.connector(
            {
                "source": "'shop/' || source",
                "outcome": "CASE WHEN kind = 'dropped' THEN 'filtered' ELSE 'processed' END",
                "where": "kind <> 'test'",
            },
            stage="stored",
        )
    )
    assert counts(said) == {"shop/a 18:44 processed": 1, "shop/a 18:44 filtered": 1}


def test_equal_ids_count_once_and_the_digest_is_that_of_the_contract(warehouse: Warehouse) -> None:
    ids = [f"event-{number}-ü" for number in range(50)]
    warehouse.add({"id": one} for one in [*ids, *ids[:7]])
    (cell,) = [one for one in ask(warehouse.connector({"source": "source", "id": "id"})) if isinstance(one, Count)]
    assert (cell.count, cell.digest) == (50, digest(*ids))


def test_other_ids_of_the_same_number_have_another_digest(warehouse: Warehouse) -> None:
    warehouse.add([{"id": "1"}, {"id": "2"}, {"source": "b", "id": "1"}, {"source": "b", "id": "3"}])
    said = ask(warehouse.connector({"source": "source", "id": "id"}))
    assert {one.source: one.digest for one in said if isinstance(one, Count)} == {
        "a": digest("1", "2"),
        "b": digest("1", "3"),
    }


def test_rows_without_an_id_count_each_and_then_no_digest_is_told(warehouse: Warehouse) -> None:
    warehouse.add([{"id": "1"}, {"id": "1"}, {"id": None}, {"id": None}])
    (cell,) = [one for one in ask(warehouse.connector({"source": "source", "id": "id"})) if isinstance(one, Count)]
    assert (cell.count, cell.digest) == (3, None)


def test_a_query_may_tell_digests_as_numbers_or_digits(warehouse: Warehouse) -> None:
    query = "SELECT 'a' AS source, :start AS time, 2 AS count, {} AS digest WHERE :start <> :end"
    for told in ("'18446744073709551615'", "42"):
        connector = build(
            "table",
            Options.model_validate(
                {"pipeline": "batch", "stage": "ingress", "url": warehouse.url, "query": query.format(told)}
            ),
            PIPELINES,
        )
        (cell,) = [one for one in ask(connector) if isinstance(one, Count)]
        assert cell.digest == int(told.strip("'"))


# --- by offset --------------------------------------------------------------------------------------------------------

OFFSETS = {"topic": "topic", "partition": '"partition"', "offset": '"offset"'}


def offsets(warehouse: Warehouse, **changes: Any) -> SqlConnector:
    return warehouse.connector(OFFSETS, by="offset", **changes)


def arrive(warehouse: Warehouse, *numbers: int, partition: int = 0, first: str = "18:41:00") -> None:
    """Records at these offsets arrive; a record is written every ten seconds."""
    base = parse_time(f"2021-07-20T{first}Z")
    warehouse.add(
        {
            "time": format_time(base + 10 * SECOND * number)[11:19],
            "offset": number,
            "partition": partition,
        }
        for number in numbers
    )


def test_offsets_that_have_arrived_count_once_each_by_partition(warehouse: Warehouse) -> None:
    arrive(warehouse, 0, 1, 2, 2, 2, 6)
    arrive(warehouse, 0, partition=1)
    said = ask(offsets(warehouse, stage="stored"))
    assert counts(said) == {"t/0 18:41 processed": 3, "t/0 18:42 processed": 1, "t/1 18:41 processed": 1}


def test_a_hole_between_offsets_was_written_and_has_not_arrived(warehouse: Warehouse) -> None:
    arrive(warehouse, 0, 1, 5, 6, 7)
    written, arrived = (counts(ask(offsets(warehouse, count=count))) for count in ("written", "arrived"))
    assert written == {"t/0 18:41 accepted": 6, "t/0 18:42 accepted": 2}
    assert arrived == {"t/0 18:41 accepted": 3, "t/0 18:42 accepted": 2}


def test_what_was_written_is_known_only_as_far_as_every_partition_has_arrived(warehouse: Warehouse) -> None:
    arrive(warehouse, *range(20))
    arrive(warehouse, *range(8), partition=1)
    assert through(ask(offsets(warehouse, count="written", disorder="0s"))) == "18:42:10"
    assert through(ask(offsets(warehouse, count="written", disorder="1m"))) == "18:41:10"
    assert through(ask(offsets(warehouse, count="written", partitions=3))) is None, "one partition was not seen at all"
    assert through(ask(offsets(warehouse, count="arrived"))) == "18:45:30"


def test_an_empty_table_says_nothing_of_what_was_written(warehouse: Warehouse) -> None:
    assert ask(offsets(warehouse, count="written")) == []


def test_a_record_beyond_the_edge_of_the_window_is_no_hole(warehouse: Warehouse) -> None:
    arrive(warehouse, 0, 1, 3, first="18:44:00")
    warehouse.add([{"time": "18:39:30", "offset": 2}])
    assert counts(ask(offsets(warehouse, count="written"))) == {"t/0 18:44 accepted": 3}
    assert counts(ask(offsets(warehouse, count="written", disorder="0s"))) == {"t/0 18:44 accepted": 4}


def test_where_offsets_are_not_events_a_hole_is_only_a_bound(warehouse: Warehouse) -> None:
    arrive(warehouse, 0, 1, 5)
    (cell,) = [one for one in ask(offsets(warehouse, count="written", exact=False)) if isinstance(one, Count)]
    assert (cell.count, cell.error) == (6, 3)


def test_holes_are_found_where_offsets_are_large(warehouse: Warehouse) -> None:
    base = 2**53
    warehouse.add([{"offset": base + 1}, {"offset": base + 3}])
    assert counts(ask(offsets(warehouse, count="written"))) == {"t/0 18:44 accepted": 3}


# --- held back --------------------------------------------------------------------------------------------------------

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT 'a' AS source, :start AS time,"
    " count(*) AS count FROM n WHERE :start <> :end",
    "postgresql": "SELECT 'a' AS source, :start AS time, 1 AS count FROM (SELECT pg_sleep(60)) s WHERE :start <> :end",
    "duckdb": "SELECT 'a' AS source, :start AS time, count(*) AS count FROM range(10000000) a, range(10000000) b"
    " WHERE a.range + b.range > 1 AND :start <> :end",
}


def test_a_query_that_takes_too_long_is_broken_off(warehouse: Warehouse) -> None:
    query = ENDLESS[sa.make_url(warehouse.url).get_backend_name()]
    options = {"pipeline": "batch", "stage": "ingress", "url": warehouse.url, "query": query, "timeout": "1s"}
    with pytest.raises(ConnectorFailed, match="It may take 1 s"):
        ask(build("table", Options.model_validate(options), PIPELINES))


def test_nothing_can_be_written(warehouse: Warehouse) -> None:
    connector = warehouse.connector()
    warehouse.add([{}])

    def delete() -> None:
        with connector.database.connection() as connection:
            connection.execute(sa.text("DELETE FROM events"))
            connection.commit()

    with pytest.raises(ConnectorFailed):
        delete()
    assert counts(ask(connector)) == {"a 18:44 accepted": 1}


NUMBERS = {"epoch": ("accepted BIGINT", 1626806640, 1), "epoch_ms": ("accepted BIGINT", 1626806640999, 1000)}


@pytest.mark.parametrize("bind", NUMBERS)
def test_times_that_are_numbers_are_counted_alike(warehouse: Warehouse, bind: str) -> None:
    column, value, unit = NUMBERS[bind]
    warehouse.run("DROP TABLE events")
    warehouse.run(f'CREATE TABLE events (source TEXT, {column}, topic TEXT, "partition" INTEGER, "offset" BIGINT)')
    rows = [{"at": value + unit * number, "offset": number} for number in (0, 1, 62)]
    warehouse.run("INSERT INTO events VALUES ('a', :at, 't', 0, :offset)", rows)
    assert counts(ask(warehouse.connector(bind=bind))) == {"a 18:44 accepted": 2, "a 18:45 accepted": 1}
    written = ask(offsets(warehouse, bind=bind, count="written", disorder="0s"))
    assert counts(written) == {"t/0 18:44 accepted": 62, "t/0 18:45 accepted": 1}
    assert through(written) == "18:45:02"


def test_buckets_of_an_hour_are_those_of_the_epoch(warehouse: Warehouse) -> None:
    warehouse.add([{"time": "18:44:00"}, {"time": "18:00:00"}, {"time": "17:59:59"}])
    pipelines = {"batch": Pipeline("batch", ("ingress", "stored"), width=60 * MINUTE)}
    connector = build("table", warehouse.connector().options, pipelines)
    said = ask(connector, parse_time("2021-07-20T17:00:00Z"), parse_time("2021-07-20T19:00:00Z"))
    assert counts(said) == {"a 18:00 accepted": 2, "a 17:00 accepted": 1}


WRONG = {
    "query and table": ({"query": "SELECT :start, :end"}, "needs either query or table"),
    "no source": ({"table": {"name": "t", "time": "x"}}, "by: time needs table.source"),
    "no offset": ({"by": "offset"}, "by: offset needs table.topic"),
    "written by time": ({"count": "written"}, "count: written needs by: offset"),
    "a zone": ({"timezone": "Europe/Berlin"}, "counts in UTC only"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG.keys())
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Warehouse("sqlite:///events.db").connector(**changes)
