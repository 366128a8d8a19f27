"""Counts at rest: the latest reading of each reporter, whatever came in which order."""

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.ledger import Ledger
from reconciler.core.observations import Count
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import ABSENT, SPAN, CountTile, Readings
from reconciler.core.times import MINUTE, SECOND, parse_time
from reconciler.core.totals import COUNTED_UP_TO, Totals, totals

PIPELINE = Pipeline("batch", ("ingress", "processed"))
BUCKET = parse_time("2021-07-20T18:45:00Z")


def readings(*rows: tuple[int, int, int]) -> Readings:
    """Readings of series 7 as (column, count, at)."""
    column, count, at = (np.array(values, np.int64) for values in zip(*rows, strict=True))
    size = len(rows)
    nothing = np.zeros(size)
    return Readings(np.full(size, 7), column, count, at, nothing.astype(np.uint64), nothing.astype(np.bool_), nothing)


def test_a_later_reading_replaces_an_earlier_one() -> None:
    tile = CountTile()
    tile.apply(readings((3, 10, 100)))
    tile.apply(readings((3, 12, 200)))
    assert tile.count[0, 3] == 12


def test_with_the_same_at_the_later_line_wins() -> None:
    tile = CountTile()
    tile.apply(readings((3, 10, 100), (3, 12, 100), (3, 11, 100)))
    assert tile.count[0, 3] == 11
    tile.apply(readings((3, 9, 100)))
    assert tile.count[0, 3] == 9


def test_an_older_reading_never_replaces_a_newer_one() -> None:
    tile = CountTile()
    tile.apply(readings((3, 12, 200)))
    news, stale = tile.apply(readings((3, 10, 100)))
    assert tile.count[0, 3] == 12
    assert (news.tolist(), stale.tolist()) == ([True], [True]), "it belongs to the history"


def test_a_reading_said_twice_is_no_news() -> None:
    tile = CountTile()
    assert tile.apply(readings((3, 12, 200)))[0].tolist() == [True]
    assert tile.apply(readings((3, 12, 200)))[0].tolist() == [False]


def test_a_count_that_was_never_read_is_absent_and_not_zero() -> None:
    tile = CountTile()
    tile.apply(readings((3, 0, 200)))
    assert tile.count[0, 3] == 0
    assert set(tile.count[0].tolist()) == {0, ABSENT}
    assert tile.count[0, 4] == ABSENT


def test_the_largest_value_ever_read_is_remembered_even_from_a_late_line() -> None:
    tile = CountTile()
    tile.apply(readings((3, 12, 200)))
    tile.apply(readings((3, 8, 300)))
    tile.apply(readings((3, 20, 100)))
    assert (tile.count[0, 3], tile.peak[0, 3]) == (8, 20)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data(), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(1, 50)), max_size=12))
def test_the_order_of_arrival_does_not_matter(data: st.DataObject, rows: list[tuple[int, int, int]]) -> None:
    rows = list({(column, at): (column, count, at) for column, count, at in rows}.values())
    if not rows:
        return
    once, shuffled = CountTile(), CountTile()
    once.apply(readings(*rows))
    for row in data.draw(st.permutations(rows)):
        shuffled.apply(readings(row))
    for name in ("count", "at", "peak"):
        assert (getattr(once, name) == getattr(shuffled, name)).all(), name


def count(events: int, at: int = 0, **fields: object) -> Count:
    known: dict[str, object] = {
        "at": BUCKET + 2 * MINUTE + at * SECOND,
        "pipeline": "batch",
        "stage": "ingress",
        "source": "segment",
        "bucket": BUCKET,
        "count": events,
        "outcome": "accepted",
    }
    return Count(**(known | fields))  # type: ignore[arg-type]  # hypothesis draws it


def summed(counts: Iterable[Count]) -> tuple[Totals, int]:
    """The totals of the first source after these counts, and the column of `BUCKET`."""
    ledger = Ledger(PIPELINE)
    ledger.apply(counts)
    (tile,) = ledger.counts.values()
    return totals(tile, ledger.directory, 0, len(ledger.directory.sources)), BUCKET // MINUTE % SPAN


def test_counts_of_several_reporters_add() -> None:
    total, column = summed([count(3, reporter="a"), count(4, reporter="b"), count(5, 1, reporter="b")])
    assert total.ok[0, column] == 8


def test_legal_ends_are_summed_apart_from_events_that_go_on() -> None:
    total, column = summed([count(3), count(2, outcome="filtered"), count(1, outcome="erased")])
    assert (total.ok[0, column], total.legal[0, column]) == (3, 3)


def test_events_sent_again_are_summed_apart_and_say_nothing_of_the_original_count() -> None:
    total, column = summed([count(4, replay="again")])
    assert (total.ok[0, column], total.replayed[0, column]) == (0, 4)
    assert not total.known[0, column]


def test_what_several_reporters_no_longer_count_adds_up_as_shrunk() -> None:
    total, column = summed(
        [count(9, reporter="a"), count(6, 1, reporter="a"), count(5, reporter="b"), count(4, 1, reporter="b")]
    )
    assert total.shrunk[0, column] == 4


def test_digests_add_modulo_two_to_the_64th() -> None:
    total, column = summed([count(1, reporter="a", digest=2**64 - 1), count(1, reporter="b", digest=3)])
    assert total.digest[0, column] == 2
    assert total.digested[0, column]


def test_one_count_without_a_digest_leaves_the_set_unknown_but_a_zero_does_not() -> None:
    partly, column = summed([count(1, reporter="a", digest=5), count(1, reporter="b")])
    assert not partly.digested[0, column]
    nothing, column = summed([count(1, reporter="a", digest=5), count(0, reporter="b", digest=7)])
    assert nothing.digest[0, column] == 5, "no event, no fingerprint"
    nothing, column = summed([count(1, reporter="a", digest=5), count(0, reporter="b")])
    assert nothing.digested[0, column]


def test_errors_of_approximate_counts_add_and_are_rounded_up() -> None:
    total, column = summed([count(9, reporter="a", error=0.5), count(9, reporter="b", error=1.2)])
    assert total.error[0, column] == 3


def test_a_broken_counter_at_the_end_of_its_range_breaks_no_sum() -> None:
    broken = [count(2**63 - 1, reporter=name, error=float(2**62)) for name in "abc"]
    total, column = summed(broken)
    assert total.ok[0, column] == 3 * COUNTED_UP_TO
    assert total.error[0, column] == 3 * COUNTED_UP_TO


def test_a_source_never_counted_at_a_stage_has_nothing_there() -> None:
    ledger = Ledger(PIPELINE)
    assert not totals(None, ledger.directory, 0, 2).known.any()


def test_a_late_reading_touches_nothing() -> None:
    ledger = Ledger(PIPELINE)
    ledger.apply([count(5, 10)])
    ledger.touched.clear()
    ledger.apply([count(4, 5), count(5, 10)])
    assert ledger.touched == set()
    ledger.apply([count(6, 11)])
    assert ledger.touched
