"""Every notifier passes one suite, and has its own ways beside it."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import now as clock
from reconciler.core.times import HOUR, SECOND
from reconciler.errors import ConfigError
from reconciler.notifiers import webhook
from reconciler.posting import NotifyFailed
from tests.channels.notices import NOW, built, impatient, letter, notice, settings
from tests.channels.servers import Fake, FakeHook, FakePagerDuty, FakeSlack, running
from tests.channels.suite import SILENT, Bench, NotifierContract
from tests.servers.alertmanager import Alertmanager, running_alertmanager


def bench_of(options: dict[str, Any], fake: Fake, address: str, secrets: tuple[str, ...], path: str = "") -> Bench:
    """A bench for options in which `address` names where it is."""

    def at(url: str) -> Any:
        return impatient(built(options | {address: [url + path] if address == "urls" else url + path}))

    return Bench(at(fake.url), fake, at(SILENT), secrets)


class TestSlack(NotifierContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with running(FakeSlack()) as fake:
            options = {
                "kind": "slack",
                "token": "xoxb-TOPSECRET",
                "channel": "C0123ABCD",
                "signing_secret": "SIGNSECRET",
            }
            found = bench_of(options, fake, "api", ("TOPSECRET", "SIGNSECRET"))
            found.shown = lambda: [json.dumps(fake.messages)]
            yield found


class TestSlackWebhook(NotifierContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with running(FakeHook()) as fake:
            found = bench_of({"kind": "slack_webhook"}, fake, "url", ("HOOKSECRET",), "/services/T0/B0/HOOKSECRET")
            found.shown = lambda: [request.body.decode() for request in fake.requests]
            yield found

    def test_it_says_in_the_message_what_it_cannot_do(self, bench: Bench) -> None:
        bench.notifier.send(letter(notice()))
        assert "cannot change this message" in bench.fake.requests[0].body.decode()
        assert not bench.notifier.manner.edits


class TestPagerDuty(NotifierContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with running(FakePagerDuty()) as fake:
            options = {"kind": "pagerduty", "routing_key": "ROUTINGSECRET"}
            yield bench_of(options, fake, "url", ("ROUTINGSECRET",))

    @pytest.fixture
    def pager(self, bench: Bench) -> FakePagerDuty:
        assert isinstance(bench.fake, FakePagerDuty)
        return bench.fake

    def test_one_incident_of_ours_is_one_of_theirs_from_its_beginning_to_its_end(
        self, bench: Bench, pager: FakePagerDuty
    ) -> None:
        reference: dict[str, Any] = {}
        for status in ("open", "updated", "acknowledged", "updated", "resolved", "resolved"):
            reference = dict(bench.notifier.send(letter(notice(status=status, title=f"it is {status}"), reference)))
        assert pager.incidents == {"loss-0a1b2c3d4e5f": ["resolved"]}
        assert pager.texts["loss-0a1b2c3d4e5f"] == "it is updated"

    def test_what_is_for_information_only_wakes_nobody(self, bench: Bench, pager: FakePagerDuty) -> None:
        bench.notifier.send(letter(notice(severity="info")))
        assert pager.incidents == {}

    def test_what_was_over_before_it_could_be_told_wakes_nobody(self, bench: Bench, pager: FakePagerDuty) -> None:
        bench.notifier.send(letter(notice(status="resolved"), doubt_since=NOW))
        assert pager.incidents == {"loss-0a1b2c3d4e5f": []}

    def test_a_drill_says_so(self, bench: Bench, pager: FakePagerDuty) -> None:
        bench.notifier.send(letter(notice(drill=True)))
        assert pager.texts["loss-0a1b2c3d4e5f"].startswith("DRILL: ")


class TestWebhook(NotifierContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with running(FakeHook()) as fake:
            options = {"kind": "webhook", "secret": "SIGNSECRET", "headers": {"Authorization": "Bearer HEADSECRET"}}
            found = bench_of(options, fake, "url", ("SIGNSECRET", "HEADSECRET", "PATHSECRET"), "/in/PATHSECRET")
            found.shown = lambda: [request.body.decode() for request in fake.requests]
            yield found

    def test_its_signature_holds_the_body_and_the_time(self, bench: Bench) -> None:
        bench.notifier.send(letter(notice(), version=3))
        (request,) = bench.fake.requests
        stamp = request.headers[webhook.TIMESTAMP]
        assert stamp == str(NOW // SECOND)
        expected = hmac.new(b"SIGNSECRET", f"{stamp}.".encode() + request.body, hashlib.sha256).hexdigest()
        assert request.headers[webhook.SIGNATURE] == f"v1={expected}"
        assert request.headers[webhook.DELIVERY] == "loss-0a1b2c3d4e5f/3"

    def test_its_payload_is_alertmanagers(self, bench: Bench) -> None:
        for status in ("open", "resolved"):
            bench.notifier.send(letter(notice(status=status, at=NOW + HOUR)))
        told = [request.json() for request in bench.fake.requests]
        assert [one["status"] for one in told] == ["firing", "resolved"]
        assert [one["alerts"][0]["endsAt"] for one in told] == [webhook.NEVER, "2021-07-20T20:05:00Z"]
        assert told[0]["commonLabels"] == {
            "alertname": "reconciler_loss", "incident": "loss-0a1b2c3d4e5f", "pipeline": "batch", "severity": "page",
        }  # fmt: skip
        assert told[0]["groupKey"] == told[1]["groupKey"]
        assert {"version", "receiver", "externalURL", "groupLabels", "commonAnnotations", "truncatedAlerts"} <= told[
            0
        ].keys()


class TestApprise(NotifierContract):
    """By Apprise's own web hook, one of its hundred ways."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with running(FakeHook()) as fake:

            def at(url: str) -> Any:
                return impatient(
                    built(
                        {
                            "kind": "apprise",
                            "urls": [url.replace("http://", "json://user:MAILSECRET@") + "?cto=0.2&rto=0.2"],
                        }
                    )
                )

            yield Bench(at(fake.url), fake, at(SILENT), ("MAILSECRET",), tells_why=False)

    def test_one_address_that_it_does_not_understand_is_said_before_anything_is_sent(self) -> None:
        with pytest.raises(NotifyFailed, match="address 1 is none") as failed:
            built({"kind": "apprise", "urls": ["nosuch://MAILSECRET"]}).check()
        assert "MAILSECRET" not in failed.value.message


