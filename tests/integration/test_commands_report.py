"""`report`, as a person or a script calls it."""

import json
from typing import Any

import pytest

from reconciler.commands import report
from reconciler.core.times import parse_time
from tests.integration.shell import LOSS_END, Shell

DAY = "2024-01-15"
LATER = "2024-01-17T00:00:00Z"


@pytest.fixture
def story(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger after 3,000 of 40,000 events of one of two sources were lost; it is the same day."""
    monkeypatch.setattr(report, "now", lambda: parse_time("2024-01-15T01:00:00Z"))
    assert shell("import", shell.loss()) == 0
    assert shell("tick", "--now", LOSS_END) == 0


def record(shell: Shell, *arguments: str) -> dict[str, Any]:
    assert shell("report", "--json", *arguments) == 0
    found: dict[str, Any] = json.loads(shell.out)
    return found


@pytest.mark.usefixtures("story")
def test_it_says_what_was_accepted_processed_and_lost_and_that_this_is_proven(shell: Shell) -> None:
    found = record(shell, "--day", DAY)
    hop = found["pipelines"][0]["hops"][0]
    worst, other = hop["sources"]
    assert (worst["source"], other["source"]) == ("a", "b"), "the worst first"
    assert (worst["accepted"], worst["processed"], worst["accounted"]) == (40_000, 37_000, 0)
    assert (worst["lost"], worst["lost_proven"], worst["late"]) == (3_000, 3_000, 0)
    assert worst["completeness"] == worst["delivered"] == 0.925
    assert worst["proven"]
    assert worst["complete_through"] == "2024-01-15T00:05:00Z", "it never jumps over a hole"
    assert (other["verdict"], other["completeness"], other["lost"]) == ("complete", 1.0, 0)
    assert other["complete_through"] == LOSS_END
    assert (hop["total"]["accepted"], hop["total"]["lost"]) == (80_000, 3_000)
    assert hop["total"]["complete_through"] == worst["complete_through"]
    incidents = found["pipelines"][0]["incidents"]
    assert "loss" in {line["kind"] for line in incidents}


@pytest.mark.usefixtures("story")
def test_a_day_that_is_not_over_says_so(shell: Shell) -> None:
    assert shell("report", "--day", DAY) == 0
    lines = shell.out.splitlines()
    assert lines[0] == "2024-01-15 (UTC): the day is not over"
    assert lines[2] == f"batch, judged as of {LOSS_END}"
    total = "all 2 sources 80,000 77,000 0 0 3,000 3,000 96.2500% 96.2500% yes 2024-01-15T00:05:00Z - -"
    assert lines[5].split() == total.split()
    assert [line.split()[0] for line in lines[6:8]] == ["a", "b"]
    assert f"  The day is not over; it is judged up to {LOSS_END}." in lines
    assert any(line.startswith("  page loss-") for line in lines)


@pytest.mark.usefixtures("story")
def test_a_bucket_that_nobody_judged_is_unknown_and_never_good(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(report, "now", lambda: parse_time(LATER))
    found = record(shell, "--day", DAY)["pipelines"][0]
    source, _ = found["hops"][0]["sources"]
    assert (source["cells"], source["unknown"], source["proven"]) == (1440, 1400, False)
    assert f"Nothing was judged after {LOSS_END}; the rest of the day is unknown." in found["not_known"]
    yesterday = record(shell)
    assert yesterday["day"] == "2024-01-16"
    source, _ = yesterday["pipelines"][0]["hops"][0]["sources"]
    assert (source["unknown"], source["verdict"], source["completeness"]) == (1440, "unknown", None)


@pytest.mark.usefixtures("story")
def test_what_was_known_at_a_past_instant_can_be_asked_again(shell: Shell) -> None:
    before = record(shell, "--day", DAY, "--as-of", LOSS_END)
    assert shell("tick", "--now", LATER) == 0
    after = record(shell, "--day", DAY, "--as-of", LOSS_END)
    assert after.pop("changed")["lines"] != before.pop("changed")["lines"] == []
    assert after == before
    now = record(shell, "--day", DAY)["pipelines"][0]["hops"][0]["total"]
    assert now["cells"] > before["pipelines"][0]["hops"][0]["total"]["cells"]


@pytest.mark.usefixtures("story")
def test_nothing_had_been_said_before_the_first_judgement(shell: Shell) -> None:
    found = record(shell, "--day", DAY, "--as-of", "2024-01-15T00:39:00Z")["pipelines"][0]
    assert found["hops"][0]["sources"] == []
    assert found["incidents"] == []


@pytest.mark.usefixtures("story")
def test_of_a_day_before_the_first_count_there_is_nothing_to_say(shell: Shell) -> None:
    found = record(shell, "--day", "2024-01-14")["pipelines"][0]
    assert found["hops"][0]["sources"] == []
    assert found["incidents"] == []
    assert "ingress to processed: no source has a cell on this day." in found["not_known"]


def test_a_pipeline_that_is_only_observed_says_whom_it_would_have_paged(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(report, "now", lambda: parse_time("2024-01-15T01:00:00Z"))
    assert shell("import", shell.loss(mode="observe")) == 0
    assert shell("tick", "--now", LOSS_END) == 0
    assert shell("report", "--day", DAY) == 0
    assert shell.out.splitlines()[-2] == "this would have paged"
    assert shell.out.splitlines()[-1].startswith(f"  {LOSS_END}  batch (ingress>processed): 3,000 events lost")
    assert shell("report", "--day", "2024-01-14") == 0
    assert shell.out.splitlines()[-1] == "  nobody: there was no reason to"


def test_a_ledger_that_was_never_judged_is_not_good(shell: Shell) -> None:
    assert shell("report", "--day", DAY) == 0
    assert "batch (mode: observe; nobody is paged), never judged" in shell.out
    assert "  It was never judged: nothing is known." in shell.out
