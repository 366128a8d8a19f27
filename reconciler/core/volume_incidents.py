"""Low volume told of: which sources are in it, and what an incident says of the worst of them."""

from collections.abc import Sequence

from reconciler.core.directory import Directory
from reconciler.core.incidents import Condition, Incident, Register
from reconciler.core.times import Micros, format_duration
from reconciler.core.volume_fleet import once_in
from reconciler.core.volume_watch import Advance, Low

KIND = "low_volume"


def in_incident(register: Register, directory: Directory) -> dict[int, Micros]:
    """By ordinal: since when a source is in an open incident of low volume."""
    return {
        directory.source(name): incident.since
        for incident in register.incidents.values()
        if incident.kind == KIND and incident.status in {"open", "updated"}
        for name, share in incident.shares.items()
        if share.bad
    }


def report(register: Register, hop: str, found: Advance, directory: Directory, width: Micros, now: Micros) -> None:
    """Put what newly judged buckets came to into the register: all that is low at once is one incident."""
    names = directory.sources
    cells = [(names[one.source], one.bucket) for one in found.low if one.source >= 0]
    lasting = {one.source for one in found.low if one.source not in found.well}
    register.shares(hop, KIND, cells, lambda: {names[one] for one in found.well if one >= 0}, width, now)
    if -1 in lasting:
        total = [one for one in found.low if one.source < 0]
        before = current(register, hop)
        detail = before.detail if before is not None else ""
        detail = detail or _why(total, "all sources together", width)
        register.hold([Condition(hop, KIND, KIND, detail, "ticket")], now)
    incident = current(register, hop)
    if incident is not None and cells and not incident.detail:
        worst = max((one for one in found.low if one.source >= 0), key=lambda one: one.rarity)
        incident.detail = _why([worst], names[worst.source], width)


def current(register: Register, hop: str) -> Incident | None:
    """The incident of low volume that is not over."""
    found = [one for one in register.incidents.values() if one.kind == KIND and one.hop == hop]
    alive = [one for one in found if one.status != "resolved"]
    return max(alive, key=lambda one: one.seen_at, default=None)


def _why(low: Sequence[Low], who: str, width: Micros) -> str:
    """Seen, expected, how rare, and on how much history."""
    worst = max(low, key=lambda one: one.rarity)
    seen = f"{worst.count:,} of about {worst.expected:,.0f} in {format_duration(width)}"
    rare = f"so rare {once_in(worst.rarity, width)}"
    return f"{who}: {seen}, found by its {worst.layer}, {rare}, on {format_duration(worst.history)} of history"