class TestAlertmanager(NotifierContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with running(FakeHook()) as fake:
            options = {"kind": "alertmanager", "headers": {"Authorization": "Bearer HEADSECRET"}}
            found = bench_of(options, fake, "urls", ("HEADSECRET",))
            found.shown = lambda: [request.body.decode() for request in fake.requests]
            yield found

    def test_a_check_sends_no_alarm(self, bench: Bench) -> None:
        """What stands in for it knows no version; the real one is asked below."""
        with pytest.raises(NotifyFailed, match="none of Alertmanager"):
            bench.notifier.check()
        assert all(request.body == b"" for request in bench.fake.requests)

    def test_members_of_a_cluster_that_are_away_hear_it_later(self, bench: Bench) -> None:
        both = impatient(built({"kind": "alertmanager", "urls": [SILENT, bench.fake.url]}))
        both.send(letter(notice()))
        assert len(bench.fake.requests) == 1


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Alertmanager]:
    with running_alertmanager() as server:
        yield server


def test_a_real_alertmanager_shows_an_incident_until_it_is_over(alertmanager: Alertmanager) -> None:
    there = built({"kind": "alertmanager", "urls": [alertmanager.url]})
    assert "is Alertmanager 0." in there.check()
    now = clock()
    begun = notice(opened_at=now - HOUR, at=now, pipeline="<b>\u202e", title='"quoted"')
    reference = there.send(letter(begun))
    (alert,) = alertmanager.alerts()
    assert (alert["labels"]["pipeline"], alert["annotations"]["summary"]) == ("<b>\u202e", '"quoted"')
    assert alert["labels"]["severity"] == "page"
    reference = there.send(letter(replace(begun, severity="ticket"), reference, version=2))
    assert [one["labels"]["severity"] for one in alertmanager.alerts()] == ["ticket"], "one incident is one alert"
    alertmanager.kill()
    alertmanager.start()
    assert alertmanager.alerts() == [], "it forgets"
    there.send(letter(replace(begun, severity="ticket"), reference, version=2, again=True))
    assert len(alertmanager.alerts()) == 1
    there.send(letter(replace(begun, severity="ticket", status="resolved"), reference, version=3))
    assert alertmanager.alerts() == []


def test_secrets_come_from_the_environment_or_a_file_and_are_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-FILESECRET\n")
    found = settings({"oncall": {"kind": "slack", "token": {"file": "token"}, "channel": "C0123ABCD"}}, tmp_path)
    options: Any = found.notifiers["oncall"].options
    assert options.token.get_secret_value() == "xoxb-FILESECRET"
    assert "FILESECRET" not in f"{found}{options.model_dump_json()}"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"kind": "slack", "token": {"file": "none"}, "channel": "C0123ABCD"}, "cannot be read from"),
        ({"kind": "slack", "token": "t", "channel": "#general"}, "channel"),
        ({"kind": "pagerduty"}, "routing_key: is missing"),
        ({"kind": "pagerduty", "routing_key": "k", "pipelines": ["strem*"]}, "fits no pipeline"),
        ({"kind": "pagerduty", "routing_key": "k", "severities": ["major"]}, "is not"),
        ({"kind": "webhook", "url": "ftp://x"}, "is no address"),
        ({"kind": "alertmanager", "urls": []}, "is empty"),
        ({"kind": "pigeon"}, "there are: alertmanager, apprise, console, pagerduty, slack, slack_webhook, webhook"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(options: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=complaint):
        settings({"oncall": options}, tmp_path)
