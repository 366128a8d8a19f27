"""`backtest`, as a person or a script calls it: the same input, the same bytes, and the same as the service says."""

import gzip
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.commands import backtest
from reconciler.core.observations import parse
from reconciler.core.tiles import PARTS
from reconciler.core.times import MINUTE, format_time
from reconciler.errors import OutOfReach
from reconciler.service import judge_all
from reconciler.settings import load
from reconciler.store import SqlStore
from tests.integration.shell import Shell

VERDICT_KEYS = ["type", "at", "pipeline", "from_stage", "to_stage", "source", "bucket", "verdict", *PARTS]


def written(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.fixture
def story(shell: Shell) -> str:
    return shell.loss()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
class TestWithoutALedger:
    """A backtest opens no ledger, so it makes no difference which."""

    def test_the_same_input_gives_the_same_bytes(self, shell: Shell, story: str) -> None:
        assert shell("backtest", story, "--output", "one.ndjson") == 0
        assert shell("backtest", story, "-o", "two.ndjson", "--config", "reconciler.yaml") == 0
        assert Path("one.ndjson").read_bytes() == Path("two.ndjson").read_bytes()
        assert shell.out == ""
        assert "0 refused" in shell.err
        assert shell("backtest", story, "--output", "-") == 0
        assert shell.out == Path("one.ndjson").read_text()

    def test_it_says_what_was_lost_and_when_that_could_be_known(self, shell: Shell, story: str) -> None:
        assert shell("backtest", story, "-o", "events.ndjson") == 0
        lines = written("events.ndjson")
        last = {(line["source"], line["bucket"]): line for line in lines if line["type"] == "verdict"}
        assert sum(line["lost"] for line in last.values()) == 3_000
        opened = [
            (line["kind"], line["at"]) for line in lines if line["type"] == "incident" and line["status"] == "open"
        ]
        assert opened == [("loss", "2024-01-15T00:30:00Z")]

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ("queues: {q: {from: ingress, to: processed, policy: {retention: 10m}}}", ["loss"]),
            ("queues: {q: {from: ingress, to: processed, policy: {retention: 7d}}}", ["loss", "queue_policy"]),
            ("tolerance: {events: 599}", ["loss"]),
            ("tolerance: {events: 600}", []),
        ],
    )
    def test_with_other_settings_it_says_what_would_have_been_said(
        self, shell: Shell, story: str, settings: str, said: list[str]
    ) -> None:
        sample = {"type": "queue", "at": "2024-01-15T00:01:00Z", "pipeline": "batch", "queue": "q", "partition": 0}
        kept = sample | {"start_offset": 0, "end_offset": 0, "committed_offset": 0, "retention_seconds": 1200}
        shell.file("other.yaml", f"pipelines: {{batch: {{stages: [ingress, processed], mode: alert, {settings}}}}}")
        lines = [kept] if "queues" in settings else []
        told = shell.file("what-if.ndjson", *lines, *written(story))
        assert shell("backtest", told, "-o", "events.ndjson", "--config", "other.yaml") == 0
        incidents = [line["kind"] for line in written("events.ndjson") if line["type"] == "incident"]
        assert sorted(set(incidents)) == said

    def test_keys_stand_in_the_order_of_the_contract_and_lines_are_compact(self, shell: Shell, story: str) -> None:
        assert shell("backtest", story, "-o", "events.ndjson") == 0
        lines = Path("events.ndjson").read_text().splitlines()
        verdicts = [line for line in lines if line.startswith('{"type":"verdict","at":"')]
        assert len(verdicts) > 60
        assert list(json.loads(verdicts[0]))[: len(VERDICT_KEYS)] == VERDICT_KEYS
        assert not any(", " in line for line in verdicts)
        times = [json.loads(line)["at"] for line in lines]
        assert times == sorted(times)

    def test_names_are_written_as_they_are(self, shell: Shell, story: str) -> None:
        lines = [line | {"source": "Zoë"} if "source" in line else line for line in written(story)]
        assert shell("backtest", shell.file("named.ndjson", *lines), "-o", "events.ndjson") == 0
        assert '"source":"Zoë"' in Path("events.ndjson").read_text(encoding="utf-8")

    def test_lines_out_of_order_are_put_in_order_and_that_is_said(self, shell: Shell, story: str) -> None:
        assert shell("backtest", story, "-o", "ordered.ndjson") == 0
        lines = written(story)
        late = lines.pop(100)
        shuffled = shell.file("shuffled.ndjson", *lines, late)
        assert shell("backtest", shuffled, "-o", "events.ndjson") == 0
        assert "1 observations stood after later ones; all were put in order" in shell.err
        assert len(written("events.ndjson")) == len(written("ordered.ndjson"))

    def test_what_is_refused_is_named_and_the_rest_is_used(self, shell: Shell, story: str) -> None:
        text = Path(story).read_text()
        shell.file("broken.ndjson", '{"type":"count"', text.rstrip())
        assert shell("backtest", "broken.ndjson", "-o", "events.ndjson", "--refusals", "refused.txt") == 3
        assert shell.err.startswith("broken.ndjson:1: (line): is not JSON")
        assert Path("refused.txt").read_text().startswith("broken.ndjson:1: (line)")
        assert shell("backtest", story, "-o", "clean.ndjson") == 0
        assert Path("events.ndjson").read_bytes() == Path("clean.ndjson").read_bytes()

    def test_an_observation_years_ahead_is_refused_before_years_are_judged(self, shell: Shell, story: str) -> None:
        lines = written(story)
        last = lines[-1]["at"]
        ahead = shell.file("ahead.ndjson", *lines, lines[-1] | {"at": "2042-01-15T00:00:00Z"})
        assert shell("backtest", ahead, "-o", "events.ndjson") == 2
        assert "2042-01-15T00:00:00Z" in shell.err
        assert f"--until {last}" in shell.err
        assert shell("backtest", ahead, "-o", "events.ndjson", "--until", last) == 0
        assert shell("backtest", story, "-o", "clean.ndjson") == 0
        assert Path("events.ndjson").read_bytes() == Path("clean.ndjson").read_bytes()

    def test_a_packed_file_and_a_pipe_do_as_well(
        self, shell: Shell, story: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        assert shell("backtest", story, "-o", "plain.ndjson") == 0
        raw = Path(story).read_bytes()
        Path("packed.gz").write_bytes(gzip.compress(raw))
        assert shell("backtest", "packed.gz", "-o", "packed.ndjson") == 0
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        assert shell("backtest", "-", "-o", "piped.ndjson") == 0
        assert Path("plain.ndjson").read_bytes() == Path("packed.ndjson").read_bytes()
        assert Path("plain.ndjson").read_bytes() == Path("piped.ndjson").read_bytes()

    def test_the_last_tick_is_the_first_at_or_after_until_and_sees_all_by_then(self, shell: Shell, story: str) -> None:
        assert shell("backtest", story, "-o", "on.ndjson", "--until", "2024-01-15T00:10:00Z") == 0
        assert shell("backtest", story, "-o", "before.ndjson", "--until", "2024-01-15T00:09:01Z") == 0
        assert Path("on.ndjson").read_bytes() == Path("before.ndjson").read_bytes()
        assert written("on.ndjson")[-1]["at"] == "2024-01-15T00:10:00Z"

    def test_ticks_are_multiples_since_the_epoch(self, shell: Shell, story: str) -> None:
        assert shell("backtest", story, "-o", "events.ndjson", "--tick", "5m") == 0
        assert {line["at"][14:] for line in written("events.ndjson")} <= {f"{m:02}:00Z" for m in range(0, 60, 5)}

    def test_nothing_observed_is_nothing_said(self, shell: Shell, story: str) -> None:
        assert shell("backtest", shell.file("empty.ndjson"), "-o", "events.ndjson") == 0
        assert Path("events.ndjson").read_text() == ""

    def test_a_run_that_breaks_off_leaves_the_former_output(
        self, shell: Shell, story: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        Path("events.ndjson").write_text("former\n")

        def broken(*_: object, **__: object) -> Iterator[dict[str, Any]]:
            yield {"type": "verdict"}
            raise OutOfReach("the disk is gone")

        monkeypatch.setattr(backtest, "backtest", broken)
        before = set(shell.folder.iterdir())
        assert shell("backtest", story, "-o", "events.ndjson") == 4
        assert Path("events.ndjson").read_text() == "former\n"
        assert set(shell.folder.iterdir()) == before

    @pytest.mark.parametrize(
        ("arguments", "said"),
        {
            "no output": ([], "Missing option '--output'"),
            "output into a folder that is not there": (["-o", "nowhere/x"], "--output nowhere/x: cannot be written"),
            "output over the input": (["-o", "loss.ndjson"], "is the file of the observations"),
            "no configuration": (["-o", "x", "-c", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
            "a tick of nothing": (["-o", "x", "--tick", "0m"], "it must be more than nothing"),
            "a time without an offset": (["-o", "x", "--until", "2024-01-15T00:10:00"], "lacks an offset"),
        }.values(),
    )
    def test_a_wrong_call_does_nothing_and_says_why(
        self, shell: Shell, story: str, arguments: list[str], said: str
    ) -> None:  # fmt: skip
        before = Path(story).read_bytes()
        assert shell("backtest", story, *arguments) == 2
        assert said in shell.err
        assert Path(story).read_bytes() == before

    def test_a_file_that_is_not_there_is_said(self, shell: Shell, story: str) -> None:
        assert shell("backtest", "nowhere.ndjson", "-o", "x") == 2
        assert "nowhere.ndjson: cannot be read" in shell.err
        assert not Path("x").exists()


def test_it_says_line_for_line_what_the_service_would_have_said(shell: Shell, store: SqlStore) -> None:
    story = shell.story("SC-02", minutes=(-15, 35))
    assert shell("backtest", story, "-o", "events.ndjson") == 0
    pipelines = load("reconciler.yaml").pipelines
    seen = [parse(line, pipelines) for line in written(story)]
    said: list[dict[str, Any]] = []
    first, last = seen[0].at // MINUTE + 1, -(-seen[-1].at // MINUTE)
    for tick in range(first, last + 1):
        now = tick * MINUTE
        store.record([entry for entry in seen if now - MINUTE < entry.at <= now], pipelines)
        if tick == first:
            store.record([entry for entry in seen if entry.at <= now], pipelines)
        lines = judge_all(store, pipelines, now, every=True)
        incidents = [line for line in lines if line["type"] == "incident"]
        said += [line for line in lines if line["type"] == "verdict"]
        said += sorted(incidents, key=lambda line: str(line["id"]))
    assert [line for line in written("events.ndjson") if line["at"] <= format_time(last * MINUTE)] == said
