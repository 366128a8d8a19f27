"""From scraped counters to events by bucket: what is known exactly, what is not, and by how much."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.connectors._counters import Series, by_bucket, series_of
from reconciler.core.times import MINUTE, SECOND

EDGES = np.arange(0, 11 * MINUTE, MINUTE, dtype=np.int64)


def scrape(events: Sequence[int], times: Sequence[int]) -> Series:
    """A counter of these events (instants, ascending) as it is seen at these instants."""
    return series_of(times, [float(np.searchsorted(events, at, side="right")) for at in times], None)


def truth(events: Sequence[int]) -> list[int]:
    """What was really counted in each bucket; a counter has counted an event from its own instant on."""
    return [int(number) for number in np.diff(np.searchsorted(events, EDGES, side="right"))]


def test_what_is_scraped_at_the_edges_is_counted_exactly() -> None:
    events = [10 * SECOND, MINUTE, MINUTE + 1, 5 * MINUTE - 1]
    count, error = by_bucket([scrape(events, EDGES.tolist())], EDGES)
    assert count.tolist() == truth(events)
    assert error.tolist() == [0.0] * 10


def test_a_counter_that_stands_still_is_known_exactly_wherever_it_is_scraped() -> None:
    times = [7 * SECOND + 15 * SECOND * step for step in range(45)]
    count, error = by_bucket([series_of(times, [42.0] * 45, None)], EDGES)
    assert (count.tolist(), error.tolist()) == ([0] * 10, [0.0] * 10)


instants = st.lists(st.integers(-MINUTE, 11 * MINUTE), max_size=60).map(sorted)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    processes=st.lists(
        st.tuples(instants, st.lists(st.integers(1, 12 * MINUTE - 1), max_size=40, unique=True)), min_size=1, max_size=3
    )
)
def test_the_truth_is_never_further_off_than_the_error(processes: list[tuple[list[int], list[int]]]) -> None:
    counters, real = [], np.zeros(10)
    for events, between in processes:
        # Scraped at any instants, but once before and once after all that matters.
        counters.append(scrape(events, [-MINUTE, *sorted(at - MINUTE for at in between), 11 * MINUTE]))
        real += truth(events)
    count, error = by_bucket(counters, EDGES)
    assert (np.abs(count - real) <= error).all()
    assert (count >= 0).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(events=instants, phase=st.integers(0, 15 * SECOND - 1))
def test_what_one_bucket_does_not_get_another_one_has(events: list[int], phase: int) -> None:
    times = [-MINUTE, 0, *(phase + 15 * SECOND * step + 1 for step in range(40)), 10 * MINUTE]
    count, _ = by_bucket([scrape(events, sorted({*times}))], EDGES)
    assert count.sum() == sum(truth(events))


def test_a_counter_that_falls_begins_anew_and_what_nobody_saw_is_in_the_error() -> None:
    # 10 events a second; at 4:37 the process dies, at 4:40 the next one begins.
    before = {at: 10.0 * at for at in range(0, 277, 15)}
    after = {at: 10.0 * (at - 280) for at in range(285, 601, 15)}
    times = [at * SECOND for at in (*before, *after)]
    count, error = by_bucket([series_of(times, [*before.values(), *after.values()], None)], EDGES)
    assert count[:4].tolist() == [600] * 4
    assert error[:4].tolist() == [0.0] * 4
    real = 10 * 37 + 10 * 20
    assert count[4] < real, "what was counted after the last scrape of the first life is not known"
    assert abs(count[4] - real) <= error[4] < 200
    assert count[5:].tolist() == [600] * 5


def test_a_counter_that_falls_is_no_negative_count() -> None:
    times = [0, MINUTE, 2 * MINUTE, 3 * MINUTE]
    count, error = by_bucket([series_of(times, [1e9, 1e9 + 5, 2.0, 4.0], None)], EDGES[:4])
    assert count.tolist() == [5, 2, 2]
    assert error[1] > 0


def test_between_two_scrapes_far_apart_nothing_is_known_but_the_sum() -> None:
    times = [0, MINUTE, 9 * MINUTE, 10 * MINUTE]
    count, error = by_bucket([series_of(times, [0.0, 100.0, 900.0, 1000.0], None)], EDGES)
    assert count.sum() == 1000
    assert (count > 0).all(), "unknown is not zero"
    assert (error[1:9] >= count[1:9]).all(), "any of these buckets may have had none, or all"
    assert (error[0], error[9]) == (0.0, 0.0)


def test_a_counter_that_is_born_has_counted_its_first_value_since_or_was_found_late() -> None:
    times = [2 * MINUTE + 30 * SECOND, 3 * MINUTE, 10 * MINUTE]
    count, error = by_bucket([series_of(times, [7.0, 9.0, 9.0], 2 * MINUTE + 15 * SECOND)], EDGES)
    assert count.tolist() == [0, 0, 9, 0, 0, 0, 0, 0, 0, 0]
    assert error[2] == 7
