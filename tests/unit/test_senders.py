"""How sources can send again: the first pattern holds, and the nearer of two ends."""

from pathlib import Path

import pytest

from reconciler.core.senders import Sender, Way, by_sender, sender_of
from reconciler.core.times import DAY, parse_time
from reconciler.errors import ConfigError
from reconciler.settings import parse

BUCKET = parse_time("2021-07-20T18:45:00Z")
END = parse_time("2021-08-02T06:59:00Z")
TEXT = """
pipelines: {batch: {stages: [ingress, processed]}}
senders:
  - {pattern: "vacuum/*", way: reread, title: Vacuum}
  - {pattern: "partner/*", way: partner, consent: true, horizon: 30d, contact: partners@example.com}
  - {pattern: "direct/*", way: customer, until: 2021-08-02T06:59:00Z, identity: insert_id}
"""


def test_what_the_file_says_of_senders_is_kept_in_its_order() -> None:
    assert parse(TEXT, Path("reconciler.yaml"), {}).senders == (
        Sender("vacuum/*", Way.REREAD, "Vacuum"),
        Sender("partner/*", Way.PARTNER, consent=True, horizon=30 * DAY, contact="partners@example.com"),
        Sender("direct/*", Way.CUSTOMER, until=END, identity="insert_id"),
    )


def test_a_way_that_is_not_known_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"senders\[0\]\.way"):
        parse(TEXT.replace("reread", "guess"), Path("reconciler.yaml"), {})


def test_the_first_pattern_that_fits_holds_and_what_fits_none_is_not_guessed() -> None:
    some = (Sender("partner/segment", Way.REREAD), Sender("partner/*", Way.PARTNER))
    assert sender_of(some, "partner/segment") == some[0]
    assert sender_of(some, "elsewhere") is None
    sources = ["elsewhere", "partner/braze", "partner/segment"]
    assert by_sender(some, sources) == [
        (some[0], ["partner/segment"]), (some[1], ["partner/braze"]), (None, ["elsewhere"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sender", "end"),
    [
        pytest.param(Sender("*", Way.CUSTOMER), None, id="no end is known"),
        pytest.param(Sender("*", Way.CUSTOMER, until=END), END, id="a day is named"),
        pytest.param(Sender("*", Way.CUSTOMER, horizon=DAY), BUCKET + DAY, id="it is kept so long"),
        pytest.param(Sender("*", Way.CUSTOMER, horizon=DAY, until=END), BUCKET + DAY, id="the nearer of both"),
    ],
)
def test_until_when_a_bucket_can_be_sent_again(sender: Sender, end: int | None) -> None:
    assert sender.deadline(BUCKET) == end
