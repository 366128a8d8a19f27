"""The queue as a ledger: what its samples prove of the events of each bucket, and what they do not."""

from dataclasses import asdict, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.facts import Facts
from reconciler.core.observations import QueueSample
from reconciler.core.pipelines import Hop, Queue
from reconciler.core.queues import Known, QueueLedger
from reconciler.core.times import DAY, HOUR, MINUTE, NEVER, SECOND, parse_time

START = parse_time("2021-07-20T18:00:00Z")
FIRST = START // MINUTE
"""Ordinal of the bucket of 18:00."""
REACTION = 5 * MINUTE


def sample(minute: float, start: int, end: int, committed: int | None, **fields: Any) -> QueueSample:
    """A sample taken so many minutes after 18:00."""
    at = START + round(minute * MINUTE)
    return QueueSample(at, "batch", "q", fields.pop("partition", 0), start, end, committed, **fields)


def watched(*samples: QueueSample) -> QueueLedger:
    ledger = QueueLedger(Queue("q", Hop("ingress", "processed")), MINUTE)
    for one in samples:
        ledger.observe(one)
    return ledger


def facts(*samples: QueueSample, now: float | None = None, buckets: int = 4) -> Facts:
    """What is known of the buckets from 18:00 on, by default at the last sample."""
    at = samples[-1].at if now is None else START + round(now * MINUTE)
    return watched(*samples).facts(FIRST, FIRST + buckets, at, REACTION)


# --- written ----------------------------------------------------------------------------------------------------------


def test_samples_at_the_edges_tell_exactly_what_was_written_in_each_bucket() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 10), sample(2, 0, 14, 14), sample(3, 0, 14, 14))
    assert seen.written.tolist()[:3] == [10, 4, 0]
    assert seen.known.tolist() == [True, True, True, False]
    assert seen.blur.tolist()[:3] == [0, 0, 0]


def test_between_samples_off_the_edges_records_are_spread_evenly_and_said_to_be_vague() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(0.5, 0, 6, 6), sample(1.5, 0, 26, 26), sample(2, 0, 30, 30))
    assert seen.written.tolist()[:2] == [16, 14]
    assert seen.blur.tolist()[0] == 10, "those 10 may lie on either side of 18:01"


def test_a_sample_shortly_before_an_edge_leaves_little_in_doubt() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1 - 1 / 60, 0, 59, 59), sample(2, 0, 120, 120))
    assert seen.blur.tolist()[0] == 1


def test_a_bucket_in_which_nobody_looked_is_not_known() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 10), sample(4, 0, 40, 40))
    assert seen.known.tolist() == [True, False, False, False]


def test_a_bucket_before_the_first_look_is_not_known() -> None:
    assert not facts(sample(2, 0, 10, 10), sample(3, 0, 20, 20)).known[:2].any()


def test_what_is_written_is_known_only_when_every_partition_was_seen() -> None:
    both = [sample(0, 0, 0, 0), sample(0, 0, 0, 0, partition=1)]
    seen = facts(*both, sample(1, 0, 7, 7), sample(1, 0, 3, 3, partition=1), sample(2, 0, 9, 9))
    assert seen.written.tolist()[0] == 10
    assert seen.known.tolist()[:2] == [True, False]


def test_a_sample_that_comes_again_or_late_changes_nothing() -> None:
    rows = [sample(0, 0, 0, 0), sample(1, 0, 10, 4), sample(2, 2, 12, 6)]
    once, again = facts(*rows), facts(rows[0], rows[1], rows[1], rows[0], rows[2], rows[1], now=2)
    assert once.written.tolist() == again.written.tolist()
    assert once.unread.tolist() == again.unread.tolist()


# --- read, unread, kept -----------------------------------------------------------------------------------------------


def test_what_lies_between_the_consumer_and_the_end_is_unread() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 0), sample(2, 0, 14, 4))
    assert seen.unread.tolist()[:2] == [6, 4]
    assert seen.kept.tolist()[:2] == [4, 0]


