"""A backtest: which ticks there are, what each of them sees, and lines that are the same byte for byte."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from reconciler.backtest import backtest
from reconciler.core.engine import Engine
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Capacity, Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.tiles import PARTS, SPAN
from reconciler.core.times import MINUTE, SECOND, Micros, format_time, parse_time

NOON = parse_time("2021-07-20T12:00:00Z")
STAGES = ("ingress", "processed")
BATCH = Pipeline("batch", STAGES, queues={"q": Queue("q", Hop(*STAGES))})
STREAM = Pipeline("stream", STAGES)


def at(minute: float) -> Micros:
    return NOON + round(minute * MINUTE)


def count(
    minute: float, bucket: int, events: int, stage: str = "ingress", pipeline: str = "batch", source: str = "s"
) -> Count:
    outcome = "accepted" if stage == "ingress" else "processed"
    return Count(at(minute), pipeline, stage, source, at(bucket), events, outcome, reporter=stage)


def progress(minute: float, pipeline: str = "batch") -> list[Progress]:
    return [Progress(at(minute), pipeline, stage, at(minute), stage) for stage in STAGES]


def run(seen: Iterable[Observation], *pipelines: Pipeline, **options: Any) -> list[dict[str, Any]]:
    return list(backtest(seen, {one.name: one for one in pipelines or (BATCH,)}, **options))


def ticks(lines: list[dict[str, Any]]) -> list[str]:
    """Hours and minutes at which something was said, each once."""
    return sorted({line["at"][11:16] for line in lines})


def steady(minutes: int, pipeline: str = "batch", source: str = "s") -> list[Observation]:
    """So many minutes in which all goes well, reported ten seconds after each."""
    seen: list[Observation] = []
    for minute in range(minutes):
        later = minute + 1 + 1 / 6
        seen += [count(later, minute, 5, stage, pipeline, source) for stage in STAGES]
        seen += progress(later, pipeline)
    return seen


def test_ticks_begin_after_the_first_observation_and_end_at_the_last() -> None:
    assert ticks(run(steady(3))) == ["12:02", "12:03", "12:04"]


def test_the_first_tick_is_later_than_an_observation_that_falls_on_the_grid() -> None:
    lines = run([count(0, -1, 5), *progress(0), count(2, 1, 5)])
    assert ticks(lines)[0] == "12:01"


def test_a_tick_sees_what_had_come_by_then_its_own_instant_included() -> None:
    counts = [count(0.5, 0, 5), count(0.5, 0, 5, "processed")]
    rows: list[Observation] = [*counts, *progress(1), *progress(2)]
    first = run(rows)[0]
    assert (first["at"], first["verdict"]) == ("2021-07-20T12:01:00Z", "complete")
    later: list[Observation] = [*counts, *progress(1 + 1 / MINUTE)]
    assert run(later)[0]["verdict"] == "open"


def test_until_extends_the_ticks_beyond_the_last_observation() -> None:
    lines = run(steady(1), until=at(5))
    assert ticks(lines)[-1] == "12:05", "a bucket of which nothing came is open, then unknown"


def test_until_between_two_ticks_ends_at_the_tick_after_it() -> None:
    assert ticks(run(steady(9), until=at(3.5)))[-1] == "12:04"


def test_observations_after_until_play_no_part() -> None:
    assert run(steady(9), until=at(4)) == run([one for one in steady(9) if one.at <= at(4)], until=at(4))


def test_ticks_are_multiples_of_the_tick_since_the_epoch() -> None:
    lines = run(steady(12), tick=5 * MINUTE)
    assert ticks(lines) == ["12:05", "12:10", "12:15"]


def test_no_observation_no_line() -> None:
    assert run([]) == []
    assert run(steady(3), until=at(-5)) == []


def test_a_long_silence_is_judged_tick_by_tick() -> None:
    lines = run([*steady(2), count(30.5, 30, 5)])
    unknown = [line for line in lines if line["type"] == "verdict" and line["verdict"] == "unknown"]
    assert unknown[0]["at"] < format_time(at(10)), "said when it became so, not when somebody spoke again"


def test_lines_come_by_pipeline_source_and_bucket_and_incidents_last() -> None:
    seen = [*steady(4, "stream", "b"), *steady(4, "stream", "a"), *steady(4, "batch", "z")]
    seen += [Capacity(at(2.5), resource, 99, 100) for resource in ("disk", "sequence")]
    lines = run(sorted(seen, key=lambda one: one.at), BATCH, STREAM)
    for tick in ticks(lines):
        now = [line for line in lines if line["at"][11:16] == tick]
        kinds = [line["type"] for line in now]
        assert kinds == sorted(kinds, reverse=True), "verdicts before incidents"
        places = [(line["pipeline"], line["source"], line["bucket"]) for line in now if line["type"] == "verdict"]
        assert places == sorted(places)
        ids = [line["id"] for line in now if line["type"] == "incident"]
        assert ids == sorted(ids)
    assert sum(line["type"] == "incident" for line in lines) == 4, "a capacity of no named pipeline concerns all"


def test_a_verdict_line_has_the_keys_of_the_contract_in_its_order() -> None:
    (line, *_) = run(steady(2))
    before = ["type", "at", "pipeline", "from_stage", "to_stage", "source", "bucket", "verdict"]
    assert list(line) == [*before, *PARTS, "proven", "loss_at", "evidence", "volume", "expected", "band"]
    assert list(line)[8:17] == [
        "accepted", "processed", "accounted", "retained", "in_flight", "passed_over", "unproven", "lost", "surplus",
    ]  # fmt: skip


def test_a_cell_of_which_nothing_new_is_known_is_not_said_again() -> None:
    lines = run(steady(5))
    said = [(line["bucket"], line["verdict"]) for line in lines if line["type"] == "verdict"]
    assert len(said) == len(set(said))


def test_a_pipeline_sees_only_what_concerns_it() -> None:
    alone = run(steady(4, "batch"), BATCH, STREAM)
    both = run(sorted([*steady(4, "batch"), *steady(4, "stream")], key=lambda one: one.at), BATCH, STREAM)
    assert alone == [line for line in both if line["pipeline"] == "batch"]


# --- the same bytes ---------------------------------------------------------------------------------------------------

CONFIG = """
pipelines:
  batch:
    stages: [ingress, processed]
    queues: {q: {from: ingress, to: processed}}
