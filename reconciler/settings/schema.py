"""The settings of the configuration file, one class a section. What is not named here is refused.

The text under each setting is its description in the published JSON schema.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from reconciler.core.adoption import Level
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND
from reconciler.settings.access import AccessSettings
from reconciler.settings.people import (
    Kind,
    ObjectivesSettings,
    PagingSettings,
    ReportSettings,
    SenderSettings,
    WatchdogSettings,
)
from reconciler.settings.values import (
    AnyDuration,
    Duration,
    Instant,
    Name,
    Objective,
    Positive,
    Ratio,
    Section,
    StageName,
    Url,
    Whole,
    Zone,
    address,
    http_url,
)

__all__ = ["AnyDuration", "Duration", "Instant", "Name", "Objective", "Positive", "Ratio", "Section", "Url", "Whole"]
"""What the options of connectors and notifiers may use; the settings of this page are theirs too."""


class HopSettings(Section):
    """One stage compared with another that it feeds."""

    from_stage: StageName = Field(alias="from")
    """The stage that hands events on."""
    to_stage: StageName = Field(alias="to")
    """The stage that should see them."""


class PolicySettings(Section):
    """What the queue is meant to guarantee. What it really keeps is read from the queue and compared."""

    retention: Duration | None = None
    """How long every event must stay readable."""
    replicas: Positive | None = None
    """How many copies there must be."""


class QueueSettings(Section):
    """A queue that the pipeline owns."""

    from_stage: StageName = Field(alias="from")
    """The stage that writes into it."""
    to_stage: StageName = Field(alias="to")
    """The stage that reads from it."""
    policy: PolicySettings = PolicySettings()
    """What the queue is meant to guarantee."""
    sources: Annotated[tuple[Name, ...], Field(min_length=1)] = ("*",)
    """Patterns (`partner/*`) of the sources whose events it carries, where several queues share a hop."""
    record_bytes: Positive | None = None
    """What a record takes on disk, on average. Then advice to raise the retention says how much disk that takes."""


class ToleranceSettings(Section):
    """How much may be missing before a verdict speaks of it. The numbers themselves never change."""

    events: Whole = 0
    """Missing events a cell that do not count."""
    ratio: Ratio = 0.0
    """Missing share of a cell that does not count."""


class ReporterSettings(Section):
    """Who counts at a stage."""

    expect: tuple[Name, ...] = ()
    """Names of the reporters that must report. Default: the connectors of the stage, and those heard in 24 hours."""
    missing_after: Duration | None = None
    """How long a reporter may be silent. Default: three buckets or three of its usual intervals, the longer."""


class PlannedSettings(Section):
    """Work that was announced: the volume of its time is neither judged nor learned."""

    since: Instant = Field(alias="from")
    """When it begins."""
    until: Instant = Field(alias="to")
    """When it is over."""
    sources: Annotated[tuple[Name, ...], Field(min_length=1)] = ("*",)
    """Patterns of the sources that it touches."""


class VolumeSettings(Section):
    """How the accepted volume is held against what should have come."""

    budget: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """False alarms a month that all sources of the pipeline together may cause."""
    timezone: Zone | None = None
    """The clock that the senders live by: days, weeks and clock changes follow it. Default: UTC."""
    timezones: dict[Name, Zone] = {}
    """By pattern of the source's name, where a source has another; the first that fits holds."""
    holidays: tuple[date, ...] = ()
    """Local dates that resemble a Sunday. They are not learned from."""
    planned: tuple[PlannedSettings, ...] = ()
    """Announced work."""


