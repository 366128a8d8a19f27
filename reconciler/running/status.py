"""How far everything is, and what is missing: for `reconciler status`, and true whichever process does the work."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.stages import stage_now
from reconciler.core.times import NEVER, SECOND, Micros, floor_to, format_time, time_of
from reconciler.deeds import mute_record, mutes
from reconciler.ports import Run, Tenure
from reconciler.reports.objectives import record, standings
from reconciler.serving import ServiceStore
from reconciler.settings import Settings
from reconciler.settings.schema import ConnectorOptions, SamplerOptions

Record = dict[str, Any]


def status(store: ServiceStore, settings: Settings, now: Micros) -> Record:
    """All of it as plain values; instants as text, `None` where something never was."""
    runs = store.runs()
    standing = store.standing()
    names = sorted(settings.pipelines)
    return {
        "at": format_time(now),
        "service": _service(store.tenure()),
        "pipelines": [_pipeline(store, settings, settings.pipelines[name], runs, standing, now) for name in names],
        "mutes": [mute_record(act, now) for act in mutes(store, now)],
        "channels": list(_channels(store, settings, now)),
        "duties": [_run(run) for run in runs if not run.subject],
    }


def _service(tenure: Tenure | None) -> Record | None:
    if tenure is None:
        return None
    return {
        "holder": tenure.lease.holder,
        "since": format_time(floor_to(tenure.since, SECOND)),
        "epoch": tenure.lease.epoch,
        "running": tenure.left > 0,
    }


def _pipeline(
    store: ServiceStore,
    settings: Settings,
    pipeline: Pipeline,
    runs: Sequence[Run],
    standing: Sequence[Mapping[str, Any]],
    now: Micros,
) -> Record:
    judged_at = store.judged_at(pipeline)
    following = now if judged_at is None else max(judged_at, now - settings.tick)
    ledger = store.reporters(pipeline, now)
    stages = [_stage(ledger, name, now) for name in pipeline.stages]
    failed = next((run.failure for run in runs if (run.duty, run.subject) == ("judge", pipeline.name)), None)
    mine = [line for line in standing if line["pipeline"] == pipeline.name]
    return {
        "pipeline": pipeline.name,
        "mode": "alert" if pipeline.alert else "observe",
        "judged_at": time_of(judged_at),
        "next_at": format_time(floor_to(following, settings.tick) + settings.tick),
        "blind": judged_at is None or now - judged_at > settings.blind_after,
        "failure": failed,
        "stages": stages,
        "complete_through": _complete(store, pipeline),
        "connectors": list(_connectors(settings, pipeline, runs)),
        "missing": [f"{stage['stage']}: {gone['reporter']}" for stage in stages for gone in stage["missing"]],
        "objectives": [record(one) for one in standings(store, pipeline)],
        "incidents": dict(sorted(Counter(line["severity"] for line in mine).items())),
    }


def _complete(store: ServiceStore, pipeline: Pipeline) -> Record:
    """Until when all sources are complete, and which of them holds the others back; `None` before the first cell."""
    directory, reached = store.directory(pipeline), store.reached(pipeline)
    first = int(reached.argmin()) if len(reached) and reached.min() < NEVER else None
    return {
        "at": None if first is None else format_time(int(reached[first])),
        "held_back_by": None if first is None else directory.sources[first],
        "sources": len(directory.sources),
        "beyond_limit": directory.beyond,
    }


def _channels(store: ServiceStore, settings: Settings, now: Micros) -> Iterator[Record]:
    """Every channel that is configured, and every other that still has something to say."""
    stand = {one.channel: one for one in store.outbox.backlogs()}
    known = {name: found.kind for name, found in settings.notifiers.items()}
    left = [name for name, one in stand.items() if name not in known and one.pending]
    for name in (*known, *left):
        one = stand.get(name)
        since = one.failing_since if one else None
        yield {
            "channel": name,
            "kind": known.get(name),
            "pending": one.pending if one else 0,
            "dead_letters": one.dead if one else 0,
            "failing_since": time_of(since),
            "failing_seconds": (now - since) // SECOND if since else 0,
            "sent_at": time_of(one.sent_at if one else None),
            "failure": one.error if one and one.error else None,
        }


def _stage(ledger: Ledger, name: str, now: Micros) -> Record:
    stage = stage_now(ledger, name, now)
    return {
        "stage": name,
        "through": time_of(stage.through or None),
        "reporters": sum(1 for one in ledger.reporters.values() if one.stage == name and not one.final),
        "missing": [{"reporter": gone.name, "through": time_of(gone.through or None)} for gone in stage.missing],
    }


def _connectors(settings: Settings, pipeline: Pipeline, runs: Sequence[Run]) -> Iterator[Record]:
    asked = {run.subject: run for run in runs if run.duty == "collect"}
    for name, found in settings.connectors.items():
        if isinstance(found.options, SamplerOptions) and found.options.pipeline == pipeline.name:
            run = asked.get(name)
            said = {"at": None, "succeeded_at": None, "failure": None} if run is None else _run(run)
            kept = {key: said[key] for key in ("at", "succeeded_at", "failure")}
            stage = found.options.stage if isinstance(found.options, ConnectorOptions) else None
            yield {"connector": name, "stage": stage} | kept


def _run(run: Run) -> Record:
    return {
        "duty": run.duty,
        "at": format_time(run.at),
        "took_seconds": run.took / SECOND,
        "succeeded_at": time_of(run.succeeded_at),
        "failure": run.failure,
    }
