"""Acts of people, from the command and over HTTP to the next judgement, on both databases."""

from typing import Any

import pytest

from reconciler import deeds
from reconciler.app import opened
from reconciler.core.observations import Observation
from reconciler.core.times import HOUR, Micros
from reconciler.errors import ConfigError
from reconciler.service import judge
from reconciler.store import SqlStore
from tests.integration.shell import Shell
from tests.integration.store_parts import BATCH, count, minute, pipelines
from tests.integration.test_commands_incidents import wrong
from tests.web.serving import Service, service


def lost(store: SqlStore) -> dict[str, Any]:
    """The incident of a ledger in which a count that was there has become smaller."""
    seen: list[Observation] = []
    for stage in BATCH.stages:
        seen += [count(0, 2000, at=minute(1), stage=stage), count(1, 2000, at=minute(2), stage=stage)]
    store.record([*seen, count(0, 500, at=minute(3), stage="processed")], pipelines())
    return next(line for line in judge(store, BATCH, minute(4)) if line.get("kind") == "loss")


def said(store: SqlStore, now: Micros) -> dict[str, Any]:
    """What is told of the incident at a judgement."""
    return next(line for line in judge(store, BATCH, now) if line.get("kind") == "loss")


def test_what_somebody_said_is_taken_by_the_next_judgement_and_once(store: SqlStore) -> None:
    line = lost(store)
    deeds.speak(store, "acknowledge", line["id"], "ann", "on it", minute(4, 30))
    told = said(store, minute(5))
    assert told["acknowledged"]["author"] == "ann"
    assert told["changed"] == "acknowledged by ann"
    assert judge(store, BATCH, minute(5)) == []
    assert [line for line in judge(store, BATCH, minute(6)) if line["type"] == "incident"] == []


def test_a_tick_that_comes_late_takes_what_was_said_before_it_and_no_more(store: SqlStore) -> None:
    line = lost(store)
    deeds.speak(store, "acknowledge", line["id"], "ann", "on it", minute(5))
    deeds.speak(store, "close", line["id"], "ann", "done", minute(9))
    assert said(store, minute(8))["status"] == "updated"
    assert said(store, minute(9))["status"] == "resolved"
    assert [act.kind for act in store.acts.all(line["id"])] == ["acknowledge", "close"]


def test_a_mute_ends_by_itself_and_the_incident_is_told_again(store: SqlStore) -> None:
    lost(store)
    deeds.mute(store, "ann", "known", minute(4, 30), minute(10), pipeline="batch", kind="loss")
    assert said(store, minute(5))["muted"]["until"]
    assert "muted" not in said(store, minute(10))


@pytest.mark.parametrize(
    ("kind", "said_first", "message"),
    [
        pytest.param("reopen", None, "is not over", id="re-opening what is open"),
        pytest.param("close", "close", "is over since", id="closing what is over"),
    ],
)
def test_what_makes_no_sense_is_refused(store: SqlStore, kind: Any, said_first: Any, message: str) -> None:
    line = lost(store)
    if said_first:
        deeds.speak(store, said_first, line["id"], "ann", "done", minute(4, 30))
        judge(store, BATCH, minute(5))
    with pytest.raises(ConfigError, match=message):
        deeds.speak(store, kind, line["id"], "ann", "why not", minute(6))


def test_a_mute_needs_an_end_a_reason_and_a_measure(store: SqlStore) -> None:
    for until, reason, message in (
        (minute(0), "known", "before it begins"),
        (minute(0) + 91 * 24 * HOUR, "known", "90 days at most"),
        (minute(9), "  ", "reason is empty"),
    ):
        with pytest.raises(ConfigError, match=message):
            deeds.mute(store, "ann", reason, minute(1), until)
    assert store.acts.all() == []


def test_what_the_commands_say_is_in_the_ledger_with_its_author(shell: Shell) -> None:
    loss = wrong(shell)
    by = ("--author", "ann", "--reason", "on it")
    assert shell("ack", loss, *by) == 0
    assert shell("mute", "--kind", "delay", "--for", "2h", *by) == 0
    assert shell("mute", "list", "--json") == 0
    (mute,) = shell.records()
    assert (mute["kind"], mute["holds"], mute["author"]) == ("delay", True, "ann")
    assert shell("mute", "end", str(mute["id"]), *by) == 0
    assert shell("mute", "list") == 0
    assert shell.out == "nothing is muted\n"
    assert shell("incidents", "close", loss, *by) == 0
    with opened(str(shell.folder / "reconciler.yaml")) as app:
        said = [(act.kind, act.incident, act.author) for act in app.store.acts.all()]
    assert said == [("acknowledge", loss, "ann"), ("mute", "", "ann"), ("unmute", "", "ann"), ("close", loss, "ann")]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("ack", "loss-0", "--author", "a", "--reason", "b"), id="an incident that is not there"),
        pytest.param(("mute", "--author", "a", "--reason", "b"), id="a mute without an end"),
        pytest.param(
            ("mute", "--for", "2h", "--kind", "", "--author", "a", "--reason", "b"), id="a kind without a name"
        ),
        pytest.param(("mute", "--for", "2h", "--reason", "b"), id="nobody who says so"),
        pytest.param(("mute", "end", "7", "--author", "a", "--reason", "b"), id="a mute that is not there"),
    ],
)
def test_what_cannot_be_said_ends_with_two_and_says_why(shell: Shell, arguments: tuple[str, ...]) -> None:
    wrong(shell)
    assert shell(*arguments) == 2
    assert shell.err


def test_a_button_says_the_same_over_http(store: SqlStore) -> None:
    line = lost(store)
    with service(store) as running:
        body = {"author": "ann", "reason": "on it"}
        answer = running.client.post(f"/v1/incidents/{line['id']}/acknowledge", json=body)
        assert answer.status_code == 200, answer.text
        until = {"until": "2021-07-20T19:46:30Z"}
        muted = running.client.post("/v1/mutes", json=body | until | {"pipeline": "batch"}).json()
        assert running.client.get("/v1/mutes").json()["mutes"] == [muted]
        assert running.client.post(f"/v1/mutes/{muted['id']}/end", json=body).status_code == 200
        assert running.client.get("/v1/mutes").json()["mutes"] == []
    assert [act.kind for act in store.acts.all()] == ["acknowledge", "mute", "unmute"]


def test_who_may_only_read_says_nothing_and_who_may_one_pipeline_mutes_no_other(store: SqlStore) -> None:
    line = lost(store)
    body = {"author": "ann", "reason": "on it"}
    mute = body | {"until": "2021-07-20T19:46:30Z"}
    with service(store, needs_token=True) as running:
        other = running.token(writes=True, reads=True, pipelines=("other",))
        deed = f"/v1/incidents/{line['id']}/close"
        assert running.client.post(deed, json=body, headers=running.token(reads=True)).status_code == 403
        assert running.client.post(deed, json=body, headers=other).status_code == 404
        assert running.client.post("/v1/mutes", json=mute, headers=other).status_code == 403
        assert running.client.post("/v1/mutes", json=mute | {"pipeline": "other"}, headers=other).status_code == 200
        assert _status(running, "/v1/incidents/loss-0/close", body) == 404
        assert _status(running, deed, {"author": "ann"}) == 422
    assert [act.kind for act in store.acts.all()] == ["mute"]


def _status(running: Service, path: str, body: dict[str, str]) -> int:
    return running.client.post(path, json=body, headers=running.token(writes=True)).status_code
