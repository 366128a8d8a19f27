"""Sources and reporters end because somebody says so; what is counted all the same is not overlooked."""

import pytest

from reconciler.core.observations import Progress
from reconciler.core.stages import stage_now
from reconciler.core.times import MINUTE, NEVER
from reconciler.errors import ConfigError
from reconciler.ports import Retirement
from reconciler.service import judge
from reconciler.store import SqlStore
from tests.integration.store_parts import BATCH, count, minute, pipelines


def begin(store: SqlStore) -> None:
    """Two sources, counted once at both stages; one reporter a stage."""
    for stage in BATCH.stages:
        store.record([count(0, 5, at=minute(1), stage=stage, source=source) for source in ("a", "b")], pipelines())
        store.record([Progress(minute(1), "batch", stage, minute(1), "r")], pipelines())


def retire_source(store: SqlStore, effective: int | None, name: str = "a") -> None:
    store.retire(BATCH, Retirement("batch", "source", name, "", minute(9), effective, "ann", "contract ended"))


def cells(store: SqlStore) -> dict[str, int]:
    """By source: how many cells it has."""
    found: dict[str, int] = {}
    directory = store.directory(BATCH)
    for _, tile in store.verdict_tiles(BATCH, "ingress>processed", 0, NEVER):
        for row, name in enumerate(directory.sources):
            found[name] = found.get(name, 0) + int((tile.code[row] > 0).sum())
    return found


def test_a_retired_source_has_no_cells_from_then_on(store: SqlStore) -> None:
    begin(store)
    retire_source(store, minute(3))
    judge(store, BATCH, minute(6))
    assert cells(store) == {"a": 3, "b": 6}
    (told,) = store.retirements("batch")
    assert (told.name, told.effective, told.author, told.reason) == ("a", minute(3), "ann", "contract ended")


def test_cells_that_were_there_already_go(store: SqlStore) -> None:
    begin(store)
    judge(store, BATCH, minute(6))
    retire_source(store, minute(3))
    judge(store, BATCH, minute(7))
    assert cells(store) == {"a": 3, "b": 7}


def test_it_can_be_taken_back(store: SqlStore) -> None:
    begin(store)
    retire_source(store, minute(3))
    judge(store, BATCH, minute(6))
    retire_source(store, None)
    judge(store, BATCH, minute(7))
    assert cells(store) == {"a": 7, "b": 7}


def test_a_retired_source_that_is_counted_again_is_back_and_that_is_kept(store: SqlStore) -> None:
    begin(store)
    retire_source(store, minute(3))
    store.record([count(1, 7, at=minute(5), source="a")], pipelines())
    assert store.directory(BATCH).retired_at[0] == minute(3), "of a bucket in which it still lived"
    store.record([count(4, 0, at=minute(5), source="a")], pipelines())
    assert store.directory(BATCH).retired_at[0] == minute(3), "nothing was counted"
    store.record([count(4, 1, at=minute(6), source="a")], pipelines())
    assert store.directory(BATCH).retired_at[0] == NEVER
    told = store.retirements("batch")[-1]
    assert (told.effective, told.author) == (None, "reconciler")
    assert told.reason.startswith("ingress counted events of ")
    judge(store, BATCH, minute(7))
    assert cells(store)["a"] == 7


def test_nobody_waits_for_a_retired_reporter(store: SqlStore) -> None:
    begin(store)
    store.record([Progress(minute(9), "batch", "ingress", minute(9), "other")], pipelines())
    assert [gone.name for gone in stage_now(store.reporters(BATCH, minute(9)), "ingress", minute(9)).missing] == ["r"]
    store.retire(BATCH, Retirement("batch", "reporter", "r", "ingress", minute(9), minute(9), "ann", "scaled in"))
    stage = stage_now(store.reporters(BATCH, minute(10)), "ingress", minute(10))
    assert (stage.missing, stage.through) == ((), minute(9))
    store.record([Progress(minute(11), "batch", "ingress", minute(10), "r")], pipelines())
    again = stage_now(store.reporters(BATCH, minute(45)), "ingress", minute(45))
    assert {gone.name for gone in again.missing} == {"r", "other"}, "it is waited for again once it reports again"


def test_a_reporter_whose_clock_is_ahead_ends_too(store: SqlStore) -> None:
    begin(store)
    store.record([Progress(minute(60), "batch", "ingress", minute(60), "r")], pipelines())
    store.retire(BATCH, Retirement("batch", "reporter", "r", "ingress", minute(9), minute(9), "ann", "scaled in"))
    assert store.reporters(BATCH, minute(90)).reporters["ingress", "r"].final


@pytest.mark.parametrize("kind", ["source", "reporter"])
def test_who_was_never_there_cannot_end(store: SqlStore, kind: str) -> None:
    begin(store)
    with pytest.raises(ConfigError, match=f"has no {kind} 'x'; `reconciler {kind}s list`"):
        store.retire(
            BATCH,
            Retirement("batch", "source" if kind == "source" else "reporter", "x", "ingress", MINUTE, MINUTE, "a", "b"),
        )
    assert store.retirements("batch") == []
