"""What is missing, by name: the shipped examples over real files and a real table."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.times import SECOND, format_time, parse_time
from tests.integration.places import Disk, ndjson, parquet
from tests.integration.shell import Shell
from tests.integration.tables import Warehouse

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
HOUR_OF = "acme/dt=2021-07-20/hour={:02}/part-0.parquet"


def example(home: Shell, name: str) -> None:
    shutil.copy(EXAMPLES / f"{name}.yaml", home.folder / "reconciler.yaml")


def words(records: Iterable[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(record[name] for name in names) for record in records]


@pytest.fixture
def files(home: Shell) -> Disk:
    """Six hours of one customer, announced, delivered and loaded."""
    example(home, "files")
    disk = Disk(home.folder / "files")
    for hour in range(6):
        disk.put(f"landing/{HOUR_OF.format(hour)}", parquet(home.folder, 100))
    disk.put("manifests/one.ndjson", ndjson([{"file": HOUR_OF.format(hour), "rows": 100} for hour in range(6)]))
    disk.put("loads/one.csv", log(range(6)))
    return disk


def log(hours: Iterable[int], rows: int = 100) -> bytes:
    lines = [f"s3://landing/{HOUR_OF.format(hour)},{rows}" for hour in hours]
    return ("name,loaded\n" + "".join(f"{line}\n" for line in lines)).encode()


def missing(home: Shell) -> list[dict[str, Any]]:
    span = ("--from", "2021-07-20T00:00:00Z", "--to", "2021-07-21T00:00:00Z")
    assert home("missing", *span, "--json") == 0
    return home.records()


def tick(home: Shell, time: str) -> list[dict[str, Any]]:
    assert home("tick", "--now", f"2021-07-20T{time}Z", "--json") == 0
    return home.records()


def last(records: list[dict[str, Any]], hour: int, hop: str) -> tuple[Any, ...]:
    """What was last said of an hour at a hop."""
    bucket = f"2021-07-20T{hour:02}:00:00Z"
    (line,) = [
        one
        for one in records
        if one["type"] == "verdict" and one["bucket"] == bucket and f"{one['from_stage']}>{one['to_stage']}" == hop
    ]
    return line["verdict"], line["lost"], line["evidence"]


def test_files_that_were_all_loaded_are_complete_and_nothing_is_missing(home: Shell, files: Disk) -> None:
    said = tick(home, "06:00:00")
    assert {one["verdict"] for one in said if one["type"] == "verdict"} == {"complete"}
    assert missing(home) == []


def test_a_file_that_was_never_loaded_is_named(home: Shell, files: Disk) -> None:
    files.put("loads/one.csv", log([0, 1, 2, 4, 5]) + log([3], 60).partition(b"\n")[2])
    files.put(f"landing/{HOUR_OF.format(4).replace('part-0', 'part-1')}", parquet(home.folder, 40))
    tick(home, "06:00:00")
    assert words(missing(home), "name", "reason", "text", "events") == [
        (HOUR_OF.format(3), "short", "is at delivered with 100 rows, and at loaded with 60", 40),
        (
            "acme/dt=2021-07-20/hour=04/part-1.parquet",
            "missing",
            "is at delivered with 40 rows, and at loaded not at all",
            40,
        ),
    ]


def test_a_delivered_file_that_vanishes_was_announced_and_is_lost_and_named(home: Shell, files: Disk) -> None:
    tick(home, "06:00:00")
    files.remove(f"landing/{HOUR_OF.format(2)}")
    files.put(f"landing/{HOUR_OF.format(3)}", parquet(home.folder, 70))
    said = tick(home, "06:05:00")
    assert last(said, 2, "announced>delivered") == ("lost", 100, ["shrunk"])
    assert last(said, 3, "announced>delivered") == ("lost", 30, ["shrunk"])
    found = words(missing(home), "name", "reason", "text")
    assert (HOUR_OF.format(2), "vanished", "vanished from delivered; it had 100 rows") in found
    assert (HOUR_OF.format(3), "shrunk", "shrank at delivered from 100 to 70 rows") in found


def test_the_tick_says_what_it_noticed_of_files(home: Shell, files: Disk) -> None:
    files.put("manifests/two.ndjson", ndjson([{"file": HOUR_OF.format(0), "rows": 100}]))
    assert home("tick", "--now", "2021-07-20T06:00:00Z") == 0
    assert f"{HOUR_OF.format(0)} is listed twice, in one.ndjson and two.ndjson; it counts once" in home.out


def test_each_example_can_be_tried_by_hand(home: Shell, files: Disk) -> None:
    assert home("check-config", "--connect") == 0
    assert home.out.count(" answers: ") == 3


# --- offsets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(home: Shell) -> Warehouse:
    """The table of the example, empty."""
    example(home, "offsets")
    made = Warehouse(f"sqlite:///{home.folder / 'events.db'}")
    made.run('CREATE TABLE events (topic TEXT, "partition" INTEGER, "offset" INTEGER, written_at TEXT)')
    return made


def store(table: Warehouse, partition: int, offsets: Iterable[int]) -> None:
    """Records arrive that are written one a second from midnight on."""
    base = parse_time("2021-07-20T00:00:00Z")
    rows = [
        {"partition": partition, "offset": offset, "at": format_time(base + offset * SECOND)[:19].replace("T", " ")}
        for offset in offsets
    ]
    table.run("INSERT INTO events VALUES ('clicks', :partition, :offset, :at)", rows)


def test_offsets_that_never_arrived_are_counted_as_missing_and_named(home: Shell, table: Warehouse) -> None:
    store(table, 0, [*range(100), *range(130, 600)])
    store(table, 1, range(600))
    said = tick(home, "00:10:00")
    gaps = {
        (one["source"], one["bucket"][11:16]): (one["accepted"], one["processed"], one["verdict"])
        for one in said
        if one["type"] == "verdict" and one["accepted"] != one["processed"]
    }
    # Until a day was seen, nobody knows how late an offset may come: it is missing, and not yet called lost.
    assert gaps == {("clicks/0", "00:01"): (70, 40, "delayed")}
    assert words(missing(home), "source", "name", "reason", "events") == [
        ("clicks/0", "offsets 100 to 129", "hole", 30)
    ]


def test_a_sink_that_stops_leaves_what_was_written_unknown_and_never_complete(home: Shell, table: Warehouse) -> None:
    for partition in (0, 1):
        store(table, partition, range(600))
    said = tick(home, "00:10:00") + [
        line for minute in range(11, 20) for line in tick(home, f"00:{minute}:00") if line["type"] == "verdict"
    ]
    late = {one["verdict"] for one in said if one["type"] == "verdict" and one["bucket"] >= "2021-07-20T00:10:00Z"}
    assert late <= {"open", "unknown"}
    assert "unknown" in late


def test_a_partition_that_was_never_seen_keeps_all_from_being_called_whole(home: Shell, table: Warehouse) -> None:
    store(table, 0, range(600))
    said = tick(home, "00:10:00")
    assert {one["verdict"] for one in said if one["type"] == "verdict"} <= {"open", "unknown"}


def test_the_example_of_offsets_can_be_tried_by_hand(home: Shell, table: Warehouse) -> None:
    assert home("check-config", "--connect") == 0
    assert home("check-config", "--permissions") == 0
