"""`reconciler demo`: the incident of 20 July 2021, judged as it happens, on a ledger that stays to be tried on."""

import json
import os
from importlib.resources import files
from pathlib import Path

import click

from reconciler.commands.demo.page import page
from reconciler.commands.demo.play import CONFIG, LEDGER, OBSERVATIONS, Play
from reconciler.commands.options import json_option
from reconciler.errors import ConfigError

OWN = "# Written by `reconciler demo`."
"""What the configuration of a demo begins with, and by which a former demo's folder is known."""


@click.command(
    epilog="""\b
Examples:
  reconciler demo
  reconciler demo --directory /tmp/demo --json | grep '"incident"'
""",
)
@click.option("--directory", "-d", default="demo", show_default=True, metavar="FOLDER", help="Where it leaves files.")
@click.option("--force", is_flag=True, help="Write into FOLDER even if it holds something else.")
@json_option
def command(directory: str, *, force: bool, as_json: bool) -> None:
    """Watch an incident unfold: processing stops for hours, and one of two queues keeps only 20 minutes.

    It is played on a virtual clock. A simulator tells what could have been observed; every tick records and judges it
    as `reconciler tick` does. It needs no server and no network and takes less than a minute. It leaves a
    configuration, a ledger and the observations in FOLDER, on which the other commands can be tried.
    --json prints the verdicts and incidents as the lines that `backtest` writes, and nothing else.
    """
    folder = Path(directory)
    _prepare(folder, force=force)
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False
    with Play(folder) as play:
        if as_json:
            for _, lines in play.ticks():
                for line in lines:
                    click.echo(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
        else:
            for text in page(play, play.ticks()):
                click.echo(text)


def _prepare(folder: Path, *, force: bool) -> None:
    """The folder with the configuration, and nothing of a former demo."""
    try:
        if not force and not _is_ours(folder):
            raise ConfigError(
                f"{folder} holds something that is no former demo; choose another --directory, or add --force to write "
                f"{CONFIG}, {LEDGER} and {OBSERVATIONS} there all the same"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name in (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", OBSERVATIONS):
            (folder / name).unlink(missing_ok=True)
        text = files("reconciler.commands.demo").joinpath(CONFIG).read_text(encoding="utf-8")
        (folder / CONFIG).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}") from None


def _is_ours(folder: Path) -> bool:
    """Whether the folder is empty, is to be made, or is a former demo's."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return True
    config = folder / CONFIG
    return config.is_file() and config.read_text(encoding="utf-8", errors="replace").startswith(OWN)
