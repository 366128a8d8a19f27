"""What the agent knows, in one SQLite file: the last reading of each local reporter, their sums, and what is told.

What a sender was answered with success is here, durably, before it is answered. The sums are made in the same
transaction as the readings they are made of, so that no kill can part them. What the centre has confirmed is noted
after it did: a kill between the two makes the agent say the same sum again, and an absolute reading may be said twice.
"""

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock

from reconciler.core.observations import LIMIT, Count, Observation, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.records import record_of
from reconciler.core.times import Micros
from reconciler.errors import ConfigError, OutOfReach
from reconciler.ports import Horizon, Recorded

PATIENCE = 30.0
"""Seconds that one writer waits for the other."""
_PAGE = 4_096
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS sums (
  id INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, stage TEXT NOT NULL, source TEXT NOT NULL, bucket INTEGER NOT NULL,
  outcome TEXT NOT NULL, replay TEXT NOT NULL, count INTEGER NOT NULL DEFAULT 0, digest INTEGER NOT NULL DEFAULT 0,
  blank INTEGER NOT NULL DEFAULT 0, error REAL NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 0,
  told INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
  UNIQUE (pipeline, stage, source, bucket, outcome, replay));
CREATE INDEX IF NOT EXISTS untold ON sums (version) WHERE told < version;
CREATE INDEX IF NOT EXISTS by_bucket ON sums (bucket);
CREATE TABLE IF NOT EXISTS reporters (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS readings (
  cell INTEGER NOT NULL, reporter INTEGER NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL, digest INTEGER,
  error REAL NOT NULL, PRIMARY KEY (cell, reporter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (
  pipeline TEXT NOT NULL, stage TEXT NOT NULL, reporter TEXT NOT NULL, at INTEGER NOT NULL, through INTEGER NOT NULL,
  final INTEGER NOT NULL, advanced_at INTEGER NOT NULL, apart INTEGER NOT NULL DEFAULT 0, told INTEGER,
  PRIMARY KEY (pipeline, stage, reporter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (
  pipeline TEXT NOT NULL, stage TEXT NOT NULL, through INTEGER NOT NULL, final INTEGER NOT NULL,
  PRIMARY KEY (pipeline, stage)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passing (id INTEGER PRIMARY KEY, line TEXT NOT NULL);
"""
# sums.blank: readings with events and without a digest; sums.version: number of the transaction that changed it last;
# sums.told, sums.refused: the version that the centre confirmed, or refused; progress.advanced_at: this machine's clock
# when `through` last grew; progress.apart: told to the centre under its own name; progress.told: `at` of what was told.
_KEY = "pipeline = ? AND stage = ? AND source = ? AND bucket = ? AND outcome = ? AND replay = ?"


def signed(digest: int) -> int:
    """64 bits as SQLite keeps them."""
    return digest - 2**64 if digest >= 2**63 else digest


class Spool:
    """The side that takes in; it is what the HTTP face of the agent takes for a ledger. See `web.recorder.Records`."""

    def __init__(self, path: Path, name: str, now: Callable[[], Micros], *, megabytes: int) -> None:
        self.path, self._pages = path, max(1, megabytes * 1_000_000 // _PAGE)
        self._lock = Lock()
        try:
            self._connection = self.connect()
            with closing(self._connection.cursor()) as cursor:
                cursor.executescript(_TABLES)
            with transaction(self._connection):
                self._begin(name, now())
        except sqlite3.Error as error:
            raise ConfigError(f"--spool {path}: {error}") from None
        self.name = str(self.meta("name"))
        self._now = now

    def connect(self) -> sqlite3.Connection:
        """Another connection; what it commits is on the disk."""
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA max_page_count = {self._pages}")
        return connection

    def _begin(self, name: str, now: Micros) -> None:
        """A new spool is a new life, a known one goes on; nobody was silent while nobody listened."""
        connection = self._connection
        boot = f"{name}-{secrets.token_hex(4)}"
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('name', ?), ('at', 0), ('horizon', 0)", [boot])
        connection.execute("UPDATE progress SET advanced_at = ? WHERE final = 0", [now])
        connection.execute("UPDATE sums SET refused = 0 WHERE refused > 0")

    def meta(self, name: str) -> object:
        """A value that is kept."""
        with self._lock:
            return self._connection.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()[0]

    def horizon(self, pipeline: Pipeline) -> Horizon:
        """From which bucket on readings are taken: of earlier ones the sums are not known any more."""
        return Horizon(detail=int(str(self.meta("horizon"))) // pipeline.width * pipeline.width)

    def closed(self, pipeline: Pipeline) -> None:
        """Whom the service takes, the service says."""

    def record(self, observations: Sequence[Observation], pipelines: Mapping[str, Pipeline]) -> Recorded:
        """Take these in, durably; raises `OutOfReach` where they cannot be kept."""
        try:
            with self._lock, transaction(self._connection):
                kept = _Taking(self._connection, self._now()).take(observations)
            return Recorded(kept, len(observations) - kept)
        except sqlite3.Error as error:
            raise OutOfReach(f"the spool {self.path.name} cannot be written: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:  # commits, or rolls back whatever went wrong
        yield


class _Taking:
    """One transaction of readings."""

    def __init__(self, connection: sqlite3.Connection, now: Micros) -> None:
        self._connection, self._now = connection, now
        (latest,) = connection.execute("SELECT MAX(version) FROM sums").fetchone()
        self._version = (latest or 0) + 1
        (self._horizon,) = connection.execute("SELECT value FROM meta WHERE name = 'horizon'").fetchone()
        self._reporters: dict[str, int] = {}
        self._kept = 0

    def take(self, observations: Iterable[Observation]) -> int:
        """Take all; how many said something new."""
        for seen in observations:
            if isinstance(seen, Count):
                self._count(seen)
            elif isinstance(seen, Progress):
                self._progress(seen)
            else:
                # Queues and capacities are not summed: they go on as they came.
                line = json.dumps(record_of(seen), ensure_ascii=False, separators=(",", ":"))
                self._connection.execute("INSERT INTO passing (line) VALUES (?)", [line])
                self._kept += 1
        return self._kept

    def _reporter(self, name: str) -> int:
        if name not in self._reporters:
            self._connection.execute("INSERT OR IGNORE INTO reporters (name) VALUES (?)", [name])
            row = self._connection.execute("SELECT id FROM reporters WHERE name = ?", [name]).fetchone()
            self._reporters[name] = row[0]
        return self._reporters[name]

    def _count(self, seen: Count) -> None:
        if seen.bucket < self._horizon:  # it has moved since the request was looked at: the next look refuses it
            raise OutOfReach("a count came while its bucket was put away; send the same again")
        ask = self._connection.execute
        key = (seen.pipeline, seen.stage, seen.source, seen.bucket, seen.outcome, seen.replay or "")
        found = ask(f"SELECT id, count, digest, blank, error FROM sums WHERE {_KEY}", key).fetchone()  # noqa: S608  a constant
        if found is None:
            names = "pipeline, stage, source, bucket, outcome, replay"
            cell = ask(f"INSERT INTO sums ({names}) VALUES (?, ?, ?, ?, ?, ?)", key).lastrowid  # noqa: S608  the same
            found = (cell, 0, 0, 0, 0.0)
        cell, count, digest, blank, error = found
        reporter = self._reporter(seen.reporter)
        place = cell, reporter
        before = ask("SELECT at, count, digest, error FROM readings WHERE cell = ? AND reporter = ?", place).fetchone()
        own = 0 if not seen.count else (None if seen.digest is None else signed(seen.digest))
        reading = (seen.at, seen.count, own, seen.error)
        if before is not None and (before[0] > seen.at or before == reading):
            return  # an earlier one, or the same again
        old, old_digest, old_error = before[1:] if before else (0, 0, 0.0)
        if count - old + seen.count >= LIMIT:
            raise OutOfReach(f"the sum of {seen.source[:80]!r} would be 2^63 or more; a reporter counts nonsense")
        ask("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?, ?)", (*place, *reading))
        total = signed((digest - (old_digest or 0) + (own or 0)) % 2**64)
        blanks = blank - (old_digest is None) + (own is None)
        changed = (count - old + seen.count, total, blanks, error - old_error + seen.error)
        # A later reading that says the same needs no telling, but a first one does, even of nothing: zero is a count.
        version = self._version if changed != (count, digest, blank, error) or before is None else None
        ask(
            "UPDATE sums SET count = ?, digest = ?, blank = ?, error = ?, version = COALESCE(?, version) WHERE id = ?",
            (*changed, version, cell),
        )
        self._kept += 1

    def _progress(self, seen: Progress) -> None:
        ask = self._connection.execute
        place = seen.pipeline, seen.stage, seen.reporter
        where = "pipeline = ? AND stage = ? AND reporter = ?"
        known = ask(f"SELECT at, through, final, advanced_at FROM progress WHERE {where}", place).fetchone()  # noqa: S608  a constant
        if known is None:
            # Whoever begins behind what was said of all others is told by its own name: nothing can be taken back.
            said = ask("SELECT through FROM said WHERE pipeline = ? AND stage = ?", place[:2]).fetchone()
            apart = said is not None and seen.through < said[0]
            row = (*place, seen.at, seen.through, seen.final, self._now, apart)
            ask("INSERT INTO progress VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", row)
            self._kept += 1
            return
        at, through, final, advanced_at = known
        if seen.at < at or (seen.at, seen.through, seen.final) == (at, through, bool(final)):
            return
        advanced = self._now if seen.through > through else advanced_at
        ask(
            f"UPDATE progress SET at = ?, through = ?, final = ?, advanced_at = ? WHERE {where}",  # noqa: S608  a constant
            (seen.at, max(through, seen.through), seen.final, advanced, *place),
        )
        self._kept += 1
