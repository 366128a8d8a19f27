"""What a report says otherwise than an earlier one of the same day."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.reports.words import HEADS, Record, hop_name, short, word

FIGURES = ("accepted", "processed", "accounted", "late", "at_risk", "undetermined", "lost", "recovered", "duplicated",
           "surplus", "unknown")  # fmt: skip
NAMED = 20
"""Sources of a hop that are named."""


def changes(before: Record, after: Record) -> list[str]:
    """Each difference as a sentence; none: they say the same."""
    return list(_changes(before, after))


def _changes(before: Record, after: Record) -> Iterator[str]:
    if before["made_by"] != after["made_by"]:
        one, other = before["made_by"], after["made_by"]
        yield (
            f"made by version {one['version']} (settings {one['settings']}) then, by {other['version']} "
            f"(settings {other['settings']}) now"
        )
    old, new = ({one["pipeline"]: one for one in record["pipelines"]} for record in (before, after))
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            yield f"{name}: {'is new' if name in new else 'is not reported any more'}"
        else:
            yield from _pipeline(name, old[name], new[name])


def _pipeline(name: str, before: Record, after: Record) -> Iterator[str]:
    if before["forgotten"] != after["forgotten"]:
        yield f"{name}: what was known of the day has been removed since"
        return
    old, new = ({hop_name(hop): hop for hop in one["hops"]} for one in (before, after))
    for hop in new:
        if hop not in old:
            yield f"{name}, {hop}: is compared only now"
            continue
        if told := figures(old[hop]["total"], new[hop]["total"]):
            yield f"{name}, {hop}: {told}"
        yield from _sources(f"{name}, {hop}", old[hop], new[hop])
    ids = {line["id"] for line in before["incidents"]}
    for line in after["incidents"]:
        if line["id"] not in ids:
            yield f"{name}: new incident: {line['summary']}"


def figures(before: Record, after: Record) -> str:
    """The figures of a row that differ, each as it was and as it is; empty: none."""
    told = [
        f"{HEADS.get(name, name)} {before[name]:,} → {after[name]:,}" for name in FIGURES if before[name] != after[name]
    ]
    if before["verdict"] != after["verdict"]:
        told.insert(0, f"{word(before['verdict'])} → {word(after['verdict'])}")
    return ", ".join(told)


def _sources(where: str, before: Record, after: Record) -> Iterator[str]:
    old = {row["source"]: row for row in before["sources"]}
    changed = [(row, old[row["source"]]) for row in after["sources"] if row["source"] in old]
    told = [(row, was, figures(was, row)) for row, was in changed]
    told = sorted((one for one in told if one[2]), key=lambda one: -_moved(one[1], one[0]))
    for row, _, text in told[:NAMED]:
        yield f"{where}, {short(row['source'])}: {text}"
    fresh = [row for row in after["sources"] if row["source"] not in old]
    if told[NAMED:]:
        yield f"{where}: {len(told) - NAMED:,} more sources have changed"
    if fresh:
        yield f"{where}: {len(fresh):,} sources are new in it"


def _moved(before: Record, after: Record) -> int:
    return sum(abs(int(before[name]) - int(after[name])) for name in FIGURES)


def restated(day: str, before: Record, totals: Mapping[tuple[str, str], Record]) -> Iterator[dict[str, Any]]:
    """What the totals of an earlier day are now, where they differ from the report that was sent; `totals`: by pipeline
    and hop."""
    for pipeline in before["pipelines"]:
        for hop in pipeline["hops"]:
            now = totals.get((pipeline["pipeline"], hop_name(hop)))
            told = "" if now is None else figures(hop["total"], now)
            if told:
                text = f"{day}: {pipeline['pipeline']}, {hop_name(hop)}: {told}"
                yield {"day": day, "pipeline": pipeline["pipeline"], "text": text}


def told(lines: Sequence[str], since: str) -> dict[str, Any]:
    """As a part of a record."""
    return {"since": since, "lines": list(lines)}