def test_lag_zero_shows_nothing_unread() -> None:
    assert not facts(sample(0, 0, 0, 0), sample(1, 0, 10, 10)).unread.any()


def test_a_rewound_consumer_has_its_records_before_it_again() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 10), sample(2, 0, 14, 14), sample(3, 0, 14, 4))
    assert seen.unread.tolist()[:2] == [6, 4]
    assert seen.passed_at[0].tolist()[:2] == [NEVER, NEVER]


def test_the_consumer_has_passed_a_bucket_once_it_stands_behind_its_last_record() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 9), sample(2, 0, 14, 10), sample(3, 0, 14, 14))
    assert seen.passed_at[0].tolist()[:2] == [START + 2 * MINUTE, START + 3 * MINUTE]


def test_without_a_known_consumer_everything_is_unread() -> None:
    seen = facts(sample(0, 0, 0, None), sample(1, 0, 10, None))
    assert seen.unread.tolist()[0] == 10
    assert not seen.behind.any()


# --- expired, overrun, purged -----------------------------------------------------------------------------------------


def test_records_deleted_before_the_consumer_got_there_are_expired() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 5, 14, 2))
    assert seen.expired.tolist()[:2] == [3, 0], "2 had been read"
    assert not seen.overrun.any()


def test_what_expired_stays_expired_when_the_consumer_catches_up() -> None:
    rows = [sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 5, 14, 2)]
    seen = facts(*rows, sample(3, 5, 14, 14), sample(4, 14, 14, 14))
    assert seen.expired.tolist()[:2] == [3, 0]


def test_records_that_were_read_before_they_were_deleted_are_not_expired() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 10), sample(2, 10, 14, 14))
    assert not seen.expired.any()
    assert not seen.overrun.any()


def test_records_deleted_while_the_consumer_moved_beyond_them_were_read_just_before_or_never() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 8, 14, 12))
    assert not seen.expired.any()
    assert seen.overrun.tolist()[:2] == [6, 0]


def test_deletion_up_to_the_very_end_is_a_purge() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 14, 14, 2))
    assert seen.purged.tolist()[:2] == [True, True]
    assert seen.expired.tolist()[:2] == [8, 4]


def test_deletion_that_leaves_records_is_no_purge() -> None:
    assert not facts(sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 13, 14, 2)).purged.any()


def test_the_loss_of_each_partition_counts_once() -> None:
    rows = [sample(0, 0, 0, 0), sample(0, 0, 0, 0, partition=1), sample(1, 0, 6, 0), sample(1, 0, 4, 0, partition=1)]
    ledger = watched(*rows, sample(2, 6, 7, 0), sample(2, 4, 5, 0, partition=1))
    assert ledger.expired_total == 10


# --- partitions and epochs --------------------------------------------------------------------------------------------


def test_a_partition_that_appears_at_offset_zero_is_new_and_no_reset() -> None:
    rows = [sample(0, 0, 0, 0), sample(1, 0, 10, 10), sample(2, 0, 14, 14)]
    seen = facts(*rows, sample(2, 0, 5, 0, partition=1), sample(3, 0, 14, 14), sample(3, 0, 5, 5, partition=1))
    assert seen.written.tolist()[:3] == [10, 9, 0]
    assert seen.known.tolist()[:3] == [True, True, True], "what was known before it appeared stays known"
    assert not seen.expired.any()


def test_partitions_seen_for_the_first_time_together_are_not_new() -> None:
    backlog = {"oldest_at": START, "committed_at": START}
    ledger = watched(*[sample(3, 0, 30, 0, partition=number, **backlog) for number in range(2)])
    seen = ledger.facts(FIRST, FIRST + 3, START + 3 * MINUTE, REACTION)
    assert seen.unread.tolist() == [20, 20, 20]
    assert not seen.known.any()


