"""Forensics over the demo's incident: what happened, what could be known when, and what is left for people."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import opened
from reconciler.cli import group, run
from reconciler.commands.demo import _prepare
from reconciler.commands.demo.play import CONFIG, Play
from reconciler.core.times import DAY, MINUTE, Micros, format_time, parse_time
from reconciler.forensics import Incident, look
from reconciler.forensics.drafts import letters, postmortem
from reconciler.forensics.inquiry import Investigation, investigate
from reconciler.forensics.timeline import Entry

pytestmark = pytest.mark.slow

FROM, TO = "2021-07-20T18:00:00Z", "2021-07-21T11:00:00Z"
START, RECOVERED = parse_time("2021-07-20T18:45:00Z"), parse_time("2021-07-21T09:21:00Z")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The configuration of a demo that has been played."""
    folder = tmp_path_factory.mktemp("forensics") / "demo"
    _prepare(folder, force=False)
    with Play(folder) as play:
        for _ in play.ticks():
            pass
    return str(folder / CONFIG)


def found(config: str, as_of: str | None = None) -> Investigation:
    with opened(config) as app:
        pipelines = list(app.pipelines().values())
        instant = None if as_of is None else parse_time(as_of)
        return investigate(app.store, app.settings, pipelines, parse_time(FROM), parse_time(TO), instant)


@pytest.fixture(scope="module")
def looked(demo: str) -> Investigation:
    return found(demo)


def first(looked: Investigation, pipeline: str, what: str, kind: str) -> Entry:
    own = [one for one in looked.timeline if (one.pipeline, one.what, one.kind) == (pipeline, what, kind)]
    assert own, f"nothing {what} of {kind} in {pipeline}"
    return own[0]


def test_the_mistake_and_the_cause_were_known_before_the_incident(looked: Investigation) -> None:
    policy, sequence = first(looked, "batch", "known", "queue_policy"), first(looked, "batch", "known", "capacity")
    assert policy.at < START - DAY
    assert sequence.at < START - DAY
    assert "keeps 20 min where the policy is 7 d" in policy.text
    assert "postgres:main/public.events_id_seq" in sequence.text


def test_three_minutes_in_it_was_known_what_is_safe_and_what_is_not(looked: Investigation) -> None:
    batch, streaming = (first(looked, name, "happened", "stands_still") for name in ("batch", "streaming"))
    assert batch.at == streaming.at == START
    assert batch.seen_at is not None
    assert batch.seen_at <= START + 3 * MINUTE
    assert "until 2021-07-20T19:05:00Z" in batch.text
    assert "until 2021-07-27T18:45:00Z" in streaming.text
    safe, risk = first(looked, "streaming", "known", "safe"), first(looked, "batch", "known", "at_risk")
    assert max(safe.at, risk.at) <= START + 3 * MINUTE
    assert "none is lost; the first of them is deleted at 2021-07-27T18:45:00Z" in safe.text
    assert "the first of them is deleted at 2021-07-20T19:05:00Z" in risk.text


def test_the_loss_was_known_when_it_began(looked: Investigation) -> None:
    deleted, loss = first(looked, "batch", "happened", "expired"), first(looked, "batch", "known", "loss")
    assert START + 20 * MINUTE <= deleted.at < loss.at <= START + 25 * MINUTE
    assert "150,000 events lost since 2021-07-20T18:45:00Z" in loss.text
    assert loss.severity == "page"


def test_it_was_never_said_that_streaming_is_lost_or_that_batch_is_safe(looked: Investigation) -> None:
    batch, streaming = looked.found
    assert (batch.pipeline.name, streaming.pipeline.name) == ("batch", "streaming")
    assert all(one.events["lost"] == 0 == one.events["at_risk"] for one in streaming.standing)
    assert all(one.events["safe"] == 0 for one in batch.standing)
    lost = [one.events["lost"] for one in batch.standing]
    assert lost == sorted(lost), "it only ever grew"


def test_at_the_end_it_is_known_which_minutes_which_sources_and_how_many(looked: Investigation) -> None:
    (hop,) = looked.found[0].losses
    assert hop.window == (START, RECOVERED)
    assert hop.buckets == 876
    assert hop.ranges() == [(START, RECOVERED, 26_280_000)]
    bounds = hop.bounds()
    assert (bounds.proven, bounds.inferred, bounds.upper, bounds.unknown) == (26_280_000,) * 3 + (0,)
    assert hop.names[hop.sources[0]] == "batch_segment"
    assert sum(hop.bounds([one]).inferred for one in hop.sources) == 26_280_000
    assert hop.evidence() == {"queue_expired": 25_650_000, "passed_expired": 630_000}


def test_the_offsets_of_what_is_lost_add_up_to_it(looked: Investigation) -> None:
    ranges = looked.found[0].offsets
    by_kind = {kind: sum(one.last - one.first for one in ranges if one.kind == kind) for kind in ("expired", "lost")}
    assert by_kind == {"expired": 25_650_000, "lost": 26_280_000}
    assert all(one.exact for one in ranges)


