"""The volume of a pipeline, from observations to lines: what is said of cells, and which incidents are told of."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from reconciler.backtest import backtest
from reconciler.core.observations import Observation
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, Micros, format_time
from reconciler.core.volume_plan import Planned, VolumePlan
from reconciler.core.volume_tails import Floats
from tests.unit.traffic import MONDAY, STAGES, WIDTH, observed

Line = dict[str, Any]
SOURCES = 4
FROM, UNTIL = 9 * DAY + 12 * HOUR, 9 * DAY + 15 * HOUR


def outage(after: Micros, drawn: Floats) -> Floats:
    """Three of four sources fall silent for three hours."""
    return np.where((FROM <= after < UNTIL) & (np.arange(SOURCES) < 3), 0.0, drawn)


def unheard(after: Micros, drawn: Floats) -> Floats:
    """Nobody counts for three hours."""
    return np.full(SOURCES, -1.0) if FROM <= after < UNTIL else drawn


def run(seen: Iterable[Observation], plan: VolumePlan | None = None) -> list[Line]:
    pipeline = Pipeline("batch", STAGES, width=WIDTH, volume=plan or VolumePlan())
    return list(backtest(seen, {"batch": pipeline}, tick=WIDTH))


@pytest.fixture(scope="module")
def hurt() -> list[Line]:
    return run(observed(SOURCES, 10, outage))


def said(lines: list[Line], after: Micros, source: int = 0) -> str:
    """The last word on the volume of a cell."""
    bucket = format_time(MONDAY + after)
    own = [line for line in lines if line["type"] == "verdict" and line["bucket"] == bucket]
    return str([line for line in own if line["source"] == f"source-{source}"][-1]["volume"])


def told(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line["type"] == "incident" and line["kind"] == "low_volume"]


def test_a_young_pipeline_is_untrained_and_costs_no_model(hurt: list[Line]) -> None:
    young = [line for line in hurt if line["type"] == "verdict" and line["bucket"] < format_time(MONDAY + 6 * DAY)]
    assert {(line["volume"], line["expected"], line["band"]) for line in young} == {("untrained", None, None)}


def test_sources_that_fall_silent_together_are_one_incident(hurt: list[Line]) -> None:
    incidents = told(hurt)
    assert {line["id"] for line in incidents} == {incidents[0]["id"]}
    assert incidents[0]["status"] == "open"
    assert incidents[-1]["status"] == "resolved"
    assert incidents[-1]["sources"] == ["source-0", "source-1", "source-2"]
    assert incidents[0]["from"] >= format_time(MONDAY + FROM)
    assert incidents[0]["at"] <= format_time(MONDAY + FROM + 2 * HOUR)
    assert incidents[-1]["at"] <= format_time(MONDAY + UNTIL + 3 * HOUR)


def test_an_incident_says_what_was_expected_how_rare_it_is_and_on_how_much_history(hurt: list[Line]) -> None:
    summary = told(hurt)[0]["summary"]
    assert "less accepted than expected" in summary
    for part in ("0 of about", "in 30 min", "found by its", "once in", "of history"):
        assert part in summary


def test_the_verdict_on_a_silent_source_is_still_complete(hurt: list[Line]) -> None:
    cell = format_time(MONDAY + FROM + HOUR)
    own = [line for line in hurt if line["type"] == "verdict" and line["bucket"] == cell and line["at"] > cell]
    assert {line["verdict"] for line in own if line["source"] == "source-0"} >= {"complete"}
    assert said(hurt, FROM + HOUR) == "silent"
    assert said(hurt, FROM + HOUR, source=3) == "normal"


def test_expected_and_band_come_along_and_never_cause_a_line(hurt: list[Line]) -> None:
    seen: dict[tuple[str, str], tuple[Any, ...]] = {}
    for line in hurt:
        if line["type"] == "verdict":
            key, now = (line["source"], line["bucket"]), tuple(
                value for name, value in line.items() if name not in {"at", "volume", "expected", "band"}
            )  # fmt: skip
            assert seen.get(key) != now
            seen[key] = now


def test_the_counts_of_a_missing_reporter_never_make_low() -> None:
    lines = run(observed(SOURCES, 10, unheard))
    assert told(lines) == [], "nor does the zero that its silence reads as once it is heard again"
    assert {line["volume"] for line in lines if line["type"] == "verdict"} <= {"untrained", "normal", "high"}
    assert "unknown" in {line["verdict"] for line in lines if line["type"] == "verdict"}


def test_planned_work_is_neither_judged_nor_told_of() -> None:
    plan = VolumePlan(planned=(Planned(MONDAY + FROM, MONDAY + UNTIL, ("source-[0-2]",)),))
    lines = run(observed(SOURCES, 10, outage), plan)
    assert told(lines) == []
    assert said(lines, FROM + HOUR) == "untrained"
    assert said(lines, FROM + HOUR, source=3) == "normal"


def test_with_a_larger_budget_of_false_alarms_a_backtest_calls_low_what_is_normal_with_a_smaller_one() -> None:
    def faint(after: Micros, drawn: Floats) -> Floats:
        return np.where((FROM <= after < UNTIL) & (np.arange(SOURCES) == 3), (drawn * 0.3).round(), drawn)

    seen = list(observed(SOURCES, 9.6, faint))
    words = {budget: said(run(seen, VolumePlan(budget=budget)), FROM, source=3) for budget in (1.0, 1000.0)}
    assert words == {1.0: "normal", 1000.0: "low"}
