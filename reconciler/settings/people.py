"""Settings about people: when they are told, what they promised, how senders can send again."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.core.times import DAY
from reconciler.settings.values import Duration, Instant, Name, Objective, Positive, Section

Kind = Literal[
    "loss", "at_risk", "delay", "surplus", "low_volume", "rejects", "missing_counts", "queue_policy", "capacity",
    "replay", "default",
]  # fmt: skip
"""Of incidents (contract §5); `default` stands for those that are not named."""


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


class WatchdogSettings(Section):
    """Signs of life for people, and what is done when the ledger itself cannot be reached."""

    every: Duration | None = None
    """Time between two notices that all is well, for notifiers that want them. Default: none are sent."""
    spool: Name = "reconciler.spool"
    """Folder, beside this file, for what could not be stored while the ledger was out of reach."""
