"""What holds for every notifier. A kind's own test gives its options and what it talks to."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from reconciler.announce import Channel
from reconciler.core.outbox import posts
from reconciler.core.times import SECOND
from reconciler.posting import NotifyFailed
from reconciler.running.meters import Meters
from reconciler.store import SqlStore
from tests.channels.notices import NOW, letter, notice
from tests.channels.servers import Fake, Fault

SILENT = "http://127.0.0.1:9"
"""Nobody listens there."""


@dataclass
class Bench:
    """A notifier and its counterpart."""

    notifier: Any
    fake: Fake
    elsewhere: Any
    """The same notifier, where nobody listens."""
    secrets: tuple[str, ...]
    tells_why: bool = True
    """False: it only says that it did not work."""
    shown: Callable[[], list[str]] = list
    """What the counterpart shows to people or hands on, as text; secrets have no place there."""


def no_secret_leaks(bench: Bench, store: SqlStore, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Everything that can be seen from outside, whatever the counterpart does, holds no secret; returns all of it."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = [repr(bench.notifier), str(bench.notifier.options), bench.notifier.options.model_dump_json()]
    store.outbox.post(posts([bench.notifier.options.route(bench.notifier.name)], [notice()]), NOW)
    meters, now = Meters(), NOW
    for fault in (*Fault, None):
        bench.fake.faults = partial(_always, fault or Fault.NONE)
        subject = bench.notifier if fault is not None else bench.elsewhere
        for act in (subject.check, partial(subject.send, letter(notice()))):
            try:
                seen.append(str(act()))
            except NotifyFailed as failure:
                seen += [failure.message, repr(failure), repr(failure.__cause__), repr(failure.__context__)]
        now += 3600 * SECOND
        done = Channel(subject).announce(store, partial(int, now))
        meters.announced(done)
        seen += done.failures
        seen += [repr(one) for one in store.outbox.backlogs()]
    meters.outbox(store.outbox.backlogs(), now)
    seen += [meters.text().decode(), caplog.text, *bench.shown()]
    for secret in bench.secrets:
        found = [text for text in seen if secret in text]
        assert not found, f"{secret} is in: {found[:3]}"
    return seen


def _always(fault: Fault, _: str) -> Fault:
    return fault


class NotifierContract:
    """What holds for every notifier that speaks to somebody; a kind's test has a fixture `bench`."""

    def test_no_secret_is_in_any_error_log_metric_or_message(
        self, bench: Bench, embedded: SqlStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen = no_secret_leaks(bench, embedded, caplog)
        assert any("channel oncall: " in text for text in seen), "it has failed, and said so"

    @pytest.mark.parametrize("fault", [Fault.ERROR, Fault.DROP, Fault.HANG], ids=lambda fault: fault.value)
    def test_what_may_pass_is_tried_again(self, bench: Bench, fault: Fault) -> None:
        bench.fake.faults = lambda _: fault
        with pytest.raises(NotifyFailed) as failed:
            bench.notifier.send(letter(notice()))
        assert not failed.value.permanent
        bench.fake.faults = lambda _: Fault.NONE
        bench.notifier.send(letter(notice(), doubt_since=NOW))

    def test_a_limit_is_kept_to(self, bench: Bench) -> None:
        bench.fake.faults = lambda _: Fault.LIMIT
        with pytest.raises(NotifyFailed) as failed:
            bench.notifier.send(letter(notice()))
        assert failed.value.retry_after == (8 * SECOND if bench.tells_why else None)
        assert not failed.value.permanent

    def test_what_is_refused_for_good_is_said_to_be(self, bench: Bench) -> None:
        bench.fake.faults = lambda _: Fault.ECHO
        with pytest.raises(NotifyFailed) as failed:
            bench.notifier.send(letter(notice()))
        assert failed.value.permanent == bench.tells_why

    def test_where_nobody_listens_it_says_so(self, bench: Bench) -> None:
        words = "cannot be reached" if bench.tells_why else "not every address took it"
        with pytest.raises(NotifyFailed, match=words) as failed:
            bench.elsewhere.send(letter(notice()))
        assert not failed.value.permanent

    def test_hostile_names_come_through(self, bench: Bench) -> None:
        names = ("<!channel>", '"}],"x":1', "=cmd()", "\u202eevil", "\0", "x" * 10_000, "<script>alert(1)</script>")
        for name in names:
            bench.notifier.send(
                letter(notice(id=f"i-{name}", title=name, sources=(name,), facts=((name, name),), pipeline=name))
            )

    def test_what_is_told_leads_to_the_page_of_the_incident(self, bench: Bench) -> None:
        told = notice()
        bench.notifier.send(letter(told))
        assert any(told.link.encode() in request.body for request in bench.fake.requests)

    def test_a_check_sends_no_alarm(self, bench: Bench) -> None:
        assert bench.notifier.check()
        assert not any(b"18,204" in request.body for request in bench.fake.requests)
