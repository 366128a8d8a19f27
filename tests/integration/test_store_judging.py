"""What a judgement is given, and what is kept of what it says: the same on both databases."""

import gc
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reconciler import service
from reconciler.core.cases import Incident, Share
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Capacity, Progress, QueueSample
from reconciler.core.pipelines import Hop
from reconciler.core.tiles import CHUNK, PARTS, SPAN, TileKey, VerdictTile
from reconciler.core.times import DAY, MINUTE, Micros
from reconciler.core.verdicts import Evidence
from reconciler.ports import Judging, Said
from reconciler.store import SqlStore
from tests.integration.store_parts import BATCH, START, cells, count, incident, minute, pipelines, raw

HOP = "ingress>processed"
HERE = START // BATCH.width // SPAN
KEY = TileKey(HOP, 0, HERE)
INGRESS, PROCESSED = TileKey("ingress", 0, HERE), TileKey("processed", 0, HERE)


def say(bucket: int, *, source: int = 0, code: int = 4, lost: int = 0) -> Said:
    """Something said of one cell."""
    parts = np.zeros((len(PARTS), 1), np.int64)
    parts[PARTS.index("lost")] = lost
    return Said(
        HOP,
        np.array([source]),
        np.array([minute(bucket)]),
        np.array([code], np.uint8),
        np.array([3], np.uint32),
        parts,
        np.array([7]),
        np.array([True]),
    )


def save(
    judging: Judging, now: Micros, *, dirty: Iterable[TileKey] = (), said: Iterable[Said] = (),
    incidents: Iterable[Incident] = (), state: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    found = list(incidents)
    lines = [{"id": one.id, "status": one.status} for one in found]
    judging.save(now, dirty, list(said), found, lines, state or {})


def judge(store: SqlStore, now: Micros, *, active: bool = False, said: Iterable[Said] = ()) -> Judging:
    """Judge nothing in particular at `now`; the tile of the first hour stays active if asked."""
    with store.judging(BATCH, now) as judging:
        tile = judging.ledger.verdicts.setdefault(KEY, VerdictTile())
        tile.active[0, 0] = active
        tile.code[0, 0] = 4
        said = list(said)
        save(judging, now, dirty={KEY, *(lay(judging, block) for block in said)}, said=said)
    return judging


def lay(judging: Judging, block: Said) -> TileKey:
    """Put what is said of one cell into its tile, as a judgement does; returns where."""
    (source,), (bucket,) = block.source.tolist(), block.bucket.tolist()
    key, cell = KEY._replace(chunk=source // CHUNK), (source % CHUNK, bucket // MINUTE % SPAN)
    tile = judging.ledger.verdicts.setdefault(key, VerdictTile())
    for name in ("code", "evidence", "loss_at", "proven"):
        getattr(tile, name)[cell] = getattr(block, name)[0]
    for number, name in enumerate(PARTS):
        tile.parts.own(name)[cell] = block.parts[number, 0]
    return key


def test_the_first_judgement_is_given_everything(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1)), count(200, 6, at=minute(201), stage="processed")], pipelines())
    with store.judging(BATCH, minute(300)) as judging:
        assert judging.judged_at == 0
        assert judging.ledger.touched == {INGRESS, TileKey("processed", 0, HERE + 3)}
        assert set(judging.ledger.counts) == judging.ledger.touched
        assert judging.ledger.counted_at == {"ingress": minute(1), "processed": minute(201)}


def test_a_judgement_without_save_writes_nothing(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1))], pipelines())
    before = raw(store)
    with store.judging(BATCH, minute(5)):
        pass
    assert raw(store) == before


def test_what_has_not_changed_and_is_not_open_is_not_loaded(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1))], pipelines())
    judge(store, minute(2))
    with store.judging(BATCH, minute(200)) as judging:
        save(judging, minute(200))
    with store.judging(BATCH, minute(201)) as judging:
        assert judging.judged_at == minute(200)
        assert not judging.ledger.touched
        assert not judging.ledger.counts


def test_the_time_that_has_passed_is_loaded_though_nobody_counted(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1))], pipelines())
    judge(store, minute(2))
    with store.judging(BATCH, minute(3)) as judging:
        assert not judging.ledger.touched
        assert set(judging.ledger.verdicts) == {KEY}
        assert set(judging.ledger.counts) == {INGRESS}


def test_the_arrays_of_a_judgement_are_freed_as_soon_as_it_is_over(store: SqlStore) -> None:
    """No cycle may hold them until the garbage collector comes by: a long backlog would fill the memory."""
    store.record([count(0, 5, at=minute(1))], pipelines())
    gc.collect()
    gc.disable()
    try:
        before = ledgers()
        service.judge(store, BATCH, minute(5))
        assert ledgers() == before
    finally:
        gc.enable()


def ledgers() -> int:
    """How many working sets there are in memory."""
    return sum(isinstance(one, Ledger) for one in gc.get_objects())


