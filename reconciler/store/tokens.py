"""Tokens at rest: the SHA-256 of a long random secret, never the secret.

A secret is `rcl_`, the id of its token, and 256 random bits: so a plain hash is as good as a slow one. It is found by
the id and compared in constant time.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, insert, select, update

from reconciler.core.times import Micros
from reconciler.ports import Token, Tokens
from reconciler.store import tables
from reconciler.store.database import Database

PREFIX = "rcl"
"""Tells people, and those who look for secrets in source code, what this is."""


class SqlTokens(Tokens):
    """Those of one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, now: Micros, *, reads: bool, writes: bool, pipelines: Sequence[str], operates: bool = False
    ) -> str:
        number = secrets.token_hex(6)
        secret = f"{PREFIX}_{number}_{secrets.token_urlsafe(32)}"
        row = {"id": number, "name": name, "hash": hash_of(secret), "reads": reads, "writes": writes}
        row |= {"operates": operates, "pipelines": json.dumps(sorted(pipelines)), "created_at": now}
        with self._database.writing() as connection:
            connection.execute(insert(tables.token), [row])
        return secret

    def all(self) -> list[Token]:
        table = tables.token
        with self._database.reading() as connection:
            return [token_of(row) for row in connection.execute(select(table).order_by(table.c.created_at, table.c.id))]

    def revoke(self, token: str, now: Micros) -> bool:
        table = tables.token
        change = update(table).where(table.c.id == token, table.c.revoked_at.is_(None)).values(revoked_at=now)
        with self._database.writing() as connection:
            return connection.execute(change).rowcount > 0

    def find(self, secret: str) -> Token | None:
        prefix, _, rest = secret.partition("_")
        number, _, _ = rest.partition("_")
        if prefix != PREFIX or not number.isalnum():
            return None
        with self._database.reading() as connection:
            row = connection.execute(select(tables.token).where(tables.token.c.id == number)).first()
        if row is None or not hmac.compare_digest(bytes(row.hash), hash_of(secret)) or row.revoked_at is not None:
            return None
        return token_of(row)

    def any(self) -> bool:
        with self._database.reading() as connection:
            return connection.execute(select(tables.token.c.id).limit(1)).first() is not None

    def use(self, token: str, now: Micros) -> None:
        with self._database.writing() as connection:
            connection.execute(update(tables.token).where(tables.token.c.id == token).values(used_at=now))


def hash_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def token_of(row: Row[Any]) -> Token:
    """The token of a row of its table."""
    values = {part.name: getattr(row, part.name) for part in fields(Token)}
    return Token(**values | {"pipelines": tuple(json.loads(row.pipelines))})
