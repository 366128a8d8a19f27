"""A past instant is told alike whether its tiles are laid together from what was said, or have stood still since."""

import numpy as np
import pytest

from reconciler.core.observations import parse
from reconciler.core.outlines import outline
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import PARTS, SPAN
from reconciler.core.times import MINUTE, Micros, parse_time
from reconciler.service import judge
from reconciler.store import SqlStore, findings
from tests.integration.shell import LOSS_END, LOSS_START, a_loss

PIPELINE = Pipeline("batch", ("ingress", "processed"))
HOP = "ingress>processed"
END = parse_time(LOSS_END)


@pytest.mark.parametrize("minutes", [0, 7, 20, 29, 31, 45, 90])
def test_what_stood_still_since_is_told_as_it_was_said(store: SqlStore, minutes: int) -> None:
    seen = sorted((parse(line, {"batch": PIPELINE}) for line in a_loss()), key=lambda one: one.at)
    for tick in range(LOSS_START, END + 60 * MINUTE, 5 * MINUTE):
        store.record([one for one in seen if tick - 5 * MINUTE < one.at <= tick], {"batch": PIPELINE})
        judge(store, PIPELINE, tick)
    as_of: Micros = LOSS_START + minutes * MINUTE
    spans = range(LOSS_START // MINUTE // SPAN, END // MINUTE // SPAN + 1)
    with store.database.reading() as connection:
        said = {
            key: tile for span in spans
            for key, tile in findings.said_tiles(connection, PIPELINE, HOP, span, as_of)
        }  # fmt: skip
    told = dict(store.verdicts_as_of(PIPELINE, HOP, LOSS_START, END, as_of))
    drawn = dict(store.outlines(PIPELINE, HOP, LOSS_START, END, as_of))
    assert told.keys() == said.keys() == drawn.keys()
    for key, tile in said.items():
        for name in ("code", "evidence", "loss_at", "proven", "active"):
            assert np.array_equal(getattr(told[key], name), getattr(tile, name)), name
        for part in PARTS:
            assert np.array_equal(told[key].parts[part], tile.parts[part]), part
        assert np.array_equal(drawn[key].sums, outline(tile).sums)
        assert np.array_equal(drawn[key].worst, outline(tile).worst)