def test_a_new_epoch_begins_a_new_ledger_and_is_no_purge() -> None:
    rows = [sample(0, 0, 0, 0, epoch="a"), sample(1, 0, 10, 2, epoch="a"), sample(2, 0, 3, 0, epoch="b")]
    seen = facts(*rows)
    assert not seen.purged.any()
    assert not seen.expired.any()
    assert seen.unread.sum() == 3


def test_a_new_epoch_is_seen_even_where_its_offsets_have_already_grown_beyond_the_old_ones() -> None:
    rows = [sample(0, 0, 0, 0, epoch="a"), sample(1, 0, 10, 2, epoch="a"), sample(2, 12, 20, 15, epoch="b")]
    seen = facts(*rows)
    assert not seen.expired.any()
    assert not seen.overrun.any()


def test_an_end_that_goes_backwards_begins_a_new_ledger() -> None:
    seen = facts(sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 0, 4, 2), sample(3, 0, 6, 2))
    assert not seen.expired.any()
    assert seen.unread.sum() == 4


def test_what_had_expired_before_the_topic_was_made_again_stays_expired() -> None:
    rows = [sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 5, 14, 2), sample(3, 0, 0, 0, epoch="b")]
    assert facts(*rows).expired.tolist()[:2] == [3, 0]


def test_a_backlog_that_was_there_first_is_placed_by_the_times_that_the_sample_names() -> None:
    anchored = sample(3, 0, 30, 20, oldest_at=START, committed_at=START + 2 * MINUTE)
    seen = facts(anchored)
    assert seen.unread.tolist()[:3] == [0, 0, 10]
    assert not seen.known.any(), "placed, and not proven"


@pytest.mark.parametrize("minutes", [-1, 60 * 24 * 365 * 51], ids=["in the future", "no time stamp at all"])
def test_an_accept_time_that_cannot_be_is_not_used(minutes: int) -> None:
    ledger = watched(sample(3, 0, 30, 20, oldest_at=START + 3 * MINUTE - minutes * MINUTE))
    assert ledger.facts(FIRST, FIRST + 4, START + 3 * MINUTE, REACTION).unread.sum() == 0


# --- staleness --------------------------------------------------------------------------------------------------------


def test_a_sample_older_than_three_intervals_proves_nothing() -> None:
    rows = [sample(0, 0, 0, 0), sample(1, 0, 10, 4)]
    fresh, old = facts(*rows, now=4), facts(*rows, now=4.1)
    assert (fresh.unread.tolist()[0], fresh.stale.tolist()[0], fresh.kept.tolist()[0]) == (6, 0, 4)
    assert (old.unread.tolist()[0], old.stale.tolist()[0]) == (0, 6)
    assert (old.kept.tolist()[0], old.faded.tolist()[0]) == (0, 4)


def test_a_queue_that_is_rarely_looked_at_is_stale_later() -> None:
    rows = [sample(0, 0, 0, 0), sample(5, 0, 10, 4)]
    assert facts(*rows, now=19, buckets=6).stale.sum() == 0
    assert facts(*rows, now=21, buckets=6).stale.sum() == 6


# --- forecast and retention -------------------------------------------------------------------------------------------


def stream(minutes: int, rate: int, read: int, **fields: Any) -> list[QueueSample]:
    """Minute by minute `rate` records are written and `read` are read."""
    return [sample(minute, 0, rate * minute, min(rate, read) * minute, **fields) for minute in range(minutes + 1)]


def test_a_consumer_that_stands_still_reads_nothing_and_all_that_is_due_soon_is_threatened() -> None:
    rows = [*stream(5, 10, 10, retention=8 * MINUTE)]
    rows += [sample(minute, 0, 10 * minute, 50, retention=8 * MINUTE) for minute in range(6, 10)]
    ledger = watched(*rows)
    assert ledger.partitions[0].rate() == 0
    seen = ledger.facts(FIRST, FIRST + 10, START + 9 * MINUTE, REACTION)
    assert seen.threatened.tolist() == [False] * 5 + [True, True] + [False] * 3, "the others lie beyond the reaction"


