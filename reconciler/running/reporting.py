"""The duty that makes the report of the day before, once a day."""

import logging
from datetime import UTC
from pathlib import Path

from reconciler.reports import archive
from reconciler.reports.days import Day, day_of
from reconciler.reports.words import Record
from reconciler.reports.writing import ENDINGS, rendered, write
from reconciler.running.turns import Turn
from reconciler.settings.people import ReportSettings

log = logging.getLogger(__name__)


def due(turn: Turn, settings: ReportSettings) -> Day | None:
    """The day of which a report is to be made now; None: none is due, or it was made.

    Whether it was made is a fact of the ledger: another process, or the same after a pause, makes it once.
    """
    zone = settings.timezone or UTC
    today = day_of(turn.now, zone)
    if today.local(turn.now).time() < settings.at:
        return None
    day = today.before(1)
    kept = turn.store.kept_reports(day.date.isoformat(), day.zone_name)
    return None if any(one.sent_to for one in kept) else day


def report_daily(turn: Turn) -> bool:
    """Make the report of the day before, write its files, tell people, and keep it as it was sent."""
    settings = turn.settings.reports
    day = None if settings is None else due(turn, settings)
    if settings is None or day is None:
        return False
    pipelines = [one for _, one in sorted(turn.settings.pipelines.items())]
    record = archive.report(turn.store, pipelines, day, turn.now)
    sent = [*_files(turn, settings, record)]
    archive.keep(turn.store, record, sent or ["ledger"])
    log.info("reported", extra={"day": record["day"], "sent_to": sent})
    return True


def _files(turn: Turn, settings: ReportSettings, record: Record) -> list[str]:
    """Write the files; returns their names."""
    if settings.folder is None:
        return []
    folder = turn.settings.path.resolve().parent / Path(settings.folder)
    made = []
    for kind in settings.formats:
        path = folder / f"completeness-{record['day']}.{ENDINGS.get(kind, kind)}"
        write(path, rendered(record, kind))
        made.append(path.name)
    return made
