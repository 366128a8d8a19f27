"""The documents: made pages are up to date, and what they tell people to type, to watch and to open is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml

from reconciler.cli import group
from reconciler.settings.people import Kind
from tests.reference import FOLDER, PAGES, metric_names, page

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = yaml.safe_load((ROOT / "config" / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
KINDS = sorted(set(get_args(Kind)) - {"default"})


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_what_the_program_says_of_itself(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == page(name), "run `make docs`"


def test_every_metric_setting_and_command_of_the_reference_says_what_it_means() -> None:
    cells = [
        (name, line)
        for name in PAGES
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()
        if line.startswith(("| `", "| [`"))
    ]
    assert len(cells) > 100
    # `kind` names itself, and the shapes of HTTP answers are the contract's words.
    bare = [cell for cell in cells if cell[1].endswith("|  |") and "| `kind` |" not in cell[1] and cell[0] != "http.md"]
    assert bare == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_incident_has_a_runbook(kind: str) -> None:
    headings = re.findall(r"^#+ (.+)$", (RUNBOOKS / f"{kind}.md").read_text(), flags=re.MULTILINE)
    assert headings == [kind, "What it means", "How to see it", "First", "It is over when"]
    assert f"[{kind}]({kind}.md)" in (RUNBOOKS / "README.md").read_text()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_every_alarm_about_itself_has_a_runbook_and_looks_at_metrics_that_there_are(rule: dict[str, str]) -> None:
    sections = (RUNBOOKS / "self.md").read_text().split("\n## ")
    section = next(text for text in sections if text.startswith(f"{rule['alert']}\n"))
    assert [mark for mark in ("**Means:**", "**First:**", "**Over when**") if mark not in section] == []
    known = {name for name, *_ in metric_names()}
    assert set(re.findall(r"reconciler_\w+", rule["expr"])) <= known


def test_there_is_no_runbook_for_an_alarm_that_nobody_raises() -> None:
    told = re.findall(r"^## (\w+)$", (RUNBOOKS / "self.md").read_text(), flags=re.MULTILINE)
    assert told == [rule["alert"] for rule in ALERTS]


def _typed(text: str) -> Iterator[str]:
    """Commands in blocks and between backticks; of a pipe the first part."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^(?:\.venv/bin/)?reconciler (?:[^#|&\n]*)", block, flags=re.MULTILINE)
    yield from re.findall(r"`(reconciler [a-z][^`\n]*)`", text)


def test_every_command_that_a_document_tells_to_type_is_there_with_its_options() -> None:
    wrong = []
    for path in TEXTS:
        if path.parent != FOLDER:  # which is what the program prints
            wrong += [f"{path.relative_to(ROOT)}: {line.strip()}" for line in _typed(path.read_text()) if _faulty(line)]
    assert wrong == []


def _faulty(line: str) -> bool:
    command: click.Command = group
    for word in shlex.split(line.replace("…", "").replace("'", ""), comments=True)[1:]:
        context = click.Context(command)
        if isinstance(command, click.Group):
            # The usual command of a group, `list`, may be left out.
            inner = command.get_command(context, word) or command.get_command(context, "list")
            if inner is None:
                return word not in {"--help", "--version"}
            command, context = inner, click.Context(inner)
        if re.match("--?[a-z]", word):
            known = {option for parameter in command.get_params(context) for option in parameter.opts}
            if word.partition("=")[0] not in known:
                return True
    return False


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in TEXTS
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []
