"""What people do on the pages: mute, plan a replay, say something of an incident; and who may not."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reconciler.core.observations import parse
from reconciler.core.times import HOUR, MINUTE, format_time, parse_time
from reconciler.reports import archive
from reconciler.reports.days import day_of
from reconciler.service import judge_all
from reconciler.store import open_store
from tests.integration.shell import LOSS_END, LOSS_START, a_loss
from tests.web.serving import PAGE, Service, configured, look, service

CONFIG = """
pipelines: {batch: {stages: [ingress, processed], mode: alert}, other: {stages: [ingress, processed]}}
senders:
  - {pattern: "a*", way: partner, title: "<b>Partners</b>", consent: true, until: 2024-02-02T06:59:00Z, contact: p@e.io}
"""
WINDOW = {"from": format_time(LOSS_START - HOUR), "to": format_time(LOSS_START + HOUR)}
NOW = parse_time(LOSS_END)
HOSTILE = "<script>alert(1)</script> =1+1 \"'"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger in which `a` has lost 3,000 events."""
    path = tmp_path_factory.mktemp("acts") / "ledger.db"
    store = open_store(f"sqlite:///{path}")
    pipelines = configured(store, config=CONFIG).pipelines
    seen = sorted((parse(line, pipelines) for line in a_loss()), key=lambda one: one.at)
    for tick in range(LOSS_START + 10 * MINUTE, NOW + MINUTE, 10 * MINUTE):
        store.record([one for one in seen if tick - 10 * MINUTE < one.at <= tick], pipelines)
        judge_all(store, pipelines, tick)
    store.close()
    return path


@pytest.fixture
def lost(judged: Path, tmp_path: Path) -> Iterator[Service]:
    """A service on a copy of it."""
    shutil.copy(judged, tmp_path / "ledger.db")
    store = open_store(f"sqlite:///{tmp_path / 'ledger.db'}")
    with service(store, config=CONFIG) as running:
        running.clock.instant = NOW
        yield running
    store.close()


def send(running: Service, at: str, path: str, **fields: str) -> httpx.Response:
    """Send a form of the page at `at`."""
    proof = re.search(r'name="csrf" value="([0-9a-f]{64})"', look(running, at).text)
    assert proof, "the page has no form"
    return running.client.post(path, data={"csrf": proof[1], **fields}, headers=PAGE)


def incident(running: Service) -> str:
    """The id of the loss."""
    return next(str(line["id"]) for line in running.store.incidents() if line["kind"] == "loss")


def test_a_mute_is_made_listed_and_ended_and_stays_in_the_book(lost: Service) -> None:
    fields = {"pipeline": "batch", "kind": "loss", "for": "2h", "author": "ann", "reason": HOSTILE}
    assert send(lost, "/mutes", "/mutes", **fields).headers["location"] == "/mutes"
    (act,) = lost.store.acts.all()
    assert (act.kind, act.author, act.until) == ("mute", "ann", lost.clock.instant + 2 * HOUR)
    page = look(lost, "/mutes").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    lost.clock.instant += 5 * MINUTE
    judge_all(lost.store, lost.pipelines, lost.clock.instant)
    assert "Kept quiet by them now" in look(lost, "/mutes").text
    ended = send(lost, "/mutes", "/mutes/end", number=str(act.id), author="bob", reason="it is mended")
    assert ended.status_code == 303
    page = look(lost, "/mutes").text
    assert "Nothing is muted" in page
    assert "bob, " in page
    assert "it is mended" in page
    then = look(lost, "/mutes", as_of=format_time(lost.clock.instant - MINUTE)).text
    assert "Nothing is muted" not in then
    assert '<form method="post"' not in then


def test_a_mute_without_an_end_a_reason_or_a_kind_that_is_known_is_refused_with_what_to_do(lost: Service) -> None:
    whole = {"for": "2h", "author": "ann", "reason": "x"}
    for wrong, said in (
        ({"for": ""}, "A mute needs an end"),
        ({"reason": " "}, "reason is empty"),
        ({"kind": "storm"}, "no kind"),
        ({"for": "200d"}, "90 days at most"),
        ({"until": "tomorrow"}, "not a time such as"),
        ({"reason": "x" * 3_000}, "longer than 2,000"),
    ):
        answer = send(lost, "/mutes", "/mutes", **whole | wrong)
        assert (answer.status_code, said in answer.text) == (422, True), (wrong, answer.text)
    assert send(lost, "/mutes", "/mutes/end", number="99", author="ann", reason="x").status_code == 404
    assert lost.store.acts.all() == []


def test_who_may_only_read_and_forms_from_elsewhere_change_nothing(lost: Service) -> None:
    number = incident(lost)
    paths = ("/mutes", "/mutes/end", "/replays", "/replay/start", f"/incident/close?id={number}")
    for path in paths:
        assert lost.client.post(path, data={"csrf": "0" * 64, "reason": "x"}, headers=PAGE).status_code == 403, path
    secret = lost.store.tokens.create("Ann", lost.clock.instant, reads=True, writes=False, pipelines=("other",))
    log_in(lost, secret)
    for path in paths:
        answer = send(lost, "/mutes", path, reason="x", id=number)
        assert (answer.status_code, "may read, and not act" in answer.text) == (403, True), path
    for path in ("/mutes", "/replays", "/incidents"):
        assert 'method="post" action="/m' not in look(lost, path).text
    assert lost.store.acts.all() == []


def log_in(running: Service, secret: str) -> None:
    proof = re.search(r'name="csrf" value="([0-9a-f]{64})"', look(running, "/login").text)
    assert proof
    assert running.client.post("/login", data={"csrf": proof[1], "token": secret}, headers=PAGE).status_code == 303


def test_who_may_act_for_one_pipeline_touches_no_other(lost: Service) -> None:
    number, now = incident(lost), lost.clock.instant
    send(lost, "/replays", "/replays", incident=number, author="ann")
    (replay,) = lost.store.replays.all()
    secret = lost.store.tokens.create("Eve", now, reads=True, writes=False, pipelines=("other",), operates=True)
    log_in(lost, secret)
    for path, fields, code in (
        ("/mutes", {"for": "2h", "reason": "x"}, 403),
        ("/mutes", {"for": "2h", "reason": "x", "pipeline": "batch"}, 403),
        ("/mutes", {"for": "2h", "reason": "x", "pipeline": "*"}, 403),
        ("/replays", {"incident": number}, 404),
        ("/replays", {"pipeline": "batch", **WINDOW}, 404),
        ("/replay/close", {"id": replay.id, "reason": "x"}, 404),
        ("/incident/close", {"id": number, "reason": "x"}, 404),
        ("/mutes", {"for": "2h", "reason": "x", "pipeline": "other"}, 303),
    ):
        assert send(lost, "/mutes", path, **fields).status_code == code, (path, fields)
    assert [(act.author, act.pipeline) for act in lost.store.acts.all()] == [("Eve", "other")]
    for path, query in (("/replay", {"id": replay.id}), ("/forensics", {"pipeline": "batch", **WINDOW})):
        assert look(lost, path, **query).status_code == 404
    assert replay.id not in look(lost, "/replays").text


def test_a_replay_is_planned_started_proved_and_closed_on_its_page(lost: Service) -> None:
    answer = send(lost, "/replays", "/replays", incident=incident(lost), author="ann")
    (replay,) = lost.store.replays.all()
    page = f"/replay?id={replay.id}"
    assert answer.headers["location"] == page
    text = look(lost, page).text
    for said in ("3,000", "&lt;b&gt;Partners&lt;/b&gt;", "p@e.io", "2 Feb 2024 06:59 UTC", "each customer has"):
        assert said in text, said
    planned = lost.clock.instant
    lost.clock.instant += MINUTE
    begun = {"id": replay.id, "sources": "*", "author": "ann"}
    refused = send(lost, page, "/replay/start", **begun)
    assert (refused.status_code, "has to agree first" in refused.text) == (422, True)
    assert send(lost, page, "/replay/start", **begun, consented="yes", label="again").status_code == 303
    assert send(lost, page, "/replay/verify", id=replay.id, author="ann").status_code == 303
    assert send(lost, page, "/replay/close", **begun).status_code == 422
    assert send(lost, page, "/replay/close", **begun, reason="they have no copy").status_code == 303
    text = look(lost, page).text
    assert "lost for good" in text
    assert "3,000 missing for good" in text
    assert [act.act for act in lost.store.replays.acts(replay.id)] == ["plan", "start", "verify", "close"]
    then = look(lost, page, as_of=format_time(planned)).text
    assert "lost for good" not in then
    assert look(lost, page, as_of=format_time(planned - HOUR)).status_code == 404
    assert send(lost, "/replays", "/replays", pipeline="other", author="ann", **WINDOW).status_code == 422


