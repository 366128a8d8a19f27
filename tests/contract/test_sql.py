"""The contract of connectors, held by the SQL connector on both kinds of database."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.core.times import MINUTE, Micros, parse_time
from tests.contract.suite import SECRET, CountingContract
from tests.integration.tables import COUNT_BUCKETS, Tables


@dataclass
class SqlCounterpart:
    """A database with a table of events."""

    tables: Tables
    kind: str = "sql"
    now: Micros = field(default_factory=lambda: parse_time("2021-07-20T18:45:30Z"))
    away: dict[str, Any] = field(default_factory=lambda: {"url": f"postgresql://user:{SECRET}@127.0.0.1:1/events"})
    pipeline: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        query = COUNT_BUCKETS.format(table="accepted")
        return {"stage": "ingress", "url": self.tables.url, "query": query, "window": "10m"}

    def fill(self) -> dict[tuple[str, Micros], int]:
        self.tables.add("accepted", "a", ["2021-07-20T18:44:00Z", "2021-07-20T18:44:59.999999Z"])
        self.tables.add("accepted", "b", ["2021-07-20T18:43:30Z", "2021-07-20T18:45:10Z"])
        bucket = parse_time("2021-07-20T18:44:00Z")
        return {("a", bucket): 2, ("b", bucket - MINUTE): 1, ("b", bucket + MINUTE): 1}


@pytest.fixture
def counterpart(database_url: str) -> SqlCounterpart:
    tables = Tables(database_url)
    tables.make()
    return SqlCounterpart(tables)


class TestSql(CountingContract):
    pass
