"""`model show`, as a person or a script calls it."""

import json

import pytest

from reconciler.commands import model
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR
from reconciler.service import judge, learn
from reconciler.store import SqlStore
from tests.integration.shell import Shell
from tests.unit.traffic import MONDAY, STAGES, WIDTH, observed

CONFIG = "pipelines: {batch: {stages: [ingress, processed], bucket: 30m}}"
PIPELINE = Pipeline("batch", STAGES, width=WIDTH)


@pytest.fixture
def ledger(shell: Shell, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine days of three sources, learned from."""
    now = MONDAY + 9 * DAY + 2 * HOUR
    shell.file("reconciler.yaml", CONFIG)
    store.record(list(observed(3, 9.1)), {"batch": PIPELINE})
    judge(store, PIPELINE, now)
    learn(store, PIPELINE, now)
    monkeypatch.setattr(model, "now", lambda: now)


@pytest.mark.usefixtures("ledger")
def test_it_shows_the_usual_week_and_says_what_it_does_not_know_yet(shell: Shell) -> None:
    assert shell("model", "show", "source-1") == 0
    lines = shell.out.splitlines()
    assert [line[:3] for line in lines[2:9]] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert max(lines[2]) == lines[2][5 + 12], "noon is the busiest"
    assert "█" in "".join(lines[2:7])
    assert "▇" not in lines[7], "Saturday is quiet"
    assert "It has learned from 8 d 23 h" in shell.out
    assert "A silence is an alarm once" in shell.out
    assert "Not known yet: Less than four weeks" in shell.out


@pytest.mark.usefixtures("ledger")
def test_it_says_the_same_to_scripts_and_draws_it(shell: Shell) -> None:
    drawn = shell.folder / "week.png"
    assert shell("model", "show", "source-1", "--json", "--png", str(drawn)) == 0
    found = json.loads(shell.out)
    assert found["trained"]
    assert len(found["week"]) == 168
    assert found["week"][12] == pytest.approx(40 * 2.2, rel=0.25)
    assert drawn.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("ledger")
def test_a_source_that_nobody_knows_is_an_error_that_names_it(shell: Shell) -> None:
    assert shell("model", "show", "sourc-1") == 2
    assert "'sourc-1'" in shell.err


def test_a_young_source_is_untrained_and_it_says_what_is_needed(shell: Shell, store: SqlStore) -> None:
    shell.file("reconciler.yaml", CONFIG)
    store.record(list(observed(1, 0.1)), {"batch": PIPELINE})
    assert shell("model", "show", "source-0") == 0
    assert "untrained" in shell.out
    assert "Seven days" in shell.out
