"""Every story through the engine: at each minute the verdict that the story lists, and nothing that it forbids."""

from typing import Any

import pytest

from reconciler.core.times import SECOND
from reconciler.scenarios import configuration, load, names, simulate, truth
from tests.scenario.adapter import judge
from tests.scenario.expectations import check

SMALLER: dict[str, dict[str, Any]] = {"SC-07a": {"partitions": 4}, "SC-06": {"partitions": 10}}  # shows the same
UNTIL = {"SC-02": 3000, "SC-07a": 3000}  # minutes at which every minute is judged; what follows is judged more coarsely
TICKS = {"SC-01r": 15}  # minutes; its twelve days are mostly quiet
COARSE = 15  # minutes
WATCHED = ("SC-01a", "CT-5")  # in these the day of warm-up, too, is judged at every minute; nothing happens in any
LEAD = 60  # minutes before the first that a story says something of


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_the_engine_keeps_the_story(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    keeps(name, UNTIL.get(name, load(name).until), TICKS.get(name, 1), capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(UNTIL))
def test_the_engine_keeps_a_long_story_to_its_end(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    keeps(name, load(name).until, COARSE, capsys)


def keeps(name: str, until: int, tick: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Play the story until this minute, judge it every so many minutes, and hold it to its expectations."""
    story, options = load(name), SMALLER.get(name, {})
    spoken_of = [0, *(one.start for one in story.expect), *(one.t for one in story.soonest)]
    begins = story.first if name in WATCHED else min(spoken_of) - LEAD
    events = judge(
        simulate(story, until=until, **options),
        configuration(story),
        tick=tick,
        quiet=COARSE,
        begins=(story.t0 + 60 * (begins // COARSE * COARSE)) * SECOND,
    )
    report = check(story, events, until=until, facts=truth(story, **options), tick=tick)
    with capsys.disabled():
        for told in report.left_out:
            print(f"\nleft out: {told}", end="")  # noqa: T201  who reads the test's output should know
    assert report.violations == []
