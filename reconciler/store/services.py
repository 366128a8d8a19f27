"""What the service notes of itself, and what it asks to say how it stands."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from reconciler.core.directory import Directory
from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros
from reconciler.ports import Run
from reconciler.store import facts, journal, tables
from reconciler.store.database import upsert
from reconciler.store.journal import Place


def note_runs(connection: Connection, news: Sequence[Run]) -> None:
    """Write how runs went; of one that failed it still stands when it last went well."""
    well = {(run.duty, run.subject): run.succeeded_at for run in runs(connection)}
    rows = [
        {
            "duty": run.duty,
            "subject": run.subject,
            "at": run.at,
            "took": run.took,
            "failure": run.failure,
            "succeeded_at": run.at if run.failure is None else well.get((run.duty, run.subject)),
        }
        for run in news
    ]
    upsert(connection, tables.run, rows)


def runs(connection: Connection) -> list[Run]:
    """The last run of each duty and subject."""
    table = tables.run.c
    query = select(table.duty, table.subject, table.at, table.took, table.failure, table.succeeded_at)
    return [Run(*row) for row in connection.execute(query.order_by(table.duty, table.subject))]


def reporters(connection: Connection, pipeline: Pipeline, directory: Directory, now: Micros) -> Ledger:
    """A ledger without counts: who reports, and how far."""
    ledger = Ledger(pipeline, directory)
    ledger.reporters = facts.reporters(connection, pipeline.name, now)
    for stage in pipeline.stages:
        at = journal.latest_at(connection, Place(pipeline.name, stage, pipeline.width), now)
        if at is not None:
            ledger.counted_at[stage] = at
    return ledger
