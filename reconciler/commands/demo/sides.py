"""What comes after the play: what the company knew beside what the detector said, what is lost, and whose it is."""

import re
import textwrap
from collections.abc import Iterator
from itertools import zip_longest

import click

from reconciler.commands.demo.board import Board, Line, Turn, clock, told, when
from reconciler.commands.demo.chronicle import COLORS, WIDTH, label
from reconciler.commands.demo.public import TIMELINE, Known
from reconciler.core.times import MINUTE, Micros, parse_time
from reconciler.settings import Settings

WHEN, LEFT = 14, 40
RIGHT = WIDTH - WHEN - LEFT
BRIEF: Micros = 30 * MINUTE
"""Something of no severity that is over so soon is not part of the story."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
SENDERS = {
    "own": "we ourselves",
    "partner": "the partner",
    "customer": "only the customer",
    None: "nobody is configured",
}


def heading(text: str) -> str:
    """A title over a part of the page."""
    return "\n" + click.style(text, bold=True) + "\n" + click.style("─" * WIDTH, dim=True)


def side_by_side(board: Board) -> Iterator[str]:
    """Both timelines in one order; beside what the company said, how things stood for the detector just then."""
    yield heading(f"{'UTC':<{WHEN}}{'What the company knew':<{LEFT}}What the detector said")
    last = board.past[-1][0]
    entries: list[tuple[Micros, int, Known | Turn]] = [(known.at, 1, known) for known in TIMELINE]
    entries += [(turn.at, 0, turn) for turn in board.turns if _is_worth_telling(turn, board)]
    for at, _, entry in sorted(entries, key=lambda found: found[:2]):
        if isinstance(entry, Known):
            right = [_standing(board, at)] if at <= last else list(_afterwards(board, entry))
            yield from _columns(entry.when, entry.text, "\n".join(right))
        else:
            severity = "over" if entry.over else entry.line["severity"]
            head = click.style(label(entry), fg=COLORS[severity], bold=True)
            body = f"{', '.join(entry.pipelines)}: {_short(entry)}"
            yield from _columns(when(at), "", f"{label(entry)} {body}", styled=(label(entry), head))


def _is_worth_telling(turn: Turn, board: Board) -> bool:
    """Not a small delay that went by, and not the end of a warning that has come true."""
    if turn.over and "subject" not in turn.line:
        return not any(line["pipeline"] in turn.pipelines for line in _open_losses(board))
    own = [other.at for other in board.turns if other.line["id"] == turn.line["id"]]
    ended = board.incidents[turn.line["id"]]["status"] == "resolved"
    return turn.line["severity"] != "info" or not ended or max(own) - min(own) >= BRIEF


def _open_losses(board: Board) -> list[Line]:
    return [line for line in board.incidents.values() if line["kind"] == "loss" and line["status"] != "resolved"]


def _short(turn: Turn) -> str:
    """The summary without the sources; of a warning, when the first events are deleted."""
    before, _, after = turn.what.partition(", source")
    text = ":".join([before, *after.partition(":")[2:]]) if ":" in after else before
    if turn.line["kind"] == "at_risk" and "loss_at" in turn.line and not turn.over:
        first = parse_time(turn.line["loss_at"])
        text += "\n  the first " + (f"at {clock(first)}" if first > turn.at else "now")
    return _INSTANT.sub(lambda found: when(parse_time(found[0])), text)


def _standing(board: Board, at: Micros) -> str:
    standing = board.standing_at(at)
    return "\n".join(f"{pipeline}: {told(events)}" for pipeline, events in sorted(standing.items()))


def _afterwards(board: Board, known: Known) -> Iterator[str]:
    """What the run has left to say on what came after it."""
    losses = [line for line in board.incidents.values() if line["kind"] == "loss"]
    later = known is TIMELINE[-1]
    for line in losses:
        if later:
            yield "Who can send again, and what: see below."
        else:
            buckets = {cell["bucket"] for cell in board.cells.values() if cell["lost"]}
            first, since, until = (when(parse_time(line[name])) for name in ("opened_at", "from", "to"))
            still = "is over" if line["status"] == "resolved" else "is still open"
            yield (
                f"Said since {first}, in the end: {line['lost']:,} events of {len(line['sources'])} sources in "
                f"{len(buckets)} buckets, {since} to {until}. {line['id']} {still}."
            )


def _columns(moment: str, left: str, right: str, styled: tuple[str, str] = ("", "")) -> Iterator[str]:
    rights = [piece for line in right.split("\n") for piece in textwrap.wrap(line, RIGHT, subsequent_indent="  ")]
    rows = zip_longest([moment], textwrap.wrap(left, LEFT - 2), rights, fillvalue="")
    for position, (first, second, third) in enumerate(rows):
        shown = third.replace(*styled, 1) if position == 0 and styled[0] else third
        yield f"{first:<{WHEN}}{second:<{LEFT}}{shown}".rstrip()


def losses(board: Board, settings: Settings) -> Iterator[str]:
    """Source by source: how much is lost, and who can send it again."""
    lost, accepted = board.sum("lost"), board.sum("accepted")
    buckets = {line["bucket"] for line in board.cells.values() if line["lost"]}
    yield heading("What is lost, and who can send it again")
    yield f"{'source':<18}{'accepted':>13}{'lost':>13}{'proven':>13}   sent again by"
    proven = board.sum("lost_proven")
    for source in lost:
        known = settings.source(source)
        again = ""
        if lost[source]:
            again = f"{SENDERS[known.replay]}" + (f" ({known.contact})" if known.contact else "")
        yield f"{source:<18}{accepted[source]:>13,}{lost[source]:>13,}{proven[source]:>13,}   {again}".rstrip()
    total = f"{sum(accepted.values()):>13,}{sum(lost.values()):>13,}{sum(proven.values()):>13,}"
    yield click.style(f"{'all':<18}{total}   in {len(buckets)} buckets of a minute", bold=True)


def never_said(board: Board) -> Iterator[str]:
    """What a detector must never say of this incident, and whether this one did."""
    yield heading("What it must never say")
    delayed = board.said["batch", "delayed", True]
    streaming = sum(board.sum("lost", pipeline="streaming").values())
    amount = sum(board.said.values())
    yield _check(delayed == 0, f"batch is delayed, and proven safe: {delayed:,} of {amount:,} verdict lines")
    yield _check(streaming == 0, f"some of streaming is lost: {streaming:,} events")
    yield _check(bool(_open_losses(board)), "the loss is over, because the lag is 0 again: its incident is still open")


def _check(kept: bool, text: str) -> str:
    mark = click.style("kept  ", fg="green") if kept else click.style("BROKEN", fg="red", bold=True)
    return f" {mark}  {text}"
