"""Sessions at rest: the SHA-256 of a long random secret, as with tokens. Whose token is revoked is out.

Rows instead of signed cookies: every replica knows them, they can be ended, and there is no key to be kept.
"""

import hashlib
import secrets

from sqlalchemy import delete, insert, select

from reconciler.core.times import Micros
from reconciler.ports import Token
from reconciler.store import tables
from reconciler.store.database import Database
from reconciler.store.tokens import token_of


class SqlSessions:
    """See `reconciler.serving.Sessions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, token: str, now: Micros, length: Micros) -> str:
        """See `reconciler.serving.Sessions.begin`; those that have run out are forgotten meanwhile."""
        secret, table = secrets.token_urlsafe(32), tables.session
        row = {"hash": _hash(secret), "token": token, "created_at": now, "expires_at": now + length}
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.expires_at <= now))
            connection.execute(insert(table), [row])
        return secret

    def find(self, secret: str, now: Micros) -> Token | None:
        """See `reconciler.serving.Sessions.find`."""
        session, token = tables.session.c, tables.token.c
        query = select(tables.token).join(tables.session, session.token == token.id)
        query = query.where(session.hash == _hash(secret), session.expires_at > now, token.revoked_at.is_(None))
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else token_of(row)

    def end(self, secret: str) -> None:
        """See `reconciler.serving.Sessions.end`."""
        with self._database.writing() as connection:
            connection.execute(delete(tables.session).where(tables.session.c.hash == _hash(secret)))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
