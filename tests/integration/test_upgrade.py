"""An engine of another version judges by other rules; what is settled is not judged again, and wakes nobody."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from reconciler.core import judge as judging
from reconciler.core.engine import Engine
from reconciler.core.observations import Observation, Progress
from reconciler.core.sheets import Sheet
from reconciler.core.times import MINUTE, Micros, format_time, parse_time
from reconciler.core.verdicts import Codes, Signs, Verdict
from reconciler.service import judge
from reconciler.store import SqlStore
from tests.integration.store_parts import BATCH, count, minute, pipelines

UPGRADE = 180
"""Minutes of history that are judged before the upgrade."""
SETTLED: Micros = minute(UPGRADE) - BATCH.looks_back - 2 * MINUTE
"""What lies before it has long been settled."""


def a_minute(bucket: int) -> Iterator[Observation]:
    """Ten events of a minute, accepted and processed."""
    at = minute(bucket + 1)
    for stage in BATCH.stages:
        yield count(bucket, 10, at=at, stage=stage)
        yield Progress(at, "batch", stage, at, "")


def lives(store: SqlStore, first: int, last: int, step: int = 1) -> list[dict[str, Any]]:
    """So many minutes, recorded and judged; returns what was said."""
    said: list[dict[str, Any]] = []
    for bucket in range(first, last, step):
        store.record([seen for one in range(bucket, bucket + step) for seen in a_minute(one)], pipelines())
        said += judge(store, BATCH, minute(bucket + step, 30))  # in the middle of a minute, which is open
    return said


@pytest.fixture
def lived(store: SqlStore) -> SqlStore:
    """A ledger of three hours, with a proven loss of six events in the first."""
    lives(store, 0, 20, 5)
    store.record([count(5, 4, at=minute(20, 40), stage="processed")], pipelines())
    lives(store, 20, UPGRADE, 10)
    return store


def everything_is_lost(signs: Signs) -> Codes:
    """The rules of a version that sees a loss wherever it looks."""
    return np.full(len(signs.lost), Verdict.LOST, np.uint8)


def nothing_is_plain(sheet: Sheet, *, proven: bool) -> None:
    """The step before them, of a version that takes nothing for granted."""
    sheet.doubtful = sheet.exists & (proven | True)


def test_settled_history_is_not_judged_again_by_another_engine(
    lived: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    before = list(_verdicts(lived))
    assert [verdict for _, verdict, _ in before if verdict != Verdict.COMPLETE] == [Verdict.LOST]
    (loss,) = [line for line in lived.incidents("batch") if line["kind"] == "loss"]
    monkeypatch.setattr(Engine.__init__, "__defaults__", ("another",))
    monkeypatch.setattr(judging, "judge", everything_is_lost)
    monkeypatch.setattr(judging, "plain", nothing_is_plain)
    # A recount reads old buckets again, and finds what was there.
    at = minute(UPGRADE, 40)
    lived.record([count(bucket, 10, at=at) for bucket in (2, 5, 70)], pipelines())
    said = lives(lived, UPGRADE, UPGRADE + 5)
    assert any(line["type"] == "incident" for line in said), "the other engine does see losses, where it looks"
    for line in said:
        start = line["bucket"] if line["type"] == "verdict" else line["from"]
        assert parse_time(start) >= SETTLED, f"{format_time(SETTLED)}: {line}"
    settled = [cell for cell in _verdicts(lived) if cell[0] < SETTLED]
    assert settled == [cell for cell in before if cell[0] < SETTLED]
    (still,) = [line for line in lived.incidents("batch") if line["id"] == loss["id"]]
    assert {**still, "last_bad": 0} == {**loss, "last_bad": 0}, "it goes on as it was"


def _verdicts(store: SqlStore) -> Iterator[tuple[Micros, int, tuple[int, ...]]]:
    for key, tile in store.verdict_tiles(BATCH, "ingress>processed", minute(0), minute(UPGRADE - 1)):
        for column, code in enumerate(tile.code[0].tolist()):
            if code:
                yield (key.span * 60 + column) * MINUTE, code, tuple(tile.parts.row(0)[:, column].tolist())
