"""Reports that were sent, kept as they were sent; and what a later one of the same day says otherwise."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, format_time, parse_time
from reconciler.reports.changes import changes, restated, told
from reconciler.reports.daily import daily, forgotten
from reconciler.reports.days import Day
from reconciler.reports.html import as_html
from reconciler.reports.rows import hop_day
from reconciler.reports.tally import scan
from reconciler.reports.words import Record, hop_name
from reconciler.serving import KeptReport, ServiceStore

LOOKS_BACK = 8
"""So many earlier days are held against the reports that were sent of them."""


def report(
    store: ServiceStore, pipelines: Sequence[Pipeline], day: Day, now: Micros, as_of: Micros | None = None,
    *, compared: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The record of a day; with what it says otherwise than the one that was sent, and which other days changed."""
    record = daily(store, pipelines, day, now, as_of).record()
    if not compared:
        return record
    kept = latest(store, day)
    if kept is not None:
        since = f"changed since the report that was sent at {format_time(kept.made_at)}"
        record["changed"] = told(changes(_only(kept.record, record), record), since)
    elif as_of is not None:
        since = f"what has changed since {format_time(as_of)}"
        record["changed"] = told(changes(record, daily(store, pipelines, day, now).record()), since)
    if as_of is None:
        record["restated"] = _restated(store, pipelines, day)
    return record


def latest(store: ServiceStore, day: Day) -> KeptReport | None:
    """The report of a day that was sent last, in full; None: none was."""
    found = store.kept_reports(day.date.isoformat(), day.zone_name)
    return store.kept_report(found[-1].id) if found else None


def keep(store: ServiceStore, record: Record, sent_to: Sequence[str]) -> str:
    """Keep a report as sent; returns its HTML, which is kept with it."""
    html, made = as_html(record), record["made_by"]
    store.keep_report(
        KeptReport(
            day=record["day"],
            zone=record["zone"],
            made_at=_instant(record["made_at"]) or 0,
            as_of=_instant(record["as_of"]),
            version=made["version"],
            settings=made["settings"],
            sent_to=tuple(sent_to),
            record=json.loads(json.dumps(record)),
            html=html,
        )
    )
    return html


def _instant(text: str | None) -> Micros | None:
    return None if text is None else parse_time(text)


def _only(before: Mapping[str, Any], after: Record) -> dict[str, Any]:
    """The part of a kept report that is about the pipelines of another."""
    names = {one["pipeline"] for one in after["pipelines"]}
    mine = [one for one in before["pipelines"] if one["pipeline"] in names]
    whole = len(mine) == len(before["pipelines"])
    return {**before, "pipelines": mine, "made_by": before["made_by"] if whole else after["made_by"]}


def _restated(store: ServiceStore, pipelines: Sequence[Pipeline], day: Day) -> list[dict[str, Any]]:
    """What is said otherwise now of the days before than in the reports that were sent of them."""
    found: list[dict[str, Any]] = []
    for ago in range(1, LOOKS_BACK + 1):
        other = day.before(ago)
        kept = latest(store, other)
        if kept is not None:
            sums = {key: row for one in pipelines for key, row in _totals(store, one, other).items()}
            found += restated(kept.day, kept.record, sums)
    return found


def _totals(store: ServiceStore, pipeline: Pipeline, day: Day) -> dict[tuple[str, str], dict[str, Any]]:
    judged_at = store.judged_at(pipeline)
    if judged_at is None or forgotten(store, pipeline, day, None) is not None:
        return {}
    names = store.directory(pipeline).sources
    span = day.start, min(day.end, judged_at)
    found = {}
    for hop in pipeline.hops:
        tally = scan(store, pipeline, hop, span, judged_at, None, whole=False)
        record = hop_day(hop, tally, names, None, {}).record()
        found[pipeline.name, hop_name(record)] = record["total"]
    return found
