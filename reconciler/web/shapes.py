"""The shapes of what is answered, for the OpenAPI document. Answers themselves are written as they are."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["complete", "open", "pending", "delayed", "unknown", "surplus", "at_risk", "lost"]
Time = Field(json_schema_extra={"format": "date-time"})


class Shape(BaseModel):
    """Base of every answer: what is described is there, and more may come."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class Problem(Shape):
    """What is wrong."""

    error: str
    """For people: what, and how to mend it."""


class RefusedEntry(Shape):
    """An observation that was not taken."""

    index: int = Field(ge=0)
    """Its place in the request, from 0: of NDJSON the line (blank ones are counted too), of an array the element."""
    field: str
    """The field that is at fault, or `(line)`."""
    reason: str
    """What is wrong with it."""


class Pushed(Shape):
    """What became of a push."""

    kept: int = Field(ge=0)
    """Observations that are in the ledger now, durably; those that it held already are among them."""
    refused: int = Field(ge=0)
    """Observations that were not taken; sending them again as they are is of no use."""
    refusals: list[RefusedEntry]
    """Every one of them."""


class VerdictLine(Shape):
    """The judgement of one cell, as `reconciler backtest` writes it."""

    type: Literal["verdict"]
    at: str = Time
    """When it was said."""
    pipeline: str
    from_stage: str
    to_stage: str
    source: str
    bucket: str = Time
    """Start of the bucket."""
    verdict: Verdict
    accepted: int
    processed: int
    accounted: int
    retained: int
    in_flight: int
    passed_over: int
    unproven: int
    lost: int
    surplus: int
    misplaced: int
    lost_proven: int
    recovered: int
    duplicated: int
    returned: int
    """Events that were lost or passed over and came after all, without being sent again."""
    proven: bool
    loss_at: str | None
    evidence: list[str]
    volume: str


class Verdicts(Shape):
    """A page of verdicts, in order of pipeline, hop, bucket and source."""

    verdicts: list[VerdictLine]
    next: str | None
    """`cursor` of the next page; null at the end."""


class IncidentLine(Shape):
    """What was last said of an incident, as `reconciler backtest` writes it."""

    type: Literal["incident"]
    at: str = Time
    id: str
    kind: str
    status: Literal["open", "updated", "resolved"]
    severity: Literal["page", "ticket", "info"]
    pipeline: str
    sources: list[str]
    from_: str = Field(alias="from", json_schema_extra={"format": "date-time"})
    to: str = Time
    opened_at: str = Time
    lost: int
    evidence: list[str]
    summary: str
    advice: str


class Incidents(Shape):
    """A page of incidents, the oldest first."""

    incidents: list[IncidentLine]
    next: str | None
    """`cursor` of the next page; null at the end."""


class IncidentInFull(Shape):
    """One incident, and its history."""

    incident: IncidentLine
    """What was last said of it."""
    changes: list[IncidentLine]
    """All that was said of it, in order."""
    lost_by_source: dict[str, int]
    """Events that each source has lost, as far as they can be given to one."""


class SourceCompleteness(Shape):
    """How far a source can be read without missing anything."""

    pipeline: str
    source: str
    complete_through: str | None
    """Every bucket of the source before this instant is settled and complete, at every hop; null before its first."""


class PipelineCompleteness(Shape):
    """How far all sources of a pipeline can be read."""

    pipeline: str
    judged_at: str | None
    """When it was last judged; null: never, and nothing is known."""
    complete_through: str | None
    """The least of its sources, whatever is asked for; null while none has a bucket."""


class Completeness(Shape):
    """A page of sources, in order of pipeline and name, and their pipelines."""

    pipelines: list[PipelineCompleteness]
    sources: list[SourceCompleteness]
    next: str | None
    """`cursor` of the next page; null at the end."""


class SourceLine(Shape):
    """A source that was ever counted."""

    pipeline: str
    source: str
    first_bucket: str | None
    """Start of its first bucket with a count at any stage."""
    retired_at: str | None
    """From this instant it has no cells; null while it lives."""
    owner: str | None
    replay: Literal["own", "partner", "customer"] | None
    """Who can send its events again."""
    contact: str | None


class Sources(Shape):
    """A page of sources, in order of pipeline and name."""

    sources: list[SourceLine]
    next: str | None
    """`cursor` of the next page; null at the end."""
