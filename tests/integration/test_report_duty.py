"""The daily report as it is sent: made once, kept as it was, and held against what is known later."""

import json
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import opened
from reconciler.commands import report as command
from reconciler.core.times import HOUR, MINUTE, Micros, format_time, parse_time
from reconciler.errors import OutOfReach
from reconciler.reports.archive import keep, latest, report
from reconciler.reports.days import Day
from reconciler.running.meters import Meters
from reconciler.running.reporting import report_daily
from reconciler.running.turns import Turn
from tests.channels.servers import FakeSlack, running
from tests.integration.shell import LOSS_END, LOSS_START, Shell

DAY = Day(date(2024, 1, 15))
MORNING = parse_time("2024-01-16T07:00:00Z")


@pytest.fixture
def config(shell: Shell) -> str:
    """The ledger after 3,000 of 40,000 events of one of two sources were lost, and a report every morning."""
    assert shell("import", shell.loss()) == 0
    assert shell("tick", "--now", LOSS_END) == 0
    path = shell.folder / "reconciler.yaml"
    path.write_text(path.read_text() + '\nreports: {at: "07:00", folder: told, formats: [html, csv]}\n')
    return str(path)


def turn(config: str, now: Micros) -> bool:
    with opened(config) as app:
        return report_daily(Turn(app.store, app.settings, now, threading.Event(), Meters()))


def made(config: str, now: Micros, as_of: Micros | None = None) -> dict[str, Any]:
    with opened(config) as app:
        return report(app.store, list(app.pipelines().values()), DAY, now, as_of)


def replayed(shell: Shell) -> str:
    """The lost events of five minutes are there again, counted a day later."""
    at = format_time(MORNING + HOUR)
    place = {"type": "count", "at": at, "pipeline": "batch", "stage": "processed", "reporter": "processed-1"}
    buckets = [format_time(LOSS_START + minute * MINUTE) for minute in range(5, 10)]
    again = ({**place, "source": "a", "bucket": bucket, "count": 600, "replay": "again"} for bucket in buckets)
    return shell.file("again.ndjson", *again)


def test_the_report_is_made_once_in_the_morning_and_not_before(config: str, shell: Shell) -> None:
    assert not turn(config, MORNING - MINUTE)
    assert turn(config, MORNING)
    assert not turn(config, MORNING + MINUTE), "another process, or the same again, makes no second one"
    folder = Path(config).parent / "told"
    assert sorted(path.name for path in folder.iterdir()) == [
        "completeness-2024-01-15.csv", "completeness-2024-01-15.html",
    ]  # fmt: skip
    assert "3,000 lost" in (folder / "completeness-2024-01-15.html").read_text()
    assert shell("report", "--kept", "--json") == 0
    (kept,) = shell.records()
    assert (kept["day"], kept["zone"], kept["made_at"]) == ("2024-01-15", "UTC", "2024-01-16T07:00:00Z")
    assert kept["sent_to"] == ["completeness-2024-01-15.html", "completeness-2024-01-15.csv", "ledger"]
    assert turn(config, MORNING + 24 * HOUR), "the next day has its own"


def test_what_was_sent_stays_and_what_has_changed_is_said(
    config: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    assert turn(config, MORNING)
    sent = (Path(config).parent / "told" / "completeness-2024-01-15.html").read_text()
    assert shell("import", replayed(shell)) == 0
    later = MORNING + 2 * HOUR
    assert shell("tick", "--now", format_time(later)) == 0
    monkeypatch.setattr(command, "now", lambda: later)
    assert shell("report", "--number", "1", "--format", "html") == 0
    assert shell.out == sent, "letter by letter"
    record = made(config, later)
    assert record["changed"]["since"] == "changed since the report that was sent at 2024-01-16T07:00:00Z"
    (line,) = [line for line in record["changed"]["lines"] if line.startswith("batch, ingress to processed, a: ")]
    assert "lost 3,000 → 0" in line
    assert shell("report", "--day", "2024-01-16") == 0
    assert "restated since they were reported" in shell.out
    assert "2024-01-15: batch, ingress to processed: " in shell.out


def test_a_day_as_of_an_instant_says_what_has_changed_since_then(config: str, shell: Shell) -> None:
    assert shell("import", replayed(shell)) == 0
    assert shell("tick", "--now", format_time(MORNING + 2 * HOUR)) == 0
    record = made(config, MORNING + 3 * HOUR, parse_time(LOSS_END))
    assert record["pipelines"][0]["hops"][0]["total"]["lost"] == 3_000
    assert record["changed"]["since"] == f"what has changed since {LOSS_END}"
    assert any("lost 3,000 → 0" in line for line in record["changed"]["lines"])


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_slack_is_told_in_a_few_lines_with_a_picture_and_again_only_if_it_did_not_hear(config: str) -> None:
    with running(FakeSlack()) as slack:
        place = {"kind": "slack", "token": "xoxb-secret", "channel": "C0123ABCD", "api": slack.url}
        path = Path(config)
        told = path.read_text().replace("formats: [html, csv]", "formats: [csv], notify: [data]")
        path.write_text(f"{told}notifiers: {{data: {json.dumps(place)}}}\n")
        slack.scopes.discard("files:write")
        assert turn(config, MORNING), "without the right to upload it is told without a picture"
        slack.scopes.add("files:write")
        assert not turn(config, MORNING + 10 * MINUTE)
        (message,) = slack.messages
        assert "3,000 events lost" in json.dumps(message["blocks"])
        assert "96.2500% complete" in json.dumps(message["blocks"])
        assert turn(config, MORNING + 24 * HOUR)
        (picture,) = slack.files
        assert picture["bytes"].startswith(b"\x89PNG") or b"\x89PNG" in picture["bytes"]
    with pytest.raises(OutOfReach):
        turn(config, MORNING + 48 * HOUR)
    with opened(config) as app:
        assert app.store.kept_reports("2024-01-17")[-1].sent_to == ("completeness-2024-01-17.csv", "ledger")


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_report_never_sounds_an_alarm(shell: Shell) -> None:
    shell.file(
        "reconciler.yaml",
        "pipelines: {batch: {stages: [ingress, processed]}}",
        "notifiers: {duty: {kind: pagerduty, routing_key: " + "k" * 32 + "}}",
        "reports: {notify: [duty, nobody]}",
    )
    assert shell("check-config") == 2
    assert "would sound an alarm" in shell.err + shell.out
    assert "names 'nobody'" in shell.err + shell.out


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_another_engine_is_named_and_the_old_report_is_left_as_it_was(config: str) -> None:
    with opened(config) as app:
        record = report(app.store, list(app.pipelines().values()), DAY, MORNING)
        record["made_by"] = {"version": "0.0.1", "settings": "0123456789abcdef"}
        keep(app.store, record, ["by hand"])
        kept = latest(app.store, DAY)
        assert kept is not None
        assert (kept.version, kept.settings) == ("0.0.1", "0123456789abcdef")
        assert json.loads(json.dumps(record)) == kept.record
        lines = report(app.store, list(app.pipelines().values()), DAY, MORNING)["changed"]["lines"]
    assert lines[0].startswith("made by version 0.0.1 (settings 0123456789abcdef) then, by ")
