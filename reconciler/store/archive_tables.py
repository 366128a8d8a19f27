"""The table of daily reports that were sent."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text

from reconciler.store.tables import Id, column, metadata

report = Table(
    "report",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    column("day", Text),
    column("zone", Text),
    column("made_at", BigInteger),
    column("as_of", BigInteger, null=True),
    column("version", Text),
    column("settings", Text),
    column("sent_to", Text),
    column("record", LargeBinary),
    column("html", LargeBinary),
    comment="Daily reports as they were sent, packed by zlib; version and settings: of the engine that made them",
)
Index("ix_report_day", report.c.day, report.c.zone)
