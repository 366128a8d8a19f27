"""`backfill`, as a person calls it who has just been given two tables."""

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.connectors.sql import SqlConnector
from reconciler.core.times import Micros, parse_time
from reconciler.ports import ConnectorFailed
from tests.integration.ledgers import everything
from tests.integration.shell import Shell
from tests.integration.tables import COUNT_BUCKETS, Tables

NOW = "2021-07-20T00:00:00Z"


@pytest.fixture
def tables(shell: Shell, ledger_url: str) -> Tables:
    """Ten days of an event every hour; one day of them was never processed."""
    tables = Tables(ledger_url)
    tables.make()
    hours = [f"2021-07-{day:02}T{hour:02}:10:00Z" for day in range(10, 20) for hour in range(24)]
    tables.add("accepted", "segment", hours)
    tables.add("processed", "segment", [hour for hour in hours if not hour.startswith("2021-07-12")])
    bodies = "\n".join(
        f"  {table}-table: {{kind: sql, pipeline: batch, stage: {stage}, url: '{ledger_url}', window: 1d, "
        f"query: '{' '.join(COUNT_BUCKETS.format(table=table).split())}'}}"
        for table, stage in (("accepted", "ingress"), ("processed", "processed"))
    )
    shell.file(
        "reconciler.yaml", "pipelines: {batch: {stages: [ingress, processed], bucket: 1h}}", "connectors:", bodies
    )
    return tables


def test_the_holes_that_are_there_already_are_said(shell: Shell, tables: Tables) -> None:
    assert shell("backfill", "--from", "-10d", "--now", NOW) == 0
    lines = shell.out.splitlines()
    assert lines[0] == "accepted-table: 250 new, 0 unchanged, 0 gone, 0 refused"
    assert lines[1] == "processed-table: 226 new, 0 unchanged, 0 gone, 0 refused"
    assert lines[3:] == [
        f"batch, judged as of {NOW}",
        "  2021-07-12T00:00:00Z to 2021-07-13T00:00:00Z  ingress to processed, segment: 24 lost",
    ]
    assert shell.err == ""


def test_a_second_backfill_finds_nothing_new(shell: Shell, tables: Tables, ledger_url: str) -> None:
    assert shell("backfill", "--from", "-10d", "--now", NOW) == 0
    assert shell("backfill", "--from", "-10d", "--now", NOW) == 0
    assert ", 240 unchanged, 0 gone" in shell.out.splitlines()[0]
    assert "24 lost" in shell.out


def test_one_that_was_broken_off_goes_on_where_it_stopped(
    shell: Shell, tables: Tables, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Micros] = []
    whole = SqlConnector.collect

    def collect(self: SqlConnector, start: Micros, end: Micros, now: Micros) -> Iterator[Any]:
        if self.name == "accepted-table":
            asked.append(start)
            if len(asked) == 5:
                raise ConnectorFailed("accepted-table: the network is gone. Try again.")
        return iter(whole(self, start, end, now))

    monkeypatch.setattr(SqlConnector, "collect", collect)
    assert shell("backfill", "--from", "-10d", "--now", NOW) == 4
    assert "accepted-table: 100 new, 0 unchanged, 0 gone, 0 refused; broken off at 2021-07-14T00:00:00Z" in shell.out
    assert "processed-table: 226 new" in shell.out
    assert "batch is not judged: accepted-table has not told all" in shell.out
    assert "error: accepted-table: the network is gone. Try again.\n" in shell.err
    del asked[:]
    asked += [0] * 10
    assert shell("backfill", "--from", "-10d", "--now", "2021-07-20T01:00:00Z") == 0
    assert asked[10] == parse_time("2021-07-14T00:00:00Z")
    assert "24 lost" in shell.out
    assert everything(ledger_url)["connector_cursor"]


def test_only_some_connectors_and_days_are_counted_if_so_asked(shell: Shell, tables: Tables) -> None:
    arguments = ["--from", "2021-07-12", "--to", "2021-07-14", "--connector", "accepted-table", "--now", NOW]
    assert shell("backfill", *arguments) == 0
    assert shell.out.splitlines()[0] == "accepted-table: 50 new, 0 unchanged, 0 gone, 0 refused"
    assert "processed-table" not in shell.out


def test_a_day_without_holes_says_so(shell: Shell, tables: Tables) -> None:
    assert shell("backfill", "--from", "2021-07-14", "--to", "2021-07-18", "--now", NOW) == 0
    assert shell.out.splitlines()[-1] == "  no holes"


def test_many_holes_are_cut_short_and_the_rest_is_counted(shell: Shell, tables: Tables) -> None:
    tables.run("DELETE FROM processed WHERE accepted_at IS NOT NULL")
    times = [f"2021-07-{day:02}T{hour:02}:10:00Z" for day in range(10, 20) for hour in range(0, 24, 2)]
    tables.add("processed", "segment", times)
    assert shell("backfill", "--from", "-10d", "--now", NOW) == 0
    holes = [line for line in shell.out.splitlines() if "segment: 1 " in line]
    assert len(holes) == 20
    # Of the hour that ends in this very instant, what is missing may still come.
    assert shell.out.splitlines()[-1].startswith("  and 99 more holes (99 lost)")


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "said"),
    {
        "no beginning": ([], "Missing option '--from'"),
        "no duration": (["--from", "-30"], "not a duration"),
        "no time": (["--from", "then"], "not a time such as"),
        "backwards": (["--from", "-1d", "--to", "-2d"], "is not before --to"),
        "no such connector": (["--from", "-1d", "--connector", "x"], "configured: accepted-table, processed-table"),
    }.values(),
)
def test_a_wrong_call_does_nothing_and_says_why(
    shell: Shell, tables: Tables, arguments: list[str], said: str
) -> None:  # fmt: skip
    assert shell("backfill", "--now", NOW, *arguments) == 2
    assert said in shell.err


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_without_a_connector_there_is_nothing_to_count(shell: Shell) -> None:
    assert shell("backfill", "--from", "-1d") == 2
    assert "has no connector; `reconciler import` takes counts from files" in shell.err
