"""Sessions at rest: the SHA-256 of a long random secret, as with tokens. Whose token is revoked is out.

Rows instead of signed cookies: every replica knows them, they can be ended, and there is no key to be kept.
"""

import secrets

from sqlalchemy import delete, insert, select

from reconciler.core.times import Micros
from reconciler.ports import Token
from reconciler.serving import Sessions
from reconciler.store import tables
from reconciler.store.database import Database
from reconciler.store.tokens import hash_of, token_of


class SqlSessions(Sessions):
    """Those of one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, token: str, now: Micros, length: Micros) -> str:
        """See `reconciler.serving.Sessions.begin`; those that have run out are forgotten meanwhile."""
        secret, table = secrets.token_urlsafe(32), tables.session
        row = {"hash": hash_of(secret), "token": token, "created_at": now, "expires_at": now + length}
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.expires_at <= now))
            connection.execute(insert(table), [row])
        return secret

    def find(self, secret: str, now: Micros) -> Token | None:
        session, token = tables.session.c, tables.token.c
        query = select(tables.token).join(tables.session, session.token == token.id)
        query = query.where(session.hash == hash_of(secret), session.expires_at > now, token.revoked_at.is_(None))
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else token_of(row)

    def end(self, secret: str) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(tables.session).where(tables.session.c.hash == hash_of(secret)))