def test_an_incident_is_acknowledged_and_closed_on_its_page(lost: Service) -> None:
    number = incident(lost)
    page = f"/incident?id={number}"
    for deed, code in (("acknowledge", 303), ("close", 303), ("explode", 404)):
        assert send(lost, page, f"/incident/{deed}", id=number, author="ann", reason=HOSTILE).status_code == code
    lost.clock.instant += 5 * MINUTE
    judge_all(lost.store, lost.pipelines, lost.clock.instant)
    text = look(lost, page).text
    assert "<b>acknowledge</b>" in text
    assert "<script>alert" not in text
    assert ">Reopen</button>" in text
    again = send(lost, page, "/incident/close", id=number, author="ann", reason="x")
    assert (again.status_code, "is over since" in again.text) == (422, True)


def test_forensics_says_what_is_lost_and_gives_its_tables_away(lost: Service) -> None:
    query = {"pipeline": "batch", **WINDOW}
    text = look(lost, "/forensics", **query).text
    for said in (
        "3,000",
        "&lt;b&gt;Partners&lt;/b&gt;",
        "2 Feb 2024 06:59 UTC",
        "a count that was there became smaller",
    ):
        assert said in text, said
    then = look(lost, "/forensics", **query, as_of=format_time(LOSS_START + 15 * MINUTE)).text
    assert "Nothing of" in then
    assert "3,000" not in then
    table = look(lost, "/forensics/file", **query, table="sources")
    assert table.headers["content-disposition"].endswith('-sources.csv"')
    assert "batch,ingress>processed,a,<b>Partners</b>,partner" in table.text
    assert json.loads(look(lost, "/forensics/file", **query, table="json").text)["sources"][0]["inferred"] == 3_000
    with zipfile.ZipFile(io.BytesIO(look(lost, "/forensics/file", **query, table="zip").content)) as packed:
        names = packed.namelist()
    assert {"cells.csv", "cells.parquet", "postmortem.md", "letters/01-b-Partners-b.md"} <= set(names)
    assert look(lost, "/forensics/file", **query, table="spies").status_code == 404
    assert look(lost, "/forensics", pipeline="batch", **{**WINDOW, "to": "1999-01-01"}).status_code == 422
    assert "Around an incident" in look(lost, "/forensics").text


def test_a_day_is_shown_as_it_is_known_now_then_and_as_it_was_sent(lost: Service) -> None:
    before = LOSS_START + 15 * MINUTE
    pipelines = list(lost.pipelines.values())
    record = archive.report(lost.store, pipelines, day_of(LOSS_START), before, before, compared=False)
    archive.keep(lost.store, record, ("team",))
    now = look(lost, "/report", day="2024-01-15").text
    assert "3,000" in now
    assert "Changed since the report that was sent" in now
    then = look(lost, "/report", day="2024-01-15", as_of=format_time(before)).text
    assert "100.0000%" in then
    assert "The day is not over" in then
    sent = look(lost, "/report/sent", number="1")
    assert "sandbox" in sent.headers["content-security-policy"]
    assert "script-src" not in sent.headers["content-security-policy"]
    assert sent.text == lost.store.kept_report(1).html  # type: ignore[union-attr]  # it was kept above
    assert 'number=1">2024-01-15' in look(lost, "/reports").text
    assert 'number=1">2024-01-15' not in look(lost, "/reports", as_of=format_time(before - MINUTE)).text
    for kind in ("html", "markdown", "csv", "json", "text"):
        file = look(lost, "/report/file", day="2024-01-15", format=kind)
        assert (file.status_code, "attachment" in file.headers["content-disposition"]) == (200, True), kind
    for query in ({"day": "someday"}, {"day": "0001-01-01"}, {"day": "9999-12-31"}, {"zone": "Mars/North"}):
        assert look(lost, "/report", **query).status_code == 422, query
    assert look(lost, "/report", day="2023-03-26", zone="Europe/Berlin").status_code == 200
    secret = lost.store.tokens.create("Eve", before, reads=True, writes=False, pipelines=("other",))
    log_in(lost, secret)
    assert look(lost, "/report/sent", number="1").status_code == 404
    assert "number=1" not in look(lost, "/reports").text
    assert "batch" not in look(lost, "/report", day="2024-01-15").text
