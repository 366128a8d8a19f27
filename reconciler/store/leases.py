"""Who does the service's work: one row with an epoch that each write of the service checks.

A takeover is written in a transaction that alone may write, so the epoch cannot change under a writer: what was begun
under the old one is either whole before the takeover, or refused after it. All times are of the database's own clock,
for those of two machines differ. An embedded ledger serves one process, which a lock on a file beside it sees to: the
lock ends with the process, however that ends.
"""

import fcntl
import os
import threading
from pathlib import Path

from sqlalchemy import BigInteger, ColumnElement, Connection, literal_column, select, update

from reconciler.core.times import Micros
from reconciler.errors import ConfigError, OutOfReach
from reconciler.ports import Lease, LeaseLost, Tenure
from reconciler.store.database import Database, upsert
from reconciler.store.tables import lease as table

_NAME = "service"
_OURS = table.c.name == _NAME
_CLOCKS = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
}


def require(connection: Connection, lease: Lease) -> None:
    """Refuse to go on under a lease that another process has taken over; in a transaction that alone may write."""
    epoch = connection.execute(select(table.c.epoch).where(_OURS)).scalar()
    if epoch != lease.epoch:
        raise LeaseLost(f"another process has taken over the work (epoch {epoch}, this one's was {lease.epoch})")


class Leases:
    """The lease of one ledger, as one process sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file: int | None = None
        self._guard = threading.Lock()

    def take(self, holder: str, length: Micros) -> Lease | None:
        """See `reconciler.serving.ServiceStore.take_lease`."""
        if self._database.sqlite:
            self._lock_file(holder)
        else:
            held = self.tenure()
            if held is not None and held.left > 0:
                return None
        with self._database.writing() as connection:
            # Asked again: the holder may have renewed it while this one waited for its turn to write.
            held = _tenure(connection)
            if held is not None and held.left > 0 and not self._database.sqlite:
                return None
            lease = Lease(holder, held.lease.epoch + 1 if held is not None else 1)
            now = connection.execute(select(_clock(connection))).scalar_one()
            row = {"name": _NAME, "holder": holder, "epoch": lease.epoch, "since": now, "expires_at": now + length}
            upsert(connection, table, [row])
        return lease

    def renew(self, lease: Lease, length: Micros) -> bool:
        """See `reconciler.serving.ServiceStore.renew_lease`; waits for no other writer of PostgreSQL."""
        return self._set(lease, length)

    def release(self, lease: Lease) -> None:
        """See `reconciler.serving.ServiceStore.release_lease`."""
        self._set(lease, 0)
        with self._guard:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def tenure(self) -> Tenure | None:
        """See `reconciler.serving.ServiceStore.tenure`."""
        with self._database.reading() as connection:
            return _tenure(connection)

    def _set(self, lease: Lease, length: Micros) -> bool:
        mine = _OURS & (table.c.epoch == lease.epoch)
        with self._database.changing() as connection:
            statement = update(table).where(mine).values(expires_at=_clock(connection) + length)
            return connection.execute(statement).rowcount == 1

    def _lock_file(self, holder: str) -> None:
        """Hold the lock beside an embedded ledger until the process ends. Raises `ConfigError` if another holds it."""
        path = Path(f"{self._database.url.database}-service")
        with self._guard:
            if self._file is not None:
                return
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise OutOfReach(f"the lock {path} cannot be written ({error.strerror})") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                other = os.read(file, 200).decode(errors="replace") or "of unknown name"
                os.close(file)
                raise ConfigError(
                    f"the ledger {self._database.label} is served by another process already ({other}). An embedded "
                    "ledger takes one service only: stop the other, or keep the ledger in PostgreSQL for two or more"
                ) from None
            os.ftruncate(file, 0)
            os.pwrite(file, holder.encode(), 0)
            self._file = file


def _tenure(connection: Connection) -> Tenure | None:
    query = select(table.c.holder, table.c.epoch, table.c.since, table.c.expires_at - _clock(connection)).where(_OURS)
    row = connection.execute(query).first()
    return None if row is None else Tenure(Lease(row[0], row[1]), row[2], int(row[3]))


def _clock(connection: Connection) -> ColumnElement[int]:
    """Now, as the database has it."""
    return literal_column(_CLOCKS[connection.dialect.name], BigInteger)
