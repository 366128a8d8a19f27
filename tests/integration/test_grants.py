"""The roles of deploy/grants.sql: one makes tables, one works with rows, one reads two views, and none can do more."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from reconciler.core.observations import QueueSample
from reconciler.core.observations import parse as observation
from reconciler.core.times import DAY, parse_time
from reconciler.ports import Horizon
from reconciler.service import judge
from reconciler.settings import parse
from reconciler.store import SqlStore, migrate, open_store
from tests.postgres import Postgres
from tests.web.serving import COUNT

GRANTS = (Path(__file__).resolve().parents[2] / "deploy" / "grants.sql").read_text()
SETTINGS = parse("pipelines: {batch: {stages: [ingress, processed]}}", Path("reconciler.yaml"), {})


def _as(role: str, url: str) -> str:
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def _run(url: str, statement: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.mark.postgres
def test_each_role_can_do_its_work_and_no_more(postgres: Postgres, postgres_database: str) -> None:
    url = postgres_database
    _run(url, GRANTS)
    migrate(_as("reconciler_owner", url))
    _run(url, GRANTS)
    store = open_store(_as("reconciler", url))
    try:
        _work(store)
    finally:
        store.close()
    _run(_as("reconciler_reader", url), "SELECT * FROM complete_through")
    for role, forbidden in (
        ("reconciler", "DROP TABLE token"),
        ("reconciler", "DROP TABLE queue_sample_other"),
        ("reconciler", "CREATE TABLE mine (a int)"),
        ("reconciler", "UPDATE alembic_version SET version_num = 'x'"),
        ("reconciler_reader", "SELECT hash FROM token"),
        ("reconciler_reader", "SELECT * FROM incident"),
        ("reconciler_reader", "SELECT queue_sample_drop('batch', '2100-01-01', 1)"),
        ("reconciler_reader", "SELECT queue_sample_make('batch', '2100-01-01')"),
        ("reconciler_reader", "CREATE TEMPORARY TABLE mine (a int)"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            _run(_as(role, url), forbidden)


def _work(store: SqlStore) -> None:
    """What the service does with rows."""
    now = parse_time(COUNT["at"])
    token = store.tokens.create("t", now, reads=True, writes=True, pipelines=())
    assert store.tokens.find(token) is not None
    taken = store.record([observation(COUNT, SETTINGS.pipelines)], SETTINGS.pipelines)
    assert taken.kept == 1
    pipeline = SETTINGS.pipelines["batch"]
    judge(store, pipeline, now)
    store.make_days(pipeline, now)
    store.record([QueueSample(now, "batch", "events", 0, 1, 6, 5)], SETTINGS.pipelines)
    assert store.prune(pipeline, Horizon(now + 10 * DAY, 0), 100) >= 3
    assert store.latest_samples("batch", 0, now, 1) == []
