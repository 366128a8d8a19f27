"""What the pages say of a ledger: whatever sources are called, whatever is asked for, and the numbers themselves."""

import re
from collections import Counter
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from reconciler.core.notices import notice_of
from reconciler.core.observations import parse
from reconciler.core.outlines import SUMS, outline
from reconciler.core.times import HOUR, MINUTE, NEVER, format_time, parse_time
from reconciler.core.verdicts import Verdict
from reconciler.reports.boards import board
from reconciler.service import judge_all
from reconciler.store import open_store
from reconciler.store.outlines import pack_outline, unpack_outline
from tests.integration.shell import LOSS_END, LOSS_START, a_loss
from tests.web.serving import PAGE, Service, configured, look, service

HOP = "ingress>processed"
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "a/../b?x=1&y=2#z",
    "{{ 7 * 7 }}{% raw %}",
    "turned\u202e\u0007 over\nand over",
    "long " * 2_000,
    "é" * 10_000,
    " ",
)
PAGES = ("/", "/pipeline", "/queues", "/detector", "/incidents", "/incidents?status=all")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Forty minutes in which `a` loses 3,000 events, and in which each hostile name has lost one."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'ledger.db'}")
    with service(store, config="pipelines: {batch: {stages: [ingress, processed]}}\n") as running:
        lines = list(a_loss())
        place = {"at": format_time(LOSS_START + MINUTE), "pipeline": "batch", "bucket": format_time(LOSS_START)}
        for name in HOSTILE:
            for stage, count in (("ingress", 2), ("processed", 2)):
                lines.append(
                    {"type": "count", **place, "stage": stage, "source": name, "count": count, "reporter": name}
                )
        late = {**place, "at": format_time(LOSS_START + 20 * MINUTE)}
        fewer = {"type": "count", **late, "stage": "processed", "count": 1}
        lines += [{**fewer, "source": name, "reporter": name} for name in HOSTILE]
        seen = sorted((parse(line, running.pipelines) for line in lines), key=lambda one: one.at)
        for tick in range(LOSS_START + 5 * MINUTE, parse_end() + 5 * MINUTE, 5 * MINUTE):
            running.store.record([one for one in seen if tick - 5 * MINUTE < one.at <= tick], running.pipelines)
            judge_all(running.store, running.pipelines, tick)
            running.clock.instant = tick
        yield running
    store.close()


def parse_end() -> int:
    """The last instant of the story."""
    return parse_time(LOSS_END)


def links(page: httpx.Response) -> set[str]:
    """Where a page leads."""
    found = re.findall(r'href="([^"]+)"', page.text)
    return {link.replace("&amp;", "&") for link in found if link.startswith("/") and not link.startswith("/static")}


def test_every_page_and_every_link_answers_whatever_the_sources_are_called(judged: Service) -> None:
    todo, done, looked = set(PAGES), set[str](), Counter[str]()
    while todo and len(done) < 60:
        path = min(todo, key=lambda one: (looked[one.partition("?")[0]], one))  # of each page some
        todo.remove(path)
        done.add(path)
        looked[path.partition("?")[0]] += 1
        page = look(judged, path)
        assert page.status_code == 200, (path[:300], page.text[-500:])
        shown = re.sub(r'value="[^"]*"', "", page.text)  # what a hidden field holds goes back as it came
        for raw in ("<script>alert", "<img src=x", "\u202e", "\u0007"):
            assert raw not in shown, path[:300]
        assert len(page.content) < 1_000_000
        todo |= links(page) - done
    assert looked.keys() >= {"/source", "/cell", "/incident", "/pipeline"}


def test_the_link_of_every_message_leads_to_the_page_of_its_incident(judged: Service) -> None:
    public = judged.url.rstrip("/")
    named = configured(judged.store, f"service: {{public_url: {public}/}}\n")
    lines = judged.store.incidents(as_of=NEVER)
    assert lines
    for line in lines:
        link = notice_of(line, public_url=named.public_url).link
        assert link.startswith(f"{public}/incident?"), "no slash is doubled"
        page = judged.client.get(link, headers=PAGE)
        assert (page.status_code, line["id"] in page.text) == (200, True)


