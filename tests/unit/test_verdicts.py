"""The rules, worst first: one case a rule, and what each of them leaves alone."""

from typing import Any

import numpy as np
import pytest

from reconciler.core.verdicts import DIRECT, Evidence, Signs, Verdict, judge

AMOUNTS = ("lost", "passed_over", "retained", "in_flight", "unproven", "surplus")


def said(**signs: Any) -> str:
    """The verdict of one cell of which this is known; nothing else is wrong with it."""
    known: dict[str, Any] = {name: np.array([signs.get(name, 0)]) for name in AMOUNTS}
    flags = {"threatened": False, "whole": True, "unreported": False, "ordinary": False, "tolerated": False}
    known |= {name: np.array([bool(signs.get(name, usual))]) for name, usual in flags.items()}
    return Verdict(int(judge(Signs(**known))[0])).word


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        pytest.param({}, "complete", id="nothing is missing"),
        pytest.param({"whole": False}, "open", id="the accepted counts are not all in"),
        pytest.param({"whole": False, "in_flight": 5}, "open", id="a gap in a bucket that is not whole"),
        pytest.param({"in_flight": 5, "ordinary": True}, "pending", id="a gap that lag explains at this age"),
        pytest.param({"retained": 5, "ordinary": True}, "pending", id="unread, and no older than usual"),
        pytest.param({"in_flight": 5}, "delayed", id="a gap older than normal lag"),
        pytest.param({"retained": 5}, "delayed", id="unread for longer than usual"),
        pytest.param({"unproven": 5}, "delayed", id="nothing shows where it is, and nothing excludes that it arrives"),
        pytest.param({"retained": 5, "ordinary": True, "threatened": True}, "at_risk", id="deleted before it is read"),
        pytest.param({"passed_over": 5}, "at_risk", id="passed over, however far the deletion"),
        pytest.param({"threatened": True, "unproven": 5}, "delayed", id="a deletion threatens nothing of this cell"),
        pytest.param({"lost": 1}, "lost", id="some of the gap is nowhere"),
        pytest.param({"surplus": 3}, "surplus", id="more processed than accepted"),
        pytest.param({"surplus": 3, "whole": False}, "open", id="more processed than accepted so far"),
        pytest.param({"unreported": True, "whole": False}, "unknown", id="accepted counts are missing"),
        pytest.param({"unreported": True, "unproven": 5}, "unknown", id="a gap that a missing count may fill"),
        pytest.param({"unreported": True, "surplus": 3}, "unknown", id="a surplus while a reporter is missing"),
        pytest.param({"unreported": True}, "complete", id="nothing left for the missing reporter to count"),
        pytest.param({"lost": 1, "tolerated": True}, "complete", id="a loss within tolerance"),
        pytest.param({"passed_over": 1, "tolerated": True}, "complete", id="passed over within tolerance"),
        pytest.param({"surplus": 1, "tolerated": True}, "complete", id="a surplus within tolerance"),
        pytest.param({"unproven": 1, "tolerated": True}, "complete", id="a delay within tolerance"),
        pytest.param({"tolerated": True, "unreported": True, "whole": False}, "unknown", id="tolerance is no answer"),
        pytest.param({"tolerated": True, "whole": False}, "open", id="tolerance does not close a bucket"),
    ],
)
def test_each_rule_gives_its_word(signs: dict[str, Any], verdict: str) -> None:
    assert said(**signs) == verdict


WORST_FIRST = [
    ("lost", {"lost": 1}),
    ("at_risk", {"passed_over": 1}),
    ("surplus", {"surplus": 1}),
    ("delayed", {"unproven": 1, "ordinary": False}),
    ("pending", {"in_flight": 1, "ordinary": True}),
]


@pytest.mark.parametrize("at", range(len(WORST_FIRST) - 1))
def test_a_cell_with_several_parts_takes_the_worst_verdict(at: int) -> None:
    verdict, signs = WORST_FIRST[at]
    for _, milder in WORST_FIRST[at + 1 :]:
        assert said(**(milder | signs)) == verdict


def test_a_missing_reporter_hides_no_proven_loss_of_the_others() -> None:
    assert said(lost=1, unreported=True, unproven=4) == "lost"


def test_the_order_of_the_verdicts_is_the_contracts() -> None:
    worst_first = ["lost", "at_risk", "surplus", "unknown", "delayed", "pending", "open", "complete"]
    assert [verdict.word for verdict in sorted(Verdict, reverse=True) if verdict] == worst_first


def test_evidence_is_named_in_the_contracts_order() -> None:
    every = Evidence(2 ** len(Evidence) - 1)
    assert every.words() == [
        "queue_expired", "passed_expired", "purged", "not_enqueued", "skipped", "queue_balance", "overtaken",
        "retention_passed", "lag_exceeded", "shrunk", "digest", "misplaced", "forecast", "not_reported",
    ]  # fmt: skip


@pytest.mark.parametrize("inferred", ["overtaken", "lag_exceeded", "retention_passed", "queue_balance", "skipped"])
def test_inference_is_no_direct_evidence(inferred: str) -> None:
    assert not DIRECT & Evidence[inferred.upper()]
