"""Settings about people: when they are told, what they promised, how senders can send again."""

import re
from datetime import time
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from reconciler.core.times import DAY
from reconciler.settings.values import Duration, Instant, Name, Objective, Positive, Section, Zone

IncidentKind = Literal[
    "loss", "at_risk", "delay", "surplus", "low_volume", "rejects", "missing_counts", "queue_policy", "capacity",
    "replay",
]  # fmt: skip
"""Contract §5."""
Kind = Literal[IncidentKind, "default"]
"""`default` stands for those that are not named."""


class PagingSettings(Section):
    """From when on somebody is woken. What is less severe is a ticket."""

    lost: Positive = 1000
    """A loss of so many events pages, whatever share of the source it is. A queue that deleted unread events always
    pages."""
    burn: Positive = 100
    """A fast burn of the objective pages only if it has cost so many events: a share alone never pages a small
    source."""


class ObjectivesSettings(Section):
    """What `objective` is measured over, and sources that are promised something else."""

    window: Annotated[Duration, Field(ge=DAY, le=90 * DAY)] = 30 * DAY
    """Time over which the error budget is counted, from 1d to 90d."""
    sources: dict[Name, Objective] = {}
    """Objectives of their own, by pattern of the source's name. They are measured beside the pipeline's."""


class SenderSettings(Section):
    """How sources can send their events again. Plans of replays and what customers are told are made of it."""

    pattern: Name
    """Of the source's name; the first of the list that fits holds."""
    way: Literal["reread", "partner", "customer", "rewind"]
    """Who does it: we read it again (`reread`), a partner sends it again when asked (`partner`), only the servers of
    the customer can (`customer`), or a queue before ours still has it (`rewind`)."""
    title: Name | None = None
    """What people call these sources. Default: the pattern."""
    consent: bool = False
    """Each customer has to agree first."""
    horizon: Duration | None = None
    """How long the sender keeps what it sent."""
    until: Instant | None = None
    """The last instant at which it can be sent again."""
    identity: Name | None = None
    """The field by which duplicates are dropped downstream, so that sending twice counts once."""
    contact: Name | None = None
    """Whom to ask."""
    dedupe: Duration | None = None
    """How long after the first copy of an event a second one is still recognised by `identity`. Default: no end is
    known."""


def _clock(value: object) -> time:
    text = value if isinstance(value, str) else ""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f'is {value!r}, not a time of day in quotation marks such as "07:00"')
    return time(int(match[1]), int(match[2]))


_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
TimeOfDay = Annotated[
    time, BeforeValidator(_clock), WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d$", "examples": ["07:00"]})
]
Format = Literal["html", "json", "csv", "markdown", "text", "png"]


class ReportSettings(Section):
    """The daily report of completeness, as the service makes and sends it."""

    at: TimeOfDay = time(7)
    """When the report of the day before is made, by the clock of `timezone`. Later is better: more has arrived."""
    timezone: Zone | None = None
    """Whose midnights make the day. Default: UTC."""
    folder: Name | None = None
    """Where its files go, relative to this file. Default: no files are written."""
    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = ("html", "json")
    """Files that are written for each day; `png` needs the extra `charts`."""
    notify: tuple[Name, ...] = ()
    """Names of the notifiers that are told in a few lines, Slack with a picture (extra `charts`)."""


class WatchdogSettings(Section):
    """Signs of life for people, and what is done when the ledger itself cannot be reached."""

    every: Duration | None = None
    """Time between two notices that all is well, for notifiers that want them. Default: none are sent."""
    spool: Name = "reconciler.spool"
    """Folder, relative to this file, for what could not be stored while the ledger was out of reach. It has to be
    writable; better on another disk than the ledger's."""