def test_each_hostile_source_has_its_page_and_its_cell(judged: Service) -> None:
    names = judged.store.directory(judged.pipelines["batch"]).sources
    for name in HOSTILE:
        query = {"source": name} if len(name) < 100 else {"number": str(names.index(name))}
        page = look(judged, "/source", **query)
        assert page.status_code == 200, name[:20]
        cell = look(judged, "/cell", **query, bucket=format_time(LOSS_START))
        assert (cell.status_code, "smaller" in cell.text) == (200, True), name[:20]


def test_what_is_not_there_is_answered_with_what_is(judged: Service) -> None:
    for path, query, said in (
        ("/source", {"source": "nobody"}, "such as:"),
        ("/source", {"number": "99999"}, "such as:"),
        ("/source", {"source": "a", "hop": "x>y"}, "there are: ingress&gt;processed"),
        ("/cell", {"source": "x" * 10_000, "bucket": "2021-07-20T18:45:00Z"}, "such as:"),
        ("/incident", {"id": "<b>"}, "there are:"),
        ("/pipeline", {"pipeline": "nowhere"}, "there are: batch"),
        ("/nowhere", {}, "There is no page"),
    ):
        page = look(judged, path, **query)
        assert (page.status_code, said in page.text) == (404, True), (path, query, page.text)
    for path, query in (
        ("/cell", {"source": "a"}),
        ("/cell", {"source": "a", "bucket": "noon"}),
        ("/source", {"source": "a", "from": "2021-13-01"}),
        ("/", {"from": "1970-01-01", "to": "9999-12-31"}),
        ("/incidents", {"page": "-1"}),
        ("/", {"as_of": "9" * 5_000}),
    ):
        assert look(judged, path, **query).status_code == 422, (path, query)
    for path in ("/", "/queues", "/source?source=a", "/pipeline"):
        for as_of in ("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
            joined = f"{path}{'&' if '?' in path else '?'}as_of={as_of}"
            assert look(judged, joined).status_code == 200, joined


def test_the_numbers_of_the_overview_are_those_of_the_verdicts(judged: Service) -> None:
    lines = judged.client.get("/v1/verdicts", params={"limit": 1000}).json()["verdicts"]
    pipeline = judged.pipelines["batch"]
    span = (LOSS_START - HOUR, parse_end() + HOUR)
    for as_of in (None, NEVER - 1):
        found = board(judged.store, pipeline, pipeline.hops[0], span, judged.clock.instant, as_of)
        for name in ("accepted", "processed", "lost", "lost_proven", "surplus"):
            assert found.total.sums[name] == sum(line[name] for line in lines), name
        assert [row.worst for row in found.rows[:1]] == [Verdict.LOST]
        assert found.rows[0].name == "a"
        assert sum(row.sources for row in [*found.rows, *found.groups]) == len({line["source"] for line in lines})


def test_what_nobody_has_judged_is_unknown_on_the_overview(judged: Service) -> None:
    pipeline = judged.pipelines["batch"]
    span = (LOSS_START, parse_end() + 3 * HOUR)
    later = parse_end() + 2 * HOUR
    found = board(judged.store, pipeline, pipeline.hops[0], span, later, None)
    assert all(Verdict.UNKNOWN in row.strip for row in found.rows if row.name in ("a", "b"))


def test_an_outline_survives_its_packing(judged: Service) -> None:
    pipeline = judged.pipelines["batch"]
    for _, tile in judged.store.verdict_tiles(pipeline, HOP, LOSS_START, parse_end()):
        made = outline(tile)
        again = unpack_outline(pack_outline(made))
        assert all(np.array_equal(getattr(made, name), getattr(again, name)) for name in ("worst", "cells", "sums"))
        assert made.sums[SUMS.index("lost")].sum() == tile.parts["lost"].sum() > 0


def test_groups_hold_the_sources_that_have_no_row_of_their_own(judged: Service) -> None:
    pipeline = judged.pipelines["batch"]
    span = (LOSS_START, parse_end())
    found = board(judged.store, pipeline, pipeline.hops[0], span, judged.clock.instant, None, most=1)
    assert [row.name for row in found.rows] == ["a"]
    assert {row.name for row in found.groups} == {"a/", "=cmd|' /", "<script>alert(1)</", ""}
    assert sum(row.sources for row in found.groups) == found.found - 1
    inner = board(judged.store, pipeline, pipeline.hops[0], span, judged.clock.instant, None, prefix="a/")
    assert [row.name for row in inner.rows] == ["a/../b?x=1&y=2#z"]
