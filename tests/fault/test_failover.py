"""The primary dies in the middle of the work, its standby is promoted, and the service goes on with one address."""

import json
from pathlib import Path

import pytest

from reconciler.app import now
from reconciler.core.times import HOUR
from tests.fault.test_random_faults import DURABLE, disturbed, found
from tests.fault.trouble import World
from tests.postgres import Postgres, running_postgres, running_standby
from tests.until import until

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


def synchronous(primary: Postgres) -> None:
    """From now on nothing is acknowledged by the primary that the standby has not got, too."""
    primary.admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.admin.execute("SELECT pg_reload_conf()")
    query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    until(lambda: primary.admin.execute(query).fetchone() == (1,), 60, "a standby that follows")


def told(folder: Path) -> bool:
    """Whether the service has said that it does not reach its ledger."""
    return any(" cannot be " in log.read_text() for log in folder.glob("log-*.ndjson"))


def test_a_standby_takes_over_and_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    with running_postgres(*DURABLE) as primary, running_standby(primary) as standby:
        synchronous(primary)
        hosts = f"{primary.socket_folder},{standby.socket_folder}"
        url = f"postgresql+psycopg://postgres@/{primary.create_database()}?host={hosts}&target_session_attrs=read-write"
        dead = list[bool]()

        def fails_over(world: World) -> None:
            """The machine of the primary is gone; who watches it promotes the standby a while later."""
            if dead:
                return
            until(lambda: world.sink.seen["pushes answered with success"] > 20, 120, "some work")
            primary.control("stop -m immediate")
            dead.append(True)
            until(lambda: world.sink.seen["pushes answered with 503"] > 0, 120, "a push that is refused meanwhile")
            until(lambda: told(tmp_path), 120, "a line of the log that says so")
            standby.admin.execute("SELECT pg_promote()")

        run = disturbed(tmp_path, url, None, {"the standby is promoted": fails_over}, seconds=0)
        verdict = found(run, tmp_path)
        run.store.close()
    assert dead
    assert len(run.sink.kept) > 1_000
    assert now() < run.first + HOUR
    assert not any(verdict.values()), json.dumps({name: some[:5] for name, some in verdict.items()}, indent=1)
    assert told(tmp_path)