def test_each_entry_point_is_told_how_it_can_send_again(looked: Investigation) -> None:
    written = dict(letters(looked))
    assert list(written) == ["Vacuum", "Direct callers", "Partner integrations"]
    text = {name: "\n".join(lines) for name, lines in written.items()}
    assert "3,504,000 events" in text["Vacuum"]
    assert "only they can send them again" in text["Direct callers"]
    assert "through a partner" in text["Partner integrations"]
    account = "\n".join(postmortem(looked))
    assert "26,280,000 of 30,600,000 accepted events are lost" in account
    assert "[What led to it: to be written by those who know.]" in account


def test_as_of_a_past_instant_it_knows_only_what_was_known_then(demo: str, looked: Investigation) -> None:
    then = found(demo, "2021-07-20T19:30:00Z")
    (hop,) = then.found[0].losses
    assert hop.bounds().proven == 750_000
    assert hop.bounds().upper > 750_000
    instant = parse_time("2021-07-20T19:30:00Z")
    assert all(entry.at <= instant for entry in then.timeline if entry.what == "known")
    known = [replace(one) for one in looked.timeline if one.what == "known" and one.at <= instant]
    assert [one for one in then.timeline if one.what == "known"] == known
    assert max(held.at for one in then.found for held in one.holdings) <= instant


def test_the_files_say_the_same_as_the_ledger(demo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import duckdb

    folder = tmp_path / "incident"
    assert run(group, ["forensics", "--config", demo, "--from", FROM, "--to", TO, "-o", str(folder), "--json"]) == 0
    record: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert record["pipelines"][0]["hops"][0]["inferred"] == 26_280_000
    with (folder / "cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["lost"]) for row in rows) == 26_280_000
    with duckdb.connect() as connection:
        total = connection.execute(f"SELECT sum(lost), min(bucket) FROM '{folder}/cells.parquet'").fetchone()
    assert total is not None
    assert total[0] == 26_280_000
    assert total[1].timestamp() == START / 1e6
    assert len(list((folder / "letters").iterdir())) == 3


def test_a_notebook_gets_data_frames(demo: str) -> None:
    incident: Incident = look(demo, FROM, TO, pipeline="batch")
    frame = incident.frame("sources")
    assert frame["inferred"].sum() == 26_280_000
    assert _micros(frame["first_bucket"].min()) == START
    lost = incident.frame("standing")["lost"]
    assert lost.is_monotonic_increasing


def test_the_example_of_the_manual_runs_on_the_demo(demo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
    example = manual.partition("In a notebook")[2].partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(Path(demo).parent)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102  it is our own manual
    assert names["by_entry_point"].to_dict() == {
        "Direct callers": 4_380_000, "Partner integrations": 18_396_000, "Vacuum": 3_504_000,
    }  # fmt: skip
    assert names["known"].iloc[-1] == 26_280_000
    assert names["then"].frame("sources")["inferred"].sum() == 750_000


def _micros(stamp: Any) -> Micros:
    return int(stamp.timestamp()) * 1_000_000


def test_without_the_policy_the_danger_would_have_been_known_later_and_the_mistake_never(
    demo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    promised = "batch: {from: ingress, to: processed, policy: {retention: 7d, replicas: 2}}"
    text = Path(demo).read_text()
    assert promised in text
    other = tmp_path / "other.yaml"
    other.write_text(text.replace(promised, "batch: {from: ingress, to: processed}"))
    call = ["forensics", "--config", demo, "--from", FROM, "--to", TO, "--pipeline", "batch", "--json"]
    assert run(group, [*call, "--what-if", str(other), "--tick", "5m"]) == 0
    found = json.loads(capsys.readouterr().out)["what_if"]
    said = {(one["kind"], one["about"]): one for one in found["differences"]}
    assert said["queue_policy", "batch"]["said_at"] < "2021-07-20"
    assert said["queue_policy", "batch"]["otherwise_at"] is None
    risk = said["at_risk", "ingress>processed"]
    assert risk["otherwise_at"] > "2021-07-20T18:55:00Z" > risk["said_at"]
    assert said["loss", "ingress>processed"]["otherwise_at"] == "2021-07-20T19:10:00Z"
    assert found["lost"] == {"batch": {"said": 26_280_000, "otherwise": 26_280_000}}


def test_other_settings_must_fit_what_was_counted(
    demo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    other = tmp_path / "other.yaml"
    call = ["forensics", "--config", demo, "--from", FROM, "--to", TO, "--pipeline", "batch", "--what-if", str(other)]
    other.write_text("pipelines: {else: {stages: [a, b]}}")
    assert run(group, call) == 2
    assert "has no pipeline 'batch'" in capsys.readouterr().err
    other.write_text("pipelines: {batch: {stages: [ingress, processed], bucket: 5m}}")
    assert run(group, call) == 2
    assert "counted in buckets of 1 min" in capsys.readouterr().err


def test_a_wrong_window_says_so(demo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group, ["forensics", "--config", demo, "--from", TO, "--to", FROM]) == 2
    assert format_time(parse_time(TO)) in capsys.readouterr().err
