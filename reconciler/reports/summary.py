"""A report in a few lines, for where there is no room for all of it: a message, a subject."""

from dataclasses import dataclass

from reconciler.reports.words import ORDER, RESULTS, Record, compared, proof, share, short, word, worst, worst_hop

NAMED = 10
"""Pipelines and sources that are named."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Plain text; whoever sends it escapes it as the channel wants."""

    title: str
    facts: tuple[tuple[str, str], ...]
    """By pipeline, the worst first: how complete it was."""
    notes: tuple[str, ...]
    """What else has to be known: open incidents, days restated, what was not seen."""
    sources: tuple[str, ...]
    """Those with a loss, the most first."""
    good: bool
    """Whether nothing is lost, at risk or unknown."""


def summary(record: Record) -> Summary:
    """The few lines, from the record of a report."""
    found = sorted(record["pipelines"], key=lambda one: (-ORDER.index(worst(one)), one["pipeline"]))
    code = max((worst(one) for one in found), key=ORDER.index, default="none")
    lost = sum(hop["total"]["lost"] for one in found for hop in one["hops"])
    what = f"{lost:,} events lost" if lost else "nothing lost" if code in ("complete", "pending") else word(code)
    when = record["day"] + ("" if record["zone"] == "UTC" else f" ({record['zone']})")
    title = f"Completeness of {when}: {what}{'' if record['over'] else ', so far'}"
    facts = tuple((short(one["pipeline"]), _fact(one)) for one in found[:NAMED])
    return Summary(title, facts, tuple(_notes(record, found)), _sources(found), code in ("complete", "pending", "open"))


def _fact(found: Record) -> str:
    hop = worst_hop(found)
    if hop is None:
        return "nothing is known"
    total = hop["total"]
    lost = f", {total['lost']:,} lost" if total["lost"] else ""
    late = f", {total['late'] + total['at_risk']:,} late" if total["late"] + total["at_risk"] else ""
    against = compared(total, "yesterday")
    day_before = "" if against in ("-", "=") else f" ({against} against the day before)"
    result = RESULTS[found["budget"]["result"]]
    return f"{share(total['completeness'])} complete, {proof(total)}{day_before}{lost}{late}; {result}"


def _notes(record: Record, found: list[Record]) -> list[str]:
    notes: list[str] = []
    if found[NAMED:]:
        notes.append(f"and {len(found) - NAMED:,} more pipelines")
    standing = [line for one in found for line in (*one["incidents"], *one["still_open"])]
    unresolved = sum(line["status"] != "resolved" for line in standing)
    if unresolved:
        notes.append(f"{unresolved:,} incident{'s are' if unresolved > 1 else ' is'} open")
    notes += [one["text"] for one in record.get("restated", [])[:3]]
    kept = sum(len(one.get("quiet", [])) for one in found)
    if kept:
        notes.append(f"{kept:,} mute{'s' if kept > 1 else ''}, planned work or retirements: see the report")
    blind = sum(len(one["blind_spots"]) for one in found)
    if blind:
        notes.append(f"{blind:,} blind spot{'s' if blind > 1 else ''}: counts were missing")
    return notes


def _sources(found: list[Record]) -> tuple[str, ...]:
    rows = [row for one in found for hop in one["hops"] for row in hop["sources"] if row["lost"]]
    rows.sort(key=lambda row: -int(row["lost"]))
    return tuple(dict.fromkeys(row["source"] for row in rows))
