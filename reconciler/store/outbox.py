"""What is still to be told, at rest: one row for each incident and channel, and what channels took."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, select, update

from reconciler.core import notices
from reconciler.core.notices import Notice
from reconciler.core.outbox import DIGEST, OVER_AGAIN, Entry, Manner, Post, in_order, mood
from reconciler.core.times import SECOND, Micros
from reconciler.posting import Backlog, NotifyFailed, Outbox, Sending
from reconciler.store import tables
from reconciler.store.database import Database

_TABLE = tables.outbox
_ROW = tables.outbox.c
_UNSENT = _ROW.wanted > _ROW.sent
_BEGUN = {
    "sent": 0, "sent_at": 0, "told": "", "reference": "{}", "attempts": 0, "failing_since": 0, "claimed_until": 0,
    "doubt_since": 0, "digested": "", "state": "pending", "error": "",
}  # fmt: skip


def put(connection: Connection, posts: Sequence[Post], now: Micros) -> None:
    """Put posts in, in place of what was to be said before; in the transaction of whoever decides it."""
    for one in posts:
        notice = one.notice
        fresh: dict[str, Any] = {
            "pipeline": notice.pipeline,
            "severity": notice.severity,
            "status": notice.status,
            "notice": notices.dump(notice),
            "updated_at": now,
        }
        # One that has failed waits for its turn all the same: the channel may want to be left alone.
        waits = case((_ROW.attempts > 0, _ROW.next_try_at), else_=now)
        pending = case((_ROW.state == "dead", "dead"), else_="pending")
        change = update(_TABLE).where(_ROW.incident == notice.id, _ROW.channel == one.channel)
        values = fresh | {"wanted": _ROW.wanted + 1, "next_try_at": waits, "state": pending}
        if connection.execute(change.values(values)).rowcount == 0 and one.begins:
            key = {"incident": notice.id, "channel": one.channel, "wanted": 1, "next_try_at": now}
            connection.execute(insert(_TABLE), [key | fresh | _BEGUN])


class SqlOutbox(Outbox):
    """The one of a ledger."""

    def __init__(self, database: Database, writing: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._database, self._writing = database, writing

    def post(self, posts: Sequence[Post], now: Micros) -> None:
        if posts:
            with self._writing() as connection:
                put(connection, posts, now)

    def introduce(self, posts: Sequence[Post], now: Micros) -> int:
        if not posts:
            return 0
        named = {one.notice.id for one in posts}
        query = select(_ROW.incident, _ROW.channel).where(_ROW.incident.in_(named))
        with self._writing() as connection:
            known = {(row.incident, row.channel) for row in connection.execute(query)}
            fresh = [one for one in posts if one.begins and (one.notice.id, one.channel) not in known]
            put(connection, fresh, now)
        return len(fresh)

    def newest(self, incident: str) -> Notice | None:
        query = select(_ROW.notice).where(_ROW.incident == incident).order_by(_ROW.updated_at.desc()).limit(1)
        with self._database.reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else notices.load(found)

    def due(self, channel: str, now: Micros, manner: Manner, most: int) -> list[Entry]:
        due = _UNSENT & (_ROW.next_try_at <= now)
        if manner.resend:
            alive = (_ROW.status != "resolved") | (_ROW.updated_at > now - OVER_AGAIN)
            due |= ~_UNSENT & alive & (_ROW.sent_at <= now - manner.resend)
        return self._entries((_ROW.channel == channel) & (_ROW.claimed_until <= now) & due)[:most]

    def crowd(self, channel: str) -> int:
        with self._database.reading() as connection:
            own = _ROW.incident.not_like(f"{DIGEST}-%")
            query = select(func.count()).where(_ROW.channel == channel, _ROW.status != "resolved", own)
            return int(connection.execute(query).scalar_one())

    def digested(self, channel: str, name: str) -> list[Entry]:
        return self._entries((_ROW.channel == channel) & (_ROW.digested == name) & (_ROW.reference == "{}"))

    def claim(self, entry: Entry, now: Micros, until: Micros) -> bool:
        still = (_ROW.wanted == entry.wanted) & (_ROW.sent == entry.sent)
        still &= _ROW.claimed_until == entry.claimed_until
        values = {"claimed_until": until, "doubt_since": entry.doubt_since or now}
        with self._writing() as connection:
            return connection.execute(update(_TABLE).where(_this(entry), still).values(values)).rowcount == 1

    def delivered(self, entry: Entry, reference: Mapping[str, Any], now: Micros) -> None:
        with self._writing() as connection:
            said = _said(entry, now) | {"reference": json.dumps(reference, separators=(",", ":"))}
            connection.execute(update(_TABLE).where(_this(entry)).values(said))
            if entry.wanted > entry.sent:
                _note(connection, entry, now, "sent")

    def share(self, channel: str, entries: Sequence[Entry], now: Micros) -> str:
        open_one = (_ROW.channel == channel) & (_ROW.digested != "") & (_ROW.status != "resolved")
        with self._writing() as connection:
            name = next((entry.digested for entry in entries if entry.digested), "")
            name = connection.execute(select(_ROW.digested).where(open_one).limit(1)).scalar() or name
            name = name or f"{DIGEST}-{channel}-{now // SECOND}"
            for entry in entries:
                values = _said(entry, now) | {"digested": entry.digested or name}
                connection.execute(update(_TABLE).where(_this(entry)).values(values))
                _note(connection, entry, now, "digest")
        return name

    def wait(self, entry: Entry, until: Micros) -> None:
        with self._writing() as connection:
            connection.execute(update(_TABLE).where(_this(entry)).values(next_try_at=until))

    def failed(self, entry: Entry, failure: NotifyFailed, now: Micros, until: Micros, *, dead: bool) -> None:
        values: dict[str, Any] = {
            "attempts": entry.attempts + 1,
            "failing_since": entry.failing_since or now,
            "next_try_at": until,
            "claimed_until": 0,
            "state": "dead" if dead else "pending",
            "error": failure.message,
        }
        if failure.reference:
            values["reference"] = json.dumps(failure.reference, separators=(",", ":"))
        with self._writing() as connection:
            connection.execute(update(_TABLE).where(_this(entry)).values(values))
            if dead and entry.state != "dead":
                _note(connection, entry, now, "dead")

    def wake(self, channel: str, now: Micros) -> None:
        waiting = (_ROW.channel == channel) & _UNSENT & (_ROW.attempts > 0)
        with self._writing() as connection:
            connection.execute(update(_TABLE).where(waiting).values(next_try_at=now))

    def backlogs(self) -> list[Backlog]:
        failing = case((_UNSENT & (_ROW.failing_since > 0), _ROW.failing_since))
        query = select(
            _ROW.channel,
            func.sum(case((_UNSENT, 1), else_=0)),
            func.sum(case((_UNSENT & (_ROW.state == "dead"), 1), else_=0)),
            func.min(failing),
            func.max(_ROW.sent_at),
        ).group_by(_ROW.channel)
        last = select(_ROW.channel, _ROW.error).where(_UNSENT, _ROW.error != "").order_by(_ROW.next_try_at)
        with self._database.reading() as connection:
            errors = {row.channel: row.error for row in connection.execute(last)}
            return [
                Backlog(channel, int(pending), int(dead), since, sent_at or None, errors.get(channel, ""))
                for channel, pending, dead, since, sent_at in connection.execute(query.order_by(_ROW.channel))
            ]

    def sendings(self, incident: str) -> list[Sending]:
        row = tables.sending.c
        query = select(
            row.channel, row.at, row.version, row.status, row.severity, row.what, row.posted_at
        ).where(row.incident == incident)  # fmt: skip
        with self._database.reading() as connection:
            return [Sending(*found) for found in connection.execute(query.order_by(row.id))]

    def _entries(self, which: ColumnElement[bool]) -> list[Entry]:
        with self._database.reading() as connection:
            return in_order(_entry(row) for row in connection.execute(select(_TABLE).where(which)))


def _this(entry: Entry) -> ColumnElement[bool]:
    return (_ROW.incident == entry.notice.id) & (_ROW.channel == entry.channel)


def _entry(row: Any) -> Entry:
    names = (
        "channel", "wanted", "sent", "sent_at", "told", "attempts", "failing_since", "doubt_since", "claimed_until",
        "digested", "state", "error",
    )  # fmt: skip
    values = {name: getattr(row, name) for name in names}
    return Entry(notice=notices.load(row.notice), reference=json.loads(row.reference), **values)


def _said(entry: Entry, now: Micros) -> dict[str, Any]:
    """What changes when a channel has been told; a newer state may have come meanwhile, and then waits."""
    return {
        "sent": entry.wanted,
        "sent_at": now,
        "told": mood(entry.notice),
        "attempts": 0,
        "failing_since": 0,
        "next_try_at": now,
        "claimed_until": 0,
        "doubt_since": 0,
        "state": case((_ROW.wanted == entry.wanted, "sent"), else_="pending"),
        "error": "",
    }


def _note(connection: Connection, entry: Entry, now: Micros, what: str) -> None:
    notice = entry.notice
    row = {
        "incident": notice.id,
        "channel": entry.channel,
        "pipeline": notice.pipeline,
        "at": now,
        "version": entry.wanted,
        "status": notice.status,
        "severity": notice.severity,
        "what": what,
        "posted_at": notice.at,
    }
    connection.execute(insert(tables.sending), [row])
