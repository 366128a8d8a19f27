"""Things that look like loss and are none: lateness that comes in whole buckets, a clock that is set."""

import json
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from benchmarks.models import year
from reconciler.backtest import backtest
from reconciler.core.lag import upper_bound
from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.own_lag import OwnLag
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, parse_time

STEP: Micros = 30 * MINUTE
ORIGIN = parse_time("2021-07-20T00:00:00Z")
A_DAY = DAY // STEP
STAGES = ("ingress", "processed")
SEEN = {"p": Pipeline("p", STAGES, STEP, queues={"q": Queue("q", Hop(*STAGES))})}


def told(number: int, fed: int, counted: dict[str, list[tuple[int, int]]]) -> Iterator[Observation]:
    """What is said at the end of a bucket in which each source had `fed` events; `counted`: by source, bucket and
    events."""
    at = ORIGIN + (number + 1) * STEP + 10 * SECOND
    records = len(counted) * fed * (number + 1)
    yield QueueSample(at - 10 * SECOND, "p", "q", 0, 0, records, records, retention=7 * DAY)
    for source, amounts in counted.items():
        yield Count(at, "p", "ingress", source, ORIGIN + number * STEP, fed, "accepted", "in")
        for bucket, events in amounts:
            yield Count(at, "p", "processed", source, ORIGIN + bucket * STEP, events, "processed", "out")
    for stage, name in zip(STAGES, ("in", "out"), strict=True):
        yield Progress(at, "p", stage, at - 10 * SECOND, name)


def words(said: Iterable[Observation]) -> list[Micros]:
    """When anything was called lost or passed over."""
    lines = backtest(said, SEEN, tick=STEP)
    return [
        parse_time(line["at"]) for line in lines if line["type"] == "verdict" and (line["lost"] or line["passed_over"])
    ]


def nights(days: int, dies: int = 10**9) -> Iterator[Observation]:
    """A source that is quick, and one whose nights, until four, are processed together at four; once `dies` buckets
    are over, its events are read and never processed.
    """
    morning = 4 * HOUR // STEP
    for number in range(days * A_DAY):
        hour = number % A_DAY
        due = list(range(number - hour, number + 1)) if hour == morning else [number]
        some = [] if hour < morning else [(bucket, 120) for bucket in due if bucket < dies]
        yield from told(number, 120, {"quick": [(number, 120)], "nightly": some})


def test_a_night_that_a_batch_brings_is_not_passed_over_once_one_has_been_seen() -> None:
    assert [word for word in words(nights(4)) if word > ORIGIN + DAY] == []


def test_what_never_comes_of_such_a_source_is_found_all_the_same() -> None:
    dies = 2 * A_DAY + 8 * HOUR // STEP
    said = [word for word in words(nights(3, dies)) if word > ORIGIN + DAY]
    assert ORIGIN + dies * STEP < min(said) <= ORIGIN + dies * STEP + 9 * HOUR


def test_as_many_whole_groups_may_be_on_their_way_as_lag_allows_single_events() -> None:
    mean, events = np.array([0.01, 0.01, 0.0001]), np.array([1_000, 1_000, 1_000])
    single, whole, none = upper_bound(mean * np.array([1, 100, 100]), events, np.array([1.0, 100.0, 100.0])).tolist()
    assert single == 1
    assert 100 <= whole <= 150
    assert none == 0


def test_a_source_has_groups_only_where_it_has_shown_them_itself() -> None:
    own, hour = OwnLag(), np.array([HOUR])
    for source, every in ((0, 10), (1, 1)):
        for look in range(100):
            some = np.array([source])
            own.learn(ORIGIN, some, np.array([0]), np.array([50]), begun=some)
            if look % every == 0:
                own.learn(ORIGIN, some, hour, np.array([100 if source == 0 else 1]), begun=some[:0])
    found = own.groups_of_cells(np.array([0, 1, 2]), np.array([MINUTE] * 3))
    assert found[0] > 50
    assert found[1] == found[2] == 1


