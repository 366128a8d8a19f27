"""Plans of replays: who sends what again, by when, and what keeps events from counting twice."""

from dataclasses import replace

import pytest

from reconciler.core.observations import QueueSample
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.replays import Due, Part, Proof, Replay, Rewind, Window, alarms, changed, dump, plan, restore
from reconciler.core.senders import Sender, Way
from reconciler.core.times import DAY, HOUR, MINUTE, Micros, parse_time

START = parse_time("2021-07-20T18:45:00Z")
QUEUE = Queue("events", Hop("ingress", "processed"))
PIPELINE = Pipeline("batch", ("ingress", "processed"), queues={"events": QUEUE})
HOP = "ingress>processed"


def minute(number: int) -> Micros:
    return START + number * MINUTE


WINDOW = Window(minute(0), minute(10), 500)


def sample(at: int, start: int, end: int, *, partition: int = 0, retention: Micros = 7 * DAY) -> QueueSample:
    return QueueSample(minute(at), "batch", "events", partition, start, end, 0, retention=retention)


def planned(
    *senders: Sender, windows: tuple[Window, ...] = (WINDOW,), samples: tuple[QueueSample, ...] = (), now: int = 60
) -> Part:  # fmt: skip
    found = plan(PIPELINE, {(HOP, "partner/a"): windows}, senders, samples, minute(now))
    assert len(found.parts) == 1
    return found.parts[0]


PARTNER = Sender("partner/*", Way.PARTNER, "Partners", consent=True, horizon=30 * DAY, identity="insert_id")


def test_how_a_source_sends_again_is_as_the_settings_say() -> None:
    part = planned(Sender("other", Way.REREAD), PARTNER)
    assert (part.way, part.who, part.consent, part.events) == (Way.PARTNER, "Partners", True, 500)
    assert part.until == minute(0) + 30 * DAY  # what the sender forgets first
    assert part.warnings == ()


def test_a_source_of_which_nobody_has_said_how_is_told_and_not_guessed() -> None:
    part = planned()
    assert part.way is None
    assert "nobody has said how this source can send again" in part.warnings[0]


@pytest.mark.parametrize(
    ("sender", "rule"),
    [
        pytest.param(replace(PARTNER, identity=""), "nothing recognises copies: send exactly", id="no id"),
        pytest.param(PARTNER, "copies are dropped by insert_id", id="by id, without an end"),
        pytest.param(
            replace(PARTNER, dedupe=7 * DAY), "insert_id until 2021-07-27T18:45:00Z; later send exactly", id="by id"
        ),
    ],
)
def test_what_keeps_events_from_counting_twice(sender: Sender, rule: str) -> None:
    assert rule in planned(sender).rule


def test_copies_that_are_recognised_no_more_are_warned_of() -> None:
    part = planned(replace(PARTNER, dedupe=7 * DAY), now=8 * 24 * 60)
    assert "copies are recognised no more since 2021-07-27T18:45:00Z" in part.warnings[0]


def test_a_deadline_that_is_over_is_told() -> None:
    part = planned(replace(PARTNER, until=minute(30)))
    assert part.until == minute(30)
    assert "it was to be sent again by 2021-07-20T19:15:00Z" in part.warnings[0]


def test_what_would_be_deleted_at_once_because_retention_looks_at_event_time_is_warned_of() -> None:
    short = planned(PARTNER, samples=(sample(59, 0, 10, retention=20 * MINUTE),))
    assert "queue events keeps 20 min, and these events are up to 1 h old" in short.warnings[0]
    assert planned(PARTNER, samples=(sample(59, 0, 10, retention=2 * HOUR),)).warnings == ()


OFFSETS = (
    sample(-5, 0, 900), sample(0, 0, 1000), sample(5, 0, 1200), sample(11, 0, 1450), sample(12, 0, 1500),
    sample(59, 1100, 3000),
)  # fmt: skip
KEPT = replace(WINDOW, kept=500)


def test_what_was_passed_over_comes_back_by_setting_the_consumer_back_to_exact_offsets() -> None:
    part = planned(PARTNER, windows=(KEPT,), samples=OFFSETS)
    assert part.way == Way.REWIND
    # At the beginning of the window 1,000 were written, of which 100 are deleted by now; twelve minutes later, 1,500.
    assert part.rewinds == (Rewind("events", 0, 1100, 1500, 100, minute(0) + 7 * DAY),)
    assert part.until == minute(0) + 7 * DAY
    assert part.warnings == (
        "100 records of these windows are deleted already: they do not come back by reading again",
    )


def test_what_is_lost_is_in_no_queue_to_read_again() -> None:
    assert planned(PARTNER, samples=OFFSETS).rewinds == ()


def test_each_partition_has_its_own_offsets_and_a_topic_made_anew_has_none() -> None:
    other = tuple(replace(one, partition=1) for one in OFFSETS)
    anew = tuple(replace(one, partition=2, epoch="old") for one in OFFSETS[:-1])
    part = planned(windows=(KEPT,), samples=(*OFFSETS, *other, *anew, replace(OFFSETS[-1], partition=2, epoch="new")))
    assert [one.partition for one in part.rewinds] == [0, 1]


def test_a_rewind_of_what_no_queue_holds_says_so() -> None:
    part = planned(Sender("*", Way.REWIND), samples=(sample(0, 0, 1000), sample(59, 3000, 3000)))
    assert part.rewinds == ()
    assert "no queue that is sampled still holds these windows" in part.warnings[0]


def test_a_replay_is_kept_as_it_was_planned() -> None:
    found = plan(PIPELINE, {(HOP, "a"): (KEPT,), (HOP, "b"): (WINDOW,)}, [PARTNER], OFFSETS, minute(60))
    assert restore(dump(found)) == found
    assert {part.label for part in found.parts} == {found.id}


def test_it_is_closed_when_all_of_it_is_and_due_by_what_is_open() -> None:
    first = planned(replace(PARTNER, until=minute(100)))
    second = replace(first, source="partner/b", until=minute(200))
    replay = Replay("r", "batch", minute(60), (first, second))
    assert (replay.state, replay.due) == ("planned", minute(100))
    replay = changed(replay, [replace(first, state="closed")])
    assert (replay.state, replay.due) == ("planned", minute(200))
    replay = changed(replay, [replace(second, state="started")])
    assert replay.state == "started"
    assert changed(replay, [replace(second, state="closed")]).state == "closed"


@pytest.mark.parametrize(
    ("left", "severity"),
    [
        pytest.param(4 * DAY, None, id="far off"),
        pytest.param(2 * DAY, "ticket", id="days before"),
        pytest.param(11 * HOUR, "page", id="hours before"),
        pytest.param(-HOUR, "ticket", id="over: nothing can be saved any more"),
    ],
)
def test_what_is_overdue_alarms_before_the_deadline(left: Micros, severity: str | None) -> None:
    found = alarms(PIPELINE, [Due("r", "a", START + left, 5), Due("r", "b", START + left, 7)], START)
    assert [one.severity for one in found] == ([] if severity is None else [severity])
    assert all("12 events of a, b" in one.detail for one in found)


def test_what_has_come_alarms_nobody() -> None:
    assert alarms(PIPELINE, [Due("r", "a", START, 0)], START) == []


def test_what_was_sent_and_not_heard_of_since_is_under_way() -> None:
    assert Proof(100, 60, 10, 5, 20, 0, 0, 0, 0, 0).under_way == 5
