"""Until when data may be read: carried on by each judgement, and the same as going over all buckets; also by SQL."""

import json

import pytest
from sqlalchemy import text

from reconciler.cli import group, run
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, NEVER, SECOND, Micros, format_time, parse_time
from reconciler.ports import Horizon, Retirement
from reconciler.reports.tally import complete_through, scan
from reconciler.service import judge
from reconciler.store import SqlStore
from tests.integration.shell import Shell, a_loss
from tests.integration.store_parts import BATCH, count, minute, pipelines
from tests.unit.histories import FAULTS, History, Plan

PLANS = [
    pytest.param(Plan(1, 20, 3, 0, MINUTE, frozenset({"late", "stored"})), id="late events on two hops"),
    pytest.param(Plan(2, 20, 3, 2, MINUTE, frozenset({"stall"})), id="a stall"),
    pytest.param(Plan(3, 12, 2, 0, MINUTE, frozenset({"shrink", "silent"})), id="counts that shrink"),
    pytest.param(Plan(4, 12, 3, 0, MINUTE, frozenset(FAULTS)), id="everything at once"),
]


def by_hand(store: SqlStore, pipeline: Pipeline) -> list[Micros]:
    """The same from all cells that were ever judged."""
    judged_at = store.judged_at(pipeline)
    tallies = [scan(store, pipeline, hop, (0, 0), judged_at, None) for hop in pipeline.hops]
    return [int(at) for at in complete_through(tallies)]


def by_sql(store: SqlStore) -> dict[str, tuple[str | None, bool]]:
    """The view that others read: source, instant, whether it has ended."""
    with store.database.reading() as connection:
        rows = connection.execute(text("SELECT source, complete_through, ended FROM complete_through")).all()
    return {source: (_rfc3339(at), bool(ended)) for source, at, ended in rows}


def whole(store: SqlStore) -> str | None:
    with store.database.reading() as connection:
        return _rfc3339(connection.execute(text("SELECT complete_through FROM pipeline_complete_through")).scalar())


def _rfc3339(at: object) -> str | None:
    return at if at is None or isinstance(at, str) else format_time(parse_time(at.isoformat()))  # type: ignore[attr-defined]  # a datetime of the driver


def both(store: SqlStore, upto: int, at: int) -> None:
    """Equal counts of the minutes before `upto`, and the judgement of minute `at`."""
    batch = [
        count(bucket, 5, at=minute(bucket + 1), stage=stage)
        for bucket in range(upto)
        for stage in ("ingress", "processed")
    ]
    store.record(batch, pipelines())
    judge(store, BATCH, minute(at))


@pytest.mark.parametrize("plan", PLANS)
def test_carried_on_it_is_what_going_over_all_buckets_gives(store: SqlStore, plan: Plan) -> None:
    pipeline, moved = plan.pipeline, set[int]()
    for now, observations in History(plan).ticks():
        store.record(observations, {"batch": pipeline})
        judge(store, pipeline, now)
        reached = store.reached(pipeline).tolist()
        assert reached == by_hand(store, pipeline)
        instants = [None if at == NEVER else format_time(at) for at in reached]
        names = store.directory(pipeline).sources
        assert by_sql(store) == {name: (at, False) for name, at in zip(names, instants, strict=True)}
        moved.update(reached)
    assert len(moved) > 1  # it went on, so that something was compared


def test_a_hole_holds_it_up_until_it_is_filled_and_then_it_goes_on_over_all_that_was_settled(store: SqlStore) -> None:
    both(store, 400, 500)
    assert store.reached(BATCH).tolist() == [minute(400)]
    store.record([count(70, 4, at=minute(501), stage="processed")], pipelines())
    judge(store, BATCH, minute(502))
    assert store.reached(BATCH).tolist() == by_hand(store, BATCH) == [minute(70)]
    assert by_sql(store) == {"segment": (format_time(minute(70)), False)}
    assert whole(store) == format_time(minute(70))
    store.record([count(70, 1, at=minute(503), stage="processed", reporter="late")], pipelines())
    judge(store, BATCH, minute(504))
    assert store.reached(BATCH).tolist() == by_hand(store, BATCH) == [minute(400)]


def test_older_buckets_that_come_to_light_are_not_jumped_over(store: SqlStore) -> None:
    both(store, 10, 20)
    store.record([count(-500, 5, at=minute(21))], pipelines())
    judge(store, BATCH, minute(22))
    assert store.reached(BATCH).tolist() == by_hand(store, BATCH) == [minute(-500)]


