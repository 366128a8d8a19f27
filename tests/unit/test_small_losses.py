"""Small steady losses: each source's own lag, and sums of gaps of which no single one says anything."""

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest

from reconciler.backtest import backtest
from reconciler.core.lag import DelayCurve
from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.own_lag import Lately, OwnLag
from reconciler.core.pipelines import Pipeline
from reconciler.core.sums import rarity_of_many
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, parse_time

NOW = parse_time("2021-07-20T18:45:00Z")
QUICK, SLOW, NEW = 0, 1, 2


def learned() -> tuple[OwnLag, DelayCurve]:
    """A source that is quick, and one of which one event in ten takes three hours."""
    own, pool = OwnLag(), DelayCurve()
    for source, delays, events in ((QUICK, [5], [90_000]), (SLOW, [5, 3 * 3600], [9_000, 1_000])):
        at, amount = np.array(delays) * SECOND, np.array(events)
        own.learn(NOW, np.full(len(at), source), at, amount, np.full(100, source))
        pool.learn(NOW, at, amount)
    return own, pool


def still_missing(source: int, age: Micros) -> float:
    """What share of a source's events is still to come."""
    own, pool = learned()
    return float(own.missing(pool, np.array([source]), np.array([age]))[0])


def test_a_slow_source_does_not_make_a_quick_one_slow() -> None:
    assert still_missing(QUICK, MINUTE) < 1e-4
    assert still_missing(SLOW, MINUTE) == pytest.approx(0.1, rel=0.05)


def test_a_source_without_a_past_is_believed_to_be_like_the_others() -> None:
    assert still_missing(NEW, MINUTE) == pytest.approx(0.01, rel=0.01)


def test_what_nobody_has_seen_is_not_impossible_for_any_source() -> None:
    assert still_missing(QUICK, 30 * DAY) > 0


def in_groups(size: int, every: int) -> float:
    """What is said of groups, where a hundred cells have each a group of that size at every so many looks."""
    own = OwnLag()
    for look in range(100):
        some = np.array([0])
        own.learn(NOW, some, np.array([0]), np.array([50]), begun=some)
        if look % every == 0:
            own.learn(NOW, some, np.array([HOUR]), np.array([size]), begun=some[:0])
    return own.group(MINUTE)


def test_events_of_a_cell_that_come_together_are_a_group() -> None:
    assert in_groups(20, every=20) == pytest.approx(19, rel=0.05)


def test_events_that_come_in_every_cell_alike_are_no_group() -> None:
    assert in_groups(1, every=20) == 1
    assert in_groups(20, every=1) == 1


