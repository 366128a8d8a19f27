"""What people are told: a value that survives being stored, and says what the incident line says."""

from typing import Any

import pytest

from reconciler.core.notices import Notice, Step, dump, load, notice_of, quiet

LINE: dict[str, Any] = {
    "type": "incident", "at": "2021-07-20T19:10:00Z", "id": "loss-0123456789ab", "kind": "loss", "status": "updated",
    "severity": "page", "pipeline": "batch", "sources": ["direct/a", 'partner/"<b>&'], "from": "2021-07-20T18:45:00Z",
    "to": "2021-07-20T18:50:00Z", "opened_at": "2021-07-20T19:09:00Z", "lost": 1200, "evidence": ["queue_expired"],
    "summary": "batch: 1,200 events lost", "advice": "Raise the retention.", "mode": "alert",
}  # fmt: skip


def test_a_notice_comes_back_from_the_ledger_as_it_was_written() -> None:
    notice = notice_of(
        LINE | {"steps": [{"text": "Do it.", "command": "do --it 'now'"}], "facts": [["Since", "18:45"]]},
        public_url="https://reconciler.example.com", runbook="https://runbook.example.com", drill=True, changed="more",
    )  # fmt: skip
    assert load(dump(notice)) == notice
    assert notice.link == "https://reconciler.example.com/incident?id=loss-0123456789ab"
    assert notice.steps == (Step("Do it.", "do --it 'now'"),)


def test_a_line_without_steps_and_facts_still_says_what_it_knows() -> None:
    notice = notice_of(LINE)
    assert notice.steps == (Step("Raise the retention."),)
    assert ("Lost", "1,200 events") in notice.facts
    assert isinstance(load(dump(notice)), Notice)


@pytest.mark.parametrize(
    ("also", "status"),
    [
        pytest.param({}, "updated", id="nobody has it"),
        pytest.param({"acknowledged": {"author": "ada"}}, "acknowledged", id="somebody has it"),
        pytest.param({"acknowledged": {"author": "ada"}, "status": "resolved"}, "resolved", id="it is over"),
    ],
)
def test_an_incident_that_somebody_took_is_acknowledged_until_it_is_over(also: dict[str, Any], status: str) -> None:
    assert notice_of(LINE | also).status == status


@pytest.mark.parametrize(
    ("also", "why"),
    [
        pytest.param({}, "", id="people are told"),
        pytest.param({"mode": "observe"}, "observe", id="a pipeline that is only observed tells nobody"),
        pytest.param({"muted": {"author": "ada", "until": "2021-07-21T00:00:00Z"}}, "muted", id="muted"),
        pytest.param({"muted": {"author": "ada"}, "status": "resolved"}, "", id="its end is told all the same"),
    ],
)
def test_why_nobody_is_told_has_a_name(also: dict[str, Any], why: str) -> None:
    assert quiet(LINE | also) == why
