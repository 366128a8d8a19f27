"""Reports that were sent, at rest: packed, and never changed."""

import json
import zlib
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from reconciler.serving import KeptReport
from reconciler.store.archive_tables import report as table_of_reports

_BRIEF = ("id", "day", "zone", "made_at", "as_of", "version", "settings", "sent_to")


def keep(connection: Connection, report: KeptReport) -> int:
    """Add a report; returns its number."""
    row = {name: getattr(report, name) for name in _BRIEF if name != "id"} | {
        "sent_to": json.dumps(report.sent_to),
        "record": zlib.compress(json.dumps(report.record, ensure_ascii=False).encode()),
        "html": zlib.compress(report.html.encode()),
    }
    done = connection.execute(insert(table_of_reports).values(row).returning(table_of_reports.c.id))
    return int(done.scalar_one())


def kept(connection: Connection, day: str | None, zone: str | None) -> list[KeptReport]:
    """All of them without their contents, the oldest first; of a day and a zone, where these are named."""
    table = table_of_reports.c
    query = select(*(table[name] for name in _BRIEF)).order_by(table.day, table.made_at, table.id)
    if day is not None:
        query = query.where(table.day == day)
    if zone is not None:
        query = query.where(table.zone == zone)
    return [_report(row, {}, "") for row in connection.execute(query)]


def whole(connection: Connection, number: int) -> KeptReport | None:
    """The report of this number with its contents."""
    row = connection.execute(select(table_of_reports).where(table_of_reports.c.id == number)).first()
    if row is None:
        return None
    return _report(row, json.loads(zlib.decompress(row.record)), zlib.decompress(row.html).decode())


def _report(row: Row[Any], record: dict[str, Any], html: str) -> KeptReport:
    sent_to = tuple(json.loads(row.sent_to))
    return KeptReport(row.day, row.zone, row.made_at, row.as_of, row.version, row.settings, sent_to, record, html,
                      row.id)  # fmt: skip
