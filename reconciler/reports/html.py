"""The report of a day as one HTML file that needs nothing else, and stays below a megabyte whatever it tells of."""

from collections.abc import Iterator, Sequence

from reconciler.reports.markup import document, listed, name, row, table, text, verdict
from reconciler.reports.text import incident, objective
from reconciler.reports.words import (
    HEADS,
    ORDER,
    RESULTS,
    Record,
    columns,
    compared,
    heading,
    hop_name,
    proof,
    share,
    split,
    word,
    worst,
    worst_hop,
)

ROWS = 1000
"""Rows of sources and groups in all, shared out among the hops; the rest is rolled up."""
MOST, LEAST = 100, 5
"""Rows of one hop."""
DETAILED = 30
"""Pipelines that are told in full, the worst; the others have a line."""
CARDS = 60


def as_html(record: Record) -> str:
    """The whole file, from the record of a report."""
    return document(f"Completeness of {heading(record)}", _body(record))


def _body(record: Record) -> Iterator[str]:
    yield f"<h1>Completeness of {text(heading(record))}</h1>\n"
    yield f'<p class="dim">{record["from"]} to {record["to"]}, judged by the minute of acceptance.</p>\n'
    found = sorted(record["pipelines"], key=lambda one: (-ORDER.index(worst(one)), one["pipeline"]))
    yield f'<div class="cards">{"".join(_card(one) for one in found[:CARDS])}</div>\n'
    yield listed("Days restated since they were reported", [one["text"] for one in record.get("restated", [])])
    changed = record.get("changed")
    if changed is not None:
        yield listed(changed["since"], changed["lines"] or ["nothing"])
    told = found[:DETAILED]
    room = max(LEAST, min(MOST, ROWS // max(1, sum(len(one["hops"]) for one in told))))
    for number, one in enumerate(told):
        yield from _pipeline(one, number, room)
    if found[DETAILED:]:
        yield listed("Other pipelines", [f"{one['pipeline']}: {word(worst(one))}" for one in found[DETAILED:]], 500)
    yield _foot(record)


def _foot(record: Record) -> str:
    made = record["made_by"]
    return (
        f'<section class="dim"><p>Made at {record["made_at"]} by reconciler {text(made["version"])}, settings '
        f"{text(made['settings'])}.</p><p>Completeness: processed or accounted for, of what was accepted. Delivered: "
        "processed. Proven: evidence shows each cell to be as it is said to be; assumed: the counts alone say so. "
        "Figures are cut off, never rounded up.</p></section>\n"
    )


def _card(found: Record) -> str:
    hop, code = worst_hop(found), worst(found)
    if hop is None:
        said = "forgotten" if found["forgotten"] else "nothing is known"
        return f'<div class="card v-none"><span>{name(found["pipeline"])}</span><b>-</b>{said}</div>'
    total = hop["total"]
    lost = f"{total['lost']:,} lost, " if total["lost"] else ""
    waiting = total["late"] + total["at_risk"] + total["undetermined"]
    late = f"{waiting:,} late, " if waiting else ""
    return (
        f'<div class="card v-{code}"><span>{name(found["pipeline"])}</span> {verdict(code)}'
        f"<b>{share(total['completeness'])}</b>{lost}{late}{proof(total)}<br>"
        f'<span class="dim">yesterday {compared(total, "yesterday")}, last week {compared(total, "last_week")}<br>'
        f"{text(RESULTS[found['budget']['result']])}</span></div>"
    )


def _pipeline(found: Record, number: int, room: int) -> Iterator[str]:
    yield f'<section aria-labelledby="p{number}"><h2 id="p{number}">{name(found["pipeline"])}</h2>\n'
    last = "never judged" if found["judged_at"] is None else f"judged as of {found['judged_at']}"
    mode = "" if found["mode"] == "alert" else "; mode: observe, nobody is paged"
    yield f'<p class="dim">{text(last + mode)}</p>\n'
    if not found["forgotten"]:
        yield f"<p>{text(objective(found))}</p>\n"
    for hop in found["hops"]:
        if hop["sources"]:
            yield from _hop(hop, room)
    yield listed("Incidents", [incident(line) for line in found["incidents"]])
    yield listed("Still open from other days", [incident(line) for line in found["still_open"]], 20)
    yield listed("Blind spots", found["blind_spots"])
    yield listed("Not known", found["not_known"])
    yield listed("Not monitored", found["not_monitored"])
    yield listed("Kept quiet", found.get("quiet", []))
    if found["mode"] == "observe":
        paging = [line["summary"] for line in found["incidents"] if line["id"] in found["would_have_paged"]]
        yield listed("This would have paged", paging or ["nobody: there was no reason to"])
    yield "</section>\n"


def _hop(found: Record, room: int) -> Iterator[str]:
    total, count = found["total"], len(found["sources"])
    yield f"<h3>{text(hop_name(found))}</h3>\n{_picture(found['hours'])}"
    amounts = columns(total)
    unknown = ["unknown"] if total["unknown"] else []
    titles = ("", "verdict", "complete", "", "delivered", "against yesterday", "against last week")
    heads = [*titles, *(HEADS.get(one, one) for one in [*amounts, *unknown]), "complete through"]
    shown, rest = split(found["sources"], room)
    rows = [row(f"all {count:,} source{'' if count == 1 else 's'}", _cells(total, amounts, unknown), is_sum=True)]
    for group in found["groups"][: room // 2]:
        label = f'{name(group["source"])}/ <span class="dim">({group["sources"]:,})</span>'
        rows.append(row(label, _cells(group, amounts, unknown), is_sum=True))
    rows += [row(name(one["source"]), _cells(one, amounts, unknown)) for one in shown]
    yield table(f"{hop_name(found)}: groups, then sources, the worst first", heads, rows)
    if rest:
        lines = [
            row(name(group["source"]), [f"{group['sources']:,}", verdict(group["verdict"]), f"{group['accepted']:,}",
                                        f"{group['lost']:,}", f"{group['late']:,}", proof(group)])
            for group in rest[:room]
        ]  # fmt: skip
        title = f"The other {count - len(shown):,} sources, by group"
        yield table(title, ["", "sources", "worst", "accepted", "lost", "late", ""], lines)
        if rest[room:]:
            left = sum(one["sources"] for one in rest[room:])
            yield f"<p>and {left:,} sources of {len(rest) - room:,} groups more</p>"


def _cells(one: Record, amounts: Sequence[str], unknown: Sequence[str]) -> list[str]:
    return [
        verdict(one["verdict"]),
        share(one["completeness"]),
        proof(one),
        share(one["delivered"]),
        compared(one, "yesterday"),
        compared(one, "last_week"),
        *(f"{one[amount]:,}" for amount in [*amounts, *unknown]),
        one["complete_through"] or "-",
    ]


_FILLS = {"lost": "--bad", "at_risk": "--risk", "surplus": "--risk", "unknown": "--blind", "delayed": "--wait",
          "pending": "--wait", "none": "--hole"}  # fmt: skip


def _picture(hours: Sequence[Record]) -> str:
    """What was accepted hour by hour, and of it what is missing; below, the worst verdict of the hour."""
    if not hours:
        return ""
    top = max(1, *(hour["accepted"] for hour in hours))
    wide, high = 900 / len(hours), 90
    parts: list[str] = []
    for number, hour in enumerate(hours):
        x, tall = number * wide + 1, high * hour["accepted"] / top
        gone = high * min(hour["missing"], hour["accepted"]) / top
        fill = _FILLS.get(hour["verdict"], "--good")
        said = f"{hour['from']}: {hour['accepted']:,} accepted, {hour['missing']:,} missing, {word(hour['verdict'])}"
        boxes = ((high - tall, tall, "--hole"), (high - gone, gone, "--bad"), (high + 4, 10, fill))
        drawn = "".join(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" height="{tall:.1f}" fill="var({color})"/>'
            for y, tall, color in boxes
        )
        parts.append(f"<g><title>{said}</title>{drawn}</g>")
    marks = [
        f'<text x="{at * wide + 1:.1f}" y="118">{hours[at]["from"][11:16]}</text>' for at in range(0, len(hours), 6)
    ]
    label = "Events accepted by hour (UTC); red: missing. Below: the worst verdict of the hour."
    return f'<svg viewBox="0 0 900 122" role="img" aria-label="{label}">{"".join([*parts, *marks])}</svg>\n'
