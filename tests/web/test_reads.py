"""What was found is read as it was said: line by line what a backtest of the same observations writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.backtest import backtest
from reconciler.core.observations import Observation, parse
from reconciler.core.times import MINUTE, NEVER, format_time, parse_time
from reconciler.service import judge_all
from reconciler.settings import parse as parse_settings
from reconciler.store import SqlStore, open_store
from tests.integration.shell import LOSS_END, LOSS_START, a_loss
from tests.web.serving import CONFIG, Service, service

END = parse_time(LOSS_END)
Line = dict[str, Any]


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    """What a backtest writes, from the wire."""
    pipelines = {"batch": parse_pipelines()["batch"]}
    return [json.loads(json.dumps(line)) for line in backtest(observations(), pipelines)]


def parse_pipelines() -> dict[str, Any]:
    return parse_settings(CONFIG, Path("reconciler.yaml"), {}).pipelines


def observations() -> list[Observation]:
    found = [parse(line, parse_pipelines()) for line in a_loss()]
    return sorted(found, key=lambda seen: seen.at)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Forty minutes in which 3,000 of 40,000 events are lost, judged minute by minute."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('reads') / 'ledger.db'}")
    with service(store) as running:
        running.clock.instant = END
        play(running)
        yield running
    store.close()


def play(running: Service) -> None:
    waiting = observations()
    for tick in range(LOSS_START + 2 * MINUTE, END + MINUTE, MINUTE):
        now = [seen for seen in waiting if seen.at <= tick]
        waiting = waiting[len(now) :]
        running.store.record(now, running.pipelines)
        judge_all(running.store, running.pipelines, tick)


def pages(service: Service, path: str, what: str, **params: Any) -> list[Line]:
    """All pages of a list."""
    found: list[Line] = []
    cursor = None
    while True:
        response = service.client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert response.status_code == 200, response.text
        page = response.json()
        found += page[what]
        cursor = page["next"]
        if cursor is None:
            return found
        assert page[what]


def last(lines: list[Line], *, until: str = "9") -> list[Line]:
    """The last verdict of each cell, in the order of the read API."""
    cells = {
        (line["bucket"], line["source"]): line for line in lines if line["type"] == "verdict" and line["at"] <= until
    }
    return [cells[key] for key in sorted(cells)]


@pytest.mark.parametrize("limit", [9, 1000])
def test_verdicts_are_the_last_lines_that_a_backtest_writes(judged: Service, lines: list[Line], limit: int) -> None:
    assert pages(judged, "/v1/verdicts", "verdicts", limit=limit) == last(lines)
    first = judged.client.get("/v1/verdicts", params={"limit": 1}).json()["verdicts"][0]
    assert list(first) == list(last(lines)[0]), "in the order of the contract"


def test_verdicts_can_be_asked_for_as_they_were(judged: Service, lines: list[Line]) -> None:
    then = format_time(LOSS_START + 20 * MINUTE)
    assert pages(judged, "/v1/verdicts", "verdicts", as_of=then, limit=9) == last(lines, until=then)
    assert pages(judged, "/v1/verdicts", "verdicts", as_of="2001-01-01T00:00:00Z") == []


FILTERS: dict[str, tuple[dict[str, Any], Any]] = {
    "one verdict": ({"verdict": "lost"}, lambda line: line["verdict"] == "lost"),
    "two verdicts": ({"verdict": ["lost", "open"]}, lambda line: line["verdict"] in ("lost", "open")),
    "a source": ({"source": "b"}, lambda line: line["source"] == "b"),
    "a source that is not there": ({"source": "c"}, lambda line: False),
    "a hop": ({"hop": "ingress>processed"}, lambda line: True),
    "a hop that is not there": ({"hop": "x>y"}, lambda line: False),
    "another pipeline": ({"pipeline": "other"}, lambda line: False),
    "some buckets": (
        {"from": "2024-01-15T00:05:00Z", "to": "2024-01-15T01:07:00+01:00"},
        lambda line: line["bucket"] in ("2024-01-15T00:05:00Z", "2024-01-15T00:06:00Z"),
    ),
}


@pytest.mark.parametrize(("params", "wanted"), FILTERS.values(), ids=FILTERS.keys())
def test_verdicts_are_filtered(judged: Service, lines: list[Line], params: dict[str, Any], wanted: Any) -> None:
    found = pages(judged, "/v1/verdicts", "verdicts", limit=3, **params)
    assert found == [line for line in last(lines) if wanted(line)]


def test_incidents_are_the_last_lines_of_each(judged: Service, lines: list[Line]) -> None:
    told = {line["id"]: line for line in lines if line["type"] == "incident"}
    want = sorted(told.values(), key=lambda line: (line["opened_at"], line["id"]))
    assert want
    assert pages(judged, "/v1/incidents", "incidents", limit=1) == want
    assert pages(judged, "/v1/incidents", "incidents", kind=["loss"], source="a") == [
        line for line in want if line["kind"] == "loss"
    ]
    assert pages(judged, "/v1/incidents", "incidents", status="resolved") == []
    assert pages(judged, "/v1/incidents", "incidents", source="c") == []
    assert pages(judged, "/v1/incidents", "incidents", to="2024-01-15T00:05:00Z") == []
    assert pages(judged, "/v1/incidents", "incidents", as_of="2024-01-15T00:05:00Z") == []
    assert pages(judged, "/v1/incidents", "incidents", pipeline="other") == []


def test_one_incident_is_told_in_full(judged: Service, lines: list[Line]) -> None:
    (loss,) = [line for line in judged.client.get("/v1/incidents").json()["incidents"] if line["kind"] == "loss"]
    found = judged.client.get(f"/v1/incidents/{loss['id']}").json()
    assert found["incident"] == loss
    assert found["changes"] == [line for line in lines if line.get("id") == loss["id"]]
    assert found["lost_by_source"] == {"a": 3000}
    assert judged.client.get("/v1/incidents/none").status_code == 404


def test_completeness_stops_at_the_first_hole(judged: Service) -> None:
    found = judged.client.get("/v1/completeness").json()
    assert {line["source"]: line["complete_through"] for line in found["sources"]} == {
        "a": "2024-01-15T00:05:00Z",
        "b": "2024-01-15T00:40:00Z",
    }
    assert found["pipelines"] == [
        {"pipeline": "batch", "judged_at": "2024-01-15T00:40:00Z", "complete_through": "2024-01-15T00:05:00Z"},
        {"pipeline": "other", "judged_at": "2024-01-15T00:40:00Z", "complete_through": None},
    ]
    assert [line["source"] for line in pages(judged, "/v1/completeness", "sources", limit=1)] == ["a", "b"]
    before = judged.client.get("/v1/completeness", params={"as_of": "2024-01-15T00:20:00Z", "source": "a"}).json()
    assert [line["complete_through"] for line in before["sources"]] == ["2024-01-15T00:20:00Z"]


def test_completeness_follows_the_next_judgement(store: SqlStore) -> None:
    with service(store) as running:
        play(running)
        assert running.client.get("/v1/completeness").json()["pipelines"][0]["complete_through"] is not None
        running.clock.instant = later = END + 5 * MINUTE
        for stage in ("ingress", "processed"):
            assert running.push(*whole(stage, END, later)).status_code == 200
        judge_all(running.store, running.pipelines, later)
        found = running.client.get("/v1/completeness", params={"pipeline": "batch", "source": "b"}).json()["sources"]
        assert [line["complete_through"] for line in found] == [format_time(later)]


def whole(stage: str, start: int, end: int) -> Iterator[Line]:
    place = {"pipeline": "batch", "stage": stage, "reporter": f"{stage}-1", "at": format_time(end)}
    yield {"type": "count", **place, "source": "b", "bucket": format_time(start), "count": 5}
    yield {"type": "progress", **place, "through": format_time(end)}


def test_sources_are_listed_with_who_answers_for_them(embedded: SqlStore) -> None:
    more = "sources: {'partner/*': {owner: Partners, replay: partner, contact: p@example.com}}"
    with service(embedded, more) as running:
        count = {"type": "count", "pipeline": "batch", "stage": "ingress", "bucket": "2021-07-20T18:45:00Z", "count": 1}
        running.push(*[count | {"source": name} for name in ("partner/b", "own", "partner/a")])
        known = {"pipeline": "batch", "first_bucket": "2021-07-20T18:45:00Z", "retired_at": None}
        partner = known | {"owner": "Partners", "replay": "partner", "contact": "p@example.com"}
        assert pages(running, "/v1/sources", "sources", limit=2) == [
            known | {"source": "own", "owner": None, "replay": None, "contact": None},
            partner | {"source": "partner/a"},
            partner | {"source": "partner/b"},
        ]
        assert [line["source"] for line in pages(running, "/v1/sources", "sources", source="o")] == ["own"]


WRONG = [
    "/v1/verdicts?from=yesterday",
    "/v1/verdicts?verdict=good",
    "/v1/verdicts?limit=0",
    "/v1/verdicts?limit=10001",
    "/v1/verdicts?cursor=nonsense",
    "/v1/verdicts?cursor=WzEsMl0=",
    "/v1/verdicts?cursor=%C3%BC",
    "/v1/incidents?to=2024-01-15T00:00:00",
    "/v1/completeness?as_of=12",
    "/v1/sources?cursor=e30=",
]


@pytest.mark.parametrize("path", WRONG)
def test_a_wrong_parameter_is_named(judged: Service, path: str) -> None:
    response: httpx.Response = judged.client.get(path)
    assert response.status_code == 422
    assert response.json()["error"].startswith(path.partition("?")[2].partition("=")[0])


def test_a_pipeline_that_is_not_configured_is_named(judged: Service) -> None:
    response = judged.client.get("/v1/verdicts", params={"pipeline": "nowhere"})
    assert (response.status_code, "batch, other" in response.json()["error"]) == (404, True)


def test_cells_of_the_far_future_are_within_reach(judged: Service) -> None:
    far = format_time(parse_time("9999-12-31T23:59:59Z"))
    assert pages(judged, "/v1/verdicts", "verdicts", to=far, as_of=far)
    assert parse_time(far) < NEVER
