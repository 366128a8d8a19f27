"""What can go wrong with the service and its database, each in earnest."""

import os
import random
import resource
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.fault.load import Sink
from tests.integration.forks import Forks
from tests.postgres import Postgres

NAP = threading.Event()
"""Nobody sets it: to wait on it is to let so much time pass."""


@dataclass
class World:
    """What can be hurt."""

    services: list[Forks]
    ledger: str
    """Of SQLite the file, of PostgreSQL the name of the database."""
    server: Postgres | None
    clock: Path
    """By how many seconds the services' clock is wrong."""
    flood: threading.Event
    sink: Sink
    chance: random.Random

    def one(self) -> Forks:
        """Any of the processes."""
        return self.chance.choice(self.services)

    def pause(self, least: float, most: float) -> None:
        """Let some time pass."""
        NAP.wait(self.chance.uniform(least, most))


def killed(world: World) -> None:
    """kill -9 anywhere."""
    one = world.one()
    one.end(signal.SIGKILL)
    one.start()


def told_to_end(world: World) -> None:
    """SIGTERM at any point; another is started once it has ended."""
    one = world.one()
    one.end(signal.SIGTERM)
    one.start()


def frozen(world: World) -> None:
    """Stopped for longer than the lease lasts: another takes over, and then there are two who believe they lead."""
    one = world.one()
    one.end(signal.SIGSTOP)
    world.pause(1.5, 4)
    one.end(signal.SIGCONT)


def clock_wrong(world: World) -> None:
    """The clock jumps, and back again."""
    wrong = world.chance.choice([3, 8, 20, -3, -30, -700])
    world.clock.write_text(str(wrong))
    world.pause(0.5, 3)
    world.clock.write_text("0")


def flooded(world: World) -> None:
    """All that was held back comes at once."""
    world.flood.set()
    world.pause(0.5, 1.5)
    world.flood.clear()


def file_locked(world: World) -> None:
    """Somebody else writes into the file, and takes their time."""
    with closing(sqlite3.connect(world.ledger, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.pause(0.5, 3)
        other.execute("ROLLBACK")


def disk_full(world: World) -> None:
    """No file may grow beyond what the ledger has now: writes fail in the middle, as on a full disk."""
    (one,) = world.services
    size = os.path.getsize(world.ledger)  # noqa: PTH202  the file may be in use, its size is all that counts
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(one.process, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    world.pause(0.5, 2.5)
    resource.prlimit(one.process, resource.RLIMIT_FSIZE, unlimited)


def server_restarted(world: World) -> None:
    """The database is restarted, in order or by the hard way."""
    assert world.server is not None
    world.server.control(f"restart -m {world.chance.choice(['fast', 'immediate'])}")


def server_away(world: World) -> None:
    """The database refuses connections for a while."""
    assert world.server is not None
    world.server.control("stop -m fast")
    world.pause(0.2, 2)
    world.server.control("start")


@contextmanager
def admin(world: World, database: str = "postgres") -> Iterator[psycopg.Connection]:
    """A session beside those of the service."""
    assert world.server is not None
    with psycopg.connect(
        host=str(world.server.socket_folder), user="postgres", dbname=database, autocommit=True
    ) as connection:
        yield connection


def connections_cut(world: World) -> None:
    """All connections are cut, in whatever transaction they are."""
    with admin(world) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [world.ledger],
        )


def one_frozen_session(world: World) -> None:
    """A session of the database stands still for a while, whatever it holds."""
    with admin(world) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        sessions = [int(pid) for (pid,) in connection.execute(query, [world.ledger])]
        if not sessions:
            return
        os.kill(session := world.chance.choice(sessions), signal.SIGSTOP)
        world.pause(0.5, 3)
        os.kill(session, signal.SIGCONT)


def row_locked(world: World) -> None:
    """Somebody holds the one row that every writer needs."""
    with admin(world, world.ledger) as connection, connection.transaction():
        connection.execute("SELECT * FROM ledger FOR UPDATE")
        world.pause(0.5, 3)


def lease_taken_away(world: World) -> None:
    """The lease ends while its holder works on: the other takes it, and both believe that they lead."""
    with admin(world, world.ledger) as connection:
        connection.execute("UPDATE lease SET expires_at = 0")


Trouble = Callable[[World], None]
ANYWHERE: dict[str, Trouble] = {
    "kill -9": killed,
    "SIGTERM": told_to_end,
    "stopped for longer than the lease, then woken": frozen,
    "clock jumps forth or back": clock_wrong,
    "flood of late data": flooded,
}
EMBEDDED: dict[str, Trouble] = ANYWHERE | {"file locked by another": file_locked, "disk full": disk_full}
SERVED: dict[str, Trouble] = ANYWHERE | {
    "database restarted": server_restarted,
    "database refuses connections": server_away,
    "connections cut in a transaction": connections_cut,
    "session of the database stands still": one_frozen_session,
    "ledger locked by another": row_locked,
    "lease taken away: two leaders": lease_taken_away,
}
