"""The volume in the service: what is learned lies in the ledger, and the service says what the backtest says."""

from typing import Any

import numpy as np

from reconciler.backtest import backtest
from reconciler.core.observations import Observation
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.volume_tails import Floats
from reconciler.ports import Store
from reconciler.service import judge, learn
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