class PipelineSettings(Section):
    """One way that events take."""

    stages: Annotated[tuple[StageName, ...], Field(min_length=2)]
    """The points where events are counted, in order. Events are accepted at the first."""
    hops: Annotated[tuple[HopSettings, ...], Field(min_length=1)] | None = None
    """Which stage is compared with which, where it is not each with the next."""
    bucket: Duration = MINUTE
    """Width of a bucket. A day must be a whole number of them."""
    queues: dict[Name, QueueSettings] = {}
    """The queues between the stages, by name."""
    objective: Objective = 0.9999
    """Share of accepted events that must be processed or accounted for. Drives severity, never hides a gap."""
    tolerance: ToleranceSettings = ToleranceSettings()
    """How much may be missing before a verdict speaks of it."""
    mode: Literal["observe", "alert"] = "observe"
    """`observe`: judged and reported alike, but nobody is paged. `alert`: people are told."""
    reaction: Duration | None = None
    """The time that people need to act. Default: 12h or a quarter of the queue's policy, the smaller."""
    reporters: dict[StageName, ReporterSettings] = {}
    """By stage: who counts there."""
    clock_allowance: AnyDuration = 5 * MINUTE
    """How far ahead of the time of its reading a bucket may lie before it is refused."""
    max_sources: Positive = 10_000
    """How many sources it may have. Those beyond are counted one by one and judged together, as (overflow);
    once there are as many beyond, pushes of further names are refused."""
    stamped_by: Literal["ingress", "broker"] = "ingress"
    """Who stamps the accept time: `ingress` itself, or the `broker` when the event is written to the queue. With the
    broker's, nothing is known of what was lost before the queue."""
    volume: VolumeSettings = VolumeSettings()
    """How the accepted volume is held against what should have come."""
    paging: PagingSettings = PagingSettings()
    """From when on somebody is woken."""
    objectives: ObjectivesSettings = ObjectivesSettings()
    """What `objective` is measured over, and sources that are promised something else."""
    runbooks: dict[Kind, Url] = {}
    """By kind of incident, or `default`: where it is written down what to do. Messages lead there."""


class SourceSettings(Section):
    """Who sends, and what can be done when their events are lost. Only used in advice."""

    owner: Name | None = None
    """The team or partner that answers for the source."""
    replay: Literal["own", "partner", "customer"] | None = None
    """Who can send the events again: we ourselves, a partner, or only the customer."""
    contact: Name | None = None
    """How to reach the owner."""


class ScheduleSettings(Section):
    """When the service looks."""

    tick: Duration = MINUTE
    """Time between two looks."""
    deadline: Duration | None = None
    """How long a look waits for its connectors before it judges without the late ones. Default: 3/4 of the tick."""
    prune: Duration = HOUR
    """Time between two removals of what is older than `retention`."""


class RetentionSettings(Section):
    """How long the ledger remembers. Shortening it forgets at the next removal; nothing brings it back."""

    detail: Duration = 90 * DAY
    """Counts, samples, and the history of what was known and said when. Later counts of older buckets are not taken."""
    verdicts: Duration = 730 * DAY
    """The last verdict of each cell, and incidents that are over. They outlive the detail."""


class HeartbeatSettings(Section):
    """A watcher of the watcher, which notices when no call comes any more."""

    url: Annotated[str, AfterValidator(http_url), Field(repr=False)]
    """Called by GET after each whole look. No redirect is followed."""
    timeout: Duration = 5 * SECOND
    """How long a call may take."""


def _public(url: str) -> str:
    bare = http_url(url)
    if "?" in bare or "#" in bare:
        raise ValueError("has a question mark or a #; paths are put after it")
    return bare.rstrip("/")


class ServiceSettings(Section):
    """How `reconciler run` runs. The commands do not need it, but for `public_url`."""

    listen: Annotated[str, AfterValidator(address)] = "127.0.0.1:8080"
    """Address and port of the HTTP face; 0.0.0.0 is every address of the machine, port 0 any that is free."""
    public_url: Annotated[str, AfterValidator(_public)] | None = None
    """Where people see the pages, as they type it. Messages lead there; without it they have no link."""
    lease: Duration | None = None
    """How long a process that died may hold up its replica. Default: half the tick, and 5 seconds at least."""
    blind_after: Duration | None = None
    """After how long without a judgement it is not ready any more. Default: five ticks."""
    heartbeat: HeartbeatSettings | None = None
    """Whom to call after each whole look."""
    log: Literal["text", "json"] = "text"
    """How it writes its log to standard error: lines for people, or one JSON object a line."""


