"""The command `reconciler`: a table of commands, each imported only when it is called, and the exit codes."""

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

import click

from reconciler import __version__
from reconciler.errors import ReconcilerError

EXIT_CRASH = 70  # a bug of this program; apart from 1, which means findings
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_PIPE_CLOSED = 141  # 128 + SIGPIPE: the reader (`head`, a pager) has seen enough


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table of commands."""

    target: str  # "module:attribute" of a click command
    summary: str  # what `reconciler --help` says, known without importing the target


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("reconciler.commands.demo:command", "Watch an incident unfold, on a ledger to try things on."),
    "check-config": Entry(
        "reconciler.commands.check_config:command", "Say what is wrong with the configuration, or what follows."
    ),
    "import": Entry("reconciler.commands.import_:command", "Store observations from NDJSON or CSV files."),
    "count": Entry("reconciler.commands.count:command", "Count raw events in files: Parquet, CSV, NDJSON."),
    "agent": Entry("reconciler.commands.agent:command", "Merge the reports of many processes into one reporter."),
    "run": Entry("reconciler.commands.run:command", "Run as a service: count, judge, prune, answer over HTTP."),
    "pages": Entry("reconciler.commands.pages:command", "Show the pages for people, without running the service."),
    "status": Entry("reconciler.commands.status:command", "Say how far everything is, and what is missing."),
    "tick": Entry("reconciler.commands.tick:command", "Count what is due, judge, and say what is new."),
    "backfill": Entry("reconciler.commands.backfill:command", "Count the past, and say what holes are there already."),
    "incidents": Entry("reconciler.commands.incidents:command", "List what is wrong, or show one incident in full."),
    "ack": Entry("reconciler.commands.ack:command", "Say that you have an incident."),
    "mute": Entry("reconciler.commands.mute:command", "Keep incidents quiet for a while, with a reason and an end."),
    "drill": Entry("reconciler.commands.drill:command", "Try whether a loss would really reach somebody."),
    "objectives": Entry("reconciler.commands.objectives:command", "Say how the objectives stand, or export them."),
    "sources": Entry("reconciler.commands.sources:command", "List who sends, or say that one has ended."),
    "reporters": Entry("reconciler.commands.reporters:command", "List who counts, or say that one has ended."),
    "missing": Entry("reconciler.commands.missing:command", "Name the files and offsets that are missing."),
    "replay": Entry("reconciler.commands.replay:command", "Plan who sends lost events again, and prove what came."),
    "wait": Entry("reconciler.commands.wait:command", "Wait until nothing is missing before an instant."),
    "report": Entry("reconciler.commands.report:command", "Say how complete a day is, source by source."),
    "forensics": Entry(
        "reconciler.commands.forensics:command", "Say what happened, what was known when, and who can mend it."
    ),
    "model": Entry(
        "reconciler.commands.model:command", "Say what volume is usual for a source, and what is not known yet."
    ),
    "backtest": Entry("reconciler.commands.backtest:command", "Judge recorded observations on a virtual clock."),
    "token": Entry("reconciler.commands.token:command", "Say who may push observations, and who may read."),
    "migrate": Entry("reconciler.commands.migrate:command", "Bring the ledger's tables to what this program expects."),
}


class LazyGroup(click.Group):
    """A group that knows the names and summaries of its commands and imports one when it is called."""

    def __init__(self, *, entries: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(**settings)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name; None if the table has none."""
        entry = self.entries.get(cmd_name)
        return None if entry is None else load(entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries of the table, without importing anything."""
        if self.entries:
            with formatter.section("Commands"):
                formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])


def load(entry: Entry) -> click.Command:
    """Import the click command that an entry names."""
    module, _, attribute = entry.target.partition(":")
    command = getattr(import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{entry.target} is not a click command")
    return command


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 findings (where the help of the command says so), 2 usage or configuration, "
    "3 input refused in part, 4 a dependency was out of reach.",
)
@click.version_option(__version__, prog_name="reconciler")
def group() -> None:
    """Compare what a pipeline accepted with what it processed: what is late, what is at risk, what is lost."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(group, sys.argv[1:] if arguments is None else arguments))


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command, say its error on standard error, and return the exit code.

    A command may return its exit code as an int; None stands for 0.
    """
    try:
        with command.make_context("reconciler", list(arguments)) as context:
            result = command.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ReconcilerError as error:
        click.echo(f"error: {error.message}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return EXIT_PIPE_CLOSED
    except Exception:  # noqa: BLE001  the outermost rim: a crash must not leave with 1, which means findings
        traceback.print_exc()
        return EXIT_CRASH
    return result if isinstance(result, int) else 0


def _let_go_of_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not fail a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
