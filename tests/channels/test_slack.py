"""One message in Slack for each incident, whatever happens on the way; and within Slack's limits, whatever is in it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.notices import Notice, Step
from reconciler.core.times import HOUR, SECOND
from reconciler.notifiers._blocks import blocks, fallback, step_blocks, step_text
from reconciler.posting import NotifyFailed
from tests.channels.notices import MINUTE, NOW, built, impatient, letter, notice
from tests.channels.servers import FakeSlack, Fault, faulty, running

SLACK = {"kind": "slack", "token": "xoxb-secret", "channel": "C0123ABCD", "signing_secret": "sign-secret"}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with running(FakeSlack(clock=lambda: NOW / SECOND)) as fake:
        yield fake


@pytest.fixture
def notifier(slack: FakeSlack) -> Any:
    return impatient(built(SLACK | {"api": slack.url}))


def words(message: dict[str, Any]) -> str:
    """All text of a message, as people read it."""
    return "".join(_words(message["blocks"]))


def _words(block: Any) -> Iterator[str]:
    if isinstance(block, dict):
        for key, value in block.items():
            yield from [value] if key == "text" and isinstance(value, str) else _words(value)
    elif isinstance(block, list):
        for one in block:
            yield from _words(one)


def test_an_incident_is_one_message_that_is_edited_and_a_thread_that_says_its_steps(
    slack: FakeSlack, notifier: Any
) -> None:
    states = [
        notice(),
        notice(status="updated", title="batch: 20,000 events lost", changed="Lost: 20,000"),
        notice(status="acknowledged", at=NOW + MINUTE),
        notice(status="resolved", at=NOW + HOUR, changed="All were sent again"),
    ]
    reference: dict[str, Any] = {}
    for version, state in enumerate(states, 1):
        reference = dict(notifier.send(letter(state, reference, version=version)))
    (message,) = slack.tops()
    assert message["edits"] == 3
    assert "RESOLVED" in words(message)
    assert "Raise the retention" not in words(message), "nothing is left to do"
    thread = [one["text"] for one in slack.messages if "thread_ts" in one]
    assert len(thread) == 2, "growing numbers are no step; the acknowledgement and the end are"
    assert "All were sent again" in thread[-1]


def test_growing_numbers_are_said_in_the_thread_once_in_half_an_hour(slack: FakeSlack, notifier: Any) -> None:
    reference = dict(notifier.send(letter(notice())))
    for minute in range(1, 91):
        now = NOW + minute * MINUTE
        state = notice(status="updated", at=now, changed=f"Lost: {minute:,}")
        reference = dict(notifier.send(letter(state, reference, version=minute + 1)))
    assert len(slack.tops()) == 1
    assert [one["text"] for one in slack.messages if "thread_ts" in one][-1].endswith("Lost: 90")
    assert len(slack.messages) == 1 + 3


@pytest.mark.parametrize("fault", [Fault.LATE_DROP, Fault.LATE_ERROR, Fault.LATE_HANG], ids=lambda fault: fault.value)
def test_a_post_that_arrived_and_was_not_answered_is_found_and_not_made_again(
    slack: FakeSlack, notifier: Any, fault: Fault
) -> None:
    for number in range(120):  # more than a page of others
        slack.chat_postMessage({"channel": "C0123ABCD", "text": f"other {number}", "metadata": {}})
    slack.faults = lambda path: fault if path.endswith("postMessage") else Fault.NONE
    with pytest.raises(NotifyFailed) as failed:
        notifier.send(letter(notice()))
    assert not failed.value.permanent
    slack.faults = lambda _: Fault.NONE
    for number in range(120):
        slack.chat_postMessage({"channel": "C0123ABCD", "text": f"later {number}", "metadata": {}})
    reference = notifier.send(letter(notice(title="newer"), version=2, doubt_since=NOW))
    (message,) = [one for one in slack.tops() if one["metadata"]]
    assert reference["ts"] == message["ts"]
    assert "newer" in words(message), "what was found is brought up to date"


def test_a_step_of_the_thread_that_arrived_and_was_not_answered_is_not_said_again(
    slack: FakeSlack, notifier: Any
) -> None:
    reference = dict(notifier.send(letter(notice())))
    slack.faults = lambda path: Fault.LATE_DROP if path.endswith("postMessage") else Fault.NONE
    over = notice(status="resolved")
    with pytest.raises(NotifyFailed) as failed:
        notifier.send(letter(over, reference, version=2))
    assert failed.value.reference is not None
    slack.faults = lambda _: Fault.NONE
    notifier.send(letter(over, failed.value.reference, version=2, doubt_since=NOW))
    assert len([one for one in slack.messages if "thread_ts" in one]) == 1


def test_a_message_that_somebody_deleted_is_posted_again(slack: FakeSlack, notifier: Any) -> None:
    reference = dict(notifier.send(letter(notice())))
    slack.messages.clear()
    notifier.send(letter(notice(severity="ticket"), reference, version=2))
    (message,) = slack.tops()
    assert "TICKET" in words(message)


def test_a_limit_is_told_with_the_time_that_slack_asks_for(slack: FakeSlack, notifier: Any) -> None:
    slack.faults = lambda _: Fault.LIMIT
    with pytest.raises(NotifyFailed) as failed:
        notifier.send(letter(notice()))
    assert failed.value.retry_after == 8 * SECOND  # of whole seconds the next one
    assert not failed.value.permanent


def test_what_only_a_change_of_settings_can_mend_is_permanent_and_says_what_to_change(
    slack: FakeSlack, notifier: Any
) -> None:
    slack.scopes.discard("channels:history")
    with pytest.raises(NotifyFailed, match="channels:history.*install") as failed:
        notifier.check()
    assert failed.value.permanent


def test_a_check_tells_who_it_is_and_posts_nothing(slack: FakeSlack, notifier: Any) -> None:
    assert notifier.check() == "is reconciler in Example, and reads C0123ABCD"
    assert slack.messages == []


def test_without_a_signing_secret_there_are_no_buttons_that_nobody_answers(slack: FakeSlack) -> None:
    plain = {key: value for key, value in SLACK.items() if key != "signing_secret"}
    built(plain | {"api": slack.url}).send(letter(notice()))
    assert "Acknowledge" not in words(slack.messages[0])
    assert "Runbook" in words(slack.messages[0])


def test_a_button_is_obeyed_only_if_slack_itself_sent_it_just_now(notifier: Any) -> None:
    body, stamp = b"payload=%7B%7D", str(NOW // SECOND)
    from slack_sdk.signature import SignatureVerifier

    signature = SignatureVerifier("sign-secret").generate_signature(timestamp=stamp, body=body)
    assert signature
    assert notifier.genuine(body, stamp, signature, NOW)
    assert not notifier.genuine(body, stamp, signature, NOW + 6 * MINUTE), "an old one was recorded and is played again"
    assert not notifier.genuine(body + b"x", stamp, signature, NOW)
    assert not notifier.genuine(body, "", signature, NOW)
    assert not notifier.genuine(body, stamp, "", NOW)


HOSTILE = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["<!channel>", "<@U123>", "```", "*b*", "&lt;", '{"type":"divider"}', "=1+1", "x" * 10_000, "\u202e", "\0"]
    ),
)


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    """Anything that anybody may call anything."""
    many = draw(st.sampled_from([0, 1, 40, 5000]))
    return Notice(
        id=draw(HOSTILE.filter(bool)),
        pipeline=draw(HOSTILE),
        kind=draw(st.sampled_from(["loss", "watchdog", "digest"]) | HOSTILE),
        status=draw(st.sampled_from(["open", "updated", "acknowledged", "resolved"])),
        severity=draw(st.sampled_from(["page", "ticket", "info"])),
        at=NOW,
        opened_at=NOW,
        title=draw(HOSTILE),
        facts=tuple((draw(HOSTILE), draw(HOSTILE)) for _ in range(draw(st.integers(0, 60)))),
        steps=tuple(Step(draw(HOSTILE), draw(HOSTILE)) for _ in range(draw(st.integers(0, 20)))),
        sources=tuple(f"{draw(HOSTILE)}/{number}" if number < 12 else f"s{number}" for number in range(many)),
        link=draw(
            st.sampled_from(["", "https://e.example/" + "x" * 4000, "javascript:alert(1)", "https://e.example/i"])
        ),
        runbook=draw(HOSTILE),
        drill=draw(st.booleans()),
        changed=draw(HOSTILE),
    )


@given(notices(), st.booleans())
@settings(max_examples=60)
def test_whatever_a_notice_holds_slack_takes_the_message(told: Notice, buttons: bool) -> None:
    shown = {"text": fallback(told), "blocks": blocks(told, buttons=buttons, note="a note")}
    assert faulty(shown) == ""
    assert faulty({"text": step_text(told), "blocks": step_blocks(told)}) == ""


def test_a_name_calls_nobody_and_formats_nothing() -> None:
    told = notice(title="<!channel> & *all*", sources=("<!here>",), facts=())
    assert "<!channel>" not in fallback(told)
    kinds = {part["type"] for block in blocks(told) for part in _texts(block)}
    assert kinds == {"text", "plain_text"}, "markup is nowhere read"
    assert "<!here>" in words({"blocks": blocks(told)}), "and the name stands there as it is"


def _texts(block: Any) -> Iterator[dict[str, Any]]:
    if isinstance(block, dict):
        if isinstance(block.get("text"), str):
            yield block
        for value in block.values():
            yield from _texts(value)
    elif isinstance(block, list):
        for one in block:
            yield from _texts(one)


def test_a_drill_says_so_first_of_all() -> None:
    assert blocks(replace(notice(), drill=True))[0]["text"]["text"].split(" ")[1] == "DRILL"


def test_a_chart_goes_into_the_thread_where_the_token_may_upload(slack: FakeSlack, notifier: Any) -> None:
    reference = notifier.send(letter(notice()))
    notifier.attach(reference, b"\x89PNG...", "batch")
    assert slack.files[0]["bytes"] == b"\x89PNG..."
    assert slack.files[0]["thread_ts"] == reference["ts"]
    slack.scopes.discard("files:write")
    with pytest.raises(NotifyFailed, match="missing_scope .files:write."):
        notifier.attach(reference, b"\x89PNG...", "batch")