def test_a_consumer_that_keeps_up_threatens_nothing() -> None:
    seen = watched(*stream(9, 10, 9, retention=20 * MINUTE)).facts(FIRST, FIRST + 9, START + 9 * MINUTE, 30 * MINUTE)
    assert seen.unread.sum() == 9
    assert not seen.threatened.any()


def test_without_any_known_retention_nothing_is_threatened() -> None:
    seen = facts(*[sample(minute, 0, 10 * minute, 0) for minute in range(4)])
    assert not seen.threatened.any()
    assert (seen.deleted_at == NEVER).all()


def test_the_forecast_looks_at_the_last_fifteen_minutes_only() -> None:
    fast = [sample(minute, 0, 1000, 40 * minute) for minute in range(11)]
    slow = [sample(10 + minute, 0, 1000, 400 + minute) for minute in range(1, 21)]
    assert watched(*fast, *slow).partitions[0].rate() == pytest.approx(1 / MINUTE)


def test_a_jump_over_deleted_records_is_not_reading() -> None:
    rows = [sample(minute, 0, 1000, 0) for minute in range(3)]
    assert watched(*rows, sample(3, 500, 1000, 500)).partitions[0].rate() == 0


def test_retention_is_measured_and_the_shorter_of_measured_and_configured_counts() -> None:
    rows = [sample(m, 10 * max(0, m - 20), 10 * m, 10 * m, oldest_at=START + max(0, m - 20) * MINUTE, retention=7 * DAY)
            for m in range(30)]  # fmt: skip
    assert watched(*rows).partitions[0].retention() == 20 * MINUTE
    rows = [replace(one, retention=15 * MINUTE) for one in rows]
    assert watched(*rows).partitions[0].retention() == 15 * MINUTE


def test_retention_is_as_configured_until_deletion_has_been_seen_three_times() -> None:
    rows = [sample(m, 0, 10 * m, 10 * m, retention=HOUR) for m in range(10)]
    assert watched(*rows).partitions[0].retention() == HOUR
    assert watched(*rows, sample(10, 5, 100, 100, retention=HOUR)).partitions[0].retention() == HOUR


def test_a_retention_that_is_raised_counts_at_once_whatever_was_measured_before() -> None:
    """It is raised in an emergency: whoever has done it must see that it helped."""
    kept = [
        sample(
            minute, 10 * (minute - 20), 10 * minute, 0, oldest_at=START + (minute - 20) * MINUTE, retention=20 * MINUTE
        )
        for minute in range(21, 27)
    ]
    raised = replace(kept[-1], at=kept[-1].at + MINUTE, retention=DAY)
    assert watched(*kept).partitions[0].retention() == 20 * MINUTE
    assert watched(*kept, raised).partitions[0].retention() == DAY


def test_a_purge_does_not_make_the_measured_retention_short() -> None:
    rows = [sample(m, 10 * m, 10 * m, 10 * m, retention=HOUR) for m in range(10)]
    assert watched(*rows).partitions[0].retention() == HOUR


def test_what_is_forgotten_proves_nothing_new() -> None:
    ledger = watched(sample(0, 0, 0, 0), sample(1, 0, 10, 2), sample(2, 5, 14, 2))
    ledger.forget(FIRST + 1)
    seen = ledger.facts(FIRST, FIRST + 2, START + 2 * MINUTE, REACTION)
    assert seen.known.tolist() == [False, True]


def test_one_sample_that_is_not_exact_makes_the_queue_inexact() -> None:
    ledger = watched(sample(0, 0, 0, 0), sample(1, 0, 10, 2, exact=False), sample(2, 0, 12, 2))
    assert not ledger.exact


