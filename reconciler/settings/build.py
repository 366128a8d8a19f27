"""Sections that hold together -> the values that the rest of the program works with."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path

from reconciler.core.pipelines import Hop, Pipeline, Policy, Queue, Reporters, Tolerance, Watch
from reconciler.core.senders import Sender, Way
from reconciler.core.stakes import Paging
from reconciler.core.times import Micros
from reconciler.core.volume_plan import Planned, VolumePlan
from reconciler.settings.checks import hops_of
from reconciler.settings.people import SenderSettings
from reconciler.settings.schema import (
    ConnectorOptions,
    PipelineSettings,
    ReporterSettings,
    SamplerOptions,
    SourceSettings,
    VolumeSettings,
)

_SQLITE_FILE = "sqlite:///"


def pipeline_of(name: str, found: PipelineSettings, connectors: Mapping[str, SamplerOptions]) -> Pipeline:
    """The pipeline as the judgement needs it; `connectors` by name, those of other pipelines too."""
    own = {key: options for key, options in connectors.items() if options.pipeline == name}
    addresses = {queue: found for options in own.values() for queue, found in options.addresses().items()}
    samplers = {queue: (key, options.every) for key, options in own.items() for queue in options.samples()}
    return Pipeline(
        name=name,
        stages=found.stages,
        width=found.bucket,
        hops=tuple(Hop(start, end) for start, end in hops_of(found)),
        queues={
            queue: Queue(
                name=queue,
                hop=Hop(body.from_stage, body.to_stage),
                policy=Policy(body.policy.retention, body.policy.replicas),
                sources=body.sources,
                sampler=samplers.get(queue, ("", 0))[0],
                sampled_every=samplers.get(queue, ("", 0))[1],
                topic=addresses.get(queue, ("", "", ""))[0],
                group=addresses.get(queue, ("", "", ""))[1],
                bootstrap=addresses.get(queue, ("", "", ""))[2],
                record_bytes=body.record_bytes or 0,
            )
            for queue, body in found.queues.items()
        },
        objective=found.objective,
        tolerance=Tolerance(found.tolerance.events, found.tolerance.ratio),
        alert=found.mode == "alert",
        reaction=found.reaction,
        reporters=_reporters(
            found, {key: options for key, options in own.items() if isinstance(options, ConnectorOptions)}
        ),
        clock_allowance=found.clock_allowance,
        max_sources=found.max_sources,
        stamped_by_broker=found.stamped_by == "broker",
        limits=tuple(
            Watch(options.resources(), key, options.every)
            for key, options in connectors.items()
            if options.resources() and name in options.dependents()
        ),
        volume=_volume(found.volume),
        paging=Paging(found.paging.lost, found.paging.burn),
        objectives=tuple(found.objectives.sources.items()),
        budget_window=found.objectives.window,
        runbooks={str(kind): url for kind, url in found.runbooks.items()},
    )


def sender_of(found: SenderSettings) -> Sender:
    """How sources of a pattern can send again, as plans and drafts need it."""
    return Sender(
        found.pattern, Way(found.way), found.title or "", found.consent, found.horizon, found.until,
        found.identity or "", found.contact or "", found.dedupe,
    )  # fmt: skip


_WAYS = {"own": Way.REREAD, "partner": Way.PARTNER, "customer": Way.CUSTOMER}


def senders_of(sources: Mapping[str, SourceSettings]) -> Iterator[Sender]:
    """What `sources` says of who can send again."""
    for pattern, one in sources.items():
        if one.replay is not None:
            yield Sender(pattern, _WAYS[one.replay], one.owner or "", contact=one.contact or "")


def _volume(found: VolumeSettings) -> VolumePlan:
    return VolumePlan(
        budget=found.budget,
        zone=found.timezone or UTC,
        zones=tuple(found.timezones.items()),
        holidays=frozenset(found.holidays),
        planned=tuple(Planned(work.since, work.until, work.sources) for work in found.planned),
    )


def _reporters(found: PipelineSettings, connectors: Mapping[str, ConnectorOptions]) -> dict[str, Reporters]:
    """Who reports at each stage of which anything is known. A connector is expected without being named again."""
    reporters: dict[str, Reporters] = {}
    for stage in found.stages:
        said = found.reporters.get(stage, ReporterSettings())
        feeding = {name: options for name, options in connectors.items() if options.stage == stage}
        expect = said.expect or tuple(feeding)
        missing_after = said.missing_after or _patience(found.bucket, feeding)
        if expect or missing_after:
            reporters[stage] = Reporters(expect, missing_after)
    return reporters


def _patience(bucket: Micros, feeding: Mapping[str, ConnectorOptions]) -> Micros | None:
    """Three readings of the slowest connector, where it is slower than the buckets; otherwise the usual default."""
    slowest = max((options.every for options in feeding.values()), default=0)
    return 3 * slowest if slowest > bucket else None


def resolve_sqlite(url: str, base: Path) -> str:
    """The URL with a SQLite file named from the root; a relative one lies beside the configuration file."""
    if not url.startswith(_SQLITE_FILE):
        return url
    file, question, options = url.removeprefix(_SQLITE_FILE).partition("?")
    if not file or file == ":memory:" or file.startswith("file:"):
        return url
    return f"{_SQLITE_FILE}{base / file}{question}{options}"
