"""The service without its processes: what is due, what is said of it, what is written to the log."""

import json
import logging
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from reconciler.abilities import Note
from reconciler.collect import Collected
from reconciler.core.observations import Refusal
from reconciler.core.times import MINUTE, SECOND, Micros
from reconciler.ports import ConnectorFailed
from reconciler.running import heartbeat
from reconciler.running.logs import JsonLines, Lines
from reconciler.running.look import CATCH_UP, ticks
from reconciler.running.meters import Meters
from reconciler.settings.schema import HeartbeatSettings
from tests.channels.servers import Fake, Request, running

NOON = 1_000 * 60 * MINUTE


@pytest.mark.parametrize(
    ("judged_at", "now", "due"),
    {
        "never judged: the tick that has passed": (None, 30 * SECOND, [0]),
        "judged at this tick": (0, 30 * SECOND, []),
        "the next tick": (0, MINUTE, [1]),
        "judged by hand between two ticks": (30 * SECOND, MINUTE, [1]),
        "a restart that took two minutes": (0, 2 * MINUTE + SECOND, [1, 2]),
        "as long as is caught up": (0, CATCH_UP * MINUTE, list(range(1, CATCH_UP + 1))),
        "longer: only the latest": (0, (CATCH_UP + 1) * MINUTE, [CATCH_UP + 1]),
        "a clock that was set back": (10 * MINUTE, 5 * MINUTE, []),
    }.values(),
)
def test_which_ticks_are_judged(judged_at: Micros | None, now: Micros, due: list[int]) -> None:
    judged = None if judged_at is None else NOON + judged_at
    assert ticks(judged, NOON + now, MINUTE) == [NOON + minute * MINUTE for minute in due]


def samples(meters: Meters) -> dict[str, float]:
    lines = [line for line in meters.text().decode().splitlines() if line.startswith("reconciler_")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def incident(kind: str, severity: str, lost: int) -> dict[str, Any]:
    return {"type": "incident", "pipeline": "batch", "kind": kind, "severity": severity, "lost": lost}


def test_what_is_measured_names_only_what_the_configuration_names() -> None:
    meters = Meters()
    meters.leads(3)
    meters.ran("look", NOON, 0.5, well=True)
    meters.ran("look", NOON + MINUTE, 0.5, well=False)
    refused = (Refusal("source", "partner/secret-customer is odd"),)
    notes = (Note("day.csv", "vanished"), Note("other.csv", "shrank"))
    meters.collected(Collected("table", 0, 0, 5, 2, refused=refused, notes=notes, too_old=4), NOON)
    meters.sources("batch", 100, 7)
    meters.collected(Collected("other", 0, 0, failure=ConnectorFailed("cannot be read")), NOON)
    verdict = {"type": "verdict", "verdict": "lost", "source": "partner/secret-customer"}
    meters.judged("batch", NOON, [verdict, verdict, incident("loss", "page", 3)])
    meters.standing([incident("loss", "page", 3), incident("loss", "page", 4), incident("delay", "ticket", 0)])
    found = samples(meters)
    assert found["reconciler_lease_epoch"] == 3
    assert found['reconciler_runs_total{duty="look",result="ok"}'] == 1
    assert found['reconciler_runs_total{duty="look",result="failed"}'] == 1
    assert found['reconciler_run_last_success_timestamp_seconds{duty="look"}'] == NOON / SECOND
    assert found['reconciler_collected_observations_total{connector="table",result="kept"}'] == 5
    assert found['reconciler_collected_observations_total{connector="table",result="refused"}'] == 1
    assert found['reconciler_collected_observations_total{connector="table",result="too_old"}'] == 4
    assert found['reconciler_connector_notes_total{connector="table"}'] == 2
    assert found['reconciler_sources{pipeline="batch"}'] == 100
    assert found['reconciler_sources_beyond_limit{pipeline="batch"}'] == 7
    assert found['reconciler_connector_up{connector="table"}'] == 1
    assert found['reconciler_connector_up{connector="other"}'] == 0
    assert found['reconciler_verdict_changes_total{pipeline="batch",verdict="lost"}'] == 2
    assert found['reconciler_incidents{kind="loss",pipeline="batch",severity="page"}'] == 2
    assert found['reconciler_lost_events{pipeline="batch"}'] == 7
    assert "secret-customer" not in meters.text().decode()


def test_who_does_the_work_no_more_says_nothing_of_what_it_knew() -> None:
    meters = Meters()
    meters.leads(1)
    meters.judged("batch", NOON, [])
    meters.standing([incident("loss", "page", 3)])
    meters.leads(None)
    found = samples(meters)
    assert (found["reconciler_leader"], found["reconciler_lease_epoch"]) == (0, 0)
    assert not any("batch" in name for name in found)


class Other(Fake):
    """Is well, ill or away, by path."""

    def take(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Note who called."""
        self.requests.append(request)
        code = {"/well": 200, "/away": 302, "/ill": 500}[request.path]
        return code, {"Location": "/elsewhere"} if code == 302 else {}, b""


@pytest.mark.parametrize(("path", "well"), [("/well", True), ("/ill", False), ("/away", False)])
def test_a_heartbeat_goes_where_it_is_told_to_and_nowhere_else(
    path: str, *, well: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with running(Other()) as other:
        assert heartbeat.call(HeartbeatSettings.model_validate({"url": other.url + path})) is well
    assert [one.path for one in other.requests] == [path]
    assert bool(caplog.records) is not well
    assert other.url not in caplog.text, "the address may be a secret"


def test_a_heartbeat_that_nobody_takes_is_told_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # it listens, and never answers
    settings = {"url": f"http://127.0.0.1:{server.server_port}/", "timeout": "1s"}
    assert not heartbeat.call(HeartbeatSettings.model_validate(settings))
    assert [record.getMessage() for record in caplog.records] == ["the heartbeat was not taken"]
    server.server_close()


def test_a_line_of_the_log_is_one_line_whatever_is_in_it() -> None:
    record = logging.LogRecord("reconciler.x", logging.WARNING, "file", 1, "read %s", ("a\nb",), None)
    record.__dict__["source"] = "\x1b[31mred\n"
    record.created = NOON / SECOND
    text = Lines().format(record)
    assert text.endswith("Z warning read a\\nb source=\\x1b[31mred\\n")
    assert len(text.splitlines()) == 1
    said = json.loads(JsonLines().format(record))
    assert list(said) == ["at", "level", "logger", "message", "source"]
    assert (said["message"], said["source"]) == ("read a\nb", "\x1b[31mred\n")
