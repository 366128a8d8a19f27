"""More sources than a pipeline may have: counted one by one, judged together, and said loudly."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.collect import collect
from reconciler.connectors.sql import Options, build
from reconciler.core.observations import Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND, parse_time
from reconciler.ports import Store
from reconciler.service import judge
from tests.integration.shell import Shell
from tests.integration.tables import COUNT_BUCKETS, Tables

BUCKET = parse_time("2021-07-20T18:44:00Z")
NOW = BUCKET + 2 * MINUTE
BATCH = Pipeline("batch", ("ingress", "processed"), max_sources=2)
PIPELINES = {"batch": BATCH}


def count(stage: str, source: str, number: int, at: int = NOW) -> Count:
    return Count(at, "batch", stage, source, BUCKET, number, "accepted" if stage == "ingress" else "processed", "one")


def progress(at: int = NOW) -> list[Observation]:
    return [Progress(at, "batch", stage, at, "one") for stage in BATCH.stages]


def cells(lines: list[dict[str, Any]]) -> dict[str, tuple[str, int, int]]:
    """Verdict, accepted and processed of the bucket, by source."""
    return {
        line["source"]: (line["verdict"], line["accepted"], line["processed"])
        for line in lines
        if line["type"] == "verdict" and line["bucket"] == "2021-07-20T18:44:00Z"
    }


def test_sources_beyond_are_added_up_and_a_correction_of_one_replaces_only_its_own(store: Store) -> None:
    sources = [count(stage, f"s{number}", 10) for stage in BATCH.stages for number in range(5)]
    store.record([*sources, *progress()], PIPELINES)
    said = cells(judge(store, BATCH, NOW, every=True))
    assert said == {"s0": ("complete", 10, 10), "s1": ("complete", 10, 10), "(overflow)": ("complete", 30, 30)}
    store.record([count("ingress", "s4", 12, NOW + SECOND)], PIPELINES)
    assert cells(judge(store, BATCH, NOW + MINUTE, every=True))["(overflow)"][1:] == (32, 30)


def test_a_source_keeps_its_place_whoever_comes_later(store: Store) -> None:
    store.record([count("ingress", name, 1) for name in ("a", "b", "c", "d")], PIPELINES)
    store.record([count("processed", name, 1) for name in ("d", "c", "b", "a")], PIPELINES)
    assert store.directory(BATCH).sources == ["a", "b", "(overflow)"]
    assert store.directory(BATCH).beyond == 2


def test_it_is_said_once_as_a_ticket_with_what_to_do(store: Store) -> None:
    store.record([*[count("ingress", f"s{number}", 10) for number in range(5)], *progress()], PIPELINES)
    lines = [line for line in judge(store, BATCH, NOW) if line["type"] == "incident" and line["kind"] == "capacity"]
    (line,) = lines
    assert (line["severity"], line["status"]) == ("ticket", "open")
    assert line["summary"] == (
        "batch: resource sources are not enough: 3 sources beyond the 2 are judged together as (overflow)"
    )
    assert "raise max_sources" in line["advice"]
    later = judge(store, BATCH, NOW + MINUTE)
    assert [one for one in later if one["type"] == "incident" and one["kind"] == "capacity"] == []


def test_within_the_bound_nothing_is_said(store: Store) -> None:
    roomy = replace(BATCH, max_sources=5)
    store.record([*[count("ingress", f"s{number}", 10) for number in range(5)], *progress()], {"batch": roomy})
    assert not [line for line in judge(store, roomy, NOW) if line["type"] == "incident" and line["kind"] == "capacity"]
    assert store.directory(roomy).sources == [f"s{number}" for number in range(5)]


@pytest.fixture
def tables(sqlite_database: str) -> Tables:
    made = Tables(sqlite_database.replace("ledger.db", "events.db"))
    made.make()
    return made


def test_what_a_connector_no_longer_finds_of_a_source_beyond_is_withdrawn(store: Store, tables: Tables) -> None:
    options = {
        "pipeline": "batch",
        "stage": "ingress",
        "url": tables.url,
        "query": COUNT_BUCKETS.format(table="accepted"),
    }
    connector = build("table", Options.model_validate(options | {"window": "1h"}), PIPELINES)
    for source in ("a", "b", "c", "d"):
        tables.add("accepted", source, ["2021-07-20T18:44:00Z"])
    collect(store, [connector], PIPELINES, NOW, only_due=False)
    tables.run("DELETE FROM accepted WHERE source = 'd'")
    (done,) = collect(store, [connector], PIPELINES, NOW + SECOND, only_due=False)
    assert done.withdrawn == 1
    (again,) = collect(store, [connector], PIPELINES, NOW + 2 * SECOND, only_due=False)
    assert again.withdrawn == 0
    store.record(progress(), PIPELINES)
    assert cells(judge(store, BATCH, NOW + 3 * SECOND, every=True))["(overflow)"][1] == 1


def test_a_connector_that_finds_ever_new_sources_fills_no_ledger_and_says_which_were_not_taken(
    store: Store, tables: Tables
) -> None:
    options = {"pipeline": "batch", "stage": "ingress", "url": tables.url, "window": "1h"}
    query = COUNT_BUCKETS.format(table="accepted")
    connector = build("table", Options.model_validate(options | {"query": query}), PIPELINES)
    for source in ("a", "b", "c", "d"):
        tables.add("accepted", source, ["2021-07-20T18:44:00Z"])
    (first,) = collect(store, [connector], PIPELINES, NOW, only_due=False)
    for source in ("a", "d", "e", "f"):
        tables.add("accepted", source, ["2021-07-20T18:44:00Z"])
    (done,) = collect(store, [connector], PIPELINES, NOW + MINUTE, only_due=False)
    assert (first.refused, len(done.refused)) == ((), 2)
    assert "is a new one, and pipeline batch has twice its max_sources of 2 already" in done.refused[0].reason
    assert {key.origin for key in store.directory(BATCH).series} == {"", "c", "d"}
    store.record(progress(NOW + MINUTE), PIPELINES)
    said = cells(judge(store, BATCH, NOW + 2 * MINUTE, every=True))
    assert (said["a"][1], said["(overflow)"][1]) == (2, 3), "what is known is counted on"


def test_an_import_of_ever_new_sources_is_refused_line_by_line_and_the_others_are_kept(shell: Shell) -> None:
    shell.file("reconciler.yaml", "pipelines: {batch: {stages: [ingress, processed], max_sources: 2}}")
    place: dict[str, object] = {"type": "count", "pipeline": "batch", "stage": "ingress"}
    place["bucket"] = "2021-07-20T18:44:00Z"
    lines = [place | {"source": f"s{number}", "count": 1, "at": "2021-07-20T18:46:00Z"} for number in range(4)]
    assert shell("import", shell.file("first.ndjson", *lines)) == 0
    later = [place | {"source": name, "count": 2, "at": "2021-07-20T18:47:00Z"} for name in ("s0", "x", "s3", "y")]
    file = shell.file("later.ndjson", *later)
    assert shell("import", file) == 3
    assert "1 file: 2 kept, 0 unchanged, 2 refused" in shell.out
    assert f"{file}:4: source: is a new one" in shell.err
    assert f"{file}:2: source: is a new one, and pipeline batch has twice its max_sources of 2 already" in shell.err
