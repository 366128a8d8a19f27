"""How figures and names are written for people, in every kind of report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reconciler.core.wording import visible

Record = Mapping[str, Any]
"""A part of a report as programs get it."""

LONGEST_NAME = 80
LONGEST_LINE = 400
COLUMNS = ("accepted", "processed", "accounted", "late", "at_risk", "undetermined", "lost", "lost_proven")
EXTRA = ("recovered", "duplicated", "surplus")
"""Columns that are left out where nothing stands in them."""
HEADS = {"lost_proven": "proven lost", "at_risk": "at risk", "unknown": "unknown cells"}
RESULTS = {
    "met": "objective met",
    "missed": "objective missed",
    "open": "objective open: what waits or is not known decides",
    "nothing": "nothing was accepted",
}


def share(value: float | None) -> str:
    """In per cent, cut off and not rounded: what is not whole never looks whole."""
    return "-" if value is None else f"{int(value * 1_000_000) / 10_000:.4f}%"


def compared(row: Record, name: str) -> str:
    """How the completeness of a row differs from another day, in points of a per cent."""
    other = row["before"].get(name)
    if other is None or other["completeness"] is None or row["completeness"] is None:
        return "-"
    points = (row["completeness"] - other["completeness"]) * 100
    return "=" if abs(points) < 0.00005 else f"{points:+.4f}".replace("-", "−")


def short(text: object, longest: int = LONGEST_NAME) -> str:
    """The text in one line of bounded length; what is cut off is said."""
    whole = str(text)
    return visible(whole) if len(whole) <= longest else f"{visible(whole[: longest - 20])}… ({len(whole):,} letters)"


def word(verdict: str) -> str:
    """A verdict as people read it; of no cell at all there is none."""
    return "no cells" if verdict == "none" else verdict.replace("_", " ")


def columns(total: Record) -> list[str]:
    """The amounts that a table about this sum has columns for."""
    always = ("accepted", "processed", "accounted", "late", "lost")
    return [name for name in (*COLUMNS, *EXTRA) if name in always or total[name]]


def hop_name(hop: Record) -> str:
    """``ingress to processed``."""
    return f"{hop['from_stage']} to {hop['to_stage']}"


def worst(pipeline: Record) -> str:
    """The worst verdict of a pipeline's day."""
    return max((hop["total"]["verdict"] for hop in pipeline["hops"]), key=ORDER.index, default="none")


ORDER = ("none", "complete", "open", "pending", "delayed", "unknown", "surplus", "at_risk", "lost")
"""Verdicts, the best first."""


def worst_hop(pipeline: Record) -> Record | None:
    """The hop that stands for a pipeline where there is room for one."""
    return max(pipeline["hops"], key=lambda hop: (ORDER.index(hop["total"]["verdict"]), hop["total"]["lost"]),
               default=None)  # fmt: skip


def heading(record: Record) -> str:
    """Which day, in which zone, as known when."""
    known = "" if record["as_of"] is None else f", as it was known at {record['as_of']}"
    return f"{record['day']} ({record['zone']}){known}{'' if record['over'] else ': the day is not over'}"


def proof(row: Record) -> str:
    """Whether what a row says is shown by evidence."""
    return "proven" if row["proven"] else "assumed"


def rest_line(group: Record) -> str:
    """A group of sources that are not named one by one."""
    of = "" if group["source"] == NO_GROUP else f" of {short(group['source'])}"
    lost = f", {group['lost']:,} lost" if group["lost"] else ""
    how = "all complete" if group["verdict"] == "complete" else f"{word(group['verdict'])} at worst{lost}"
    return f"and {group['sources']:,} more{of}, {how}"


NO_GROUP = "(no group)"


def split(rows: Sequence[Record], most: int) -> tuple[Sequence[Record], list[Record]]:
    """The first rows, and the others rolled up by the first part of their names."""
    rest: dict[str, dict[str, Any]] = {}
    for row in rows[most:]:
        group = row["source"].partition("/")[0] if "/" in row["source"] else NO_GROUP
        sums = rest.setdefault(group, {"source": group, "sources": 0, "verdict": "none", "accepted": 0, "lost": 0,
                                       "unknown": 0, "proven": True, "late": 0})  # fmt: skip
        for name in ("accepted", "lost", "unknown", "late", "sources"):
            sums[name] += row[name]
        sums["proven"] = sums["proven"] and row["proven"]
        sums["verdict"] = max(sums["verdict"], row["verdict"], key=ORDER.index)
    key: Callable[[Record], Any] = lambda one: (-ORDER.index(one["verdict"]), -one["lost"], -one["sources"])  # noqa: E731  the type says what it is
    return rows[:most], sorted(rest.values(), key=key)
