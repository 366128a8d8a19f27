"""A button in Slack acknowledges or mutes, for whoever pressed it, if Slack itself says so; the message shows it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier

from reconciler.announce import Channel, notifiers_of, routes_of
from reconciler.core.observations import parse
from reconciler.core.times import HOUR, MINUTE, SECOND, Micros
from reconciler.errors import OutOfReach
from reconciler.service import Telling, judge
from reconciler.settings import Settings
from reconciler.store import SqlStore
from reconciler.web.api import build_api
from tests.channels.notices import settings
from tests.channels.servers import FakeSlack, running
from tests.integration.shell import LOSS_START, a_loss
from tests.web.serving import serving

NOW: Micros = LOSS_START + 41 * MINUTE
SECRET = "sign-secret"  # noqa: S105  of the test alone


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with running(FakeSlack(clock=lambda: NOW / SECOND)) as fake:
        yield fake


@pytest.fixture
def found(slack: FakeSlack, embedded: SqlStore, tmp_path: Path) -> Settings:
    """Settings of a service that has told of a loss."""
    options = {"kind": "slack", "token": "x", "channel": "C0123ABCD", "api": slack.url, "signing_secret": SECRET}
    read = settings(
        {"oncall": options | {"severities": ["page", "ticket"]}}, tmp_path, ledger=str(embedded.database.url)
    )
    embedded.record([parse(line, read.pipelines) for line in a_loss()], read.pipelines)
    for minute in (28, 31, 32, 41):
        telling = Telling(tuple(routes_of(read)))
        judge(embedded, read.pipelines["batch"], LOSS_START + minute * MINUTE, telling=telling)
    announce(embedded, read)
    return read


def announce(store: SqlStore, read: Settings) -> None:
    (notifier,) = notifiers_of(read)
    Channel(notifier).announce(store, lambda: NOW)


def press(
    store: SqlStore, read: Settings, action: str, incident: str, *, at: Micros = NOW, secret: str = SECRET
) -> int:
    """Press a button as Slack tells of it; the status of the answer."""
    user = {"id": "U1", "username": "ada"}
    pressed = {"type": "block_actions", "user": user, "actions": [{"action_id": action, "value": incident}]}
    body = f"payload={quote(json.dumps(pressed))}"
    stamp = str(at // SECOND)
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature or ""}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    with serving(build_api(store, read, lambda: NOW)) as url:
        return httpx.post(f"{url}/slack/actions", content=body, headers=headers, timeout=60).status_code


def loss_of(store: SqlStore) -> str:
    return next(str(one["id"]) for one in store.incidents() if one["kind"] == "loss")


def shown(slack: FakeSlack, incident: str) -> str:
    (message,) = slack.of(incident)
    return json.dumps(message["blocks"], ensure_ascii=False)


def test_acknowledge_is_kept_with_the_name_and_seen_in_the_message(
    slack: FakeSlack, embedded: SqlStore, found: Settings
) -> None:
    loss = loss_of(embedded)
    assert press(embedded, found, "reconciler_acknowledge", loss) == 200
    (act,) = embedded.acts.all()
    assert (act.kind, act.incident, act.author) == ("acknowledge", loss, "ada (Slack U1)")
    announce(embedded, found)
    assert "acknowledged" in shown(slack, loss)
    assert "by ada (Slack U1)" in shown(slack, loss)


def test_mute_is_kept_with_its_end_and_seen_in_the_message(
    slack: FakeSlack, embedded: SqlStore, found: Settings
) -> None:
    loss = loss_of(embedded)
    assert press(embedded, found, "reconciler_mute", loss) == 200
    (act,) = embedded.acts.all()
    assert (act.kind, act.pipeline, act.incident_kind, act.until) == ("mute", "batch", "loss", NOW + HOUR)
    announce(embedded, found)
    assert "Muted" in shown(slack, loss)


@pytest.mark.parametrize(
    "more", [{"secret": "guessed"}, {"at": NOW - 6 * MINUTE}, {"at": NOW + 6 * MINUTE}], ids=["forged", "old", "ahead"]
)
def test_what_slack_did_not_send_just_now_changes_nothing(
    embedded: SqlStore, found: Settings, more: dict[str, Any]
) -> None:
    assert press(embedded, found, "reconciler_acknowledge", loss_of(embedded), **more) == 401
    assert embedded.acts.all() == []


def test_a_button_of_an_incident_that_is_not_there_changes_nothing(embedded: SqlStore, found: Settings) -> None:
    assert press(embedded, found, "reconciler_acknowledge", "loss-none") == 200
    assert embedded.acts.all() == []


def test_whoever_presses_while_the_ledger_is_away_is_not_told_that_it_was_taken(
    embedded: SqlStore, found: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = loss_of(embedded)

    def away(*_: object) -> None:
        raise OutOfReach("the ledger cannot be reached")

    monkeypatch.setattr(embedded.acts, "add", away)
    assert press(embedded, found, "reconciler_acknowledge", loss) == 503
