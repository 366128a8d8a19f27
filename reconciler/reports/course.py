"""The course of a pipeline around an incident: what was accepted, processed, retained and lost, bucket by bucket."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import SPAN, Ints
from reconciler.core.times import HOUR, MINUTE, Micros, floor_to, parse_time
from reconciler.ports import Store

BEFORE: Micros = 30 * MINUTE
"""So much of the time before it is drawn: how it usually looks."""
LONGEST: Micros = 36 * HOUR
"""Of a longer incident the last part is drawn."""
DRAWN = {
    "accepted": ("black", 1.2),
    "processed": ("tab:blue", 1.2),
    "retained": ("tab:green", 1.0),
    "lost": ("tab:red", 1.8),
}


@dataclass(frozen=True, slots=True)
class Course:
    """Events by bucket, all sources together."""

    pipeline: str
    width: Micros
    first: Micros
    """Start of the first bucket."""
    amounts: dict[str, Ints]
    """By part, one entry a bucket."""


def course_of(store: Store, pipeline: Pipeline, incident: str) -> Course | None:
    """Around an incident; `None` where nothing is known of it, or no cell of its time was judged."""
    state = next((one for one in store.incidents(pipeline.name) if one["id"] == incident), None)
    lines = store.incident_changes(incident)
    if state is None or not lines:
        return None
    parts = [hop.part for hop in pipeline.hops]
    hop = state["hop"] if state.get("hop") in parts else parts[0]
    since, until = parse_time(lines[-1]["from"]), parse_time(lines[-1]["to"])
    last = max(until, parse_time(lines[-1]["at"]), since + pipeline.width)
    first = floor_to(max(since - BEFORE, last - LONGEST), pipeline.width)
    size = max((last - first) // pipeline.width, 1)
    amounts = {name: np.zeros(size, np.int64) for name in DRAWN}
    found = False
    for key, tile in store.verdict_tiles(pipeline, hop, first, last):
        columns = key.span * SPAN + np.arange(SPAN) - first // pipeline.width
        inside = (columns >= 0) & (columns < size)
        for name, amount in amounts.items():
            amount[columns[inside]] += tile.parts[name].sum(axis=0)[inside]
        found = found or bool(tile.code[:, inside].any())
    return Course(pipeline.name, pipeline.width, first, amounts) if found else None


def as_png(course: Course) -> bytes:
    """Drawn for a telephone. Raises `ModuleNotFoundError` without the extra `charts`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)  # the one that needs no screen
    axes = figure.subplots()
    starts = course.first + course.width * np.arange(len(course.amounts["accepted"]))
    at: Any = starts.astype("datetime64[us]")  # matplotlib draws dates, and does not say so in its types
    for name, (colour, width) in DRAWN.items():
        axes.plot(at, course.amounts[name], color=colour, linewidth=width, label=name)
    axes.fill_between(at, course.amounts["lost"], color="tab:red", alpha=0.25)
    axes.set_ylim(0, 1.2 * max(int(course.amounts["accepted"].max()), 1))  # room for the legend
    axes.set_ylabel("events a bucket")
    axes.set_title(f"{course.pipeline[:40]}: events by time of acceptance, UTC", fontsize="medium", parse_math=False)
    axes.legend(loc="upper left", ncols=4, fontsize="small")
    dates = ConciseDateFormatter(axes.xaxis.get_major_locator())  # type: ignore[no-untyped-call]  # it ships no types
    axes.xaxis.set_major_formatter(dates)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()
