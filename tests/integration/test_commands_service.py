"""`status`, `sources` and `reporters`, as a person or a script calls them."""

import json
from pathlib import Path

import pytest

from reconciler.core.times import MINUTE, parse_time
from reconciler.ports import Run
from reconciler.store import open_store
from tests.integration.shell import LOSS_END, Shell

LATER = "2024-01-15T00:50:00Z"


def judged(shell: Shell) -> None:
    """The ledger after a loss of `a`, judged at its end; both reporters have been silent since."""
    assert shell("import", shell.loss()) == 0
    assert shell("tick", "--now", LOSS_END, "--json") == 0


def test_status_says_how_far_everything_is(shell: Shell) -> None:
    judged(shell)
    assert shell("status", "--now", LOSS_END) == 0
    assert shell.out.splitlines() == [
        f"as of {LOSS_END}; no service is running on this ledger",
        "",
        "batch (alert)",
        f"  judged       {LOSS_END}, next 2024-01-15T00:41:00Z",
        f"  ingress      reported until {LOSS_END}, 1 reporter",
        f"  processed    reported until {LOSS_END}, 1 reporter",
        "  complete     until 2024-01-15T00:05:00Z, held back by a (2 sources)",
        "  objective    99.99% of all sources MISSED by 2,992 events",
        "  incidents    1 page",
    ]


def test_status_names_who_is_missing_and_that_nobody_judges(shell: Shell) -> None:
    judged(shell)
    assert shell("status", "--now", LATER, "--json", "--exit-code") == 1
    (pipeline,) = json.loads(shell.out)["pipelines"]
    assert pipeline["blind"] is True
    assert pipeline["missing"] == ["ingress: ingress-1", "processed: processed-1"]
    assert pipeline["stages"][0]["missing"] == [{"reporter": "ingress-1", "through": LOSS_END}]
    assert shell("status", "--now", LATER) == 0
    assert f"    MISSING    ingress-1: last reported until {LOSS_END}" in shell.out
    assert f"  judged       {LOSS_END}, next 2024-01-15T00:50:00Z  BLIND: for too long" in shell.out


def test_status_of_a_ledger_without_anything(shell: Shell) -> None:
    assert shell("status", "--json", "--now", LATER) == 0
    record = json.loads(shell.out)
    assert (record["service"], record["duties"]) == (None, [])
    (pipeline,) = record["pipelines"]
    assert (pipeline["judged_at"], pipeline["blind"], pipeline["missing"]) == (None, True, [])


def test_status_says_how_many_sources_are_judged_together_because_there_are_too_many(shell: Shell) -> None:
    story, config = shell.loss(), Path("reconciler.yaml")
    config.write_text(config.read_text().replace("stages:", "max_sources: 1, stages:"))
    assert shell("import", story) == 0
    assert shell("tick", "--now", LOSS_END, "--json") == 0
    assert shell("status", "--now", LOSS_END) == 0
    assert "  TOO MANY     1 beyond max_sources are judged together, as (overflow)" in shell.out


def test_status_says_which_duty_failed_and_why(shell: Shell, ledger_url: str) -> None:
    store = open_store(ledger_url)
    at = parse_time(LOSS_END)
    store.note_runs([Run("prune", "", at, 5)])
    store.note_runs([Run("prune", "", at + MINUTE, 5, "the disk is full")])
    store.close()
    assert shell("status", "--now", LATER) == 0
    assert "prune failed at 2024-01-15T00:41:00Z: the disk is full" in shell.out
    assert shell("status", "--now", LATER, "--json") == 0
    (duty,) = json.loads(shell.out)["duties"]
    assert duty["succeeded_at"] == LOSS_END


def test_sources_are_listed_and_one_that_has_ended_says_by_whom_and_why(shell: Shell) -> None:
    judged(shell)
    assert shell("sources", "list", "--json") == 0
    assert [(one["source"], one["first_bucket"], one["retired_at"]) for one in shell.records()] == [
        (name, "2024-01-15T00:00:00Z", None) for name in ("a", "b")
    ]
    retire = ["sources", "retire", "b", "--at", LOSS_END, "--author", "ann", "--reason", "contract ended"]
    assert shell(*retire) == 0
    assert shell.out == f"batch: b has no buckets from {LOSS_END} on\n"
    assert shell("sources", "list") == 0
    assert f"batch  b  since 2024-01-15T00:00:00Z, retired at {LOSS_END} (ann: contract ended)" in shell.out
    assert shell(*retire, "--undo") == 0
    assert shell.out == "batch: b is back\n"
    assert shell("sources", "list", "--json") == 0
    assert [one["retired_at"] for one in shell.records()] == [None, None]


def test_a_reporter_that_has_ended_is_missing_no_more(shell: Shell) -> None:
    judged(shell)
    assert shell("reporters", "list", "--missing", "--now", LATER, "--json") == 0
    assert [one["reporter"] for one in shell.records()] == ["ingress-1", "processed-1"]
    assert shell("reporters", "retire", "ingress-1", "--author", "ann", "--reason", "scaled in") == 0
    assert shell.out == "batch, ingress: nobody waits for ingress-1 any more\n"
    assert shell("reporters", "list") == 0
    assert f"batch  ingress  ingress-1  ended, reported until {LOSS_END} (ann: scaled in)" in shell.out


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "said"),
    {
        "a source that never was": (["sources", "retire", "x", "--author", "a", "--reason", "b"], "has no source 'x'"),
        "a reporter that never was": (
            ["reporters", "retire", "x", "--author", "a", "--reason", "b"], "has no reporter 'x'",
        ),
        "nobody who says so": (["sources", "retire", "a", "--reason", "b"], "Missing option '--author'"),
        "no reason": (["reporters", "retire", "ingress-1", "--author", "a"], "Missing option '--reason'"),
    }.values(),
)  # fmt: skip
def test_a_wrong_call_says_why(shell: Shell, arguments: list[str], said: str) -> None:
    judged(shell)
    assert shell(*arguments) == 2
    assert said in shell.err


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_reporter_that_the_configuration_expects_ends_there(shell: Shell) -> None:
    judged(shell)
    expected = "reporters: {ingress: {expect: [ingress-1]}}"
    shell.file("reconciler.yaml", f"pipelines: {{batch: {{stages: [ingress, processed], {expected}}}}}")
    assert shell("reporters", "retire", "ingress-1", "--author", "a", "--reason", "b") == 2
    assert "remove it from the configuration instead" in shell.err
