"""`complete_through` never lies beyond a bucket that is not complete, however the buckets are handed over."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.completeness import advance
from reconciler.core.tiles import Bools, Ints
from reconciler.core.times import MINUTE, NEVER

START = 1000 * MINUTE
Case = tuple[Ints, Bools]


@st.composite
def histories(draw: st.DrawFn) -> Case:
    """First bucket (ordinal) and good buckets of some sources."""
    buckets, sources = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    good = [draw(st.lists(st.sampled_from([True, True, True, False]), min_size=buckets, max_size=buckets))] * sources
    first = draw(st.lists(st.one_of(st.integers(0, buckets), st.just(-1)), min_size=sources, max_size=sources))
    return np.array(first, np.int64), np.array(good, np.bool_)


def born(first: Ints) -> Ints:
    """Instants of the first buckets; -1 stands for a source that has none."""
    return np.where(first < 0, NEVER, START + first * MINUTE)


@given(histories())
def test_every_bucket_before_it_is_good_and_the_one_behind_it_is_not(case: Case) -> None:
    first, good = case
    through = advance(born(first), good, START, MINUTE)
    for source, until in enumerate(through.tolist()):
        if first[source] < 0:
            assert until == NEVER
            continue
        stop = (until - START) // MINUTE
        assert good[source, first[source] : stop].all()
        assert stop == good.shape[1] or not good[source, stop]


@given(histories(), st.lists(st.integers(0, 30)))
def test_it_is_the_same_in_one_piece_and_in_many(case: Case, cuts: list[int]) -> None:
    first, good = case
    edges = sorted({0, good.shape[1], *(cut for cut in cuts if cut < good.shape[1])})
    through = born(first)
    for begin, end in pairwise(edges):
        through = advance(through, good[:, begin:end], START + begin * MINUTE, MINUTE)
    assert through.tolist() == advance(born(first), good, START, MINUTE).tolist()


@given(histories(), st.integers(0, 29))
def test_it_never_jumps_over_a_piece_that_is_missing(case: Case, cut: int) -> None:
    first, good = case
    if not 0 < cut < good.shape[1]:
        return
    through = advance(born(first), good[:, cut:], START + cut * MINUTE, MINUTE)
    earlier = (first >= 0) & (first < cut)
    assert (through[earlier] == born(first)[earlier]).all()
