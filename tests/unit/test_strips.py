"""Strips over buckets: what was written is there, what was forgotten is gone; storing one does not make it longer."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.lanes import Lane
from reconciler.core.pipelines import Hop
from reconciler.core.strips import Strip
from reconciler.core.times import MINUTE

HOP = Hop("ingress", "processed")
STEPS = st.lists(st.tuples(st.sampled_from(["add", "forget"]), st.integers(0, 2_000)), max_size=30)


@given(STEPS)
def test_a_strip_holds_what_was_written_and_not_forgotten(steps: list[tuple[str, int]]) -> None:
    strip, written, kept = Strip(), dict[int, int](), 0
    for number, (deed, place) in enumerate(steps):
        if deed == "forget":
            kept = max(kept, place)
            strip.forget(place)
        elif place >= kept:
            strip.view(place, place + 3)[0] += number
            written |= {one: written.get(one, 0) + number for one in range(place, place + 3)}
    for place in range(kept, 2_003):
        inside = strip.base <= place < strip.end
        assert (int(strip.view(place, place + 1)[0, 0]) if inside else 0) == written.get(place, 0)


def test_a_lane_that_is_stored_at_each_tick_remembers_no_more_than_what_is_open() -> None:
    lane = Lane(HOP, ())
    lane.first = 0
    lengths = []
    for minute in range(2_000):
        lane.add(minute, np.array([100]), np.array([100]), MINUTE)
        lane.passed.view(max(0, minute - 60), minute + 1)
        lane.ahead[minute % 100] = minute
        lane.forget(minute - 60)
        stored = json.loads(json.dumps(lane.dump()))
        lengths.append(len(stored["strips"]["accepted"]))
        lane = Lane(HOP, ())
        lane.restore(stored)
    assert max(lengths) <= 62
    assert sorted(lane.ahead.values()) == list(range(2_000 - 61, 2_000)), "which sources are ahead is kept as long"