"""


def stopped_consumer(minutes: int) -> list[dict[str, Any]]:
    """Records of many sources; the consumer stands still from the fifth minute on, and deletion overtakes it."""
    seen: list[dict[str, Any]] = []
    for minute in range(minutes):
        now, bucket = format_time(at(minute + 1)), format_time(at(minute))
        for number in range(12):
            common = {"type": "count", "at": now, "pipeline": "batch", "source": f"customer/{number}", "bucket": bucket}
            seen.append(common | {"stage": "ingress", "count": 10 + number})
            if minute < 5:
                seen.append(common | {"stage": "processed", "count": 10 + number})
        seen += [{"type": "progress", "at": now, "pipeline": "batch", "stage": s, "through": now} for s in STAGES]
        end = 186 * (minute + 1)
        read, start = min(end, 186 * 5), max(0, 186 * (minute - 7))
        seen.append(
            {"type": "queue", "at": now, "pipeline": "batch", "queue": "q", "retention_seconds": 480}
            | {"start_offset": start, "end_offset": end, "committed_offset": read}
        )
    return seen


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A folder with a configuration and a recorded story."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    lines = [json.dumps(one) + "\n" for one in stopped_consumer(20)]
    (tmp_path / "seen.ndjson").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def bytes_of(folder: Path, hash_seed: int, zone: str) -> bytes:
    command = [
        sys.executable,
        "-m",
        "reconciler",
        "backtest",
        "seen.ndjson",
        "--config",
        "config.yaml",
        "--output",
        "-",
    ]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "TZ": zone}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True, timeout=120)
    return done.stdout


def test_the_same_input_gives_the_same_bytes_on_any_machine(recorded: Path) -> None:
    once = bytes_of(recorded, 0, "UTC")
    assert once == bytes_of(recorded, 1234, "America/Los_Angeles")
    lines = [json.loads(line) for line in once.splitlines()]
    assert {line["verdict"] for line in lines if line["type"] == "verdict"} >= {"complete", "lost"}
    assert [line["kind"] for line in lines if line["type"] == "incident" and line["status"] == "open"]


def test_a_deleted_backlog_is_lost_and_the_losses_are_no_more_than_the_deletions(recorded: Path) -> None:
    lines = [json.loads(line) for line in bytes_of(recorded, 0, "UTC").splitlines()]
    lost: dict[tuple[str, str], int] = {}
    for line in lines:
        if line["type"] == "verdict":
            lost[line["source"], line["bucket"]] = line["lost"]
    assert sum(lost.values()) == 186 * (19 - 7) - 186 * 5


def test_readings_said_twice_give_the_same_lines() -> None:
    seen = steady(6)
    twice = [one for one in seen for _ in range(2)]
    assert run(twice) == run(seen)


def test_a_queue_that_nobody_configured_is_taken_for_the_first_hop() -> None:
    seen = [*steady(3), QueueSample(at(3.5), "batch", "unheard-of", 0, 0, 5, 5)]
    assert run(sorted(seen, key=lambda one: one.at)) == run(steady(3), until=at(3.5))


@pytest.mark.parametrize("tick", [10 * SECOND, MINUTE, 7 * MINUTE])
def test_the_last_word_on_a_cell_does_not_depend_on_the_tick(tick: Micros) -> None:
    last = {
        line["bucket"]: line["verdict"] for line in run(steady(6), tick=tick, until=at(7)) if line["type"] == "verdict"
    }
    assert [last[format_time(at(minute))] for minute in range(6)] == ["complete"] * 6


def test_one_stray_old_bucket_makes_neither_years_of_cells_nor_a_day_of_knowledge() -> None:
    stray = Count(at(0.5), "batch", "ingress", "stray", at(-5 * 365 * 24 * 60), 7, "accepted", reporter="ingress")
    own = [line for line in run([stray, *steady(20)]) if line["type"] == "verdict" and line["source"] == "stray"]
    assert {line["bucket"][:13] for line in own} == {"2016-07-21T12", "2021-07-20T12"}
    assert [line["verdict"] for line in own if line["accepted"]][-1] == "delayed"
    assert not any(line["lost"] for line in own)


def test_a_portion_of_old_buckets_alone_teaches_no_lag() -> None:
    ledger, engine = Ledger(STREAM), Engine(STREAM)
    ledger.apply(steady(200, "stream"))
    ledger.spans = range(NOON // (SPAN * MINUTE), NOON // (SPAN * MINUTE) + 1)
    ledger.touched = {key for key in ledger.touched if key.span in ledger.spans}
    engine.tick(ledger, at(201))
    assert engine.judges[0].lanes[-1].read.seen == 0


def stopped(*, sampled: range, again: int = 10**6, processed: int = 10**6) -> list[Observation]:
    """A consumer stops after half an hour, and its queue keeps 20 minutes; it is looked at in these minutes only, and
    from minute `again` on, when its consumer has read all that it still held. All is processed from `processed` on.
    """
    seen: list[Observation] = []
    for minute in range(150):
        later, done = minute + 1 + 1 / 6, minute < 30 or minute >= processed
        seen += [count(later, minute, 5 if stage == "ingress" or done else 0, stage) for stage in STAGES]
        if minute == processed:
            seen += [count(later, one, 5, "processed") for one in range(30, processed)]
        seen += progress(later)
        if minute in sampled or minute >= again:
            end, read = 5 * (minute + 1), 5 * (minute + 1 if minute >= again else min(minute + 1, 30))
            start = max(0, 5 * (minute - 19))
            seen.append(QueueSample(at(minute + 1), "batch", "q", 0, start, end, read, retention=20 * MINUTE))
    seen.sort(key=lambda one: one.at)
    return seen


def test_what_was_at_risk_in_a_queue_that_is_seen_no_more_is_not_over_and_says_that_nobody_knows() -> None:
    lines = [line for line in run(stopped(sampled=range(45))) if line.get("kind") == "at_risk"]
    assert [line["status"] for line in lines if line["status"] != "updated"] == ["open"], "it has no end"
    told = lines[-1]
    assert "their queue is seen no more" in told["title"]
    assert "whether they are still there nobody knows" in dict(told["facts"])["Next"]
    assert told["steps"][0]["command"] == "reconciler check-config --connect"
    assert told["severity"] == "page"
    assert sum("seen no more" in line["title"] for line in lines) == 1, "and it says so once"


def test_what_was_at_risk_is_over_once_its_queue_is_seen_again_or_its_counts_have_come() -> None:
    seen_again = stopped(sampled=range(45), again=80, processed=80)
    for case in (seen_again, stopped(sampled=range(45), processed=80)):
        lines = [line for line in run(case) if line.get("kind") == "at_risk"]
        (over,) = [line for line in lines if line["status"] == "resolved"]
        assert at(95) <= parse_time(over["at"]) <= at(110), over
        assert "None is any more" in over["title"]
        assert not [line for line in lines if line["title"].startswith("batch: events will be deleted")], (
            "no false alarm"
        )
