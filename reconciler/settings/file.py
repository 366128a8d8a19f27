"""The configuration file as a whole: its sections, in order."""

from typing import Annotated, Any

from pydantic import Field

from reconciler.settings.access import AccessSettings
from reconciler.settings.schema import (
    Name,
    PipelineSettings,
    PushSettings,
    RetentionSettings,
    ScheduleSettings,
    Section,
    ServiceSettings,
    SourceSettings,
)


class FileSettings(Section):
    """The configuration file."""

    ledger: str = "sqlite:///reconciler.db"
    """Where the ledger is kept: `sqlite:///file` (relative to this file) or `postgresql://user@host/database`."""
    pipelines: Annotated[dict[Name, PipelineSettings], Field(min_length=1)]
    """What is watched, by name."""
    connectors: dict[Name, dict[str, Any]] = {}  # noqa: RUF012  pydantic copies it
    """Where counts are read from, by name; the name is the reporter. Counts can also be pushed or imported."""
    sources: dict[Name, SourceSettings] = {}  # noqa: RUF012  pydantic copies it
    """By pattern of the source's name; the first that fits holds."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When the service looks."""
    retention: RetentionSettings = RetentionSettings()
    """How long the ledger remembers."""
    service: ServiceSettings = ServiceSettings()
    """How `reconciler run` runs."""
    push: PushSettings = PushSettings()
    """How much may be pushed over HTTP."""
    access: AccessSettings = AccessSettings()
    """Who may look at the pages, beside those with a token."""
