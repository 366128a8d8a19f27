"""Severity by how fast the objective burns, however late a loss is found out."""

import pytest

from reconciler.backtest import backtest
from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros, parse_time

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
