"""What customers can be told: per way in what to do and until when, and no promise that is not proven."""

from typing import Any

import pytest

from reconciler.core.drafts import PHASES, draft
from reconciler.core.senders import Sender, Way
from reconciler.core.times import parse_time

NOW = parse_time("2021-07-21T18:00:00Z")
SENDERS = (
    Sender("vacuum/*", Way.REREAD, "Vacuum"),
    Sender("partner/*", Way.PARTNER, "partners", consent=True, contact="partners@example.com"),
    Sender("direct/*", Way.CUSTOMER, "direct calls", until=parse_time("2021-08-02T06:59:00Z"), identity="insert_id"),
)
LOSS: dict[str, Any] = {
    "kind": "loss", "status": "updated", "pipeline": "batch", "from": "2021-07-20T18:45:00Z",
    "to": "2021-07-21T09:21:00Z", "lost": 26_280_000, "accepted": 26_280_000, "proven": True,
    "sources": ["direct/a", "direct/b", "elsewhere", "partner/segment", "vacuum/x"],
}  # fmt: skip


def test_a_loss_says_what_each_way_in_has_to_do_and_until_when() -> None:
    assert draft(LOSS, SENDERS, NOW, "identified", safe=False) == (
        "Identified - Events that were not processed, since 20 Jul 18:45 UTC (batch)\n\n"
        "26,280,000 events of 26,280,000 (100 %) accepted in this time are lost: "
        "they will not arrive by themselves.\n\n"
        "Events that you send now may be affected too. We will write again when we know more, within the hour.\n\n"
        "Vacuum: you need not do anything: we read these events again.\n\n"
        "partners: we ask the partner to send these events again. We need your consent first. "
        "Contact: partners@example.com.\n\n"
        "direct calls: please send the events of this time again. Keep `insert_id` as it was, so that nothing counts "
        "twice. This works until 2 Aug 06:59 UTC.\n\n"
        "elsewhere: we do not know yet how these events can be sent again, and will tell you.\n"
    )


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kind", ["loss", "at_risk", "delay", "surplus", "low_volume", "rejects", "missing_counts"])
@pytest.mark.parametrize("status", ["updated", "resolved"])
def test_nothing_is_promised_that_is_not_proven(phase: str, kind: str, status: str) -> None:
    line = LOSS | {"kind": kind, "status": status}
    for lost in (0, 12):
        text = draft(line | {"lost": lost}, SENDERS, NOW, phase, safe=False).lower()
        assert "no data is lost" not in text
        assert "nothing is lost" not in text
        assert "all of them are stored" not in text


def test_a_delay_that_the_queue_was_seen_to_hold_wholly_may_say_so_and_only_at_its_end_that_nothing_is_lost() -> None:
    line = LOSS | {"kind": "delay", "lost": 0, "status": "resolved"}
    assert "No data is lost." in draft(line, SENDERS, NOW, "resolved", safe=True)
    assert "No data is lost." not in draft(line, SENDERS, NOW, "investigating", safe=True)


def test_an_inferred_loss_is_worded_so_and_a_way_that_has_ended_is_not_offered() -> None:
    late = parse_time("2021-08-03T00:00:00Z")
    text = draft(LOSS | {"proven": False}, SENDERS, late, "identified", safe=False)
    assert "as far as we can tell" in text
    assert "direct calls: it was possible to send these events again until 2 Aug 06:59 UTC; no longer." in text


def test_what_is_sent_now_is_promised_nothing_and_a_deadline_that_has_passed_is_no_hope() -> None:
    risk = LOSS | {"kind": "at_risk", "lost": 0, "loss_at": "2021-07-21T19:05:00Z"}
    assert "lost unless they are processed before 19:05 UTC" in draft(risk, SENDERS, NOW, "identified", safe=False)
    passed = draft(risk, SENDERS, parse_time("2021-07-21T19:05:00Z"), "identified", safe=False)
    assert "some may be lost by now" in passed
    for kind in ("loss", "at_risk", "delay", "low_volume", "missing_counts"):
        for phase in PHASES:
            assert "are accepted" not in draft(risk | {"kind": kind}, SENDERS, NOW, phase, safe=True)
