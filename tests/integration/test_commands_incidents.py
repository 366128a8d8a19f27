"""`incidents`, as a person or a script calls it."""

import json

from tests.integration.shell import LOSS_END, Shell


def wrong(shell: Shell, mode: str = "alert") -> str:
    """The ledger after a loss, and the id of its incident."""
    assert shell("import", shell.loss(mode=mode)) == 0
    assert shell("tick", "--now", LOSS_END, "--json") == 0
    return next(str(line["id"]) for line in shell.records() if line["type"] == "incident" and line["kind"] == "loss")


def test_what_is_open_is_listed_in_lines_that_fit_a_page(shell: Shell) -> None:
    loss = wrong(shell)
    assert shell("incidents") == 0
    head, row, *summary = shell.out.splitlines()[:4]
    assert head.split() == ["severity", "kind", "status", "since", "lost", "sources", "id"]
    assert row.split() == ["page", "loss", "open", "2024-01-15T00:05:00Z", "3,000", "1", loss]
    assert " ".join(line.strip() for line in summary).endswith("they had been counted, and are there no more")
    assert max(map(len, shell.out.splitlines())) <= 100
    assert "\x1b" not in shell.out


def test_list_may_be_left_out(shell: Shell) -> None:
    wrong(shell)
    assert shell("incidents", "list", "--json") == 0
    listed = shell.out
    assert shell("incidents", "--json") == 0
    assert shell.out == listed
    assert {line["type"] for line in shell.records()} == {"incident"}


def test_one_is_shown_in_full(shell: Shell) -> None:
    loss = wrong(shell)
    assert shell("incidents", "show", loss) == 0
    assert "Now: Find what removed stored events" in shell.out
    assert "\nevidence    shrunk\n" in shell.out
    assert "\n  a  3,000\n" in shell.out
    assert f"\n  {LOSS_END}  open (page): batch" in shell.out
    assert max(map(len, shell.out.splitlines())) <= 100
    assert shell("incidents", "show", loss, "--json") == 0
    record = json.loads(shell.out)
    assert record["incident"]["id"] == loss
    assert record["lost_by_source"] == {"a": 3_000}
    assert [line["status"] for line in record["changes"]] == ["open"]


def test_what_is_over_is_listed_only_when_asked_for(shell: Shell) -> None:
    assert shell("import", shell.story("CT-5", minutes=(-20, 80))) == 0
    for minute in (30, 31, 75):
        hour, rest = divmod(minute, 60)
        assert shell("tick", "--now", f"2024-01-15T{hour:02}:{rest:02}:00Z", "--json") == 0
    assert shell("incidents", "--json") == 0
    still_open = shell.records()
    assert shell("incidents", "--all", "--json") == 0
    every = shell.records()
    assert {line["status"] for line in still_open} <= {"open", "updated"}
    assert "resolved" in {line["status"] for line in every}
    assert len(every) > len(still_open)
    assert [line["status"] == "resolved" for line in every] == sorted(line["status"] == "resolved" for line in every)
    assert shell("incidents") == 0
    assert "--all lists" in shell.out


def test_the_exit_code_says_that_a_page_is_open_only_when_asked_for(shell: Shell) -> None:
    assert shell("incidents", "--exit-code") == 0
    assert shell.out == "no incident is open\n"
    wrong(shell)
    assert shell("incidents") == 0
    assert shell("incidents", "--exit-code") == 1


def test_a_page_of_a_pipeline_that_is_only_observed_is_no_page(shell: Shell) -> None:
    wrong(shell, mode="observe")
    assert shell("incidents", "--exit-code") == 0
    assert "page" in shell.out
