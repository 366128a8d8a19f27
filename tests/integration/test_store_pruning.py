"""What is long closed is forgotten by and by; what was last said of it stays."""

from typing import Any

import pytest

from reconciler.core.observations import Capacity, Observation, Progress, QueueSample
from reconciler.core.tiles import SPAN
from reconciler.core.times import MINUTE, Micros
from reconciler.core.verdicts import Verdict
from reconciler.ports import Horizon
from reconciler.reports.tally import scan
from reconciler.service import judge
from reconciler.store import SqlStore
from tests.integration.store_parts import BATCH, count, current, incident, minute, pipelines, raw

OLD, NEW = 0, 3 * SPAN
"""Buckets of two spans that are far apart."""
KEPT: Micros = minute(2 * SPAN)
JUDGED = minute(4 * SPAN)


def history(bucket: int, processed: int) -> list[Observation]:
    """A bucket that accepted five events, with all that can be said of it."""
    at = minute(bucket + 2)
    seen: list[Observation] = [count(bucket, 5, at=at), count(bucket, 4, at=at - MINUTE, stage="processed")]
    seen.append(count(bucket, processed, at=at, stage="processed"))
    for stage in BATCH.stages:
        seen += [Progress(at - MINUTE, "batch", stage, minute(bucket), ""), Progress(at, "batch", stage, at, "")]
    return [*seen, QueueSample(at, "batch", "events", 0, 1, 6, 5), Capacity(at, "disk", bucket, 10**9, ("batch",))]


@pytest.fixture
def old(store: SqlStore) -> SqlStore:
    store.record(history(OLD, 3), pipelines())
    judge(store, BATCH, minute(OLD + 5))
    store.record(history(NEW, 5), pipelines())
    judge(store, BATCH, JUDGED)
    return store


