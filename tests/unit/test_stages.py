"""How far a stage has reported, and whose reports are missing."""

from typing import Any

import pytest

from reconciler.core.ledger import ADVANCES, Ledger
from reconciler.core.observations import Count, Progress
from reconciler.core.pipelines import Pipeline, Reporters
from reconciler.core.stages import Stage, stage_now
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, parse_time

START = parse_time("2021-07-20T18:00:00Z")


def minute(number: float) -> Micros:
    return START + round(number * MINUTE)


def progress(at: float, through: float | None = None, reporter: str = "a", *, final: bool = False) -> Progress:
    """Said so many minutes after 18:00, by default of all that came before."""
    return Progress(minute(at), "batch", "ingress", minute(at if through is None else through), reporter, final)


def count(at: float, source: str = "segment", reporter: str = "a") -> Count:
    return Count(minute(at), "batch", "ingress", source, minute(int(at) - 1), 1, "accepted", reporter)


def stage(*seen: Progress | Count, now: float, **reporters: Any) -> Stage:
    known = {"ingress": Reporters(**reporters)} if reporters else {}
    ledger = Ledger(Pipeline("batch", ("ingress", "processed"), reporters=known))
    ledger.apply(seen)
    return stage_now(ledger, "ingress", minute(now))


def missing(found: Stage) -> list[str]:
    return [absent.name for absent in found.missing]


def test_a_stage_is_through_as_far_as_the_slowest_of_its_reporters() -> None:
    found = stage(progress(5), progress(5, 4, "b"), now=5)
    assert (found.through, found.progressed, missing(found)) == (minute(4), True, [])


def test_a_reporter_silent_for_three_buckets_is_missing_and_the_others_go_on() -> None:
    rows = [progress(at, reporter="b") for at in range(1, 6)]
    assert missing(stage(progress(2), *rows, now=4.9)) == []
    found = stage(progress(2), *rows, now=5)
    assert (missing(found), found.through) == (["a"], minute(5))
    assert found.missing[0].through == minute(2)


def test_a_reporter_that_repeats_itself_without_getting_on_is_missing_too() -> None:
    stuck = [progress(at, 2) for at in range(2, 9)]
    assert missing(stage(*stuck, now=8)) == ["a"]


def test_a_reporter_that_usually_comes_every_ten_minutes_is_missing_after_thirty() -> None:
    rows = [progress(at) for at in range(0, 60, 10)]
    assert missing(stage(*rows, now=79)) == []
    assert missing(stage(*rows, now=80)) == ["a"]


def test_configuration_says_after_how_long_a_silent_reporter_is_missing() -> None:
    rows = [progress(at) for at in range(0, 60, 10)]
    assert missing(stage(*rows, now=51, missing_after=MINUTE)) == ["a"]
    assert missing(stage(*rows, now=109, missing_after=HOUR)) == []


def test_nobody_waits_for_a_reporter_that_has_ended_in_order() -> None:
    found = stage(progress(2, final=True), progress(9, reporter="b"), now=9)
    assert (missing(found), found.through) == ([], minute(9))


def test_a_stage_all_of_whose_reporters_have_ended_is_through_as_far_as_they_were() -> None:
    found = stage(progress(2, final=True), progress(4, reporter="b", final=True), now=60)
    assert (missing(found), found.through) == ([], minute(4))


def test_a_reporter_that_speaks_again_after_its_end_has_not_ended() -> None:
    found = stage(progress(2, final=True), progress(3), now=3)
    assert found.through == minute(3)
    assert missing(stage(progress(2, final=True), progress(3), now=9)) == ["a"]


def test_nobody_waits_for_a_reporter_that_was_last_heard_a_day_ago() -> None:
    rows = [progress(1), progress(24 * 60 + 2, reporter="b")]
    assert missing(stage(*rows, now=24 * 60 + 1)) == ["a"]
    assert missing(stage(*rows, now=24 * 60 + 2)) == []


def test_a_reporter_that_is_expected_is_waited_for_however_long_it_is_silent() -> None:
    rows = [progress(1), progress(48 * 60, reporter="b")]
    assert missing(stage(*rows, now=48 * 60, expect=("a", "b"))) == ["a"]


def test_a_reporter_that_is_expected_and_was_never_heard_is_missing_for_all_sources() -> None:
    found = stage(progress(5), now=5, expect=("a", "z"))
    assert missing(found) == ["z"]
    assert (found.missing[0].through, found.missing[0].sources) == (0, None)
    assert found.missing[0].hits(0, 3).all()


def test_a_missing_reporter_concerns_the_sources_that_it_has_ever_counted() -> None:
    rows: list[Count | Progress] = [count(1, "segment", "b"), count(1, "braze", "a")]
    rows += [progress(1), progress(9, reporter="b")]
    (absent,) = stage(*rows, now=9).missing
    assert absent.hits(0, 2).tolist() == [False, True]
    assert absent.hits(1, 2).tolist() == [False, False], "the next 256 sources are others"


def test_a_missing_reporter_that_never_counted_may_have_counted_any_source() -> None:
    (absent,) = stage(count(1, reporter="b"), progress(1), progress(9, reporter="b"), now=9).missing
    assert absent.hits(0, 1).all()


def test_a_stage_without_progress_is_judged_by_its_counts_alone() -> None:
    found = stage(count(5), count(7), now=9)
    assert (found.progressed, found.through, missing(found)) == (False, minute(7), [])


def test_a_stage_of_which_nothing_was_heard_is_through_nowhere() -> None:
    found = stage(now=9)
    assert (found.progressed, found.through, missing(found)) == (False, 0, [])


def test_progress_that_comes_late_takes_nothing_back() -> None:
    found = stage(progress(5), progress(3), now=5)
    assert found.through == minute(5)


def test_progress_never_goes_backwards() -> None:
    assert stage(progress(5), progress(6, 2), now=6).through == minute(5)


def test_the_usual_interval_is_the_median_of_the_latest_advances() -> None:
    ledger = Ledger(Pipeline("batch", ("ingress", "processed")))
    ledger.apply([progress(at) for at in (0, 10, 20, 21, 22, 32, 42)])
    (reporter,) = ledger.reporters.values()
    assert reporter.usual_interval == 10 * MINUTE
    ledger.apply([progress(42 + at / 6) for at in range(1, ADVANCES + 1)])
    assert reporter.usual_interval == 10 * SECOND
    assert reporter.heard_at - START < DAY


@pytest.mark.parametrize("now", [0, 2.9])
def test_one_report_is_no_usual_interval_so_three_buckets_count(now: float) -> None:
    assert missing(stage(progress(0), now=now)) == []
