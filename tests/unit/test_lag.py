"""Lag: what may still come at an age, learned from what came before; honest about what was never seen."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.engine import Engine
from reconciler.core.lag import BINS, FORGET, MEMORY_DAYS, DelayCurve, first_look, upper_bound
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Count, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, parse_time

NOW = parse_time("2021-07-20T18:45:00Z")
AGES = np.arange(0, 3 * HOUR, 13 * SECOND)


def curve(*seen: tuple[Micros, int], now: Micros = NOW) -> DelayCurve:
    """A curve that has seen so many events at these delays."""
    learned = DelayCurve()
    for delay, events in seen:
        learned.learn(now, np.array([delay]), np.array([events]))
    return learned


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 40 * DAY), st.integers(0, 10**6)), max_size=8))
def test_the_share_still_missing_never_grows_with_age_and_is_never_zero(seen: list[tuple[int, int]]) -> None:
    missing = curve(*seen).missing(np.concatenate([AGES, BINS, [100 * DAY]]).astype(np.int64))
    ordered = curve(*seen).missing(np.sort(BINS))
    assert (np.diff(ordered) <= 0).all()
    assert (missing > 0).all()
    assert (missing <= 1).all()


def test_what_was_not_read_yet_is_all_still_to_come() -> None:
    assert curve((MINUTE, 1000)).missing(np.array([-1])).tolist() == [1.0]
    assert curve((MINUTE, 1000)).share(np.array([-1])).tolist() == [1.0]


def test_a_curve_that_has_seen_nothing_excludes_nothing_but_what_is_beyond_it() -> None:
    assert DelayCurve().missing(np.array([0])).tolist() == [0.5]
    assert DelayCurve().longest == 0


def test_beyond_twice_the_longest_delay_nothing_is_in_flight() -> None:
    learned = curve((5 * MINUTE, 10), (MINUTE, 1000))
    assert learned.share(np.array([10 * MINUTE])).item() > 0
    assert learned.share(np.array([10 * MINUTE + 1])).item() == 0


def test_half_the_events_being_late_leaves_half_missing_until_then() -> None:
    learned = curve((10 * SECOND, 500), (20 * MINUTE, 500))
    assert learned.missing(np.array([5 * MINUTE])).item() == pytest.approx(0.5, abs=0.001)


def test_each_day_the_past_weighs_less() -> None:
    learned = curve((MINUTE, 1000))
    learned.learn(NOW + 2 * DAY, np.array([MINUTE]), np.array([0]))
    assert learned.seen == pytest.approx(1000 * FORGET**2)


def test_the_longest_delay_is_forgotten_after_four_weeks() -> None:
    learned = curve((3 * HOUR, 1))
    learned.learn(NOW + (MEMORY_DAYS - 1) * DAY, np.array([MINUTE]), np.array([1]))
    assert learned.longest == 3 * HOUR
    learned.learn(NOW + MEMORY_DAYS * DAY, np.array([MINUTE]), np.array([1]))
    assert learned.longest == MINUTE


def test_a_delay_before_the_bucket_ended_is_no_delay() -> None:
    assert curve((-30 * SECOND, 10)).longest == 0


def test_a_curve_survives_being_stored() -> None:
    learned = curve((MINUTE, 1000), (3 * HOUR, 7))
    restored = DelayCurve.restore(json.loads(json.dumps(learned.dump())))
    assert (restored.missing(AGES) == learned.missing(AGES)).all()
    assert (restored.longest, restored.day) == (learned.longest, learned.day)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(0, 1e9), st.integers(0, 10**9))
def test_lag_never_claims_more_than_there_are(mean: float, events: int) -> None:
    bound = upper_bound(np.array([mean]), np.array([events])).item()
    assert 0 <= bound <= events


def test_a_few_thousandths_of_an_event_are_none_and_more_are_at_least_one() -> None:
    assert upper_bound(np.array([0.002, 0.004]), np.array([10, 10])).tolist() == [0, 1]
    assert upper_bound(np.array([1.0]), np.array([10])).item() >= 3


def test_the_delay_within_which_most_events_came_is_told() -> None:
    learned = curve((10 * SECOND, 990), (HOUR, 10))
    assert learned.quantile(0.5) < MINUTE
    assert learned.quantile(0.999) >= HOUR
    assert DelayCurve().quantile(0.5) == 0


# --- the first look at buckets of many ages ---------------------------------------------------------------------------


def look(done: list[int], fed: int = 1000) -> tuple[list[int], list[int]]:
    """A first look at buckets 1, 2, 3, … minutes old, of which so many events each were processed."""
    ages = (np.arange(len(done)) + 1) * MINUTE
    delays, events = first_look(ages, np.full(len(done), fed), np.array(done))
    return delays.tolist(), events.tolist()


def longest(done: list[int]) -> Micros:
    delays, events = look(done)
    return max((delay for delay, amount in zip(delays, events, strict=True) if amount > 0), default=0)


def test_buckets_that_are_all_complete_show_no_delay_beyond_the_youngest() -> None:
    assert longest([1000] * 100) <= MINUTE * 1.15


def test_the_age_at_which_buckets_become_complete_is_the_delay() -> None:
    assert 9 * MINUTE <= longest([0] * 10 + [1000] * 90) <= 13 * MINUTE


def test_holes_in_old_buckets_are_losses_and_no_delays() -> None:
    done = [1000] * 100
    for at in range(60, 70):
        done[at] = 0
    assert longest(done) <= 5 * MINUTE


def test_a_steady_loss_of_some_events_is_no_delay() -> None:
    assert longest([990] * 100) <= 5 * MINUTE


def test_a_younger_bucket_that_is_fuller_than_an_older_one_takes_nothing_back() -> None:
    _, events = look([0, 800, 200, 600, *[1000] * 90])
    assert min(events) >= 0


def test_a_first_look_at_nothing_teaches_nothing() -> None:
    empty = np.zeros(0, np.int64)
    assert [part.tolist() for part in first_look(empty, empty, empty)] == [[], []]
    assert longest([0] * 100) == 0


def test_a_first_look_learns_about_as_many_events_as_were_processed() -> None:
    _, events = look([0] * 5 + [500] * 5 + [1000] * 90)
    assert sum(events) == pytest.approx(92_500, rel=0.01)


def test_what_an_outage_delayed_teaches_no_lag() -> None:
    """Three hours of a standstill, caught up at once, after a day in which everything took five minutes."""
    step, start = 5 * MINUTE, parse_time("2021-07-20T00:00:00Z")
    pipeline = Pipeline("p", ("ingress", "processed"), step)
    engine, ledger = Engine(pipeline), Ledger(pipeline)
    stopped = range(30 * HOUR // step, 33 * HOUR // step)

    def after(number: int) -> tuple[Micros, Micros]:
        """The longest delays that are known when so many buckets are over."""
        at, last = start + (number + 1) * step, number - 1
        counted = [] if number in stopped else [last]
        counted += list(range(stopped.start - 1, last)) if number == stopped.stop else []
        ledger.apply([Count(at, "p", "ingress", "a", start + number * step, 1_000, "accepted", "in")])
        ledger.apply(
            [Count(at, "p", "processed", "a", start + one * step, 1_000, "processed", "out") for one in counted]
        )
        ledger.apply([Progress(at, "p", stage, at, name) for stage, name in (("ingress", "in"), ("processed", "out"))])
        engine.tick(ledger, at)
        lane = engine.judges[0].lanes[0]
        return lane.read.longest, lane.wall.longest

    known = [after(number) for number in range(36 * HOUR // step)]
    assert known[stopped.start - 1] == (0, step)
    assert max(known[-1]) <= 2 * step, "the last bucket before it was not late yet when its events came"
