"""The adoption ladder: what a configuration proves, and that its page says what is so."""

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from reconciler.connectors._sql_dialects import DIALECTS
from reconciler.connectors.sql import Options, build
from reconciler.core.adoption import RUNGS, Level
from reconciler.core.observations import Count
from reconciler.core.pipelines import Pipeline
from reconciler.errors import ConfigError
from reconciler.settings import parse
from tests.integration.shell import Shell
from tests.integration.tables import Warehouse
from tests.integration.test_sql_tables import END, NOW, START, digest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adoption.md").read_text()
BY_TIME = {"kind": "sql", "url": "sqlite:///e.db", "table": {"name": "e", "time": "t", "source": "s"}}
BY_OFFSET = {
    "kind": "sql",
    "url": "sqlite:///e.db",
    "by": "offset",
    "table": {"name": "e", "time": "t", "topic": "'a'", "partition": "p", "offset": "o"},
}
BY_ID = BY_TIME | {"table": {"name": "e", "time": "t", "source": "s", "id": "i"}}
BY_DIGEST = {
    "kind": "sql",
    "url": "sqlite:///e.db",
    "query": "SELECT s AS source, t AS time, n AS count, d AS digest FROM e WHERE t >= :start AND t < :end",
}


def config(first: dict[str, Any] | None, second: dict[str, Any] | None, **pipeline: Any) -> str:
    ends = {"one": ("ingress", first), "two": ("stored", second)}
    connectors = {
        name: options | {"pipeline": "batch", "stage": stage} for name, (stage, options) in ends.items() if options
    }
    return yaml.safe_dump(
        {"pipelines": {"batch": {"stages": ["ingress", "stored"]} | pipeline}, "connectors": connectors}
    )


def adoption(home: Shell, text: str) -> dict[str, Any]:
    home.file("reconciler.yaml", text)
    assert home("check-config", "--json") == 0
    (standing,) = yaml.safe_load(home.out)["pipelines"][0]["adoption"]
    assert home("check-config") == 0
    assert f"level        {standing['level']} of 4 ({standing['name']})" in home.out
    assert f"cannot     {standing['cannot']}" in home.out
    return dict(standing)


STANDS = {
    "offsets at both ends": (BY_OFFSET | {"count": "written"}, BY_OFFSET, {}, 1, ["ingress", "stored"]),
    "times at both ends": (BY_TIME, BY_TIME, {}, 3, ["ingress", "stored"]),
    "ids at one end only": (BY_ID, BY_TIME, {}, 3, ["stored"]),
    "ids at both ends": (BY_ID, BY_DIGEST, {}, 4, ["ingress", "stored"]),
    "ids, stamped by the broker": (BY_ID, BY_ID, {"stamped_by": "broker"}, 2, ["ingress", "stored"]),
    "pushed by senders": (None, BY_ID, {}, 3, ["ingress"]),
}


@pytest.mark.parametrize(("first", "second", "pipeline", "level", "held_by"), STANDS.values(), ids=STANDS.keys())
def test_a_hop_stands_as_high_as_its_lower_end(
    home: Shell, first: Any, second: Any, pipeline: dict[str, Any], level: int, held_by: list[str]
) -> None:
    found = adoption(home, config(first, second, **pipeline))
    assert (found["level"], found["held_by"]) == (level, held_by)
    assert (found["next"] is None) == (level == Level.IDS)


def test_only_a_queue_that_is_looked_at_proves_where_late_events_are(home: Shell) -> None:
    queue = {"queues": {"q": {"from": "ingress", "to": "stored"}}}
    assert adoption(home, config(BY_TIME, BY_TIME, **queue))["queue_is_sampled"] is False
    assert "prove where late events are" in home.out
    sampled = yaml.safe_load(config(BY_TIME, BY_TIME, **queue))
    sampled["connectors"]["k"] = {"kind": "kafka", "pipeline": "batch", "bootstrap": "h:1", "queues": {"q": {}}}
    assert adoption(home, yaml.safe_dump(sampled))["queue_is_sampled"] is True
    assert "proves     where late events are" in home.out


def test_partitions_and_senders_are_never_compared() -> None:
    with pytest.raises(ConfigError, match="counts partitions at stored, but one counts senders at ingress"):
        parse(config(BY_TIME, BY_OFFSET), Path("reconciler.yaml"), {})


def test_the_page_has_every_level_and_every_database() -> None:
    for rung in RUNGS.values():
        assert f"| {int(rung.level)} {rung.name} |" in PAGE
    for dialect in DIALECTS.values():
        (row,) = [line for line in PAGE.splitlines() if line.startswith("| ") and f"`{dialect.name}://`" in line]
        assert row.endswith(f"| {dialect.notes} |")
        assert dialect.extra is None or f"`{dialect.extra}`" in row


RECIPES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.postgres), "duckdb"])
def test_the_digests_of_the_page_are_those_of_the_contract(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    postgres = backend == "postgresql"
    url = request.getfixturevalue("postgres_database") if postgres else f"duckdb:///{tmp_path / 'e.duckdb'}"
    warehouse = Warehouse(url)
    warehouse.run("CREATE TABLE events (source TEXT, accepted_at TIMESTAMPTZ, id TEXT)")
    ids = [f"event-{number}" for number in range(40)]
    warehouse.run("INSERT INTO events VALUES ('a', '2021-07-20 18:44:00+00', :id)", [{"id": one} for one in ids])
    query = RECIPES[0 if postgres else 1]
    options = {"pipeline": "batch", "stage": "ingress", "url": url, "query": query}
    connector = build("table", Options.model_validate(options), {"batch": Pipeline("batch", ("ingress", "stored"))})
    (cell,) = [one for one in connector.collect(START, END, NOW) if isinstance(one, Count)]
    assert (cell.count, cell.digest) == (40, digest(*ids))
    assert sa.make_url(url).get_backend_name() == backend


def test_the_configurations_of_the_page_hold(home: Shell) -> None:
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        assert yaml.safe_load(text)
    (first,) = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "kafka-queues" in text]
    whole = yaml.safe_load(first) | {
        "pipelines": {
            "events": {"stages": ["written", "stored"], "queues": {"clicks": {"from": "written", "to": "stored"}}}
        }
    }
    assert parse(yaml.safe_dump(whole), Path("reconciler.yaml"), {}).connectors.keys() == {
        "kafka-queues",
        "stored-offsets",
    }