def test_an_open_tile_is_loaded_until_it_is_not_open(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1)), count(0, 5, at=minute(1), stage="processed")], pipelines())
    judge(store, minute(500), active=True)
    for _ in range(2):
        with store.judging(BATCH, minute(501)) as judging:
            assert set(judging.ledger.counts) == {INGRESS, PROCESSED}
            assert judging.ledger.verdicts[KEY].active[0, 0]
    judge(store, minute(501))
    with store.judging(BATCH, minute(502)) as judging:
        assert not judging.ledger.counts


def test_a_changed_tile_comes_with_its_other_stage_and_what_was_said(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1)), count(0, 5, at=minute(1), stage="processed")], pipelines())
    judge(store, minute(500))
    store.record([count(0, 4, at=minute(501), stage="processed")], pipelines())
    with store.judging(BATCH, minute(502)) as judging:
        assert judging.ledger.touched == {PROCESSED}
        assert set(judging.ledger.counts) == {INGRESS, PROCESSED}
        assert judging.ledger.verdicts[KEY].code[0, 0] == 4


def test_readings_said_again_touch_nothing(store: SqlStore) -> None:
    batch = [count(0, 5, at=minute(1))]
    store.record(batch, pipelines())
    judge(store, minute(500))
    store.record(batch, pipelines())
    with store.judging(BATCH, minute(501)) as judging:
        assert not judging.ledger.touched


def test_a_judgement_sees_only_what_was_known_by_then_and_the_next_sees_the_rest(store: SqlStore) -> None:
    store.record(
        [count(0, 5, at=minute(1)), count(0, 9, at=minute(10)), Progress(minute(10), "batch", "ingress", minute(9))],
        pipelines(),
    )
    with store.judging(BATCH, minute(5)) as judging:
        directory = judging.ledger.directory
        assert [
            c[0] for c in cells(INGRESS, judging.ledger.counts[INGRESS], directory.series, directory.sources).values()
        ] == [5]
        assert judging.ledger.reporters == {}
        assert judging.ledger.counted_at == {"ingress": minute(1)}
        save(judging, minute(5))
    with store.judging(BATCH, minute(300)) as judging:
        assert judging.ledger.touched == {INGRESS}
        assert judging.ledger.counts[INGRESS].count.max() == 9


def test_a_new_hop_begins_the_pipeline_anew(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1)), count(0, 5, at=minute(1), stage="processed")], pipelines())
    judge(store, minute(500))
    longer = replace(BATCH, stages=(*BATCH.stages, "stored"), hops=(*BATCH.hops, Hop("processed", "stored")))
    with store.judging(longer, minute(501)) as judging:
        assert judging.judged_at == 0
        assert judging.ledger.touched == {INGRESS, PROCESSED}
        assert KEY in judging.ledger.verdicts


def test_judging_twice_at_one_instant_changes_nothing(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1))], pipelines())
    judge(store, minute(5), said=[say(0)])
    before = raw(store)
    with store.judging(BATCH, minute(5)) as judging:
        save(judging, minute(5))
    assert raw(store) == before


def test_verdicts_come_back_as_they_were_said(store: SqlStore) -> None:
    rng = np.random.default_rng(7)
    with store.judging(BATCH, minute(5)) as judging:
        tile = VerdictTile()
        tile.code[:] = rng.integers(0, 9, tile.code.shape)
        tile.evidence[:] = rng.integers(0, 2**32, tile.evidence.shape)
        for part in PARTS:
            tile.parts[part] = rng.integers(-(2**63), 2**63 - 1, tile.code.shape)
        tile.loss_at[:] = rng.integers(0, 2**62, tile.loss_at.shape)
        tile.proven[:] = rng.integers(0, 2, tile.proven.shape)
        tile.active[3, 4] = True
        judging.ledger.verdicts[KEY] = tile
        save(judging, minute(5), dirty=[KEY])
    ((key, found),) = store.verdict_tiles(BATCH, HOP, minute(0), minute(59))
    assert key == KEY
    assert all(np.array_equal(found.parts[part], tile.parts[part]) for part in PARTS)
    for name in ("code", "evidence", "loss_at", "proven", "active"):
        assert np.array_equal(getattr(found, name), getattr(tile, name)), name
        assert getattr(found, name).dtype == getattr(tile, name).dtype, name
    assert list(store.verdict_tiles(BATCH, HOP, minute(60), minute(119))) == []


def test_what_had_been_said_by_an_instant_can_be_asked_again(store: SqlStore) -> None:
    judge(store, minute(5), said=[say(0, code=4), say(1, code=3, source=300)])
    judge(store, minute(6), said=[say(0, code=8, lost=12)])
    (_, before), (other, _) = store.verdicts_as_of(BATCH, HOP, minute(0), minute(59), minute(5))
    (_, after), _ = store.verdicts_as_of(BATCH, HOP, minute(0), minute(59), minute(6))
    assert list(store.verdicts_as_of(BATCH, HOP, minute(0), minute(59), minute(4))) == []
    assert (before.code[0, 0], after.code[0, 0]) == (4, 8)
    assert (before.parts.row(0)[:, 0].sum(), after.parts["lost"][0, 0]) == (0, 12)
    assert (after.loss_at[0, 0], after.proven[0, 0], after.evidence[0, 0], other.chunk) == (7, True, 3, 1)


