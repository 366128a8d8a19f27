"""Contradictions: settings that are each well formed and cannot all be meant."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from reconciler.core.adoption import Level
from reconciler.core.times import DAY, Micros, format_duration
from reconciler.settings.document import Place, Problem
from reconciler.settings.notifying import NotifierOptions
from reconciler.settings.schema import ConnectorOptions, FileSettings, HopSettings, PipelineSettings, SamplerOptions

Pair = tuple[str, str]

_LEDGER = re.compile(r"(sqlite(\+pysqlite)?://|postgresql(\+psycopg)?://.)")
_FILELESS = re.compile(r"://(/?$|/?\?|/:memory:)")


def pipeline_problems(name: str, pipeline: PipelineSettings) -> Iterator[Problem]:
    """Whatever in one pipeline cannot hold together."""
    place: Place = ("pipelines", name)
    if DAY % pipeline.bucket:
        reason = f"{format_duration(pipeline.bucket)} does not divide a day into a whole number of buckets"
        yield Problem((*place, "bucket"), reason)
    yield from _repeated((*place, "stages"), pipeline.stages, "stage")
    yield from _hop_problems((*place, "hops"), pipeline)
    for number, work in enumerate(pipeline.volume.planned):
        if work.until <= work.since:
            yield Problem((*place, "volume", "planned", number, "to"), "is not later than its from")
    yield from _queue_problems((*place, "queues"), pipeline)
    for stage, reporters in pipeline.reporters.items():
        where = (*place, "reporters", stage)
        yield from _unknown_stage(where, stage, pipeline)
        yield from _repeated((*where, "expect"), reporters.expect, "reporter")


def connector_problems(
    name: str, options: SamplerOptions, pipelines: Mapping[str, PipelineSettings], named: Collection[str]
) -> Iterator[Problem]:
    """Whatever in one connector does not fit the pipelines; `named` are all that the file names, sound or not."""
    place: Place = ("connectors", name)
    if isinstance(options, ConnectorOptions) and options.every > options.window:
        every, window = format_duration(options.every), format_duration(options.window)
        yield Problem((*place, "every"), f"{every} is longer than the window of {window} that each reading covers")
    pipeline = pipelines.get(options.pipeline)
    if pipeline is None:
        if options.pipeline not in named:
            reason = f"{options.pipeline!r} is no pipeline of this file; there are: {_names(named)}"
            yield Problem((*place, "pipeline"), reason)
        return
    if not isinstance(options, ConnectorOptions):
        return
    yield from _unknown_stage((*place, "stage"), options.stage, pipeline)
    if options.window < pipeline.bucket:
        window, bucket = format_duration(options.window), format_duration(pipeline.bucket)
        yield Problem((*place, "window"), f"{window} is shorter than one bucket of {bucket}")


def notifier_problems(place: Place, options: NotifierOptions, named: Collection[str]) -> Iterator[Problem]:
    """Whether a notifier is for pipelines that there are."""
    for number, pattern in enumerate(options.pipelines):
        if not any(fnmatchcase(name, pattern) for name in named):
            reason = f"{pattern!r} fits no pipeline of this file; there are: {_names(named)}"
            yield Problem((*place, "pipelines", number), reason)


def recount_problems(name: str, options: ConnectorOptions, detail: Micros) -> Iterator[Problem]:
    """Whether what is counted again can still be compared with what was counted."""
    place: Place = ("connectors", name)
    if options.window > detail:
        reason = f"{format_duration(options.window)} is longer than retention.detail, {format_duration(detail)}"
        yield Problem((*place, "window"), reason)
    if options.recount is None:
        return
    window = format_duration(options.recount.window)
    if options.recount.window <= options.window:
        reason = f"{window} is no longer than the window of {format_duration(options.window)}, which is read anyway"
        yield Problem((*place, "recount", "window"), reason)
    if options.recount.window > detail:
        reason = f"{window} is longer than retention.detail, {format_duration(detail)}"
        yield Problem((*place, "recount", "window"), reason)


def schedule_problems(file: FileSettings) -> Iterator[Problem]:
    """Whatever in schedule, retention and service cannot hold together."""
    schedule, retention = file.schedule, file.retention
    if schedule.deadline is not None and schedule.deadline >= schedule.tick:
        deadline, tick = format_duration(schedule.deadline), format_duration(schedule.tick)
        yield Problem(("schedule", "deadline"), f"{deadline} leaves nothing of a tick of {tick} to judge in")
    if retention.detail < 2 * DAY:
        reason = f"{format_duration(retention.detail)} is less than two days, which the judgement itself looks back"
        yield Problem(("retention", "detail"), reason)
    if retention.verdicts < retention.detail:
        reason = f"{format_duration(retention.verdicts)} is shorter than the detail that they rest on"
        yield Problem(("retention", "verdicts"), reason)
    blind_after = file.service.blind_after
    if blind_after is not None and blind_after <= schedule.tick:
        reason = f"{format_duration(blind_after)} is no longer than a tick: it would be unready between two looks"
        yield Problem(("service", "blind_after"), reason)


def contradictions(name: str, options: SamplerOptions, pipelines: Mapping[str, PipelineSettings]) -> Iterator[Problem]:
    """Whatever the kind of a connector itself finds not to fit its pipeline."""
    pipeline = pipelines.get(options.pipeline)
    if pipeline is not None:
        for place, reason in options.contradictions(pipeline):
            yield Problem(("connectors", name, *place), reason)


def level_problems(
    pipelines: Mapping[str, PipelineSettings], connectors: Mapping[str, ConnectorOptions]
) -> Iterator[Problem]:
    """Hops of which one end names senders and the other partitions: none of their sources would ever meet."""
    for name, pipeline in pipelines.items():
        for start, end in hops_of(pipeline):
            for stage, other in ((start, end), (end, start)):
                by_offset = [key for key, one in _at(connectors, name, stage) if one.level() == Level.OFFSETS]
                by_source = [key for key, one in _at(connectors, name, other) if one.level() != Level.OFFSETS]
                if by_offset and by_source:
                    reason = (
                        f"counts partitions at {stage}, but {by_source[0]} counts senders at {other}: count both alike"
                    )
                    yield Problem(("connectors", by_offset[0]), reason)


def _at(connectors: Mapping[str, ConnectorOptions], pipeline: str, stage: str) -> list[tuple[str, ConnectorOptions]]:
    return [(key, one) for key, one in connectors.items() if (one.pipeline, one.stage) == (pipeline, stage)]


def ledger_problems(url: object) -> Iterator[Problem]:
    """Whether the ledger can be kept there at all; `None` is the default."""
    if not isinstance(url, str):
        return
    if _LEDGER.match(url) is None:
        yield Problem(
            ("ledger",), "is no database URL such as sqlite:///reconciler.db or postgresql://user@host/database"
        )
    elif url.startswith("sqlite") and _FILELESS.search(url):
        yield Problem(("ledger",), "is kept in memory only and would forget everything; name a file")


def hops_of(pipeline: PipelineSettings) -> Sequence[Pair]:
    """The hops as pairs of stages; by default each stage with the next."""
    if pipeline.hops is None:
        return list(zip(pipeline.stages, pipeline.stages[1:], strict=False))
    return [_pair(hop) for hop in pipeline.hops]


def _pair(hop: HopSettings) -> Pair:
    return hop.from_stage, hop.to_stage


def _hop_problems(place: Place, pipeline: PipelineSettings) -> Iterator[Problem]:
    if pipeline.hops is None:
        return
    seen: set[Pair] = set()
    for index, hop in enumerate(pipeline.hops):
        where = (*place, index)
        yield from _unknown_stage((*where, "from"), hop.from_stage, pipeline)
        yield from _unknown_stage((*where, "to"), hop.to_stage, pipeline)
        if hop.from_stage == hop.to_stage:
            yield Problem(where, f"leads from {hop.from_stage} to itself")
        elif hop.to_stage == pipeline.stages[0]:
            yield Problem(
                (*where, "to"), f"{hop.to_stage} is the first stage: events are accepted there, nothing feeds it"
            )
        if _pair(hop) in seen:
            yield Problem(where, f"{hop.from_stage} to {hop.to_stage} is there already")
        seen.add(_pair(hop))
    used = {stage for pair in seen for stage in pair}
    for stage in dict.fromkeys(pipeline.stages):
        if stage not in used:
            yield Problem(place, f"none has the stage {stage}, so its counts would be compared with nothing")
    if circle := _circle(seen):
        yield Problem(place, f"go in a circle: {' to '.join(circle)}")


def _circle(pairs: set[Pair]) -> list[str]:
    """Stages that lead back to the first of them, or nothing."""
    left = {pair for pair in pairs if pair[0] != pair[1]}
    while ends := {pair for pair in left if all(pair[1] != start for start, _ in left)}:
        left -= ends
    if not left:
        return []
    following = dict(sorted(left))
    walk = [min(following)]
    while walk[-1] not in walk[:-1]:
        walk.append(following[walk[-1]])
    return walk[walk.index(walk[-1]) :]


def _queue_problems(place: Place, pipeline: PipelineSettings) -> Iterator[Problem]:
    hops = hops_of(pipeline)
    for name, queue in pipeline.queues.items():
        where = (*place, name)
        pair = (queue.from_stage, queue.to_stage)
        unknown = [
            *_unknown_stage((*where, "from"), pair[0], pipeline),
            *_unknown_stage((*where, "to"), pair[1], pipeline),
        ]
        yield from unknown
        if not unknown and pair not in hops:
            known = ", ".join(f"{start} to {end}" for start, end in hops)
            yield Problem(where, f"lies between {pair[0]} and {pair[1]}, which is no hop; the hops are: {known}")
        yield from _repeated((*where, "sources"), queue.sources, "pattern")
        yield from _reaction_problem((*place[:-1], "reaction"), pipeline.reaction, name, queue.policy.retention)


def _reaction_problem(place: Place, reaction: Micros | None, queue: str, retention: Micros | None) -> Iterator[Problem]:
    if reaction is not None and retention is not None and reaction > retention:
        reason = (
            f"{format_duration(reaction)} is longer than the {format_duration(retention)} that the policy of {queue}"
        )
        yield Problem(place, f"{reason} leaves: no warning could come in time")


def _unknown_stage(place: Place, stage: str, pipeline: PipelineSettings) -> Iterator[Problem]:
    if stage not in pipeline.stages:
        yield Problem(place, f"{stage!r} is no stage of the pipeline; there are: {_names(pipeline.stages)}")


def _repeated(place: Place, names: Sequence[str], what: str) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem((*place, index), f"the {what} {name} is there already")


def _names(names: Collection[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "none"
