"""The outermost rim: which exit code a person or a script gets, and what is said on which stream."""

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from reconciler.cli import COMMANDS, Entry, LazyGroup, group, load, run
from reconciler.errors import ConfigError, OutOfReach, ReconcilerError, Refused


def command_that(act: Callable[[], object]) -> click.Command:
    return click.Command("act", callback=act)


def command_that_raises(error: BaseException) -> click.Command:
    def act() -> None:
        raise error

    return command_that(act)


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (1, 1), ("text", 0)])
def test_a_command_returns_its_exit_code_and_nothing_means_done(answer: object, code: int) -> None:
    assert run(command_that(lambda: answer), []) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ConfigError("stages: unknown key"), 2, id="configuration"),
        pytest.param(Refused("line 3: count is negative"), 3, id="refused in part"),
        pytest.param(OutOfReach("no database"), 4, id="out of reach"),
    ],
)
def test_an_error_is_said_in_one_line_on_stderr(
    error: ReconcilerError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command_that_raises(error), []) == code
    printed = capsys.readouterr()
    assert printed.err == f"error: {error.message}\n"
    assert printed.out == ""


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"]])
def test_a_wrong_call_is_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group, arguments) == 2
    assert "no-such" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"]])
def test_help_and_version_are_done(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group, arguments) == 0
    assert "reconciler" in capsys.readouterr().out


def test_a_crash_is_not_taken_for_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command_that_raises(KeyError("bug")), []) == 70
    assert "KeyError: 'bug'" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_leaves_without_a_traceback(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command_that_raises(error), []) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    program = (
        "import sys, click; from reconciler.cli import run;"
        "sys.exit(run(click.Command('lines', callback=lambda: [click.echo('x' * 1000) for _ in range(1000)]), []))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.readline()
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 141


def test_python_can_run_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "--version"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("reconciler")


def test_help_lists_the_commands_without_importing_them(capsys: pytest.CaptureFixture[str]) -> None:
    lazy = LazyGroup(name="reconciler", entries={"judge": Entry("no.such.module:command", "Judge what is there.")})
    assert run(lazy, ["--help"]) == 0
    assert "judge  Judge what is there." in capsys.readouterr().out


def test_a_command_is_imported_when_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    lazy = LazyGroup(name="reconciler", entries={"nested": Entry("reconciler.cli:group", "The group itself.")})
    assert run(lazy, ["nested", "--version"]) == 0
    assert capsys.readouterr().out.startswith("reconciler, version")


def test_a_target_that_is_no_command_is_a_bug() -> None:
    with pytest.raises(TypeError, match="reconciler.cli:run is not a click command"):
        load(Entry("reconciler.cli:run", ""))


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run(group, [name, "--help"]) == 0
        assert "Example" in capsys.readouterr().out, f"the help of {name} has no example"
