"""The volume in the service: what is learned lies in the ledger, and the service says what the backtest says."""

from typing import Any

import numpy as np

from reconciler import deeds
from reconciler.backtest import backtest
from reconciler.core.engine import Engine
from reconciler.core.observations import Count, Observation
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.volume_tails import Floats
from reconciler.core.volume_watch import Watch
from reconciler.ports import Retirement, Store
from reconciler.service import judge, learn
from reconciler.store import SqlStore
from tests.unit.traffic import MONDAY, STAGES, WIDTH, observed

SOURCES = 3
END = 7 * DAY + 9 * HOUR
PIPELINE = Pipeline("batch", STAGES, width=WIDTH)


def outage(after: Micros, drawn: Floats) -> Floats:
    """Two of three sources fall silent for three hours of the eighth day."""
    silent = 7 * DAY + 4 * HOUR <= after < 7 * DAY + 7 * HOUR
    return np.where(silent & (np.arange(SOURCES) < 2), 0.0, drawn)


def serve(store: Store, seen: list[Observation], since: Micros, until: Micros) -> list[dict[str, Any]]:
    """Tick after tick, each with what has come by then."""
    lines: list[dict[str, Any]] = []
    waiting = iter(seen)
    following = next(waiting, None)
    for now in range(since, until + WIDTH, WIDTH):
        batch = []
        while following is not None and following.at <= now:
            batch.append(following)
            following = next(waiting, None)
        store.record(batch, {"batch": PIPELINE})
        lines += judge(store, PIPELINE, now, every=True)
        learn(store, PIPELINE, now)
    return lines


def test_the_service_says_of_volume_what_the_backtest_says(store: Store) -> None:
    seen = list(observed(SOURCES, END / DAY, outage))
    first = MONDAY + 7 * DAY  # a ledger that has slept for a week, and then goes on tick by tick
    lines = serve(store, seen, first, MONDAY + END)
    expected = list(backtest(seen, {"batch": PIPELINE}, tick=WIDTH, until=MONDAY + END))

    def volume(lines: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        words = ("at", "source", "bucket", "volume", "expected", "band")
        return [tuple(str(line[word]) for word in words) for line in lines
                if line["type"] == "verdict" and line["at"] > "2024-03-11T02"]  # fmt: skip

    def incidents(lines: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        words = ("at", "status", "sources", "summary")
        return [tuple(line[word] for word in words) for line in lines if line.get("kind") == "low_volume"]

    assert volume(lines) == volume(expected)
    assert {row[3] for row in volume(lines)} >= {"normal", "silent"}
    assert incidents(lines) == incidents(expected) != []


def test_sources_that_were_retired_are_not_missed(store: SqlStore) -> None:
    seen = list(observed(SOURCES, END / DAY, outage))
    fell_silent = MONDAY + 7 * DAY + 4 * HOUR
    before = serve(store, [one for one in seen if one.at <= fell_silent], MONDAY + 7 * DAY, fell_silent)
    for name in ("source-0", "source-1"):
        gone = Retirement("batch", "source", name, "", fell_silent, fell_silent, "ann", "contract ended")
        store.retire(PIPELINE, gone)
    after = serve(store, [one for one in seen if one.at > fell_silent], fell_silent + WIDTH, MONDAY + END)
    assert {line["volume"] for line in before if line["type"] == "verdict"} >= {"normal"}
    assert [line for line in before + after if line.get("kind") == "low_volume"] == []
    with store.judging(PIPELINE, MONDAY + END + WIDTH) as work:
        watch = Watch(PIPELINE)
        watch.restore(work.state, work.week)
    assert watch.blocked == [], "that most sources are gone is no reason to learn nothing of the rest"


def test_learning_twice_on_one_day_is_learning_once(store: Store) -> None:
    store.record(list(observed(SOURCES, 7.5)), {"batch": PIPELINE})
    now = MONDAY + 7 * DAY + 13 * HOUR
    judge(store, PIPELINE, now)
    assert learn(store, PIPELINE, now)
    assert not learn(store, PIPELINE, now + HOUR)
    assert store.learned_at(PIPELINE) == now


def test_a_young_ledger_has_nothing_to_learn_and_asks_once_a_day(store: Store) -> None:
    store.record(list(observed(SOURCES, 0.5)), {"batch": PIPELINE})
    now = MONDAY + 13 * HOUR
    judge(store, PIPELINE, now)
    assert not learn(store, PIPELINE, now)
    with store.judging(PIPELINE, now + WIDTH) as work:
        assert work.week == b""
        assert "volume" not in work.state


def learned_week(store: Store) -> Floats:
    """The usual week of the first source as it lies in the ledger: events by day and slot."""
    with store.judging(PIPELINE, MONDAY + 9 * DAY) as work:
        engine = Engine(PIPELINE)
        engine.restore(work.state, work.incidents, work.judged_at or None, work.week)
    assert engine.volume.model is not None
    week: Floats = engine.volume.model.profiles.by_class[1].reshape(7, -1)
    return week


def test_nothing_is_learned_from_the_time_of_an_incident_that_people_have_confirmed(store: Store) -> None:
    def down(after: Micros, drawn: Floats) -> Floats:
        lost = (DAY + 4 * HOUR <= after < DAY + 16 * HOUR) & (np.arange(SOURCES) == 0)
        return np.where(lost, drawn // 5, drawn)

    seen = list(observed(SOURCES, 8.2, down))
    first, last = MONDAY + DAY + 4 * HOUR, MONDAY + DAY + 16 * HOUR
    gone = [
        Count(last + HOUR, "batch", one.stage, one.source, one.bucket, 0, one.outcome, one.reporter)
        for one in seen
        if isinstance(one, Count)
        and one.source == "source-0"
        and one.stage == "processed"
        and first <= one.bucket < last
    ]
    store.record([*seen, *gone], {"batch": PIPELINE})
    told = judge(store, PIPELINE, MONDAY + 7 * DAY + 4 * HOUR)
    incident = next(line["id"] for line in told if line.get("kind") == "loss")
    learn(store, PIPELINE, MONDAY + 7 * DAY + 4 * HOUR)
    believed = learned_week(store)
    deeds.speak(store, "confirm", incident, "ann", "their sender was down", MONDAY + 7 * DAY + 5 * HOUR)
    judge(store, PIPELINE, MONDAY + 8 * DAY + HOUR)
    assert learn(store, PIPELINE, MONDAY + 8 * DAY + HOUR)
    known = learned_week(store)
    tuesday, wednesday, noon = 1, 2, slice(20, 28)
    assert known[tuesday, noon].mean() > 1.2 * believed[tuesday, noon].mean(), "the outage would lower what is usual"
    assert known[tuesday, noon].mean() > 0.8 * known[wednesday, noon].mean()
