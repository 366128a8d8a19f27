"""Every story through the engine: at each minute the verdict that the story lists, and nothing that it forbids."""

from typing import Any

import pytest

from reconciler.scenarios import configuration, load, names, simulate, truth
from tests.scenario.adapter import judge
from tests.scenario.expectations import check

SMALLER: dict[str, dict[str, Any]] = {"SC-07a": {"partitions": 4}, "SC-06": {"partitions": 10}}  # shows the same
UNTIL: dict[str, int] = {}
TICKS = {"SC-01r": 15}  # minutes; its twelve days are mostly quiet


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_the_engine_keeps_the_story(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    story, options, tick = load(name), SMALLER.get(name, {}), TICKS.get(name, 1)
    until = UNTIL.get(name, story.until)
    events = judge(simulate(story, until=until, **options), configuration(story), tick=tick)
    report = check(story, events, until=until, facts=truth(story, **options), tick=tick)
    with capsys.disabled():
        for told in report.left_out:
            print(f"\nleft out: {told}", end="")  # noqa: T201  who reads the test's output should know
    assert report.violations == []