def test_what_a_batch_brings_of_a_cell_is_one_group_however_often_it_is_looked_at() -> None:
    def learned(portions: int) -> float:
        own = OwnLag()
        for cell in range(100):
            one, late = np.array([0]), np.array([0])
            own.learn(NOW, one, np.array([0]), np.array([50]), begun=one)
            for _ in range(portions if cell % 20 == 0 else 0):
                lately = Lately(cell, np.array([cell]), late)
                own.learn(NOW, one, np.array([HOUR]), np.array([60 // portions]), one[:0], lately)
                own = OwnLag.restore(json.loads(json.dumps(own.dump())))
        return own.group(MINUTE)

    assert learned(1) > 50
    assert learned(6) == pytest.approx(learned(1))


def test_the_groups_of_one_source_are_not_those_of_another() -> None:
    own = OwnLag()
    for look in range(100):
        for source, size, every in ((QUICK, 1, 1), (SLOW, 200, 20)):
            own.learn(NOW, np.array([source]), np.array([0]), np.array([50]), begun=np.array([source]))
            if look % every == 0:
                own.learn(NOW, np.array([source]), np.array([HOUR]), np.array([size]), begun=np.zeros(0, np.int64))
    quick, slow, new = own.groups(np.array([QUICK, SLOW, NEW]), MINUTE).tolist()
    assert quick < 10 < 100 < slow
    assert new == own.group(MINUTE)


def test_the_age_from_which_on_hardly_an_event_is_to_come_is_each_source_s_own() -> None:
    own, pool = learned()
    quick, slow, new = own.aged(pool, np.array([QUICK, SLOW, NEW]), 0.05).tolist()
    assert quick < MINUTE < 2 * HOUR < slow
    assert new < MINUTE, "as for all of them: one event in a hundred takes hours"


def test_what_was_learned_of_each_source_survives_being_stored() -> None:
    own, pool = learned()
    back = OwnLag.restore(json.loads(json.dumps(own.dump())))
    asked = np.array([QUICK, SLOW, NEW]), np.array([MINUTE] * 3)
    assert back.missing(pool, *asked).tolist() == own.missing(pool, *asked).tolist()
    assert back.groups(asked[0], MINUTE).tolist() == own.groups(asked[0], MINUTE).tolist()
    assert back.born_by(asked[0], NOW).tolist() == [True, True, False]


@pytest.mark.parametrize(("count", "mean"), [(2, 0.003), (3, 0.05), (10, 1.0), (60, 20.0)])
def test_the_rarity_of_a_sum_is_that_of_a_poisson_law_and_never_more(count: int, mean: float) -> None:
    term, tail = math.exp(-mean), 0.0
    for number in range(count + 200):
        tail += term if number >= count else 0.0
        term *= mean / (number + 1)
    said = float(rarity_of_many(np.array([float(count)]), np.array([mean]), 1.0)[0])
    assert -math.log(tail) - 0.1 <= said <= -math.log(tail) + 0.05


def test_a_group_is_no_more_surprising_than_one_event() -> None:
    alone = rarity_of_many(np.array([3.0]), np.array([0.03]), 1.0)
    grouped = rarity_of_many(np.array([9.0]), np.array([0.09]), 3.0)
    assert grouped[0] == pytest.approx(alone[0])


WIDTH = 15 * MINUTE
ORIGIN = parse_time("2021-07-20T00:00:00Z")
HOURS = 36
FROM = 32 * HOUR


def said(lacking: int, late: int = 0) -> Iterator[Observation]:
    """Two sources, 500 events in a quarter of an hour each; after 32 hours some of one never come.

    One event of each bucket is counted an hour late, `late` of them three hours: so old may a gap be.
    """
    for number in range(HOURS * HOUR // WIDTH):
        bucket, at = ORIGIN + number * WIDTH, ORIGIN + (number + 1) * WIDTH + 10 * SECOND
        for source, missing in (("a", lacking if bucket - ORIGIN >= FROM else 0), ("b", 0)):
            yield Count(at, "p", "ingress", source, bucket, 500, "accepted", "in")
            yield Count(at, "p", "processed", source, bucket, 499 - missing - late, "processed", "out")
            for behind, less in ((4, late), (12, 0)):
                if number >= behind and (late or behind == 4):
                    gone = lacking if source == "a" and bucket - ORIGIN - behind * WIDTH >= FROM else 0
                    there = 500 - less - gone
                    yield Count(
                        at, "p", "processed", source, bucket - behind * WIDTH, there, "processed", "out"
                    )  # fmt: skip
        yield Progress(at, "p", "ingress", at, "in")
        yield Progress(at, "p", "processed", at, "out")


def first_word(lacking: int, late: int = 0) -> Micros | None:
    """How long after the first missing event loss is spoken of."""
    pipeline = {"p": Pipeline("p", ("ingress", "processed"), WIDTH)}
    for line in backtest(said(lacking, late), pipeline, tick=WIDTH):
        if line["type"] == "verdict" and line["lost"]:
            assert line["source"] == "a", "nobody else has lost anything"
            return parse_time(line["at"]) - ORIGIN - FROM
    return None


def test_two_missing_events_of_each_bucket_are_found_long_before_they_are_older_than_any_delay() -> None:
    word = first_word(2, late=1)
    assert word is not None
    assert word < 5 * HOUR, "three hours are usual here, and only twice that is beyond any delay"


def test_nothing_lost_is_nothing_said() -> None:
    assert first_word(0) is None
    assert first_word(0, late=3) is None


STEP = 5 * MINUTE
SINCE = 32 * HOUR


def beside_a_slow_one(lacking: int) -> Iterator[Observation]:
    """1,000 events in five minutes, beside a source of which half takes three hours; in the end some never come."""
    for number in range(35 * HOUR // STEP):
        at = ORIGIN + (number + 1) * STEP + 10 * SECOND
        for source, fed, behind, late in (("quick", 1_000, 1, 2), ("slow", 200, 36, 100)):
            for back, less in ((0, late), (behind, 0)):
                bucket = ORIGIN + (number - back) * STEP
                gone = lacking if source == "quick" and bucket >= ORIGIN + SINCE else 0
                if number >= back:
                    yield Count(at, "p", "processed", source, bucket, fed - less - gone, "processed", "out")
            yield Count(at, "p", "ingress", source, ORIGIN + number * STEP, fed, "accepted", "in")
        yield Progress(at, "p", "ingress", at, "in")
        yield Progress(at, "p", "processed", at, "out")


def test_a_source_that_takes_hours_hides_no_loss_of_one_that_takes_minutes() -> None:
    pipeline = {"p": Pipeline("p", ("ingress", "processed"), STEP)}
    lines = backtest(beside_a_slow_one(8), pipeline, tick=STEP)
    lost = [line for line in lines if line["type"] == "verdict" and line["lost"]]
    assert {line["source"] for line in lost} == {"quick"}
    assert parse_time(lost[0]["at"]) - ORIGIN - SINCE <= HOUR