def test_a_source_that_nobody_judged_yet_is_complete_before_its_first_bucket_only(store: SqlStore) -> None:
    both(store, 10, 20)
    store.record([count(5, 5, at=minute(21), source="new")], pipelines())
    assert store.reached(BATCH).tolist() == [minute(10), minute(5)]
    assert by_sql(store)["new"] == (format_time(minute(5)), False)


def test_what_was_forgotten_holds_nobody_up(store: SqlStore) -> None:
    both(store, 400, 500)
    store.record([count(70, 4, at=minute(501), stage="processed")], pipelines())
    judge(store, BATCH, minute(502))
    assert store.reached(BATCH).tolist() == [minute(70)]
    store.prune(BATCH, Horizon(minute(240), minute(240)), 10_000)
    judge(store, BATCH, minute(503))
    assert store.reached(BATCH).tolist() == by_hand(store, BATCH)
    assert store.reached(BATCH)[0] > minute(240)


def test_a_source_that_has_ended_keeps_nobody_waiting(store: SqlStore) -> None:
    both(store, 10, 20)
    batch = [
        count(bucket, 5, at=minute(30), stage=stage, source="on") for bucket in range(30) for stage in BATCH.stages
    ]
    store.record(batch, pipelines())
    store.retire(BATCH, Retirement("batch", "source", "segment", "", minute(31), minute(10), "me", "moved"))
    judge(store, BATCH, minute(40))
    assert by_sql(store)["segment"] == (format_time(minute(10)), True)
    assert whole(store) == format_time(minute(30))


def test_wait_says_what_is_in_the_way_and_ends_with_1(shell: Shell) -> None:
    path = shell.loss()
    assert shell("import", path) == 0
    assert shell("tick", "--now", "2024-01-15T00:40:00Z") == 0
    asked = ("wait", "--pipeline", "batch", "--through", "2024-01-15T00:10:00Z")
    assert shell(*asked) == 1
    assert shell.out == (
        "batch *: not complete through 2024-01-15T00:10:00Z; judged 2024-01-15T00:40:00Z\n"
        "  a: complete through 2024-01-15T00:05:00Z, the bucket from then on is lost from ingress to processed "
        "(600 lost; shrunk)\n"
    )
    assert shell(*asked, "--source", "b", "--json") == 0
    assert json.loads(shell.out)["complete"]
    assert shell(*asked, "--source", "nobody") == 1
    assert "no such source was ever counted" in shell.out


def test_wait_goes_on_as_soon_as_the_hole_is_filled(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.commands import wait

    path = shell.loss()
    shell("import", path)
    shell("tick", "--now", "2024-01-15T00:40:00Z")
    lines = [line | {"count": 1000, "at": "2024-01-15T00:41:00Z"} for line in a_loss() if line.get("count") == 400]
    clock = [parse_time("2024-01-15T00:41:00Z")]

    def pause(span: Micros) -> None:
        clock[0] += span
        if clock[0] == parse_time("2024-01-15T00:41:30Z"):
            assert run(group, ["import", shell.file("again.ndjson", *lines)]) == 0
            assert run(group, ["tick", "--now", "2024-01-15T00:42:00Z"]) == 0

    monkeypatch.setattr(wait, "now", lambda: clock[0])
    monkeypatch.setattr(wait, "pause", pause)
    asked = ("wait", "--pipeline", "batch", "--through", "2024-01-15T00:10:00Z", "--timeout", "5m")
    assert shell(*asked) == 0
    assert clock[0] == parse_time("2024-01-15T00:41:30Z")
    assert "complete through 2024-01-15T00:10:00Z (2 sources; judged 2024-01-15T00:42:00Z)" in shell.out


def test_wait_gives_up_at_the_end_of_its_time(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.commands import wait

    shell("import", shell.loss())
    shell("tick", "--now", "2024-01-15T00:40:00Z")
    paused: list[Micros] = []
    monkeypatch.setattr(wait, "now", lambda: sum(paused))
    monkeypatch.setattr(wait, "pause", paused.append)
    assert shell("wait", "--pipeline", "batch", "--through", "2024-01-16", "--timeout", "40s") == 1
    assert [span // SECOND for span in paused] == [15, 15, 10]
