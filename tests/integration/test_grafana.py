"""The dashboard for Grafana asks for what is there: metrics of the service, columns of the ledger."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from reconciler.running.meters import Meters
from reconciler.service import judge
from reconciler.store import open_store
from tests.integration.store_parts import BATCH, count, minute, pipelines

BOARD: dict[str, Any] = json.loads(Path("config/grafana/reconciler.json").read_text())
TARGETS = [(panel["title"], target) for panel in BOARD["panels"] for target in panel["targets"]]
QUERIES = [pytest.param(target["rawSql"], id=title) for title, target in TARGETS if "rawSql" in target]


def test_every_metric_that_it_names_is_one_of_the_service() -> None:
    known = set(re.findall(r"^# TYPE (\S+)", Meters().text().decode(), re.MULTILINE))
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    asked = [target["expr"] for _, target in TARGETS if "expr" in target]
    asked += [str(one["query"]) for one in BOARD["templating"]["list"]]
    named = {name for query in asked for name in re.findall(r"reconciler_\w+", query)}
    assert len(named) > 5
    assert named <= known


@pytest.mark.postgres
@pytest.mark.parametrize("query", QUERIES)
def test_every_table_of_it_is_a_query_that_the_ledger_answers(query: str, postgres_ledger: str) -> None:
    store = open_store(postgres_ledger)
    store.record([count(0, 5, at=minute(1)), count(0, 4, at=minute(1), stage="processed")], pipelines())
    judge(store, BATCH, minute(3))
    with store.database.reading() as connection:
        rows = connection.execute(text(query.replace("${pipeline:sqlstring}", "'other','batch'"))).mappings().all()
    assert [row["pipeline"] for row in rows] == ([] if "FROM incident" in query else ["batch"])
    store.close()


def test_nothing_in_it_is_tied_to_one_installation() -> None:
    assert {target["datasource"]["uid"] for _, target in TARGETS} == {"${prometheus}", "${postgresql}"}
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
