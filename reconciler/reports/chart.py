"""The day as a picture, for messages: what was accepted hour by hour, and of it what is missing."""

import io

from reconciler.errors import ConfigError
from reconciler.reports.words import Record, heading, hop_name, share, short, worst_hop

PANELS = 4
"""Pipelines that have a panel, the worst first."""


def as_png(record: Record) -> bytes:
    """The picture; `ConfigError` names what has to be installed for it."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("drawing needs matplotlib: pip install 'reconciler[charts]'") from error
    hops = [(one, hop) for one in record["pipelines"] if (hop := worst_hop(one)) is not None and hop["hours"]]
    hops.sort(key=lambda pair: -int(pair[1]["total"]["lost"]))
    shown = hops[:PANELS]
    figure = Figure(figsize=(9, 0.8 + 1.9 * max(1, len(shown))), layout="constrained")
    FigureCanvasAgg(figure)  # the one that needs no screen
    figure.suptitle(f"Completeness of {_literal(heading(record))}")
    for number, (pipeline, hop) in enumerate(shown, start=1):
        axes = figure.add_subplot(len(shown), 1, number)
        hours = range(len(hop["hours"]))
        missing = [hour["missing"] for hour in hop["hours"]]
        axes.bar(hours, [hour["accepted"] for hour in hop["hours"]], color="#c9ced6", label="accepted")
        axes.bar(hours, missing, color="#c0202b", label="missing")
        name = _literal(short(pipeline["pipeline"], 50))
        axes.set_title(
            f"{name}, {_literal(short(hop_name(hop), 50))}: {share(hop['total']['completeness'])}", fontsize=9
        )
        axes.set_xticks([*hours][::3], [hour["from"][11:16] for hour in hop["hours"]][::3])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.tick_params(labelsize=7)
        if number == 1:
            axes.legend(loc="upper left", fontsize=7)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()


def _literal(text: str) -> str:
    """Text in which a dollar is a dollar and begins no formula."""
    return text.replace("$", r"\$")
