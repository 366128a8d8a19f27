"""`tick`, as a person, a timer or a script calls it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.commands import tick
from reconciler.core.times import parse_time
from reconciler.store import migrate
from tests.integration.ledgers import everything
from tests.integration.shell import LOSS_END, Shell
from tests.integration.tables import COUNT_BUCKETS, Tables
from tests.servers.kafka import Broker

DIES = """
import os, signal, sys
from reconciler.cli import main
from reconciler.store.judging import SqlJudging

save = SqlJudging.save

def die(self, *arguments):
    if {written}:
        save(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)

SqlJudging.save = die
main(sys.argv[1:])
"""


@pytest.fixture
def story(shell: Shell) -> str:
    """A loss, observed and not yet judged."""
    file = shell.loss()
    assert shell("import", file) == 0
    return file


def two_tables(shell: Shell, url: str, mode: str = "alert") -> Tables:
    """Two tables with one event missing in the second, and the configuration that counts them."""
    tables = Tables(url)
    tables.make()
    minutes = [f"2021-07-20T18:{minute:02}:10Z" for minute in range(40, 45)]
    tables.add("accepted", "segment", minutes)
    tables.add("processed", "segment", minutes[:-1])
    bodies = "\n".join(
        f"  {table}-table: {{kind: sql, pipeline: batch, stage: {stage}, url: '{url}', window: 1h, "
        f"query: '{' '.join(COUNT_BUCKETS.format(table=table).split())}'}}"
        for table, stage in (("accepted", "ingress"), ("processed", "processed"))
    )
    pipelines = f"pipelines: {{batch: {{stages: [ingress, processed], mode: {mode}}}}}"
    shell.file("reconciler.yaml", pipelines, "connectors:", bodies)
    return tables


def test_what_is_new_is_said_in_words_with_advice(shell: Shell, story: str) -> None:
    assert shell("tick", "--now", LOSS_END) == 0
    lines = shell.out.splitlines()
    assert lines[0] == f"batch as of {LOSS_END}"
    assert "5 lost" in lines[1]
    assert lines[2].startswith("  OPENED page loss-")
    assert "3,000 events lost since 2024-01-15T00:05:00Z, source a" in lines[2]
    assert lines[3].startswith("    Find what removed")
    assert shell.err == ""


def test_a_second_tick_says_nothing_new_and_changes_nothing(shell: Shell, story: str, ledger_url: str) -> None:
    assert shell("tick", "--now", LOSS_END, "--json") == 0
    assert {line["type"] for line in shell.records()} == {"verdict", "incident"}
    before = everything(ledger_url)
    assert shell("tick", "--now", LOSS_END, "--json") == 0
    assert shell.out == ""
    assert shell("tick", "--now", LOSS_END) == 0
    assert f"already judged as of {LOSS_END}" in shell.out
    assert everything(ledger_url) == before


@pytest.mark.parametrize("written", [False, True], ids=["before it writes", "after it has written"])
def test_a_tick_that_is_killed_while_judging_is_as_if_it_had_not_been(
    shell: Shell, story: str, ledger_url: str, tmp_path: Path, *, written: bool
) -> None:
    before = everything(ledger_url)
    program = [sys.executable, "-c", DIES.format(written=written), "tick", "--now", LOSS_END]
    assert subprocess.run(program, check=False, cwd=tmp_path, env=dict(os.environ)).returncode == -signal.SIGKILL
    assert everything(ledger_url) == before
    assert shell("tick", "--now", LOSS_END, "--json") == 0
    after = everything(ledger_url)
    assert len([line for line in shell.records() if line.get("verdict") == "lost"]) == 5

    undisturbed = f"sqlite:///{tmp_path / 'undisturbed.db'}"
    migrate(undisturbed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECONCILER_LEDGER", undisturbed)
        assert shell("import", story) == 0
        assert shell("tick", "--now", LOSS_END) == 0
    assert everything(undisturbed) == after


def test_tables_are_counted_and_judged(shell: Shell, ledger_url: str) -> None:
    two_tables(shell, ledger_url)
    assert shell("tick", "--now", "2021-07-20T18:50:00Z") == 0
    assert "accepted-table: counted 2021-07-20T17:50:00Z to" in shell.out
    assert "processed-table: counted" in shell.out
    assert "1 pending, " in shell.out
    assert shell("tick", "--now", "2021-07-20T18:50:00Z") == 0
    assert "counted" not in shell.out


def test_a_connector_that_fails_is_said_at_the_end_and_the_rest_is_done(shell: Shell, ledger_url: str) -> None:
    tables = two_tables(shell, ledger_url)
    tables.run("DROP TABLE processed")
    assert shell("tick", "--now", "2021-07-20T18:50:00Z") == 4
    assert "accepted-table: counted" in shell.out
    assert "processed-table: could not be read" in shell.out
    assert "batch as of 2021-07-20T18:50:00Z" in shell.out
    assert "processed-table" in shell.err
    assert "check its tables, columns and permissions" in shell.err


def test_rows_that_make_no_sense_are_named_and_the_exit_code_says_so(shell: Shell, ledger_url: str) -> None:
    tables = two_tables(shell, ledger_url)
    tables.add("accepted", None, ["2021-07-20T18:41:00Z"])
    assert shell("tick", "--now", "2021-07-20T18:50:00Z") == 3
    assert "accepted-table: refused: source: of row" in shell.err
    assert "1 refused" in shell.out


def test_a_pipeline_that_is_only_observed_says_so(shell: Shell, ledger_url: str) -> None:
    shell.loss(mode="observe")
    assert shell("tick", "--now", LOSS_END) == 0
    assert shell.out.splitlines()[0] == f"batch as of {LOSS_END} (mode: observe; nobody is paged)"


def test_now_is_the_clock_of_the_machine(shell: Shell, story: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick, "now", lambda: parse_time(LOSS_END))
    assert shell("tick") == 0
    assert f"batch as of {LOSS_END}" in shell.out


@pytest.mark.parametrize("command", ["tick", "report", "incidents"])
def test_a_ledger_out_of_reach_is_said(shell: Shell, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_LEDGER", "postgresql://user:hush@127.0.0.1:1/ledger")
    assert shell(command) == 4
    assert "cannot be reached" in shell.err
    assert "hush" not in shell.err


def test_a_connector_that_takes_samples_is_told_of_and_has_no_past(
    broker: Broker, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.topic(2, retention_ms=-1)
    monkeypatch.setenv("KAFKA", broker.bootstrap)
    shell.file(
        "reconciler.yaml",
        "pipelines:",
        "  batch:",
        "    stages: [ingress, processed]",
        "    queues: {batch-events: {from: ingress, to: processed}}",
        "connectors:",
        "  queues:",
        "    kind: kafka",
        "    pipeline: batch",
        "    bootstrap: ${KAFKA}",
        f"    queues: {{batch-events: {{topic: {topic}}}}}",
    )
    assert shell("tick", "--now", "2021-07-20T18:46:00Z") == 0
    assert "queues: samples of 2021-07-20T18:46:00Z, 2 new, 0 unchanged" in shell.out
    assert shell("backfill", "--from", "2021-07-20") == 2
    assert "queues: takes samples, and nobody can sample the past" in shell.err
    assert shell("check-config") == 0
    assert "connector    queues (kafka) samples batch-events every 1 min" in shell.out