def verdicts(store: SqlStore) -> dict[int, str]:
    """By bucket, in minutes: what was last said."""
    found: dict[int, str] = {}
    for key, tile in store.verdict_tiles(BATCH, "ingress>processed", 0, JUDGED):
        for column, code in enumerate(tile.code[0].tolist()):
            if code and (key.span * SPAN + column) * MINUTE in (minute(OLD), minute(NEW)):
                found[key.span * SPAN + column - minute(0) // MINUTE] = Verdict(code).word
    return found


def prune(store: SqlStore, horizon: Horizon, most: int = 1_000) -> list[int]:
    """How many rows each transaction removed, until there was none left."""
    removed = []
    while left := store.prune(BATCH, horizon, most):
        removed.append(left)
    return removed


def rows(store: SqlStore) -> dict[str, int]:
    return {name: len(found) for name, found in raw(store).items()}


def test_counts_and_history_go_and_the_verdict_stays(old: SqlStore) -> None:
    before, known = rows(old), verdicts(old)
    assert known[OLD] != "complete"
    day = (minute(OLD), minute(OLD + 1))
    report = scan(old, BATCH, BATCH.hops[0], day, JUDGED, None).amounts
    assert prune(old, Horizon(KEPT, 0))
    after = rows(old)
    gone = {name: before[name] - after[name] for name in before if after[name] < before[name]}
    assert set(gone) == {"capacity", "progress", "queue_sample", "reading", "said", "tile"}
    assert verdicts(old) == known
    now = scan(old, BATCH, BATCH.hops[0], day, JUDGED, None).amounts
    assert {name: value.tolist() for name, value in now.items()} == {
        name: value.tolist() for name, value in report.items()
    }
    assert {bucket for *_, bucket in current(old)} == {minute(NEW) // MINUTE}


def test_of_an_incident_that_goes_on_only_its_turns_and_what_was_said_last_are_kept(store: SqlStore) -> None:
    said = ["open", "updated", "updated", "resolved", "updated", "updated", "updated"]
    name = '"status":"updated"'  # as hostile a name as can be
    for number, status in enumerate(said):
        at = JUDGED + number * MINUTE
        line = {"id": "one", "kind": "loss", "status": status, "at": at, "sources": [name], "pipeline": "batch"}
        with store.judging(BATCH, at) as judging:
            judging.save(at, [], [], [incident("one", opened_at=JUDGED, status=status)], [line], {})
    prune(store, Horizon(JUDGED + 2 * SPAN * MINUTE, 0))
    kept = store.incident_changes("one")
    assert [(one["at"] - JUDGED) // MINUTE for one in kept] == [0, 3, 6]
    assert store.incidents("batch", as_of=JUDGED + 9 * MINUTE) == kept[-1:]


def test_each_transaction_is_small_and_the_last_finds_nothing(old: SqlStore) -> None:
    assert set(prune(old, Horizon(KEPT, 0), most=1)) == {1}
    whole = raw(old)
    assert prune(old, Horizon(KEPT, 0)) == []
    assert raw(old) == whole


def test_a_late_count_of_what_is_forgotten_is_not_taken_and_that_is_said(old: SqlStore) -> None:
    prune(old, Horizon(KEPT, 0))
    before, known = raw(old), verdicts(old)
    done = old.record([count(OLD, 9, at=JUDGED, stage="processed")], pipelines())
    assert (done.kept, done.unchanged, done.too_old) == (0, 0, 1)
    assert raw(old) == before
    done = old.record([count(OLD, 9, at=JUDGED), count(NEW, 6, at=JUDGED)], pipelines())
    assert (done.kept, done.unchanged, done.too_old) == (1, 0, 1)
    judge(old, BATCH, JUDGED + MINUTE)
    assert verdicts(old) == known | {NEW: verdicts(old)[NEW]}


def test_what_is_forgotten_is_not_judged_again_even_where_all_is(old: SqlStore) -> None:
    known = verdicts(old)
    prune(old, Horizon(KEPT, 0))
    with old.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM judged")  # as after a new hop: everything is judged anew
    judge(old, BATCH, JUDGED + MINUTE)
    assert verdicts(old)[OLD] == known[OLD]


def test_the_horizon_never_moves_back(old: SqlStore) -> None:
    prune(old, Horizon(KEPT, 0))
    prune(old, Horizon(0, 0))
    assert old.horizon(BATCH) == Horizon(KEPT, 0)
    assert old.record([count(OLD, 9, at=JUDGED)], pipelines()).too_old == 1


def test_verdicts_go_later_and_the_source_begins_with_what_is_left(old: SqlStore) -> None:
    prune(old, Horizon(KEPT, KEPT))
    assert set(verdicts(old)) == {NEW}
    assert old.directory(BATCH).first_bucket == [KEPT]


def test_that_the_horizon_moves_on_costs_no_source_a_write(old: SqlStore) -> None:
    """At ten thousand sources it was a step of two seconds each hour, and every process read them all anew."""
    with old.database.reading() as connection:
        before = connection.exec_driver_sql("SELECT revision FROM pipeline").all()
    prune(old, Horizon(KEPT, KEPT))
    with old.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT revision FROM pipeline").all() == before


def test_how_far_a_silent_reporter_had_come_is_not_forgotten(old: SqlStore) -> None:
    prune(old, Horizon(minute(5 * SPAN), 0))
    told = old.reporters(BATCH, JUDGED).reporters
    assert {stage: one.through for (stage, _), one in told.items()} == dict.fromkeys(BATCH.stages, minute(NEW + 2))


def test_reporters_that_came_and_went_are_forgotten(old: SqlStore) -> None:
    brief: list[Any] = [Progress(minute(1), "batch", "ingress", minute(1), f"pod-{number}") for number in range(3)]
    old.record(brief, pipelines())
    prune(old, Horizon(KEPT, 0))
    assert {name for _, name in old.reporters(BATCH, JUDGED).reporters} == {""}
