"""A clock that stays off moves events on from bucket to bucket: no loss, as long as the running sum comes back."""

import numpy as np
import pytest

from reconciler.core.balance import BucketFacts, Cells, Parts, split
from reconciler.core.netting import Netting
from reconciler.core.tiles import Bools, Ints

BUCKETS = 200
PEACE = 40
RATE = 300
NOTHING: Ints = np.zeros(BUCKETS, np.int64)


def counted(share: float, ahead: bool, lost_a_bucket: int = 0, seed: int = 0) -> tuple[Ints, Ints]:
    """Accepted and processed, where after some peace a part of the events is counted one or two buckets off."""
    draw = np.random.default_rng(seed)
    accepted = draw.poisson(RATE, BUCKETS)
    off = np.where(np.arange(BUCKETS) < PEACE, 0, draw.binomial(accepted, share))
    far = draw.binomial(off, 0.5)
    processed = accepted - off
    for step, moved in ((1, off - far), (2, far)):
        processed += np.roll(moved, step if ahead else -step)
    processed[-2:] = accepted[-2:]  # they would be counted beyond the last
    processed[PEACE : BUCKETS - 2] -= lost_a_bucket
    return accepted, processed


def judged(
    accepted: Ints, processed: Ints, netted: Ints = NOTHING, first: int = 0, *, recent: bool = True,
    reach: int = 2, carries: float = 2.0, newest: int = BUCKETS - 1, ahead: int = -1,
    unreported: Bools | None = None,
) -> Parts:  # fmt: skip
    """What is said of the buckets from the first on, all of them older than lag explains."""
    at = np.arange(first, BUCKETS)
    no: Bools = np.zeros(BUCKETS, np.bool_)
    none, never = NOTHING[first:], no[first:]
    cells = Cells(
        np.zeros_like(at), at, accepted[at], processed[at], none, none, none, none, never, never,
        never if unreported is None else unreported[at], none, none, never, netted[at],
    )  # fmt: skip
    z = NOTHING
    facts = BucketFacts(
        np.zeros(BUCKETS), z, z, z, z, z, z, z, z, z, covered=no, mature=~no, ripe=~no, settled=~no,
        recent=~no & recent, purged=no, overtaken=no, past_retention=no, balanced=False, reach=reach,
        newest=newest, carries=carries, ahead={} if ahead < 0 else {0: ahead},
    )  # fmt: skip
    return split(cells, facts, none)


@pytest.mark.parametrize("ahead", [True, False], ids=["ahead", "behind"])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_clock_that_is_off_loses_nothing(share: float, ahead: bool) -> None:
    parts = judged(*counted(share, ahead))
    assert parts.lost.sum() == 0
    assert parts.misplaced.sum() == 0
    assert (parts.misplaced != 0).sum() > (BUCKETS - PEACE) / 2


def test_what_the_running_sum_never_makes_up_is_lost() -> None:
    parts = judged(*counted(0.3, ahead=True, lost_a_bucket=6))
    lost = 6 * (BUCKETS - PEACE - 2)
    assert lost - 2 * RATE * 1.2 < parts.lost.sum() <= lost, "no more than the clock can carry over is withheld"


def test_a_shortage_that_nothing_made_up_within_a_day_is_lost() -> None:
    accepted, processed = counted(0.3, ahead=True, lost_a_bucket=2)
    assert judged(accepted, processed).lost.sum() == 0
    assert judged(accepted, processed, recent=False).lost.sum() >= 2 * (BUCKETS - PEACE - 2) / 2


def test_a_hole_beside_a_few_doubles_is_no_clock() -> None:
    accepted, processed = counted(0.0, ahead=True)
    processed[100:102] += 5
    processed[104:107] -= 50
    assert judged(accepted, processed).lost.sum() == 150


@pytest.mark.parametrize("first", [70, 111, 150])
def test_what_was_netted_with_cells_that_are_judged_no_more_stays_netted(first: int) -> None:
    accepted, processed = counted(0.3, ahead=True)
    whole = judged(accepted, processed)
    netted = NOTHING.copy()
    netted[:] = whole.misplaced
    again = judged(accepted, processed, netted, first)
    assert again.misplaced.tolist() == whole.misplaced[first:].tolist()
    assert again.lost.sum() == 0


def test_where_a_partner_has_changed_its_place_is_kept_by_what_is_there_now() -> None:
    """The surplus that made up an old shortage is gone: then something else is missing here, and the sum is kept."""
    accepted, processed = counted(0.0, ahead=True)
    netted = NOTHING.copy()
    netted[90], netted[91] = 5, -5
    parts = judged(accepted, processed, netted, first=91)
    assert parts.misplaced.sum() == -5
    assert (parts.lost + parts.unproven).sum() == 5