def set_back(number: int) -> Iterator[Observation]:
    """A source of 1,500 events half an hour, three of which come two buckets later; after 30 hours the clock of
    ingress is set back by a minute and a half.
    """
    at, sets = ORIGIN + (number + 1) * STEP + 10 * SECOND, 30 * HOUR // STEP
    records = 1_500 * (number + 1)
    yield QueueSample(at - 10 * SECOND, "p", "q", 0, 0, records, records, retention=7 * DAY)
    fed = {number: 1_650 if number == sets - 1 else 1_500}
    yield Count(at, "p", "ingress", "a", ORIGIN + number * STEP, fed[number], "accepted", "in")
    yield Count(at, "p", "processed", "a", ORIGIN + number * STEP, fed[number] - 3, "processed", "out")
    if number >= 2:
        before = 1_650 if number - 2 == sets - 1 else 1_500
        yield Count(at, "p", "processed", "a", ORIGIN + (number - 2) * STEP, before, "processed", "out")
    for stage, name in zip(STAGES, ("in", "out"), strict=True):
        yield Progress(at, "p", stage, at - 10 * SECOND, name)


def test_a_clock_that_is_set_is_no_proof_that_events_were_never_written() -> None:
    assert words(seen for number in range(34 * HOUR // STEP) for seen in set_back(number)) == []


def ahead(number: int) -> Iterator[Observation]:
    """A source of 600 events half an hour; after 30 hours the clock of its second stage is ahead for two hours, and
    counts ever more events of a bucket in the next.
    """
    at, began = ORIGIN + (number + 1) * STEP + 10 * SECOND, 30 * HOUR // STEP
    lent = {began: 27, began + 1: 40, began + 2: 50, began + 3: 43}
    yield QueueSample(at - 10 * SECOND, "p", "q", 0, 0, 600 * (number + 1), 600 * (number + 1), retention=7 * DAY)
    yield Count(at, "p", "ingress", "a", ORIGIN + number * STEP, 600, "accepted", "in")
    done = 600 - lent.get(number, 0) + lent.get(number - 1, 0)
    for bucket, events in ((number, done), (number + 1, lent.get(number, 0))):
        yield Count(at, "p", "processed", "a", ORIGIN + bucket * STEP, events, "processed", "out")
    for stage, name in zip(STAGES, ("in", "out"), strict=True):
        yield Progress(at, "p", stage, at - 10 * SECOND, name)


def test_a_stage_that_counts_events_before_they_are_accepted_has_lost_none_of_them() -> None:
    assert words(seen for number in range(38 * HOUR // STEP) for seen in ahead(number)) == []


def test_two_weeks_in_which_every_harmless_thing_befalls_once_make_no_false_word_of_loss() -> None:
    tally = year.run(14, 30)
    assert {what for what, _ in tally.minutes} <= {year.SURPLUS}
    assert not [kind for kind, _, _ in tally.incidents.values() if kind in {"loss", "at_risk", "low_volume"}]


def late_on(days: list[int], asked: int) -> bool:
    """Whether a source that was late on these days is usually late on the day that is asked for."""
    own, some = OwnLag(), np.array([1])
    for day in days:
        own.note_late(day * DAY, some)
    own = OwnLag.restore(json.loads(json.dumps(own.dump())))
    assert not own.often_late(asked * DAY, np.array([0, 2])).any()
    return bool(own.often_late(asked * DAY, some)[0])


@pytest.mark.parametrize(
    ("days", "usual"),
    [
        ([100, 101, 102], False),
        ([99, 100, 102, 103], True),
        ([104] * 9, False),
        ([90, 91, 92, 93], False),
        ([83, 90, 97], True),
        ([84, 91, 97], False),
    ],
    ids=["three days", "four of seven", "only today", "last week but one", "three weeks", "another day of the week"],
)
def test_late_on_most_days_or_on_the_same_day_of_most_weeks_is_usually_late(days: list[int], usual: bool) -> None:
    assert late_on(days, 104) == usual


def begins_later(days: int, since: int) -> Iterator[Observation]:
    """The same as `nights`, but for the first days nothing is left for the morning."""
    morning = 4 * HOUR // STEP
    for number in range(days * A_DAY):
        day, hour = divmod(number, A_DAY)
        waits = day >= since
        due = list(range(number - hour, number + 1)) if hour == morning and waits else [number]
        some = [] if hour < morning and waits else [(bucket, 120) for bucket in due]
        yield from told(number, 120, {"quick": [(number, 120)], "nightly": some})


def test_nights_that_a_batch_brings_are_usual_once_there_were_some() -> None:
    said = words(begins_later(11, since=2))
    assert said, "the first such nights cannot be told from a loss"
    assert max(said) < ORIGIN + 9 * DAY