def test_the_queue_was_last_looked_at_when_its_latest_sample_was_taken() -> None:
    assert watched().sampled_at == 0
    assert watched(sample(1, 0, 5, 5), sample(0.5, 0, 5, 5, partition=1)).sampled_at == START + 60 * SECOND


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([sample(0.1, 0, 5, 0), sample(0.1, 0, 6, 0, partition=1)], id="two partitions at first sight"),
        pytest.param(
            [sample(0.1, 0, 5, 0), sample(0.2, 0, 6, 0), sample(0.3, 0, 2, 0, partition=1)], id="a new partition"
        ),
        pytest.param([sample(0.1, 0, 5, 0, epoch="a"), sample(0.2, 0, 2, 0, epoch="b")], id="a new epoch"),
        pytest.param([sample(0.1, 0, 5, 0), sample(0.2, 3, 6, 0)], id="a deletion"),
        pytest.param([sample(0.1, 0, 5, 4), sample(0.2, 0, 6, 2)], id="a rewind"),
    ],
)
def test_whatever_happens_within_the_first_bucket_costs_no_memory_back_to_1970(rows: list[QueueSample]) -> None:
    ledger = watched(*rows)
    kept = max(strip.end - strip.base for strip in (ledger._edges, ledger._passed, ledger._expired, ledger._edged))
    assert kept < 1000


# --- kept from one judgement to the next ------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[QueueSample]:
    """Two partitions and one of a depth, looked at about once a minute: written to, read, deleted, read again, begun
    anew."""
    told: list[QueueSample] = []
    for partition in range(2):
        start, end, committed, epoch = 0, draw(st.integers(0, 50)), 0, "a"
        for minute in range(draw(st.integers(0, 5)), 20):
            start = min(end, start + draw(st.sampled_from([0, 0, 0, 7])))
            end += draw(st.integers(0, 20))
            committed = min(end, committed + draw(st.sampled_from([-5, 0, 9, 30]))) if draw(st.booleans()) else end
            if draw(st.integers(0, 15)) == 0:
                start, end, committed, epoch = 0, 3, 0, epoch + "a"
            at = minute + draw(st.sampled_from([0.0, 0.25]))
            told.append(sample(at, start, end, max(0, committed), partition=partition, retention=HOUR, epoch=epoch))
    depth = [
        QueueSample(START + minute * MINUTE, "batch", "q", 9, depth=minute % 4, oldest_at=START) for minute in range(20)
    ]
    return sorted(told + (depth if draw(st.booleans()) else []), key=lambda one: one.at)


@given(histories(), st.integers(1, 19))
def test_a_ledger_that_was_kept_goes_on_as_if_it_had_seen_everything(told: list[QueueSample], cut: int) -> None:
    then, now = START + cut * MINUTE, START + 20 * MINUTE
    whole, before = watched(*told), watched(*(one for one in told if one.at <= then))
    known, arrays = before.dump(0)
    for one in told:
        before.observe(one)  # what was kept is nobody else's
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=Known)
    again = QueueLedger(whole.queue, MINUTE)
    again.restore(stored, arrays)
    for one in told:
        if one.at > then:
            again.observe(one)
    for name, expected in asdict(whole.facts(FIRST, FIRST + 21, now, REACTION)).items():
        np.testing.assert_array_equal(getattr(again.facts(FIRST, FIRST + 21, now, REACTION), name), expected, name)
    assert (again.depths, again.partitions) == (whole.depths, whole.partitions)
    assert (again.expired_total, again.sampled_at, again.exact) == (whole.expired_total, whole.sampled_at, whole.exact)


def test_a_consumer_that_stood_in_what_is_forgotten_is_seen_to_pass_what_came_after() -> None:
    stood = watched(*(sample(minute, 0, 10 * minute, 5) for minute in range(10)))
    again = watched()
    again.restore(*stood.dump(FIRST + 6))
    again.observe(sample(10, 0, 100, 100))
    passed = again.facts(FIRST + 6, FIRST + 10, START + 10 * MINUTE, REACTION).passed_at
    assert passed.tolist() == [[START + 10 * MINUTE] * 4]