def beside(
    moved: list[int], doubled: int = 0, newest: int = BUCKETS - 1, ahead: int = -1, *, recent: bool = True
) -> Parts:
    """What is said where half an hour has 600 events, and from the hundredth on some buckets lack so many (below zero:
    have too many); `doubled` ten buckets before.
    """
    accepted, processed = np.full(BUCKETS, 600), np.full(BUCKETS, 600)
    processed[100 : 100 + len(moved)] -= moved
    processed[90] += doubled
    return judged(accepted, processed, recent=recent, reach=1, carries=2 / 30, newest=newest, ahead=ahead)


@pytest.mark.parametrize(
    "moved",
    [[27, 13, -40], [15, 1, 10, -26], [3, 0, -3], [1, 0, 0, -1], [-40, 13, 27], [27, 5, -4, 0, -20, -8]],
    ids=["an hour", "two hours", "few", "one", "behind", "longer"],
)
def test_what_a_clock_took_and_gave_back_to_the_event_is_misplaced_and_not_lost(moved: list[int]) -> None:
    parts = beside(moved)
    assert parts.lost.sum() == parts.surplus.sum() == 0
    assert parts.misplaced[100 : 100 + len(moved)].tolist() == moved


def test_what_does_not_come_back_to_the_event_is_lost_beside_duplicates() -> None:
    assert beside([27, 0, -26]).lost.sum() == 27


def test_more_than_a_clock_can_carry_over_is_lost() -> None:
    assert beside([200, 0, -200]).lost.sum() == 200


def test_as_much_too_much_long_after_is_no_clock() -> None:
    assert beside([3, 0, 0, 0, 0, 0, 0, 0, 0, -3]).lost.sum() == 3


def test_a_source_with_duplicates_now_and_then_does_not_hide_its_losses_by_them() -> None:
    assert beside([3, 0, -3], doubled=2).lost.sum() == 3


def test_what_was_lost_before_a_clock_was_off_is_no_part_of_it() -> None:
    assert beside([50, 27, 13, -40]).lost.sum() == 50


@pytest.mark.parametrize("moved", [[27], [27, 13], [15, 1, 10]], ids=["one bucket", "two", "three"])
def test_what_a_clock_that_is_seen_to_be_ahead_has_taken_is_waited_for(moved: list[int]) -> None:
    newest = 100 + len(moved) - 1
    assert beside(moved, newest=newest, ahead=newest + 1).lost.sum() == 0
    assert beside(moved, newest=newest, ahead=newest + 1).unproven.sum() == sum(moved)
    assert beside(moved, newest=newest).lost.sum() == sum(moved), "no clock is seen to be ahead"
    assert beside(moved, newest=newest, ahead=99).lost.sum() == sum(moved), "it was ahead before"
    assert beside(moved, newest=newest, ahead=newest + 1, recent=False).lost.sum() == sum(moved), "a day is enough"


def test_it_is_waited_for_longer_once_the_clock_has_given_some_back() -> None:
    lasting = [40, 3, 2, -4, 1, 2, 1, 3]
    assert beside(lasting, newest=107, ahead=108).lost.sum() == 0
    assert beside([40, 3, 2, 0, 1, 2, 1, 3], newest=107, ahead=108).lost.sum() == 52


def test_nobody_waits_for_more_than_a_clock_can_take() -> None:
    assert beside([27, 90], newest=101, ahead=102).lost.sum() == 117


@pytest.mark.parametrize("missing", [range(120, 150), range(100, BUCKETS), range(60)], ids=["amid", "newest", "oldest"])
def test_what_was_netted_stays_so_while_a_reporter_of_some_of_it_is_missing(missing: range) -> None:
    events = counted(0.3, ahead=True)
    before = judged(*events)
    unreported = np.isin(np.arange(BUCKETS), missing)
    meanwhile = judged(*events, before.misplaced, unreported=unreported)
    assert meanwhile.lost.sum() == 0
    assert meanwhile.misplaced.tolist() == before.misplaced.tolist()
    assert judged(*events, meanwhile.misplaced).misplaced.tolist() == before.misplaced.tolist()


def test_what_a_clock_has_taken_is_waited_for_whatever_others_lack() -> None:
    source, bucket, need = np.array([0, 1, 1]), np.array([5, 100, 101]), np.array([50, 27, 3])
    none, yes = np.zeros((5, 3), np.int64), np.ones(3, np.bool_)
    netting = Netting(source, bucket, np.full(3, 600), need, *none)
    netting.run(yes, yes, yes, reach=1, carries=2 / 30, newest=101, ahead={1: 102})
    assert netting.need.tolist() == [50, 0, 0]
    assert netting.wandering.tolist() == [0, 27, 3]
