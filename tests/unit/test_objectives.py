"""Severity by how fast the objective burns, however late a loss is found out."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from reconciler.backtest import backtest
from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros, parse_time
from reconciler.reports.objectives import exported
from tests.servers.install import PROMETHEUS

BEGIN: Micros = parse_time("2024-01-15T00:00:00Z")
STAGES = ("ingress", "processed")
BUCKET: Micros = 5 * MINUTE
STEADY = range(24, 40)
"""Buckets of which some is lost."""


def seen(late: int, lost: int) -> list[Observation]:
    """A thousand events a minute; of some, `lost` of each bucket are there no more when they are counted again."""
    found: list[Observation] = []
    for bucket in range(72):
        start, at = BEGIN + bucket * BUCKET, BEGIN + (bucket + 1) * BUCKET
        for stage, outcome in zip(STAGES, ("accepted", "processed"), strict=True):
            found.append(Count(at, "batch", stage, "s", start, 5_000, outcome, stage))
            found.append(Progress(at, "batch", stage, at, stage))
        if bucket in STEADY:
            left = 5_000 - lost
            found.append(Count(at + late * MINUTE, "batch", STAGES[1], "s", start, left, "processed", STAGES[1]))
    return sorted(found, key=lambda one: one.at)


@pytest.mark.parametrize("late", [0, 45, 120])
def test_a_loss_that_burns_fast_pages_however_late_it_is_found_and_a_slow_one_is_a_ticket(late: int) -> None:
    pipelines = {"batch": Pipeline("batch", STAGES, width=BUCKET, alert=True)}
    for lost, severity, pages in ((40, "page", range(100, 200)), (2, "ticket", range(0))):
        lines = [one for one in backtest(seen(late, lost), pipelines, tick=BUCKET) if one.get("kind") == "loss"]
        assert lines[0]["severity"] == "ticket", "it is small at first"
        assert lines[-1]["severity"] == severity
        woken = next((one["lost"] for one in lines if one["severity"] == "page"), None)
        assert (woken in pages) if pages else (woken is None)


ODD = 'a/b "c" {{.x}} \\ Ü'
PROMISED = [
    Pipeline("batch", STAGES, objectives=(("partner/*", 0.999),)), Pipeline("a-b", STAGES), Pipeline("a/b", STAGES),
    Pipeline(ODD, STAGES), Pipeline("Ü" * 300, STAGES),
]  # fmt: skip


def test_the_rules_for_prometheus_are_rules_that_prometheus_takes(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(exported("prometheus", PROMISED), encoding="utf-8")
    done = subprocess.run(
        [PROMETHEUS / "promtool", "check", "rules", rules], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 rules found" in done.stdout + done.stderr


def test_sloth_and_openslo_get_a_name_of_its_own_for_each_objective_and_all_that_they_ask_for() -> None:
    sloth = yaml.safe_load(exported("sloth", PROMISED))
    openslo = list(yaml.safe_load_all(exported("openslo", PROMISED)))
    assert sloth["version"] == "prometheus/v1"
    for names in ([one["name"] for one in sloth["slos"]], [one["metadata"]["name"] for one in openslo]):
        assert len(set(names)) == len(names) == 6
        assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in names), names
    assert [one["objective"] for one in sloth["slos"]][:2] == [99.99, 99.9]
    queries = [one["sli"]["raw"]["error_ratio_query"] for one in sloth["slos"]]
    assert all(query.replace("{{`{{`}}", "").count("{{.window}}") == 2 for query in queries), "a name is no template"
    for one in openslo:
        assert (one["apiVersion"], one["kind"], one["spec"]["budgetingMethod"]) == ("openslo/v1", "SLO", "Occurrences")
        assert set(one["spec"]["indicator"]["spec"]["ratioMetric"]) == {"counter", "bad", "total"}
        assert 0 < one["spec"]["objectives"][0]["target"] < 1
        assert one["spec"]["timeWindow"] == [{"duration": "30d", "isRolling": True}]
