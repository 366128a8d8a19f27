"""A loss from its counts to the message in Slack and the chart in its thread."""

from pathlib import Path
from typing import Any

from reconciler.announce import Channel, notifiers_of, routes_of
from reconciler.core.observations import parse
from reconciler.core.times import MINUTE, SECOND
from reconciler.reports.course import as_png, course_of
from reconciler.running.pictures import attach
from reconciler.service import Telling, judge
from reconciler.store import SqlStore
from tests.channels.notices import settings
from tests.channels.servers import FakeSlack, Fault, running
from tests.integration.shell import LOSS_START, a_loss

SLACK = {"kind": "slack", "token": "xoxb-1", "channel": "C0123ABCD", "severities": ["page", "ticket", "info"]}


def judged(store: SqlStore, found: Any) -> None:
    """Forty minutes in which 3,000 events of a source are lost, judged as the service would."""
    store.record([parse(line, found.pipelines) for line in a_loss()], found.pipelines)
    telling = Telling(tuple(routes_of(found)))
    for minute in (28, 31, 32, 41):
        judge(store, found.pipelines["batch"], LOSS_START + minute * MINUTE, telling=telling)


def test_a_loss_becomes_one_message_and_a_chart_that_adds_up(embedded: SqlStore, tmp_path: Path) -> None:
    with running(FakeSlack(clock=lambda: LOSS_START / SECOND)) as slack:
        found = settings({"oncall": SLACK | {"api": slack.url}}, tmp_path)
        judged(embedded, found)
        (notifier,) = notifiers_of(found)
        now = LOSS_START + 41 * MINUTE
        done = Channel(notifier).announce(embedded, lambda: now)
        (loss,) = [one for one in embedded.incidents() if one["kind"] == "loss"]
        assert len(slack.of(loss["id"])) == 1
        course = course_of(embedded, found.pipelines["batch"], loss["id"])
        assert course is not None
        assert int(course.amounts["lost"].sum()) == 3000
        assert as_png(course).startswith(b"\x89PNG")
        assert attach(embedded, found.pipelines, notifier, done.said) == len(done.said) > 0
        assert slack.files[0]["bytes"].startswith(b"\x89PNG")
        slack.faults = lambda _: Fault.ERROR
        assert attach(embedded, found.pipelines, notifier, done.said) == 0, "one that is not taken is only told of"


def test_in_mode_observe_nobody_is_told(embedded: SqlStore, tmp_path: Path) -> None:
    observed = {"batch": {"stages": ["ingress", "processed"], "mode": "observe"}}
    found = settings({"oncall": SLACK}, tmp_path, pipelines=observed)
    judged(embedded, found)
    assert embedded.outbox.backlogs() == []
    assert embedded.incidents()
