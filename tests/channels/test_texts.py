"""What people read of every kind of incident, word by word. `make texts` writes it anew; then read it, as somebody who
was woken would, before it is committed.
"""

import os
import shlex
from pathlib import Path

import click
import pytest

from reconciler.cli import group
from reconciler.core.notices import Notice
from reconciler.notifiers._blocks import MUTE, blocks, fallback, step_text
from reconciler.notifiers._text import lines
from reconciler.settings.notifying import Kind
from tests.channels.incidents import every

FOLDER = Path(__file__).parent / "texts"
CASES = dict(every())


def text(notice: Notice) -> str:
    """What the telephone shows at once, the message, and what its thread says."""
    thread = f"\nIn the thread: {step_text(notice)}\n" if notice.changed else ""
    return f"{fallback(notice)}\n\n" + "\n".join(lines(notice)) + f"\n{thread}"


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_the_one_that_was_read(name: str) -> None:
    path, said = FOLDER / f"{name}.txt", text(CASES[name])
    if os.environ.get("RENEW_TEXTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(said, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == said


def test_every_kind_of_incident_has_been_read() -> None:
    assert {one.kind for one in CASES.values()} >= set(Kind.__args__)  # type: ignore[attr-defined]  # of a Literal
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES), "and no text is left over"


@pytest.mark.parametrize("name", CASES)
def test_whoever_is_woken_is_told_when_it_began_what_comes_next_and_what_to_do(name: str) -> None:
    notice = CASES[name]
    labels = {label for label, _ in notice.facts}
    if notice.status != "resolved" and notice.kind not in {"watchdog", "observed", "digest"}:
        assert labels & {"Since", "Events of"}
        assert notice.steps
        assert "Next" in labels
        assert any(one.command for one in notice.steps) or name == "away-capacity", "something to be copied"
    assert len(fallback(notice)) < 200, "it fits a locked screen"


def test_commands_of_this_program_are_commands_that_there_are() -> None:
    told = {one.command for notice in CASES.values() for one in notice.steps if one.command.startswith("reconciler ")}
    assert len(told) > 10
    for one in told:
        name, *arguments = shlex.split(one)
        command: click.Command = group
        parent: click.Context | None = None
        while True:
            context = command.make_context(name, arguments, parent)  # raises where an option is unknown or missing
            if not isinstance(command, click.Group):
                break
            name, *arguments = [*context._protected_args, *context.args]
            found = command.get_command(context, name)
            assert found is not None, one
            command, parent = found, context


@pytest.mark.parametrize("name", CASES)
def test_only_what_the_ledger_knows_has_buttons_that_act(name: str) -> None:
    notice = CASES[name]
    offered = {
        one["action_id"]
        for block in blocks(notice, buttons=True)
        if block["type"] == "actions"
        for one in block["elements"]
    }
    alone = notice.id.startswith(("self-alarm", "watchdog", "observed", "digest")) or "-away-" in notice.id
    assert (MUTE in offered) == (not alone and notice.status != "resolved")
