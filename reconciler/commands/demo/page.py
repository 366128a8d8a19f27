"""The demo as a page on the terminal, from its first words to what to try next."""

import sys
from collections.abc import Iterable, Iterator
from shutil import which

import click

from reconciler.commands.demo.board import Board, when
from reconciler.commands.demo.chronicle import Chronicle
from reconciler.commands.demo.play import CONFIG, OBSERVATIONS, Play, Tick
from reconciler.commands.demo.sides import heading, losses, never_said, side_by_side

INTRODUCTION = """
An analytics company takes in events by two doors: streaming (one source) and batch (six). Each
door has a queue, believed to keep everything for 7 days. One database stands behind both.

Simulated counts and queue offsets are recorded and judged on a virtual clock, by the very engine
that would run in earnest. Times, and what the company said, are from its public account; volumes
are invented. Each row says how many accepted events are not processed, and what that means."""


def page(play: Play, ticks: Iterable[Tick]) -> Iterator[str]:
    """Everything that the demo prints, as it comes about."""
    board, status = Board(), _Status()
    chronicle = Chronicle(play.story, board)
    yield heading("reconciler demo: the incident of 20 July 2021, on a virtual clock") + INTRODUCTION
    for position, (now, lines) in enumerate(ticks, start=1):
        status.clear()
        yield from chronicle.tell(now, board.hear(now, lines))
        status.show(f"{position:,} of {len(play.instants):,} ticks, at {when(now)}")
    status.clear()
    yield from side_by_side(board)
    yield from losses(board, play.settings)
    yield from never_said(board)
    yield from _next(play)


def _next(play: Play) -> Iterator[str]:
    config, tape, lines = (play.folder / name for name in (CONFIG, OBSERVATIONS, "lines.ndjson"))
    called = "python -m reconciler" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
    program = "reconciler" if which("reconciler") else called
    yield heading("Try next")
    yield f"{play.observed:,} observations and what was said of them are in {play.folder}."
    for what in (
        f"report --config {config} --day 2021-07-20",
        f"incidents --config {config}",
        f"tick --config {config} --now 2021-07-21T11:05:00Z",
        f"check-config --config {config}",
        f"backtest {tape} -c {config} -o {lines}",
    ):
        yield f"  {program} {what}"


class _Status:
    """One line at the foot of a terminal that says how far it is; elsewhere nothing."""

    def __init__(self) -> None:
        self._shown = sys.stdout.isatty() and sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._shown:
            click.echo(click.style(f" ... {text}", dim=True), nl=False, err=True)

    def clear(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
