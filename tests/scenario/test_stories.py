"""Every story through the engine: at each minute the verdict that the story lists, and nothing that it forbids."""

from typing import Any

import pytest

from reconciler.core.times import MINUTE, SECOND, Micros
from reconciler.scenarios import configuration, load, names, simulate, truth
from tests.scenario.adapter import judge
from tests.scenario.expectations import check

SMALLER: dict[str, dict[str, Any]] = {"SC-07a": {"partitions": 4}, "SC-06": {"partitions": 10}}  # shows the same
FINE = {"SC-02": 3000, "SC-07a": 3000}  # minutes at which every minute is judged; what follows is judged more coarsely
TICKS = {"SC-01r": 15}  # minutes; its twelve days are mostly quiet
COARSE = 15  # minutes
WATCHED = ("SC-01a", "CT-5")  # in these the day of warm-up, too, is judged at every minute; nothing happens in any
LEAD = 60  # minutes before the first that a story says something of


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_the_engine_keeps_the_story(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Play it, judge it every so many minutes, and hold it to its expectations."""
    story, options = load(name), SMALLER.get(name, {})
    spoken_of = [0, *(one.start for one in story.expect), *(one.t for one in story.soonest)]
    begins = story.first if name in WATCHED else min(spoken_of) - LEAD

    def look(minute: int) -> int:
        """Minutes from this one to the next at which the story is held to what was said."""
        return TICKS.get(name, 1) if minute < FINE.get(name, story.until) else COARSE

    def tick(now: Micros) -> Micros:
        minute = (now // SECOND - story.t0) // 60
        return (COARSE if minute < begins // COARSE * COARSE else look(minute)) * MINUTE

    events = judge(simulate(story, **options), configuration(story), tick)
    report = check(story, events, facts=truth(story, **options), tick=look)
    with capsys.disabled():
        for told in report.left_out:
            print(f"\nleft out: {told}", end="")  # noqa: T201  who reads the test's output should know
    assert report.violations == []