def test_samples_reach_back_before_the_oldest_open_bucket(store: SqlStore) -> None:
    samples = [QueueSample(minute(number), "batch", "events", 0, 0, 9, 4) for number in range(-400, 300, 10)]
    store.record([count(0, 5, at=minute(1)), *samples], pipelines())
    judge(store, minute(500), active=True)
    with store.judging(BATCH, minute(200)) as judging:
        instants = [sample.at for sample in judging.ledger.samples]
    assert instants == sorted(instants)
    assert minute(0) - BATCH.looks_back <= instants[0] < minute(10) - BATCH.looks_back
    assert instants[-1] == minute(200)


def test_a_reporter_is_told_by_its_latest_advances(store: SqlStore) -> None:
    lines = [
        Progress(minute(number, 1), "batch", "ingress", minute(number - number % 2), "one") for number in range(40)
    ]
    store.record([*lines, Progress(minute(3), "batch", "processed", minute(2), final=True)], pipelines())
    with store.judging(BATCH, minute(50)) as judging:
        one, other = judging.ledger.reporters["ingress", "one"], judging.ledger.reporters["processed", ""]
    assert (one.heard_at, one.through, one.final, other.final) == (minute(39, 1), minute(38), False, True)
    assert one.advances == tuple((minute(number, 1), minute(number)) for number in range(22, 40, 2))
    with store.judging(BATCH, minute(10)) as judging:
        assert judging.ledger.reporters["ingress", "one"].through == minute(8)


def test_capacities_are_the_latest_readings_of_what_the_pipeline_depends_on(store: SqlStore) -> None:
    readings = [Capacity(minute(number), "sequence", number, 1000, ("batch", "x")) for number in range(100)]
    foreign, shared = Capacity(minute(1), "disk", 1, 2, ("other",)), Capacity(minute(1), "rack", 1, 2)
    store.record([*reversed(readings), foreign, shared], pipelines())
    with store.judging(BATCH, minute(80)) as judging:
        assert judging.ledger.capacities == {"sequence": readings[21:81], "rack": [shared]}


def test_incidents_are_remembered_until_a_day_after_their_end(store: SqlStore) -> None:
    first = incident("a", kind="delay", opened_at=minute(5))
    first.shares["ü'"], first.evidence = Share(1, 2, 3, 4), Evidence.SKIPPED | Evidence.LAG_EXCEEDED
    other = incident("b", opened_at=minute(1))
    with store.judging(BATCH, minute(5)) as judging:
        save(judging, minute(5), incidents=[first, other])
    with store.judging(BATCH, minute(6)) as judging:
        assert judging.incidents == [other, first]
        save(judging, minute(6), incidents=[replace(first, status="resolved")])
    with store.judging(BATCH, minute(6) + DAY) as judging:
        assert [one.id for one in judging.incidents] == ["b", "a"]
    with store.judging(BATCH, minute(7) + DAY) as judging:
        assert [one.id for one in judging.incidents] == ["b"]
    assert [one["status"] for one in store.incident_changes("a")] == ["open", "resolved"]
    assert [one["status"] for one in store.incidents("batch")] == ["open", "resolved"]
    assert [one["status"] for one in store.incidents(as_of=minute(5))] == ["open", "open"]
    assert store.incidents("batch", as_of=minute(4)) == []
    assert store.incidents("other") == []


def test_the_engine_s_memory_is_replaced_at_each_judgement(store: SqlStore) -> None:
    with store.judging(BATCH, minute(5)) as judging:
        save(judging, minute(5), state={"lag": {"a": [1, 2.5, None]}, "shares": b"\x00\xff", "gone": 1})
    with store.judging(BATCH, minute(6)) as judging:
        assert judging.state == {"lag": {"a": [1, 2.5, None]}, "shares": b"\x00\xff", "gone": 1}
        save(judging, minute(6), state={"lag": {}})
    with store.judging(BATCH, minute(7)) as judging:
        assert judging.state == {"lag": {}}


def test_when_a_pipeline_was_judged_is_known(store: SqlStore) -> None:
    assert store.judged_at(BATCH) is None
    judge(store, minute(5))
    assert store.judged_at(BATCH) == minute(5)


def test_a_judgement_that_fails_leaves_nothing_behind(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1))], pipelines())
    before = raw(store)
    with pytest.raises(ZeroDivisionError), store.judging(BATCH, minute(5)) as judging:  # noqa: PT012  save, then fail
        save(judging, minute(5), dirty=[], said=[say(0)], state={"a": 1})
        raise ZeroDivisionError
    assert raw(store) == before
