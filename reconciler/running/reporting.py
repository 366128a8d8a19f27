"""The duty that makes the report of the day before, once a day, and tells people of it."""

import logging
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from reconciler.announce import notifiers_of
from reconciler.core.notices import Notice
from reconciler.core.times import MINUTE, Micros
from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.posting import Letter, Notifier, NotifyFailed
from reconciler.reports import archive
from reconciler.reports.chart import as_png
from reconciler.reports.days import Day, day_of
from reconciler.reports.summary import summary
from reconciler.reports.words import Record
from reconciler.reports.writing import ENDINGS, rendered, write
from reconciler.running.turns import Turn
from reconciler.settings.people import ReportSettings

log = logging.getLogger(__name__)

AGAIN: Micros = 10 * MINUTE
"""Whoever did not take it is tried so often."""
LEDGER = "ledger"
"""Where a report goes that goes nowhere else."""


@runtime_checkable
class Pictured(Protocol):
    """A notifier that can put a picture under what it said."""

    def attach(self, reference: Any, picture: bytes, title: str) -> None:
        """Put a picture into the thread of a message. Raises `NotifyFailed`."""


def due(turn: Turn, settings: ReportSettings) -> tuple[Day, set[str]] | None:
    """The day of which a report is to be made now, and who has it already; None: none is due, or all have it.

    That is a fact of the ledger: another process, or the same after a pause, makes and sends it once.
    """
    zone = settings.timezone or UTC
    today = day_of(turn.now, zone)
    if today.local(turn.now).time() < settings.at:
        return None
    day = today.before(1)
    kept = turn.store.kept_reports(day.date.isoformat(), day.zone_name)
    had = {name for one in kept for name in one.sent_to}
    wanted = {*settings.notify, *(_file(day, kind) for kind in settings.formats if settings.folder), LEDGER}
    left = wanted - had
    return None if not left or (had and turn.now % AGAIN >= turn.settings.tick) else (day, had)


def report_daily(turn: Turn) -> bool:
    """Make the report of the day before, write its files, tell people, and keep it as it was sent."""
    settings = turn.settings.reports
    found = None if settings is None else due(turn, settings)
    if settings is None or found is None:
        return False
    day, had = found
    pipelines = [one for _, one in sorted(turn.settings.pipelines.items())]
    record = archive.report(turn.store, pipelines, day, turn.now)
    failures: list[str] = []
    sent = [*_files(turn, settings, day, record, had), *_told(turn, settings, record, had, failures)]
    sent += [] if LEDGER in had else [LEDGER]
    if sent:
        archive.keep(turn.store, record, sent)
        log.info("reported", extra={"day": record["day"], "sent_to": sent})
    if failures:
        raise OutOfReach("; ".join(failures))
    return True


def _file(day: Day, kind: str) -> str:
    return f"completeness-{day.date.isoformat()}.{ENDINGS.get(kind, kind)}"


def _files(turn: Turn, settings: ReportSettings, day: Day, record: Record, had: set[str]) -> Iterator[str]:
    """Write the files that are not there yet; yields their names."""
    if settings.folder is None:
        return
    folder = turn.settings.path.resolve().parent / Path(settings.folder)
    for kind in settings.formats:
        if _file(day, kind) not in had:
            write(folder / _file(day, kind), rendered(record, kind))
            yield _file(day, kind)


def _told(
    turn: Turn, settings: ReportSettings, record: Record, had: set[str], failures: list[str]
) -> Iterator[str]:  # fmt: skip
    """Tell those channels that were not told yet; yields their names. One that fails holds up no other."""
    for notifier in notifiers_of(turn.settings):
        if notifier.name not in settings.notify or notifier.name in had:
            continue
        try:
            reference = notifier.send(Letter(notice_of(record, turn.now), 1, turn.now, {}))
        except NotifyFailed as failure:
            failures.append(failure.message)
            continue
        _picture(notifier, reference, record)
        yield notifier.name


def _picture(notifier: Notifier, reference: Any, record: Record) -> None:
    """The day as a picture, where the channel shows one and it can be drawn; without it people were told too."""
    if isinstance(notifier, Pictured):
        try:
            notifier.attach(reference, as_png(record), f"Completeness of {record['day']}")
        except ReconcilerError as failure:
            log.warning("no picture", extra={"channel": notifier.name, "failure": failure.message})


def notice_of(record: Record, now: Micros) -> Notice:
    """A report as people are told of it in a message."""
    told = summary(record)
    return Notice(
        id=f"report-{record['day']}-{record['zone']}",
        pipeline="",
        kind="daily_report",
        status="open",
        severity="info",
        at=now,
        opened_at=now,
        title=told.title,
        facts=(*told.facts, *(("Note", note) for note in told.notes)),
        steps=(),
        sources=told.sources,
        kept=False,
    )
