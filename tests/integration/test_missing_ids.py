"""Which events are missing and which are double: tables in three databases, and files."""

from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from reconciler.core import identities
from tests.integration.places import Disk, ndjson
from tests.integration.shell import Shell
from tests.integration.tables import Warehouse

SPAN = ("--from", "2021-07-20T18:00:00Z", "--to", "2021-07-20T19:00:00Z")


def configure(home: Shell, accepted: dict[str, Any], stored: dict[str, Any]) -> None:
    connectors = {"accepted": accepted | {"stage": "ingress"}, "stored": stored | {"stage": "stored"}}
    config = {
        "pipelines": {"shop": {"stages": ["ingress", "stored"]}},
        "connectors": {name: one | {"pipeline": "shop"} for name, one in connectors.items()},
    }
    (home.folder / "reconciler.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def tables(home: Shell, warehouse: Warehouse, **more: str) -> None:
    """One table for both stages: the topic says which."""
    columns = {"name": "events", "time": "accepted", "source": "source", "id": "id"} | more
    sides = [
        {"kind": "sql", "url": warehouse.url, "table": columns | {"where": f"topic = '{topic}'"}}
        for topic in ("accepted", "stored")
    ]
    configure(home, *sides)


def odd(records: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((one["reason"], one["name"], one["source"], one["at"][11:16]) for one in records)


def fill(warehouse: Warehouse, accepted: dict[str, str], stored: list[tuple[str, str]]) -> None:
    """Ids by the minute in which they were accepted, and those that were stored."""
    rows = [{"id": name, "time": f"{time}:30", "topic": "accepted"} for name, time in accepted.items()]
    rows += [{"id": name, "time": f"{time}:30", "topic": "stored"} for name, time in stored]
    warehouse.add(rows)


MANY = {f"event-{number}": f"18:{number // 100:02}" for number in range(500)}


@pytest.mark.parametrize("in_a_slot", [20_000, 10], ids=["at once", "slot by slot"])
def test_each_event_that_is_missing_double_extra_or_elsewhere_is_named(
    home: Shell, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, in_a_slot: int
) -> None:
    monkeypatch.setattr(identities, "IDS_IN_A_SLOT", in_a_slot)
    stored = [pair for pair in MANY.items() if pair[0] not in {"event-7", "event-404", "event-250"}]
    stored += [("event-8", "18:00"), ("event-8", "18:00"), ("stranger", "18:03"), ("event-250", "18:03")]
    fill(warehouse, MANY, stored)
    tables(home, warehouse)
    assert home("missing", "--ids", *SPAN, "--json") == 0, home.err
    assert odd(home.records()) == [
        ("double", "event-8", "a", "18:00"),
        ("extra", "stranger", "a", "18:03"),
        ("missing", "event-404", "a", "18:04"),
        ("missing", "event-7", "a", "18:00"),
        ("moved", "event-250", "a", "18:02"),
    ]
    double = next(one for one in home.records() if one["reason"] == "double")
    assert (double["events"], double["text"]) == (2, "is 3 times at stored")
    assert home("missing", "--ids", *SPAN) == 0
    assert "2021-07-20T18:04:00Z a: 1 missing: event-404 is at ingress, and not at stored" in home.out


def test_only_buckets_that_differ_are_read(home: Shell, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.connectors.sql import SqlConnector

    asked: list[tuple[int, int]] = []
    real = SqlConnector.identities

    def watched(self: SqlConnector, start: int, end: int, *arguments: Any, **more: Any) -> Any:
        asked.append((start // 60_000_000 % 60, end // 60_000_000 % 60))
        return real(self, start, end, *arguments, **more)

    monkeypatch.setattr(SqlConnector, "identities", watched)
    fill(warehouse, MANY, [pair for pair in MANY.items() if pair[0] != "event-333"])
    tables(home, warehouse)
    assert home("missing", "--ids", *SPAN, "--json") == 0
    assert odd(home.records()) == [("missing", "event-333", "a", "18:03")]
    assert asked == [(3, 4), (3, 4)]


def test_what_ended_legally_is_accounted_for(home: Shell, warehouse: Warehouse) -> None:
    rows = [{"id": name, "topic": "accepted", "kind": "accepted"} for name in "pqr"]
    rows += [{"id": "s", "topic": "accepted", "kind": "rejected"}]
    rows += [{"id": name, "topic": "stored", "kind": "processed"} for name in "pq"]
    rows += [{"id": "q", "topic": "stored", "kind": "deduplicated"}, {"id": "r", "topic": "stored", "kind": "filtered"}]
    warehouse.add(rows)
    tables(home, warehouse, outcome="kind")
    assert home("missing", "--ids", *SPAN, "--json") == 0
    assert odd(home.records()) == []


def test_events_without_an_id_are_said_to_be_left_out(home: Shell, warehouse: Warehouse) -> None:
    warehouse.add([{"id": None, "topic": "accepted"}, {"id": "p", "topic": "accepted"}])
    tables(home, warehouse)
    assert home("missing", "--ids", *SPAN, "--json") == 0
    assert odd(home.records()) == [("missing", "p", "a", "18:44")]
    assert "ingress to stored: 1 events without an id were left out" in home.err


HOSTILE = ["=cmd()", "' OR 1=1 --", "<b>", "x" * 10_000, "\u202e", ":start"]


def test_files_are_compared_with_a_table_and_hostile_ids_come_through(home: Shell, warehouse: Warehouse) -> None:
    disk = Disk(home.folder / "landing")
    rows = [{"at": "2021-07-20T18:05:10Z", "who": "a", "id": name} for name in [*HOSTILE, "p"]]
    disk.put("acme/one.ndjson", ndjson(rows[:3]))
    disk.put("acme/two.ndjson", ndjson(rows[3:]))
    files = {"kind": "files", **disk.options, "path": "{customer}/*.ndjson"}
    files |= {"columns": {"time": '"at"::TIMESTAMPTZ', "source": "who", "id": "id"}}
    warehouse.add([{"id": "p", "time": "18:05:10", "topic": "stored"}])
    table = {"name": "events", "time": "accepted", "source": "source", "id": "id"}
    configure(home, files, {"kind": "sql", "url": warehouse.url, "table": table})
    assert home("missing", "--ids", *SPAN, "--json") == 0, home.err
    assert odd(home.records()) == sorted(("missing", name, "a", "18:05") for name in HOSTILE)


def test_who_cannot_name_events_is_told(home: Shell, sqlite_database: str) -> None:
    table = {"name": "events", "time": "accepted", "source": "source"}
    side = {"kind": "sql", "url": sqlite_database, "table": table}
    configure(home, side, side | {"table": table | {"id": "id"}})
    assert home("missing", "--ids", *SPAN) == 0
    assert "ingress to stored: connector accepted has no `table.id`" in home.err
    assert "no id is missing or double where ids could be compared" in home.out
