"""The simulator runs each story as it is told, to the last event."""

import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.scenarios import Story, StoryError, Truth, configuration, load, names, read, simulate, truth
from reconciler.scenarios.__main__ import main
from reconciler.scenarios.story import Total
from tests.scenario.board import Board
from tests.scenario.expectations import check
from tests.scenario.seer import foresee

ALL = names()
SMALLER: dict[str, dict[str, Any]] = {"SC-07a": {"partitions": 4}, "SC-06": {"partitions": 10}}  # shows the same
UNREPORTED = ("CT-5", "SC-05a")  # judged by what is not reported, of which the truth knows nothing
BY_THE_HOUR = ("CT-4", "SC-13c")
ONE_PARTITION = {"q": {"retention_min": 20, "policy_min": 60}}

Line = dict[str, Any]


def small(**told: Any) -> Story:
    """One source of 100 a minute, one queue of four partitions, an hour of history and what is told."""
    base: Line = {
        "id": "X-1",
        "title": "A small one",
        "t0": "2024-01-15T00:00:00Z",
        "history_min": 60,
        "until": 30,
        "sources": {"web": {"queue": "q", "rate": 100}},
        "queues": {"q": {"partitions": 4, "retention_min": 20, "policy_min": 60}},
        "timeline": [{"from": -10, "to": 0}, {"from": 0, "to": None}],
    }
    return read(base | told, "x")


def offsets(story: Story, at: set[int], **options: Any) -> dict[int, dict[tuple[str, int], tuple[int, int, int]]]:
    """Start, end and committed of each partition at some minutes."""
    board = Board(story, truth(story, until=story.first))
    seen: dict[int, dict[tuple[str, int], tuple[int, int, int]]] = defaultdict(dict)
    for line in simulate(story, until=max(at), **options):
        if line["type"] == "queue" and (minute := int(board.minute(line["at"]))) in at:
            told = (line["start_offset"], line["end_offset"], line["committed_offset"])
            seen[minute][(line["queue"], line["partition"])] = told
    return seen


@cache
def facts_of(name: str) -> Truth:
    return truth(load(name), **SMALLER.get(name, {}))


def sums(lines: Iterable[Line], stage: str) -> dict[tuple[str, str], int]:
    """The last readings of all reporters of a stage, by bucket and outcome."""
    last = {
        (line["bucket"], line["outcome"], line["source"], line["reporter"], line.get("replay")): line["count"]
        for line in lines
        if line["type"] == "count" and line["stage"] == stage
    }
    found: dict[tuple[str, str], int] = defaultdict(int)
    for (bucket, outcome, *_), count in last.items():
        found[(bucket, outcome)] += count
    return found


def minute(number: int) -> str:
    return f"2024-01-15T00:{number:02d}:00Z"


@pytest.mark.parametrize("name", [name for name in ALL if load(name).checkpoints])
def test_the_offsets_of_a_run_are_those_that_the_story_gives(name: str) -> None:
    story = load(name)
    seen = offsets(story, {0, *(point.t for point in story.checkpoints)})
    for point in story.checkpoints:
        total = [0, 0, 0]
        for (queue, partition), told in seen[point.t].items():
            if queue == point.queue and point.partition in (None, partition):
                begin = seen[0][(queue, partition)][1]
                total = [sum_ + max(0, offset - begin) for sum_, offset in zip(total, told, strict=True)]
        assert total == [point.start, point.end, point.committed], point


@pytest.mark.parametrize("name", [name for name in ALL if load(name).totals])
def test_the_truth_of_a_run_has_the_sums_that_the_story_gives(name: str) -> None:
    story = load(name)
    board, due = Board(story, facts_of(name)), defaultdict[int, list[Total]](list)
    for total in story.totals:
        due[story.until if total.t is None else total.t].append(total)
    for now in range(story.first, story.until + 1):
        board.move_to(now)
        for total in due.get(now, ()):
            chosen = [
                board.true[source][total.part][board.choose(total.where, source, now)]
                for source in board.sources(total.match)
            ]
            assert sum(int(cells.sum()) for cells in chosen) == total.equals, total


