"""The incident as it unfolds, for the terminal: a row wherever something happens."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import click

from reconciler.commands.demo.board import Board, Turn, clock, day, told
from reconciler.core.times import HOUR, MINUTE, SECOND, Micros
from reconciler.scenarios import Story

WIDTH = 100
LEFT = 30
"""Columns of the first pipeline."""
COLORS = {"page": "red", "ticket": "yellow", "info": "blue", "over": "green"}
GROWN = 1.5
"""A row also comes where the loss is so many times what the last row said."""


def label(turn: Turn) -> str:
    """``PAGE``, or ``over``."""
    return "over" if turn.over else str(turn.line["severity"]).upper()


@dataclass(slots=True)
class Chronicle:
    """Tells the run tick by tick."""

    story: Story
    board: Board
    _day: str = ""
    _words: dict[str, frozenset[str]] = field(default_factory=dict)
    _lost: int = 0
    _told_until: Micros = 0
    _began: bool = False

    def tell(self, now: Micros, turns: Sequence[Turn]) -> Iterator[str]:
        """The rows of one tick; most ticks have none."""
        notes = [note for at, note in _notes(self.story) if self._told_until < at < now]
        if notes:
            self._told_until, self._began = now, True
            for note in notes:
                yield from self._date(now)
                yield click.style(f"        the story: {note}", fg="cyan")
        standing = self.board.standing
        words = {pipeline: frozenset(+events) for pipeline, events in standing.items()}
        lost = sum(events["lost"] for events in standing.values())
        news = words != self._words or lost >= GROWN * max(self._lost, 1) or (self._began and now % HOUR == 0)
        if not (turns or notes or news):
            return
        self._words, self._lost = words, lost
        yield from self._date(now)
        yield from self._row(now)
        for turn in turns:
            yield from self._turn(turn)

    def _date(self, now: Micros) -> Iterator[str]:
        if day(now) != self._day:
            self._day = day(now)
            head = f" {self._day:<7}" + "".join(f"{name:<{LEFT}}" for name in self._pipelines())
            yield ""
            yield click.style(head.rstrip(), bold=True)

    def _pipelines(self) -> list[str]:
        return list(self.story.queues)

    def _row(self, now: Micros) -> Iterator[str]:
        standing = self.board.standing_at(now)
        texts = [told(standing[name]) if name in standing else "" for name in self._pipelines()]
        *first, last = texts
        yield f" {clock(now)}  " + "".join(f"{text:<{LEFT}}" for text in first) + last

    def _turn(self, turn: Turn) -> Iterator[str]:
        head = label(turn)
        text = f"{', '.join(turn.pipelines)}: {turn.what}"
        wrapped = textwrap.wrap(text, WIDTH - 15)
        color = COLORS["over" if turn.over else turn.line["severity"]]
        yield f"        {click.style(f'{head:<7}', fg=color, bold=True)}{wrapped[0]}"
        yield from (f"{'':15}{line}" for line in wrapped[1:])
        if turn.line["status"] == "open":
            for position, line in enumerate(textwrap.wrap(turn.line["advice"], WIDTH - 18)):
                yield click.style(f"{'':15}{'-> ' if position == 0 else '   '}{line}", dim=True)


def _notes(story: Story) -> Iterator[tuple[Micros, str]]:
    """What the story says of each of its parts, from t0 on."""
    for interval in story.intervals:
        if interval.start >= 0 and interval.note:
            yield story.t0 * SECOND + interval.start * MINUTE, interval.note
