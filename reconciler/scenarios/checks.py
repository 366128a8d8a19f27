"""What a story says that a detector must say, must never say, and by when; and what a run itself must show."""

from reconciler.scenarios.expressions import Expression
from reconciler.scenarios.sections import Section, StoryError, as_number
from reconciler.scenarios.story import Checkpoint, Expectation, Minute, Never, Soonest, Total

VERDICTS = ("open", "complete", "pending", "delayed", "at_risk", "lost", "surplus", "unknown")
INCIDENTS = (
    "loss",
    "at_risk",
    "delay",
    "surplus",
    "low_volume",
    "rejects",
    "missing_counts",
    "queue_policy",
    "capacity",
)


def checkpoint(section: Section) -> Checkpoint:
    """`queue: q/2` is partition 2 of q."""
    queue, _, partition = section.text("queue").partition("/")
    if partition and not (partition.isascii() and partition.isdigit() and len(partition) < 10):
        raise StoryError(f"{section.path}.queue: the number of a partition is needed, not {partition!r}")
    entry = Checkpoint(
        t=section.whole("t"),
        queue=queue,
        partition=int(partition) if partition else None,
        start=section.whole("log_start"),
        end=section.whole("log_end"),
        committed=section.whole("committed"),
        processed=section.whole_or_none("processed"),
    )
    section.close()
    return entry


def expectation(section: Section) -> Expectation:
    """`match` and `where` are for the machine, `source` and `buckets` as people said it; the first two win."""
    bounds = section.take("at")
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise StoryError(f"{section.path}.at: [from, to) is needed, not {bounds!r}")
    source, buckets = section.text("source", "*"), section.take("buckets", "all")
    match = section.texts("match")
    proven = section.take("proven", None)
    text = f"{source} {_plain(buckets)}"
    for key in ("reason", "delivered"):
        section.take(key, None)
    entry = Expectation(
        start=_bound(bounds[0], section) or 0,
        end=_bound(bounds[1], section),
        match=match or ("*" if source == "each" else source,),
        where=_where(section, buckets),
        verdicts=_known(section.texts("verdict"), VERDICTS, section),
        proven=None if proven is None else bool(proven),
        evidence=section.texts("evidence"),
        incident=_kind(section),
        volume=section.text("volume", "") or None,
        needs=section.text("needs", "") or None,
        text=text,
    )
    section.close()
    return entry


def never(section: Section) -> Never:
    """`{match: httpapi, verdict: lost}`, `{incident: low_volume}`, `{incident: loss, status: resolved, from: 876}`."""
    verdict, incident = _one_of(section)
    proven, status = section.take("proven", None), section.text("status", "") or None
    entry = Never(
        match=section.texts("match") or ("*",),
        where=_where(section),
        verdict=verdict,
        proven=None if proven is None else bool(proven),
        incident=incident,
        status=status,
        start=section.whole_or_none("from"),
        end=section.whole_or_none("to"),
    )
    section.close()
    return entry


def soonest(section: Section) -> Soonest:
    """`{t: 25, match: batch_*, verdict: lost}`"""
    verdict, incident = _one_of(section)
    entry = Soonest(
        t=section.whole("t"),
        match=section.texts("match") or ("*",),
        where=_where(section),
        verdict=verdict,
        incident=incident,
    )
    section.close()
    return entry


def total(section: Section) -> Total:
    """`{part: lost, match: batch_*, equals: 26280000}`"""
    equals = as_number(section.take("equals"), f"{section.path}.equals")
    if equals.denominator != 1:
        raise StoryError(f"{section.path}.equals: events are whole")
    entry = Total(
        part=section.text("part"),
        match=section.texts("match") or ("*",),
        where=_where(section),
        t=section.whole_or_none("t"),
        equals=int(equals),
    )
    section.close()
    return entry


def _where(section: Section, buckets: object = "all") -> Expression:
    chosen = section.take("where", None)
    return Expression(as_expression(buckets if chosen is None else chosen, section.path), f"{section.path}.where")


def as_expression(buckets: object, path: str) -> str:
    """`all`, `[0, t-3]` (half-open) or an expression already."""
    if buckets == "all":
        return "True"
    if isinstance(buckets, list) and len(buckets) == 2:
        return f"({buckets[0]}) <= b < ({buckets[1]})"
    if isinstance(buckets, str):
        return buckets
    raise StoryError(f"{path}.buckets: all, [from, to) or an expression, not {buckets!r}")


def _plain(buckets: object) -> str:
    return f"[{buckets[0]}, {buckets[1]})" if isinstance(buckets, list) else str(buckets)


def _bound(value: object, section: Section) -> Minute | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise StoryError(f"{section.path}.at: minutes are needed, not {value!r}")


def _known(chosen: tuple[str, ...], known: tuple[str, ...], section: Section) -> tuple[str, ...]:
    for entry in chosen:
        if entry not in known:
            raise StoryError(f"{section.path}.verdict: {entry!r} is none of {', '.join(known)}")
    return chosen


def _one_of(section: Section) -> tuple[str | None, str | None]:
    """A verdict, or a kind of incident."""
    verdict, incident = section.text("verdict", "") or None, _kind(section)
    if (verdict is None) == (incident is None):
        raise StoryError(f"{section.path}: a verdict or an incident is needed, not both")
    return verdict and _known((verdict,), VERDICTS, section)[0], incident


def _kind(section: Section) -> str | None:
    kind = section.text("incident", "") or None
    if kind is not None and kind not in INCIDENTS:
        raise StoryError(f"{section.path}.incident: {kind!r} is none of {', '.join(INCIDENTS)}")
    return kind
