"""What is recorded, and what is known of it later: the same on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count as counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.observations import Capacity, Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros
from reconciler.errors import ConfigError
from reconciler.ports import Cursor, Recorded
from reconciler.store import SqlStore, migrate, open_store
from tests.integration.store_parts import BATCH, count, current, minute, pipelines, raw, some_of_everything


def values(store: SqlStore, as_of: Micros | None = None) -> list[int]:
    return [cell[0] for cell in current(store, as_of=as_of).values()]


def test_the_same_batch_twice_changes_nothing(store: SqlStore) -> None:
    batch = some_of_everything()
    assert store.record(batch, pipelines()) == Recorded(len(batch), 0)
    before = raw(store)
    assert store.record(batch, pipelines()) == Recorded(0, len(batch))
    assert raw(store) == before


def test_the_same_observations_in_other_batches_change_nothing(store: SqlStore) -> None:
    batch = some_of_everything()
    store.record(batch, pipelines())
    before = raw(store)
    for one in reversed(batch):
        assert store.record([one], pipelines()) == Recorded(0, 1)
    assert raw(store) == before


def test_a_later_reading_replaces_an_earlier_one_and_the_earlier_is_kept_as_history(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1)), count(0, 9, at=minute(2))], pipelines())
    assert values(store) == [9]
    assert values(store, as_of=minute(2) - 1) == [5]
    assert values(store, as_of=minute(2)) == [9]
    assert values(store, as_of=minute(1) - 1) == []


def test_a_reading_that_arrives_late_belongs_to_the_history_only(store: SqlStore) -> None:
    store.record([count(0, 9, at=minute(2))], pipelines())
    assert store.record([count(0, 12, at=minute(1))], pipelines()) == Recorded(1, 0)
    assert values(store) == [9]
    assert values(store, as_of=minute(1)) == [12]
    ((_, _, peak, *_),) = current(store).values()
    assert peak == 12


@pytest.mark.parametrize("batches", [[[5, 6]], [[5], [6]]], ids=["in one batch", "in two batches"])
def test_with_the_same_instant_the_later_line_wins(store: SqlStore, batches: list[list[int]]) -> None:
    for batch in batches:
        store.record([count(0, value, at=minute(1)) for value in batch], pipelines())
    assert values(store) == [6]
    assert values(store, as_of=minute(1)) == [6]


def test_two_lines_of_one_instant_said_again_change_nothing(store: SqlStore) -> None:
    batch = [count(0, 5, at=minute(1)), count(0, 6, at=minute(1))]
    store.record(batch, pipelines())
    before = raw(store)
    assert store.record(batch, pipelines()).kept == 0
    assert raw(store) == before


def test_zero_is_a_count_and_absence_is_not(store: SqlStore) -> None:
    store.record([count(0, 0, at=minute(1))], pipelines())
    assert values(store) == [0]


def test_the_largest_count_and_digest_come_back_whole(store: SqlStore) -> None:
    store.record([count(0, 2**63 - 1, at=minute(1), digest=2**64 - 1, error=0.5)], pipelines())
    assert list(current(store).values()) == [(2**63 - 1, minute(1), 2**63 - 1, 2**64 - 1, True, 0.5)]


HOSTILE = [
    "a/b c'd", 'x"; DROP TABLE tile; --', "%s %(a)s :b ?", "\\x00", "ü" * 5_000, "\u202egnp", "\U0001f4a5", " ",
    "\n\t\x01", "😀" * 2_500, "a" * 10_000, "NULL",
]  # fmt: skip


def test_names_may_be_anything(store: SqlStore) -> None:
    batch: list[Observation] = []
    for name in HOSTILE:
        batch.append(count(0, 1, at=minute(1), source=name, reporter=name, replay=name))
        batch.append(Progress(minute(1), "batch", "ingress", minute(1), name))
        batch.append(QueueSample(minute(1), "batch", name, 0, 1, 2, None, epoch=name))
        batch.append(Capacity(minute(1), name, 1, 2, ("batch",)))
    assert store.record(batch, pipelines()).kept == len(batch)
    assert store.record(batch, pipelines()).kept == 0
    assert store.directory(BATCH).sources == HOSTILE
    with store.judging(BATCH, minute(2)) as judging:
        assert [
            sample.queue for sample in sorted(judging.ledger.samples, key=lambda one: HOSTILE.index(one.queue))
        ] == HOSTILE
        assert {name for _, name in judging.ledger.reporters} == set(HOSTILE)
        assert set(judging.ledger.capacities) == set(HOSTILE)


def test_names_that_differ_by_a_letter_s_case_or_form_are_two(store: SqlStore) -> None:
    names = ["segment", "Segment", "segment ", "se\u0301gment", "s\u00e9gment"]
    store.record([count(0, 1, at=minute(1), source=name) for name in names], pipelines())
    assert store.directory(BATCH).sources == names


@pytest.mark.parametrize("amount", [3, 300])
def test_looks_are_kept_one_by_one_however_many_come_at_once(store: SqlStore, amount: int) -> None:
    looks = [
        QueueSample(minute(1), "batch", "events", number, number or None, 2 * number or None, depth=4)
        for number in range(amount)
    ]
    again = replace(looks[1], end_offset=7, epoch="it's, {a} \\N")
    assert store.record([*looks, again], pipelines()).kept == amount
    told = [looks[0], again, *looks[2:]]
    assert store.samples(BATCH, 0, minute(1)) == told
    assert store.record(told, pipelines()).kept == 0
    assert store.record([*looks[:1], replace(again, exact=False), *told[2:]], pipelines()).kept == 1


def test_a_reader_of_a_trailing_window_may_leave_out_what_is_unchanged(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1)), count(1, 6, at=minute(2))], pipelines())
    again = [count(0, 5, at=minute(3)), count(1, 7, at=minute(3))]
    assert store.record(again, pipelines(), skip_unchanged=True) == Recorded(1, 1)
    assert [cell[:2] for cell in current(store).values()] == [(5, minute(1)), (7, minute(3))]


def test_an_unchanged_reading_counts_where_the_same_batch_says_otherwise_before_it(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1))], pipelines())
    store.record([count(0, 6, at=minute(2)), count(0, 5, at=minute(3))], pipelines(), skip_unchanged=True)
    assert [cell[:2] for cell in current(store).values()] == [(5, minute(3))]


def test_a_cursor_is_stored_with_what_was_read(store: SqlStore) -> None:
    assert store.cursor("warehouse") is None
    store.record([count(0, 5, at=minute(1))], pipelines(), cursor=Cursor("warehouse", {"until": 7}, minute(1)))
    assert store.cursor("warehouse") == Cursor("warehouse", {"until": 7}, minute(1))
    store.record([], pipelines(), cursor=Cursor("warehouse", {"until": 8}, minute(2)))
    assert store.cursor("warehouse") == Cursor("warehouse", {"until": 8}, minute(2))


def test_another_process_sees_the_same_numbers(store: SqlStore, ledger_url: str) -> None:
    other = open_store(ledger_url)
    store.record([count(0, 5, at=minute(1), source="a")], pipelines())
    other.record(
        [count(0, 6, at=minute(1), source="b"), count(0, 7, at=minute(1), source="a", stage="processed")], pipelines()
    )
    store.record([count(-5, 8, at=minute(1), source="c"), count(-5, 8, at=minute(1), source="b")], pipelines())
    assert store.directory(BATCH).series == other.directory(BATCH).series
    assert store.directory(BATCH).first_bucket == other.directory(BATCH).first_bucket
    assert store.directory(BATCH).sources == ["a", "b", "c"]
    assert store.directory(BATCH).first_bucket == [minute(0), minute(-5), minute(-5)]
    other.close()


def test_counts_of_another_width_are_refused_by_name(store: SqlStore) -> None:
    store.record([count(0, 5, at=minute(1))], pipelines())
    wider = replace(BATCH, width=5 * MINUTE)
    with pytest.raises(ConfigError, match=r"pipelines\.batch\.bucket is 300s, but .* 60s"):
        store.record([count(0, 5, at=minute(1))], pipelines(wider))


def test_a_batch_of_many_spans_and_chunks_is_kept_whole(store: SqlStore) -> None:
    batch: list[Observation] = [count(0, 1, at=minute(1), source=f"s{number}") for number in range(2_000)]
    batch += [
        count(60 * span, 50 + span + chunk, at=minute(1), source=f"s{256 * chunk}")
        for span in range(-20, 20)
        for chunk in range(7)
    ]
    assert store.record(batch, pipelines()).kept == len(batch) - 7
    assert len(current(store)) == len(batch) - 7
    assert store.record(batch, pipelines()).kept == 0


_numbers = counter()
_instant = st.integers(0, 12).map(lambda number: minute(number, number))


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    """Observations whose order of arrival is all that may differ: no two of one cell with the same instant."""
    cell = st.tuples(st.sampled_from(["ingress", "processed"]), st.sampled_from("abc"), st.integers(55, 65), _instant)
    seen = draw(
        st.dictionaries(cell, st.tuples(st.integers(0, 300), st.sampled_from([None, 0, 2**64 - 1])), max_size=25)
    )
    found: list[Observation] = [
        count(bucket, value, at=at, stage=stage, source=source, digest=digest)
        for (stage, source, bucket, at), (value, digest) in seen.items()
    ]
    reports = draw(st.dictionaries(st.tuples(st.sampled_from("pq"), _instant), _instant, max_size=12))
    found += [Progress(at, "batch", "ingress", through, name) for (name, at), through in reports.items()]
    samples = draw(st.dictionaries(st.tuples(st.integers(0, 2), _instant), st.integers(0, 9), max_size=8))
    found += [QueueSample(at, "batch", "events", part, 0, end, None) for (part, at), end in samples.items()]
    return found


def said(store: SqlStore, pipeline: Pipeline) -> list[Any]:
    """All that the ledger tells of a pipeline, at every instant that matters."""
    directory = store.directory(pipeline)
    lives = dict(zip(directory.sources, directory.first_bucket, strict=True))
    found: list[Any] = [current(store, pipeline), lives]
    for number in (-1, 0, 3, 7, 12, 13):
        found.append(current(store, pipeline, as_of=minute(number, max(number, 0))))
        with store.judging(pipeline, minute(number, max(number, 0))) as judging:
            found.append((judging.ledger.reporters, judging.ledger.samples, judging.ledger.counted_at))
    return found


@pytest.fixture(scope="module")
def stores(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SqlStore]]:
    name = postgres.create_database()
    urls = [f"sqlite:///{tmp_path_factory.mktemp('store') / 'ledger.db'}", postgres.url(name)]
    for url in urls:
        migrate(url)
    opened = [open_store(url) for url in urls]
    yield opened
    for one in opened:
        one.close()
    postgres.drop_database(name)


@pytest.mark.postgres
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), history=histories())
def test_the_order_of_arrival_does_not_matter(
    stores: list[SqlStore], data: st.DataObject, history: list[Observation]
) -> None:
    def renamed(observations: list[Observation], name: str) -> list[Observation]:
        return [
            msgspec.structs.replace(seen, pipeline=name) if isinstance(seen, Count) else replace(seen, pipeline=name)
            for seen in observations
            if not isinstance(seen, Capacity)
        ]

    told = []
    for store in stores:
        one, other = (Pipeline(f"p{next(_numbers)}", BATCH.stages) for _ in range(2))
        store.record(renamed(sorted(history, key=lambda seen: seen.at), one.name), pipelines(one))
        shuffled = renamed(data.draw(st.permutations(history)), other.name)
        cuts = sorted(data.draw(st.sets(st.integers(0, len(shuffled)), max_size=4)))
        for first, last in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
            store.record(shuffled[first:last], pipelines(other))
        store.record(shuffled[: len(shuffled) // 2], pipelines(other))
        told += [_nameless(said(store, one), one.name), _nameless(said(store, other), other.name)]
    assert all(one == told[0] for one in told)


def _nameless(told: list[Any], name: str) -> str:
    return repr([sorted(one.items()) if isinstance(one, dict) else one for one in told]).replace(repr(name), "'batch'")
