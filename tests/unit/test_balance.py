"""The algebra of a gap: its parts add up, and no claim takes more than was proven."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.balance import BucketFacts, Cells, Parts, split
from reconciler.core.sharing import reach, share_out
from reconciler.core.tiles import Bools, Ints
from reconciler.core.verdicts import Evidence

BUCKETS = 4
FEW = st.integers(0, 12)
AMOUNTS = ("unread", "stale", "expired", "overrun", "kept", "faded", "gone", "not_enqueued", "slack")
SIGNS = ("covered", "mature", "ripe", "settled", "recent", "purged", "overtaken", "past_retention")
DELETED = int(Evidence.QUEUE_EXPIRED | Evidence.PURGED)


@dataclass(slots=True)
class Dice:
    """Draws whole arrays at once: property tests that draw number by number take minutes."""

    rng: np.random.Generator
    most: int
    """No amount is larger: small amounts make small counterexamples."""

    def numbers(self, size: int) -> Ints:
        """Amounts of which about half are zero."""
        return self.rng.integers(0, self.most, size, endpoint=True) * self.rng.integers(0, 2, size)

    def flags(self, size: int) -> Bools:
        return self.rng.integers(0, 2, size).astype(np.bool_)


def cells(dice: Dice, size: int) -> Cells:
    """Cells of up to three sources; at most one a source and bucket."""
    places = dice.rng.permutation(3 * BUCKETS)[:size]
    accepted, processed, accounted, remembered = (dice.numbers(size) for _ in range(4))
    differs = dice.flags(size)
    return Cells(
        source=places // BUCKETS,
        bucket=places % BUCKETS,
        accepted=accepted,
        processed=processed,
        accounted=accounted,
        replayed=np.minimum(dice.numbers(size), processed),
        error=dice.numbers(size) // 4,
        shrunk=dice.numbers(size),
        unequal=differs & (accepted == processed + accounted),
        differs=differs,
        unreported=dice.flags(size) & dice.flags(size),
        remembered=remembered,
        remembered_evidence=np.where(remembered > 0, int(Evidence.SHRUNK), 0),
        claimed=dice.flags(size),
        netted=dice.numbers(size) * np.where(dice.flags(size), 1, -1) * dice.rng.integers(0, 2),
    )


def facts(dice: Dice) -> BucketFacts:
    """Of each bucket a few things at a time: where everything holds, the first claims leave nothing to the last."""
    known = dict(zip(AMOUNTS, dice.rng.random(len(AMOUNTS)) < 0.3, strict=True))
    arrays: dict[str, Any] = {name: dice.numbers(BUCKETS) * known[name] for name in AMOUNTS}
    arrays |= {name: dice.flags(BUCKETS) for name in SIGNS}
    return BucketFacts(
        share=np.zeros(BUCKETS),
        balanced=bool(dice.flags(1)[0]),
        exact=bool(dice.flags(1)[0]),
        usual_in_flight=int(dice.numbers(1)[0]),
        reach=int(dice.rng.integers(1, 4)),
        **arrays,
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[Cells, BucketFacts, Parts]:
    dice = Dice(np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.sampled_from([1, 2, 12])))
    some, known = cells(dice, draw(st.integers(1, 3 * BUCKETS))), facts(dice)
    return some, known, split(some, known, dice.numbers(len(some.source)))


checked = settings(max_examples=300, deadline=None, derandomize=True)


@checked
@given(situations())
def test_every_accepted_event_is_in_exactly_one_part(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    some, _, parts = situation
    positive = parts.retained + parts.in_flight + parts.passed_over + parts.unproven + parts.lost
    total = some.processed + some.accounted + positive - parts.surplus + parts.misplaced
    assert (total == some.accepted).all()


@checked
@given(situations())
def test_no_part_is_negative_but_what_is_misplaced(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    _, _, parts = situation
    for name in ("retained", "in_flight", "passed_over", "unproven", "lost", "surplus", "recovered", "duplicated"):
        assert (getattr(parts, name) >= 0).all(), name
    assert (parts.lost_proven >= 0).all()
    assert (parts.lost_proven <= parts.lost).all()


@checked
@given(situations())
def test_what_is_misplaced_keeps_its_sum_over_a_source(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    """The sum is nothing where all that was netted together is judged together."""
    some, _, parts = situation
    for source in np.unique(some.source):
        here = some.source == source
        assert parts.misplaced[here].sum() == some.netted[here].sum()


@checked
@given(situations())
def test_nothing_is_lost_or_passed_over_where_a_count_may_be_missing(
    situation: tuple[Cells, BucketFacts, Parts],
) -> None:
    some, _, parts = situation
    assert not parts.lost[some.unreported].any()
    assert not parts.passed_over[some.unreported].any()
    assert some.netted.any() or not parts.misplaced[some.unreported].any()


@checked
@given(situations())
def test_sets_that_are_known_to_differ_are_never_netted(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    some, _, parts = situation
    assert some.netted.any() or not parts.misplaced[some.differs].any()


@checked
@given(situations())
def test_no_claim_takes_more_than_the_queue_holds(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    _, known, parts = situation
    assert parts.retained.sum() <= known.unread.sum()
    assert parts.passed_over.sum() <= known.kept.sum()


@checked
@given(situations())
def test_no_more_is_lost_to_deletion_than_the_queue_deleted(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    _, known, parts = situation
    by_deletion = (parts.evidence & ~DELETED) == 0
    assert parts.lost_proven[by_deletion].sum() <= known.expired.sum() + known.overrun.sum()


@checked
@given(situations())
def test_an_event_sent_again_is_either_recovered_or_duplicated(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    some, _, parts = situation
    assert (parts.recovered + parts.duplicated == some.replayed).all()
    hole = some.accepted - (some.processed - some.replayed) - some.accounted
    assert (parts.recovered <= np.maximum(hole, 0)).all()


@checked
@given(situations())
def test_misplaced_events_are_netted_only_within_reach(situation: tuple[Cells, BucketFacts, Parts]) -> None:
    some, known, parts = situation
    for at in np.flatnonzero((parts.misplaced > 0) & ~some.netted.any()):
        near = (some.source == some.source[at]) & (abs(some.bucket - some.bucket[at]) <= known.reach)
        assert -parts.misplaced[near & (parts.misplaced < 0)].sum() > 0


def one_cell(accepted: int, processed: int = 0, **fields: int) -> Cells:
    """One reported cell in the middle one of three buckets."""
    amounts = {name: fields.get(name, 0) for name in ("accounted", "replayed", "error", "shrunk", "remembered")}
    arrays = {name: np.array([value], np.int64) for name, value in amounts.items()}
    no = np.array([False])
    return Cells(
        source=np.array([0]),
        bucket=np.array([1]),
        accepted=np.array([accepted]),
        processed=np.array([processed]),
        unequal=np.array([bool(fields.get("unequal"))]),
        differs=np.array([bool(fields.get("unequal"))]),
        unreported=no,
        claimed=no,
        netted=np.array([fields.get("netted", 0)]),
        remembered_evidence=np.array([int(fields.get("why", Evidence.QUEUE_EXPIRED)) if amounts["remembered"] else 0]),
        **arrays,
    )


def knowing(**known: list[int] | bool) -> BucketFacts:
    """Three buckets of which nothing is known but this."""
    arrays: dict[str, Any] = {name: np.array(known.get(name, [0, 0, 0]), np.int64) for name in AMOUNTS}
    arrays |= {name: np.array(known.get(name, [0, 0, 0]), np.bool_) for name in SIGNS}
    return BucketFacts(
        share=np.zeros(3),
        balanced=bool(known.get("balanced", False)),
        exact=bool(known.get("exact", True)),
        **arrays,
    )


NO_LAG = np.array([0])


def test_what_is_unread_in_the_queue_is_retained_before_anything_is_lost() -> None:
    parts = split(one_cell(10, 2), knowing(unread=[0, 5, 0], expired=[0, 9, 0]), NO_LAG)
    assert (parts.retained.item(), parts.lost.item()) == (5, 3)


def test_what_the_queue_shows_is_retained_rather_than_in_flight() -> None:
    parts = split(one_cell(10), knowing(unread=[0, 6, 0]), np.array([10]))
    assert (parts.retained.item(), parts.in_flight.item()) == (6, 4)


def test_a_gap_that_nothing_explains_and_nothing_excludes_is_unproven() -> None:
    parts = split(one_cell(10, 2), knowing(), NO_LAG)
    assert (parts.unproven.item(), parts.lost.item()) == (8, 0)


def test_a_stale_sample_proves_nothing() -> None:
    parts = split(one_cell(10), knowing(stale=[0, 10, 0], mature=[1, 1, 1], settled=[1, 1, 1]), NO_LAG)
    assert (parts.unproven.item(), parts.retained.item(), parts.lost.item()) == (10, 0, 0)


def test_what_was_passed_over_when_last_seen_is_not_lost_because_nobody_looks_any_more() -> None:
    known = knowing(faded=[0, 10, 0], mature=[1, 1, 1], settled=[1, 1, 1])
    parts = split(one_cell(10), known, NO_LAG)
    assert (parts.unproven.item(), parts.passed_over.item(), parts.lost.item()) == (10, 0, 0)


def test_a_loss_that_was_proven_stays_when_the_detail_of_the_queue_is_forgotten() -> None:
    parts = split(one_cell(10, remembered=7), knowing(), NO_LAG)
    assert parts.lost_proven.item() == 7
    assert parts.evidence.item() == Evidence.QUEUE_EXPIRED


def test_a_loss_that_is_remembered_is_not_proven_again_by_the_same_evidence() -> None:
    shrunk = split(one_cell(10, remembered=4, shrunk=4, why=Evidence.SHRUNK), knowing(), NO_LAG)
    assert (shrunk.lost.item(), shrunk.unproven.item()) == (4, 6)
    deleted = split(one_cell(10, remembered=4), knowing(expired=[0, 3, 0], overrun=[0, 2, 0]), NO_LAG)
    assert (deleted.lost.item(), deleted.unproven.item()) == (5, 5)


def test_a_remembered_loss_shrinks_with_the_gap() -> None:
    parts = split(one_cell(10, 6, remembered=7), knowing(), NO_LAG)
    assert parts.lost_proven.item() == 4


def test_equal_counts_of_unequal_sets_are_one_lost_and_one_surplus_at_least() -> None:
    parts = split(one_cell(10, 10, unequal=1), knowing(), NO_LAG)
    assert (parts.lost.item(), parts.surplus.item()) == (1, 1)
    assert parts.evidence.item() == Evidence.DIGEST


def test_a_mature_settled_gap_is_lost_by_inference_and_not_proven() -> None:
    parts = split(one_cell(10, 2), knowing(mature=[1, 1, 1], settled=[1, 1, 1], overtaken=[0, 1, 0]), NO_LAG)
    assert (parts.lost.item(), parts.lost_proven.item()) == (8, 0)
    assert parts.evidence.item() == Evidence.OVERTAKEN | Evidence.LAG_EXCEEDED


def test_what_was_counted_once_and_is_gone_is_lost_as_shrunk() -> None:
    parts = split(one_cell(10, 4, shrunk=6), knowing(), NO_LAG)
    assert parts.lost_proven.item() == 6
    assert parts.evidence.item() == Evidence.SHRUNK


def test_a_gap_within_the_error_of_an_approximate_count_is_never_lost() -> None:
    parts = split(one_cell(10, 8, error=2), knowing(expired=[0, 9, 0], mature=[1, 1, 1], settled=[1, 1, 1]), NO_LAG)
    assert (parts.lost.item(), parts.unproven.item()) == (0, 2)


@pytest.mark.parametrize("how", ["expired", "overrun", "not_enqueued"])
def test_offsets_that_are_not_events_never_prove_a_loss(how: str) -> None:
    parts = split(one_cell(10), knowing(exact=False, **{how: [0, 10, 0]}), NO_LAG)
    assert parts.lost_proven.item() == 0


def test_events_near_an_edge_are_found_in_the_bucket_next_door_within_the_slack() -> None:
    apart = split(one_cell(10), knowing(unread=[4, 3, 3], slack=[0, 0, 0]), NO_LAG)
    assert apart.retained.item() == 3
    near = split(one_cell(10), knowing(unread=[4, 3, 3], slack=[2, 3, 0]), NO_LAG)
    assert near.retained.item() == 8


SURE: dict[str, list[int]] = {"mature": [1, 1, 1], "settled": [1, 1, 1]}


def three_cells(gaps: list[int]) -> Cells:
    """One source in all three buckets, of which so many events are missing."""
    one, three = one_cell(0), np.arange(3)
    whole = {name: np.repeat(getattr(one, name), 3) for name in Cells.__slots__}
    return Cells(**(whole | {"accepted": np.array(gaps), "bucket": three}))


def test_a_bucket_that_is_gone_takes_nothing_from_the_next_so_that_the_last_is_not_short() -> None:
    known = knowing(gone=[12, 1, 0], kept=[0, 10, 10], slack=[4, 4, 0], **SURE)
    parts = split(three_cells([12, 10, 10]), known, NO_LAG)
    assert (parts.lost.tolist(), parts.passed_over.tolist()) == ([12, 0, 0], [0, 10, 10])


@pytest.mark.parametrize(("what", "there"), [("expired", "unread"), ("gone", "kept")])
def test_while_records_of_a_bucket_are_there_none_of_the_next_is_deleted(what: str, there: str) -> None:
    known = knowing(slack=[9, 9, 0], mature=[0, 0, 0], settled=[1, 1, 1], **{what: [0, 9, 0], there: [0, 1, 5]})
    parts = split(three_cells([0, 1, 8]), known, NO_LAG)
    assert parts.lost.tolist() == [0, 0, 0]


@checked
@given(st.lists(st.tuples(FEW, FEW, FEW), min_size=1, max_size=8))
def test_no_more_is_met_than_there_is_and_none_beyond_the_slack(columns: list[tuple[int, int, int]]) -> None:
    capacity, need, slack = (np.array(column, np.int64) for column in zip(*columns, strict=True))
    met = reach(capacity, need, slack)
    assert (met >= 0).all()
    assert (met <= need).all()
    borrowed = np.concatenate([[0], slack[:-1]]) + slack
    assert (met <= capacity + borrowed).all()
    assert (np.cumsum(met) <= np.cumsum(capacity) + slack).all(), "up to a bucket, only the slack comes from beyond"
    assert met.sum() <= capacity.sum()


COUNTS = st.one_of(FEW, st.integers(0, 2**40))


@checked
@given(st.data(), st.lists(st.tuples(COUNTS, st.integers(0, 2)), min_size=1, max_size=12))
def test_shares_add_up_to_the_amount_and_none_exceeds_its_need(
    data: st.DataObject, wants: list[tuple[int, int]]
) -> None:
    need, bucket = (np.array(column, np.int64) for column in zip(*wants, strict=True))
    totals = [int(need[bucket == one].sum()) for one in range(3)]
    amount = np.array([data.draw(st.integers(0, total)) for total in totals], np.int64)
    shares = share_out(need, bucket, amount)
    assert (shares >= 0).all()
    assert (shares <= need).all()
    assert [int(shares[bucket == one].sum()) for one in range(3)] == amount.tolist()


def test_shares_are_in_proportion_to_the_needs() -> None:
    assert share_out(np.array([10, 30, 60]), np.zeros(3, np.int64), np.array([50])).tolist() == [5, 15, 30]
