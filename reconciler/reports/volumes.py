"""What the model of volume knows of a source: as text, and as a picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconciler.core import volume
from reconciler.core.times import HOUR, Micros, format_duration
from reconciler.core.volume_account import Account
from reconciler.core.volume_tails import Floats
from reconciler.errors import ConfigError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BARS = " ▁▂▃▄▅▆▇█"
A_DAY, A_WEEK = 24, 168
TWO_WEEKS = 2 * A_WEEK


@dataclass(frozen=True, slots=True)
class Picture:
    """One source, as it is drawn."""

    source: str
    width: Micros
    account: Account
    hours: Floats
    """Events accepted by hour, the last weeks; NaN where not known."""
    begins: int
    """Local hour of the week of the first of them."""


def as_text(picture: Picture) -> Iterator[str]:
    """The usual week as bars, and what is known, in sentences."""
    known, bucket = picture.account, format_duration(picture.width)
    top = float(known.week.max())
    yield f"{picture.source}: events expected in {bucket}, by local hour; the fullest bar is {top:,.1f}"
    yield "     0     6     12    18"
    for day, hours in zip(DAYS, known.week.reshape(7, A_DAY), strict=True):
        bars = "".join(BARS[round(float(hour) / max(top, 1e-9) * (len(BARS) - 1))] for hour in hours)
        yield f"{day}  {bars}  {hours.sum() * HOUR / picture.width:,.0f} a day"
    yield ""
    yield f"It has learned from {format_duration(known.history)}."
    levels = ", ".join(
        f"{level:.0%} over the last {format_duration(round(2 * half * HOUR))}" for half, level in known.levels.items()
    )
    yield f"Of what the usual week expects, it has had about {levels}."
    calm, wild = int(np.argmin(known.scatter)), int(np.argmax(known.scatter))
    yield (
        f"Counts stray by {known.scatter[calm]:.0%} at {calm}:00, where they are calmest, "
        f"and by {known.scatter[wild]:.0%} at {wild}:00."
    )
    yield f"Its low counts are {_tail(known.tail)}."
    yield f"A silence is an alarm once {known.enough_due:,.0f} events were due: {_silence(picture)}."
    for sentence in known.unknown:
        yield f"Not known yet: {sentence}"


def _tail(tail: float) -> str:
    if tail > 1.25:
        return f"more frequent than chance alone makes them (its thresholds lie {tail:.1f} times as far out)"
    return "less frequent than chance alone makes them" if tail < 0.8 else "about as frequent as chance makes them"


def _silence(picture: Picture) -> str:
    """How long that takes, at the busiest and at the quietest of the day."""
    hourly = np.tile(picture.account.week * HOUR / picture.width, 3)
    until = np.cumsum(hourly)
    waits = [int(np.searchsorted(until, (until[start - 1] if start else 0) + picture.account.enough_due)) - start + 1
             for start in range(A_WEEK)]  # fmt: skip
    if max(waits) > A_WEEK:
        return "more than a week, so it cannot be called dead before"
    return f"{min(waits)} h at its busiest, {max(waits)} h at its quietest"


def as_png(picture: Picture, path: Path) -> None:
    """Draw the last two weeks beside the usual week, and what neither week nor trend explains."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("drawing needs matplotlib: pip install 'reconciler[charts]'") from error
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)  # the one that needs no screen
    upper, lower = figure.subplots(2, 1, sharex=True)
    shown = picture.hours[-TWO_WEEKS:]
    hour = np.arange(len(shown)) - len(shown)
    known, per_hour = picture.account, HOUR / picture.width
    local = (picture.begins + np.arange(len(picture.hours)))[-len(shown) :] % A_WEEK
    usual = known.week[local] * per_hour
    spread = 2 * usual * known.scatter[local % A_DAY] / np.sqrt(max(per_hour, 1.0))
    upper.fill_between(
        hour, np.maximum(usual - spread, 0), usual + spread, alpha=0.25, label="two deviations around it"
    )
    upper.plot(hour, usual, linewidth=1, label="usual week, each hour")
    upper.plot(hour, shown, linewidth=1, color="black", label="accepted")
    upper.set_title(f"{picture.source}: what came, and what is usual, on {format_duration(known.history)} of history")
    upper.set_ylabel("accepted events an hour")
    upper.legend(loc="upper left")
    _rest(lower, picture.hours, hour)
    midnights = hour[local % A_DAY == 0]
    lower.set_xticks(midnights, [DAYS[at // A_DAY] for at in local[local % A_DAY == 0]], ha="left")
    for axes in (upper, lower):
        axes.grid(visible=True, axis="x", alpha=0.4)
    unknown = [f"Not known yet: {sentence}" for sentence in known.unknown]
    figure.supxlabel("\n".join(unknown), x=0.01, ha="left", fontsize="small")
    figure.savefig(path, format="png")


def _rest(axes: Any, hours: Floats, hour: np.ndarray) -> None:
    """What trend and day do not explain; it takes two days of counts."""
    if len(hours) >= 2 * A_DAY + 1:
        filled = np.where(np.isnan(hours), np.nanmean(hours), hours)
        _, _, rest = volume.decompose(filled, A_DAY)
        axes.bar(hour, rest[-len(hour) :], width=1.0)
    axes.axhline(0, linewidth=0.5, color="black")
    axes.set_title("What neither the trend nor the hour of day explains", fontsize="medium")
    axes.set_ylabel("in roots of events;\nchance alone: ½")
    axes.set_xlabel("local days; the newest count is on the right")