@pytest.mark.parametrize("name", [name for name in ALL if name not in (*UNREPORTED, *BY_THE_HOUR)])
def test_a_detector_that_knows_the_truth_breaks_no_story(name: str) -> None:
    story = load(name)
    facts = facts_of(name)
    report = check(story, foresee(story, facts), facts=facts, tick=lambda _: 15 if story.replays else 1)
    assert [broken for broken in report.violations if "incident" not in broken] == []


@pytest.mark.parametrize("name", ["SC-01r", "SC-04", "SC-06", "SC-08a", "SC-12a", "SC-13c"])
def test_at_every_instant_each_accepted_event_is_in_exactly_one_place(name: str) -> None:
    for changes in facts_of(name).changes.values():
        for _, cell in changes:
            placed = cell.processed + cell.accounted + cell.retained + cell.working + cell.passed_over + cell.lost
            assert cell.accepted == placed - cell.surplus
            assert min(cell.retained, cell.working, cell.passed_over, cell.lost, cell.surplus) >= 0


def test_the_same_story_gives_the_same_bytes() -> None:
    story = load("SC-02")
    runs = [[json.dumps(line) for line in simulate(story, until=60, scale=0.1)] for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", ["SC-10", "CT-5"])
def test_lines_come_in_the_order_in_which_they_are_learned(name: str) -> None:
    times = [line["at"] for line in simulate(load(name), until=60)]
    assert times == sorted(times)


def test_a_line_has_the_fields_of_the_contract_and_no_other() -> None:
    known = {
        "count": {"type", "at", "pipeline", "stage", "source", "bucket", "count", "outcome", "reporter", "replay"},
        "progress": {"type", "at", "pipeline", "stage", "reporter", "through", "final"},
        "queue": {"type", "at", "pipeline", "queue", "partition", "start_offset", "end_offset", "committed_offset"}
        | {"oldest_at", "committed_at", "retention_seconds", "replicas"},
    }
    for line in simulate(load("SC-01b"), until=900):
        assert set(line) <= known[line["type"]]


def test_the_first_accepted_is_the_first_processed() -> None:
    story = small(
        queues=ONE_PARTITION,
        timeline=[
            {"from": -10, "to": 0},
            {"from": 0, "to": 4, "processed": {"web": 0}},
            {"from": 4, "to": None, "processed": {"web": 150}},
        ],
    )
    found = sums(simulate(story, until=6), "processed")
    assert [found[(minute(number), "processed")] for number in range(6)] == [100, 100, 100, 0, 0, 0]


def test_sources_of_one_queue_are_read_in_proportion() -> None:
    story = small(
        queues=ONE_PARTITION,
        sources={"web": {"queue": "q", "rate": 300}, "ios": {"queue": "q", "rate": 100}},
        timeline=[{"from": -10, "to": 0}, {"from": 0, "to": None, "processed": {"web": 150, "ios": 50}}],
    )
    facts = truth(story, until=1)
    web, ios = facts.at("web", 0, 1), facts.at("ios", 0, 1)
    assert web is not None
    assert ios is not None
    assert (web.processed, ios.processed) == (150, 50)


def test_a_silent_reporter_sends_nothing_and_catches_up_when_it_is_back() -> None:
    silence = {"stage": "processed", "reporter": "processed-1", "silent": [3, 6]}
    lines = list(simulate(small(reporter_events=[silence]), until=10))
    told = [line["at"] for line in lines if line["type"] == "progress" and line["stage"] == "processed"]
    assert [at for at in told if at >= minute(0)] == [minute(number) for number in (0, 1, 2, 3, 7, 8, 9, 10)]
    back = [
        line["bucket"]
        for line in lines
        if line["type"] == "count" and line["stage"] == "processed" and line["at"] == minute(7)
    ]
    assert back == [minute(number) for number in (3, 4, 5, 6)]


def test_a_reporter_that_starts_again_has_a_new_name_and_both_counts_add_up() -> None:
    restart = {"stage": "processed", "reporter": "processed-1", "restart": 3}
    slow = [{"from": -10, "to": 0}, {"from": 0, "to": None, "processed": {"web": 30}}]
    lines = list(simulate(small(reporter_events=[restart], timeline=slow), until=10))
    names_of = [
        line["reporter"]
        for line in lines
        if line["type"] == "count" and line["stage"] == "processed" and line["bucket"] == minute(0)
    ]
    assert names_of == ["processed-1", "processed-1", "processed-1", "processed-1#2"]
    assert sums(lines, "processed")[(minute(0), "processed")] == 100
    last = [
        line
        for line in lines
        if line["type"] == "progress" and line["reporter"] == "processed-1" and line["stage"] == "processed"
    ][-1]
    assert (last["at"], last["final"]) == (minute(3), True)


def test_counts_that_come_late_say_what_was_known_then() -> None:
    late = {"stage": "ingress", "reporter": "ingress-1", "late": [2, 4], "minutes": 5}
    lines = simulate(small(reporter_events=[late]), until=12)
    told = {line["bucket"]: line["at"] for line in lines if line["type"] == "count" and line["stage"] == "ingress"}
    assert [told[minute(number)] for number in (1, 2, 3, 4)] == [minute(2), minute(8), minute(9), minute(5)]


def test_a_source_that_accepts_nothing_says_zero_once_for_each_bucket() -> None:
    lines = simulate(small(timeline=[{"from": -10, "to": 0}, {"from": 0, "to": None, "accepted": {"web": 0}}]), until=5)
    zeros = [line["bucket"] for line in lines if line["type"] == "count" and line["count"] == 0]
    assert zeros == [minute(number) for number in range(5)]


def test_what_was_deleted_unread_is_lost_and_what_was_read_before_is_not() -> None:
    story = small(until=60, timeline=[{"from": -10, "to": 0}, {"from": 0, "to": None, "processed": {"web": 10}}])
    facts = truth(story)
    first, second = facts.at("web", 0, 60), facts.at("web", 7, 60)
    assert first is not None
    assert second is not None
    assert (first.processed, first.lost) == (100, 0)
    assert (second.processed, second.lost) == (0, 100)


def test_a_replay_is_counted_under_its_label_in_the_buckets_that_it_covers() -> None:
    counts = [
        line for line in simulate(load("SC-01r"), until=5880) if "replay" in line and line["source"] == "batch_segment"
    ]
    last = {(line["stage"], line["outcome"], line["bucket"]): line["count"] for line in counts}
    total: dict[tuple[str, str], int] = defaultdict(int)
    for (stage, outcome, _), count in last.items():
        total[(stage, outcome)] += count
    assert {line["replay"] for line in counts} == {"segment-resent"}
    assert total == {
        ("ingress", "accepted"): 9_360_000,
        ("processed", "processed"): 8_760_000,
        ("processed", "deduplicated"): 600_000,
    }


def test_samples_off_the_edge_of_the_minute_show_the_middle_of_it() -> None:
    story = small()
    lines = [line for line in simulate(story, until=3, sample_offset_seconds=30) if line["type"] == "queue"]
    middle = [line["end_offset"] for line in lines if line["at"] == "2024-01-15T00:00:30Z"]
    assert sum(middle) == 70 * 100 + 50


def test_latency_keeps_the_youngest_unread() -> None:
    for line in simulate(small(), until=5, latency_minutes=2):
        if line["type"] == "queue" and line["at"] == minute(5):
            assert line["committed_at"] == minute(3)


def test_records_that_reach_the_queue_late_are_on_the_way() -> None:
    cell = truth(small(), until=5, append_delay_minutes=3).at("web", 3, 5)
    assert cell is not None
    assert (cell.working, cell.lost) == (100, 0)


def test_scaled_rates_lose_no_event_to_rounding() -> None:
    story = load("SC-01b")
    facts = truth(story, scale=0.001)
    lost = sum(changes[-1][1].lost for changes in facts.changes.values())
    assert lost == 25_650


def test_an_edge_is_one_more_stage_in_front_of_ingress() -> None:
    story = load("SC-04")
    lines = list(simulate(story, until=10, edge=True))
    found = {line["outcome"] for line in lines if line["type"] == "count" and line["stage"] == "ingress"}
    assert found == {"processed"}
    assert sums(lines, "edge")[("2024-01-15T00:05:00Z", "accepted")] == 12_000
    assert configuration(story, edge=True)["pipelines"]["q"]["stages"] == ["edge", "ingress", "processed"]


def test_each_queue_is_a_pipeline_of_its_own() -> None:
    found = configuration(load("SC-01a"))["pipelines"]
    assert list(found) == ["streaming", "batch"]
    assert found["batch"]["queues"] == {
        "batch": {"from": "ingress", "to": "processed", "policy": {"retention": "7d", "replicas": 2}}
    }


def test_declared_reporters_are_named_in_the_configuration() -> None:
    found = configuration(load("SC-05a"))["pipelines"]["q"]["reporters"]["ingress"]["expect"]
    assert (len(found), found[0], found[-1]) == (36, "host_01", "host_36")


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        pytest.param({"colour": "red"}, "x: unknown colour", id="an unknown key"),
        pytest.param({"timeline": [{"from": 0, "to": 5, "speed": 1}]}, "x.timeline[0]: unknown speed", id="deep down"),
        pytest.param({"timeline": [{"from": 0}]}, "x.timeline[0].to: missing", id="an interval without an end"),
        pytest.param(
            {"timeline": [{"from": 0, "to": 5, "accepted": {"wbe": 1}}]}, "accepted.wbe: no such name", id="a slip"
        ),
        pytest.param({"t0": "2024-01-15T00:00:00"}, "needs its zone", id="a naive time"),
        pytest.param({"never": [{"verdict": "bad"}]}, "x.never[0].verdict: 'bad' is none of", id="an unknown verdict"),
        pytest.param(
            {"never": [{"verdict": "lost", "where": "__import__('os')"}]},
            "x.never[0].where",
            id="code in an expression",
        ),
    ],
)
def test_what_is_not_understood_is_an_error_that_says_where(told: Line, complaint: str) -> None:
    with pytest.raises(StoryError) as error:
        small(**told)
    assert complaint in str(error.value)


def test_abbreviated_names_are_written_out() -> None:
    story = small(
        sources={"host_08..host_11": {"queue": "q", "rate": 5}},
        timeline=[{"from": 0, "to": None, "accepted": {"host_09": 0, "each other host": 7}}],
    )
    assert {name: int(rate) for name, rate in story.intervals[0].accepted.items()} == {
        "host_08": 7,
        "host_09": 0,
        "host_10": 7,
        "host_11": 7,
    }


def test_the_command_writes_observations_and_their_configuration(tmp_path: Path) -> None:
    lines, config = tmp_path / "obs.ndjson", tmp_path / "config.yaml"
    assert main(["SC-10", "--until", "3", "--output", str(lines), "--config", str(config)]) == 0
    assert {json.loads(line)["pipeline"] for line in lines.read_text(encoding="utf-8").splitlines()} == {"q"}
    assert yaml.safe_load(config.read_text(encoding="utf-8")) == configuration(load("SC-10"))


def test_the_command_names_the_stories_when_one_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["SC-99"]) == 2
    assert "there are CT-1, " in capsys.readouterr().err
