"""Conditions that no cell shows: policies that a queue does not keep, and finite things about to run out."""

from collections.abc import Iterable, Sequence

from reconciler.core.directory import OVERFLOW, Directory
from reconciler.core.incidents import Condition
from reconciler.core.observations import Capacity
from reconciler.core.pipelines import Pipeline, Watch
from reconciler.core.queues import QueueLedger
from reconciler.core.times import DAY, HOUR, MINUTE, Micros, format_duration

USED_TICKET = 0.80
USED_PAGE = 0.95
PAGE_BEFORE: Micros = 3 * DAY
"""A capacity that is used up sooner than this, at its present pace, pages: a larger type needs its night of work."""
TICKET_BEFORE: Micros = 30 * DAY
"""One that is used up sooner than this is a ticket, once `USED_SOME` of it is used."""
USED_SOME = 0.10
"""Below it only what ends before `PAGE_BEFORE` is told: what grows and is freed again (the age of transaction ids)
stays there in health, however steep it grows."""
READINGS_MISSED = 3
"""After so many missed readings nothing is known any more."""
UNREAD = "unread_capacity"
"""Mechanism of the condition that capacities are read no more."""
FAR: Micros = 365 * DAY
"""What lasts longer than this at its present pace is told of by nobody, unless it is nearly full."""


def crowd(pipeline: Pipeline, directory: Directory) -> list[Condition]:
    """More sources than the pipeline may have: the verdict of none of those beyond is its own."""
    beyond = directory.beyond
    if not beyond:
        return []
    shown = f"{_two_digits(beyond):,} sources" if beyond > 1 else "one source"
    text = f"are not enough: {shown} beyond the {pipeline.max_sources:,} are judged together as {OVERFLOW}"
    return [Condition("sources", "capacity", "sources", text, "ticket")]


def queue_policies(pipeline: Pipeline, queues: Iterable[QueueLedger]) -> list[Condition]:
    """What the queues promise less than their policy says, read from their latest samples.

    In peace that is a ticket: nothing waits for deletion. As soon as something does, `at_risk` pages.
    """
    found: list[Condition] = []
    for ledger in queues:
        samples = [part.seen for part in ledger.partitions.values()]
        policy, name = ledger.queue.policy, ledger.queue.name
        kept = [span for part in ledger.partitions.values() if (span := part.retention()) is not None]
        if policy.retention and kept and min(kept) < policy.retention:
            text = f"keeps {format_duration(min(kept))} where the policy is {format_duration(policy.retention)}"
            found.append(Condition(name, "queue_policy", "retention", text, "ticket"))
        copies = [sample.replicas for sample in samples if sample.replicas is not None]
        if policy.replicas and copies and min(copies) < policy.replicas:
            text = f"has {min(copies)} replicas where the policy is {policy.replicas}"
            found.append(Condition(name, "queue_policy", "replicas", text, "ticket"))
        behind = [
            s for s in samples if s.replicas and s.in_sync_replicas is not None and s.in_sync_replicas < s.replicas
        ]
        if behind:
            text = f"has {len(behind)} of {len(samples)} partitions with replicas out of sync"
            found.append(Condition(name, "queue_policy", "in_sync", text, "ticket"))
    return found


def capacities(readings: Iterable[Sequence[Capacity]], pipeline: Pipeline, now: Micros) -> list[Condition]:
    """What is about to be used up: judged by the time that is left, and by the share only where no pace is known.

    What its connector reads no more, though it reads others, is gone; what it reads nothing of is not known any more.
    """
    known = list(readings)
    found: list[Condition] = []
    for watch in pipeline.limits:
        own = [history[-1].at for history in known if history[-1].resource.startswith(watch.prefix)]
        if now - max(own, default=0) >= READINGS_MISSED * watch.every:
            text = f"has not been read by {watch.reader} lately: nothing is known of what is used"
            found.append(Condition(watch.prefix.rstrip("/"), "missing_counts", UNREAD, text, "ticket"))
            known = [history for history in known if not history[-1].resource.startswith(watch.prefix)]
        elif own:
            known = [history for history in known if not _gone(history[-1], watch, max(own))]
    return found + [condition for history in known if (condition := _capacity(history)) is not None]


def _gone(last: Capacity, watch: Watch, latest: Micros) -> bool:
    """Whether a resource was not among those that its connector read at the latest."""
    return last.resource.startswith(watch.prefix) and latest - last.at >= READINGS_MISSED * watch.every


def _capacity(history: Sequence[Capacity]) -> Condition | None:
    last, pace = history[-1], _pace(history)
    left = None if pace is None else min((last.limit - last.used) * DAY // pace, 100 * FAR)
    severity = _urgency(last, left)
    if severity is None:
        return None
    ends_at = last.at if last.used >= last.limit else 0 if left is None else last.at + left
    return Condition(last.resource, "capacity", "used", _said(last, pace, left), severity, ends_at)


def _pace(history: Sequence[Capacity]) -> int | None:
    """How much is used a day, since it was last at its lowest; `None` where it is not known or nothing is."""
    last = history[-1]
    lowest = min(reversed(history), key=lambda reading: reading.used)
    grown, span = last.used - lowest.used, last.at - lowest.at
    return max(1, grown * DAY // span) if grown > 0 and span > 0 else None


def _urgency(last: Capacity, left: Micros | None) -> str | None:
    """`page`, `ticket`, or `None` for what nobody needs to know."""
    share = last.used / last.limit
    if last.used >= last.limit or (left is not None and left < PAGE_BEFORE):
        return "page"
    if left is None:
        return "page" if share >= USED_PAGE else "ticket" if share >= USED_TICKET else None
    if share >= USED_PAGE:
        return "page" if left < TICKET_BEFORE else "ticket"
    soon = left < TICKET_BEFORE and share >= USED_SOME
    return "ticket" if soon or (share >= USED_TICKET and left < FAR) else None


def _said(last: Capacity, pace: int | None, left: Micros | None) -> str:
    """In words that stay the same while nothing much changes, for a new word is a new notice."""
    if last.used >= last.limit:
        return f"is used up ({last.used:,} of {last.limit:,})"
    share = 1000 * last.used // last.limit
    used = f"{f'{share / 10:.1f}' if share >= 990 else share // 10}%"
    if pace is None or left is None:
        return f"is {used} used, of {last.limit:,}"
    step = next((step for step in (DAY, 6 * HOUR, HOUR) if left >= 3 * step), 10 * MINUTE)
    ends = f"in about {format_duration(left // step * step)}" if left >= step else "within 10 min"
    return f"ends {ends}: {used} of {last.limit:,} is used, about {_roughly(pace):,} more a day"


def _roughly(amount: int) -> int:
    """To 1, 2 or 5 and noughts: after a jump the pace falls with each reading, and that is no news."""
    unit = int(10 ** (len(str(amount)) - 1))
    return max(step * unit for step in (1, 2, 5) if step * unit <= max(1, amount))


def _two_digits(amount: int) -> int:
    size = max(0, len(str(amount)) - 2)
    return round(amount, -size)
