"""A real browser, and the incident of the demo in its first hour to look at."""

import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from reconciler import deeds
from reconciler.commands.demo.play import CONFIG, STORY
from reconciler.core.observations import parse
from reconciler.core.times import HOUR, MINUTE, SECOND, Micros
from reconciler.reports import archive, replay_deeds
from reconciler.reports.days import day_of
from reconciler.reports.replay_deeds import Deed
from reconciler.scenarios import load as load_story
from reconciler.service import judge_all
from reconciler.settings import Settings, load
from reconciler.store import SqlStore, open_store
from reconciler.web.api import build_api
from tests.integration.shell import observed
from tests.web.serving import Clock, serving

FIRST, LAST, STEP = -60, 60, 5
"""Minutes of the story that are played, from its own zero, and how often it is judged."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    program = shutil.which("chromium")
    assert program, "Chromium is not installed; `python -m tests.servers.install` brings it"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the pages of a ledger in which the batch queue has just deleted 35 minutes of events unread."""
    folder: Path = tmp_path_factory.mktemp("incident")
    text = files("reconciler.commands.demo").joinpath(CONFIG).read_text(encoding="utf-8")
    (folder / CONFIG).write_text(text, encoding="utf-8")
    settings = load(folder / CONFIG, environment={})
    store = open_store(settings.ledger)
    story = load_story(STORY)
    seen = sorted((parse(line, settings.pipelines) for line in observed(story, (FIRST, LAST))), key=lambda one: one.at)
    now = 0
    for minute in range(FIRST + STEP, LAST + STEP, STEP):
        before, now = now, story.t0 * SECOND + minute * MINUTE
        store.record([one for one in seen if before < one.at <= now], settings.pipelines)
        judge_all(store, settings.pipelines, now)
    people_act(store, settings, now)
    with serving(build_api(store, settings, Clock(now))) as url:
        yield url
    store.close()


def people_act(store: SqlStore, settings: Settings, now: Micros) -> None:
    """A mute, a replay and a report, so that their pages have something to show."""
    deeds.mute(store, "ann", "known, and being drained", now, now + HOUR, pipeline="streaming", kind="delay")
    batch = settings.pipelines["batch"]
    replay_deeds.plan(store, settings.senders, batch, (now - 2 * HOUR, now), "batch_v*", Deed("ann", now))
    pipelines = list(settings.pipelines.values())
    archive.keep(store, archive.report(store, pipelines, day_of(now), now), ["team"])
