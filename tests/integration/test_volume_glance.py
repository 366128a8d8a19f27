"""The band of what is usual on a chart is the one that verdicts are judged by, cut out of the model for one source."""

import re

from reconciler.core import volume_dump
from reconciler.core.times import DAY, HOUR, MINUTE, Micros, format_time
from reconciler.core.volume_glance import Usual, usual
from reconciler.service import judge
from reconciler.serving import ServiceStore
from reconciler.store import SqlStore, open_store
from tests.integration.test_volume_service import PIPELINE, serve
from tests.unit.traffic import MONDAY, WIDTH, observed
from tests.web.serving import service

LEARNED = MONDAY + 7 * DAY
NOW = LEARNED + 9 * HOUR


def glance(store: ServiceStore, source: int, buckets: list[Micros]) -> Usual | None:
    """What is usual of a source, as the pages ask for it."""
    places = volume_dump.places(store.usual_week("batch", 0, 2048), source + 1)
    week = [store.usual_week("batch", start, length) for start, length in places]
    warm = store.state("batch").get("volume.warm", b"")
    plan = PIPELINE.volume
    return usual(warm, week, source + 1, buckets, plan.zone, plan.holidays) if warm else None


def test_what_is_usual_of_the_next_bucket_is_what_its_verdict_says(store: SqlStore) -> None:
    seen = list(observed(3, (NOW - MONDAY) / DAY + 0.1))
    assert glance(store, 0, [LEARNED]) is None
    serve(store, [one for one in seen if one.at <= NOW], LEARNED, NOW)
    upcoming = store.state("batch")["volume"]["upcoming"] * WIDTH
    names = store.directory(PIPELINE).sources
    told = {name: glance(store, number, [upcoming]) for number, name in enumerate(names)}
    store.record([one for one in seen if NOW < one.at <= NOW + WIDTH], {"batch": PIPELINE})
    lines = [
        line for line in judge(store, PIPELINE, NOW + WIDTH, every=True)
        if line["type"] == "verdict" and line["bucket"] == format_time(upcoming)
    ]  # fmt: skip
    assert len(lines) == len(names)
    for line in lines:
        found = told[line["source"]]
        assert found is not None
        assert (round(float(found.expected[0]), 1), [int(found.low[0]), int(found.high[0])]) == (
            line["expected"],
            line["band"],
        )


def test_the_page_of_a_source_shows_the_band_and_each_bucket_beside_it(sqlite_ledger: str) -> None:
    store = open_store(sqlite_ledger)
    serve(store, list(observed(3, (NOW - MONDAY) / DAY)), LEARNED, NOW)
    name = store.directory(PIPELINE).sources[0]
    minutes = WIDTH // MINUTE
    config = f"pipelines: {{batch: {{stages: [{', '.join(PIPELINE.stages)}], bucket: {minutes}m}}}}\n"
    with service(store, config=config) as running:
        running.clock.instant = NOW
        page = running.client.get("/source", params={"source": name, "last": "6h"}, headers={"Accept": "text/html"})
    assert page.status_code == 200
    corners = re.search(r'<polygon class="usual" points="([^"]+)"', page.text)
    assert corners
    heights = [float(corner.split(",")[1]) for corner in corners[1].split()]
    half = len(heights) // 2
    assert all(up <= down for up, down in zip(heights[:half], reversed(heights[half:]), strict=True))
    assert min(heights) >= 0
    found = glance(store, 0, [NOW - 2 * HOUR])
    assert found is not None
    assert f"{round(float(found.low[0])):,} to {round(float(found.high[0])):,}" in page.text
    assert "lies beyond the usual band in" in page.text
    store.close()