class RecountSettings(Section):
    """Closed buckets are counted again now and then, so that a store that loses what it had is noticed."""

    window: Duration
    """How far back. No further than the table itself keeps: what it has deleted on purpose would look lost."""
    every: Duration = DAY
    """Time between two recounts."""


class SamplerOptions(Section):
    """What every connector is told. The options of a kind that takes samples, and counts no events, extend it."""

    pipeline: Name
    """The pipeline that it reads for."""
    every: Duration = MINUTE
    """Time between two readings."""

    def contradictions(self, pipeline: PipelineSettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Where in these options something does not fit the pipeline, and why; for a kind to say."""
        yield from ()

    def samples(self) -> Collection[str]:
        """Names of the queues that it samples; for a kind to say."""
        return ()

    def addresses(self) -> Mapping[str, tuple[str, str, str]]:
        """By queue: its topic, who reads it, and the brokers to ask; for a kind to say, so that advice names them."""
        return {}

    def resources(self) -> str:
        """How the names of the capacities that it reads begin; empty: it reads none. For a kind to say."""
        return ""

    def dependents(self) -> Collection[str]:
        """Names of all pipelines that its readings concern; for a kind to say."""
        return (self.pipeline,)


class ConnectorOptions(SamplerOptions):
    """What every connector that counts events at a stage is told. The options of a kind extend it."""

    pipeline: Name
    """The pipeline that it counts for."""
    stage: StageName
    """The stage at which its events are counted."""
    window: Duration = DAY
    """How far back each reading counts again. It must be longer than an event may take to arrive: later is not seen."""
    recount: RecountSettings | None = None
    """Count also what has left the window, less often."""

    def level(self) -> Level:
        """How much it knows of each event; for a kind to say."""
        return Level.ACCEPT_TIME


class PushSettings(Section):
    """How much may be pushed over HTTP. Whoever sends more is told to send less, or later."""

    megabytes: Positive = 32
    """Size of one request, unpacked."""
    observations: Positive = 50_000
    """Observations in one request."""
    rate: Positive = 100_000
    """Observations a second that one token may send (without tokens: one address), over ten seconds."""
    at_once: Positive = 16
    """Requests that are read at the same time. With the size of a request it bounds the memory."""


class FileSettings(Section):
    """The configuration file."""

    ledger: str = "sqlite:///reconciler.db"
    """Where the ledger is kept: `sqlite:///file` (relative to this file) or `postgresql://user@host/database`."""
    pipelines: Annotated[dict[Name, PipelineSettings], Field(min_length=1)]
    """What is watched, by name."""
    connectors: dict[Name, dict[str, Any]] = {}
    """Where counts are read from, by name; the name is the reporter. Counts can also be pushed or imported."""
    notifiers: dict[Name, dict[str, Any]] = {}
    """Who is told, by name of the channel."""
    sources: dict[Name, SourceSettings] = {}
    """By pattern of the source's name; the first that fits holds."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When the service looks."""
    retention: RetentionSettings = RetentionSettings()
    """How long the ledger remembers."""
    service: ServiceSettings = ServiceSettings()
    """How `reconciler run` runs."""
    push: PushSettings = PushSettings()
    """How much may be pushed over HTTP."""
    senders: tuple[SenderSettings, ...] = ()
    """How sources can send their events again; of several that fit, the first holds."""
    reports: ReportSettings | None = None
    """The daily report of completeness. Default: the service makes none."""
    watchdog: WatchdogSettings = WatchdogSettings()
    """Signs of life for people, and what is done when the ledger itself cannot be reached."""
    access: AccessSettings = AccessSettings()
    """Who may look at the pages, beside those with a token."""
