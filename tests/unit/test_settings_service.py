"""The settings of the service: what follows from them, and what cannot be meant."""

import pytest

from reconciler.commands.check_config import as_text
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND
from tests.unit.test_settings import MINIMAL, SQL, faults, read

CONNECTOR = "connectors: {t: {pipeline: batch, stage: ingress, " + SQL + ", "


def test_the_defaults_follow_from_the_tick() -> None:
    settings = read(MINIMAL)
    assert (settings.tick, settings.deadline, settings.lease) == (MINUTE, 45 * SECOND, 30 * SECOND)
    assert settings.blind_after == 5 * MINUTE
    assert (settings.retention.detail, settings.retention.verdicts) == (90 * DAY, 730 * DAY)
    assert (settings.service.listen, settings.service.heartbeat) == ("127.0.0.1:8080", None)
    assert read(MINIMAL + "schedule: {tick: 2s}").lease == 5 * SECOND, "a moment's delay is no death"


def test_a_recount_is_made_only_where_it_is_asked_for() -> None:
    assert read(MINIMAL + CONNECTOR + "}}").connectors["t"].options.model_dump()["recount"] is None
    settings = read(MINIMAL + CONNECTOR + "window: 1h, recount: {window: 7d}}}")
    assert settings.connectors["t"].options.model_dump()["recount"] == {"window": 7 * DAY, "every": DAY}
    assert settings.connectors["t"].options.model_dump()["window"] == HOUR


@pytest.mark.parametrize(
    ("text", "fault"),
    {
        "a deadline that leaves no time to judge": (
            "schedule: {tick: 1m, deadline: 60s}", "schedule.deadline: 1 min leaves nothing of a tick of 1 min",
        ),
        "verdicts that go before what they rest on": (
            "retention: {detail: 90d, verdicts: 30d}", "retention.verdicts: 30 d is shorter than the detail",
        ),
        "a retention that the judgement itself needs": (
            "retention: {detail: 1d}", "retention.detail: 1 d is less than two days",
        ),
        "blind between two looks": (
            "service: {blind_after: 1m}", "service.blind_after: 1 min is no longer than a tick",
        ),
        "an address without a port": ("service: {listen: localhost}", "not an address and a port such as"),
        "a port that is none": ("service: {listen: 'localhost:99999'}", "not an address and a port such as"),
        "a public address with a query": (
            "service: {public_url: 'https://host/?x=1'}", "service.public_url: has a question mark or a #",
        ),
        "a public address without http": (
            "service: {public_url: host.example}", "service.public_url: is no address such as",
        ),
        "a heartbeat that is no address": (
            "service: {heartbeat: {url: 'file:///etc/passwd'}}", "service.heartbeat.url: is no address such as",
        ),
        "a heartbeat that cannot be read": (
            "service: {heartbeat: {url: 'http://[::1/'}}", "service.heartbeat.url: is no address such as",
        ),
        "a log of a kind that is unknown": ("service: {log: xml}", "service.log: is not text or json"),
        "a recount of what is read anyway": (
            CONNECTOR + "recount: {window: 1d}}}", "connectors.t.recount.window: 1 d is no longer than the window",
        ),
        "a recount of what is forgotten": (
            CONNECTOR + "recount: {window: 91d}}}", "connectors.t.recount.window: 91 d is longer than retention.detail",
        ),
        "a window into what is forgotten": (
            "retention: {detail: 2d}\n" + CONNECTOR + "window: 3d}}", "connectors.t.window: 3 d is longer than",
        ),
    }.values(),
)  # fmt: skip
def test_what_cannot_be_meant_is_said(text: str, fault: str) -> None:
    (said,) = faults(MINIMAL + text)
    assert fault in said


def test_the_heartbeat_s_address_is_not_repeated_for_it_may_hold_a_key() -> None:
    (said,) = faults(MINIMAL + "service: {heartbeat: {url: 'ftp://host/SECRET'}}")
    assert "SECRET" not in said
    settings = read(MINIMAL + "service: {heartbeat: {url: 'https://host/SECRET'}}")
    assert "SECRET" not in repr(settings)


def test_whoever_is_told_without_a_public_address_is_told_so() -> None:
    channels = MINIMAL + "notifiers: {here: {kind: console}}\n"
    assert any("set service.public_url" in line for line in as_text(read(channels)))
    (said,) = [
        line for line in as_text(read(channels + "service: {public_url: 'https://r.example/'}")) if "links" in line
    ]
    assert said == "links   https://r.example"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("ledger: 5432", "; quotes make text of it"),
        ("ledger: {url: 'sqlite:///a.db'}", "; give one value, such as those in the reference"),
    ],
)
def test_only_of_what_quotes_make_text_quotes_are_advised(text: str, remedy: str) -> None:
    (said,) = faults(MINIMAL + text)
    assert said.endswith(f"ledger: is not text{remedy}")
