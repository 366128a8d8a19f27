"""What is to be told waits in the outbox until it was told: the newest state, the most urgent first, never lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.announce import Channel
from reconciler.core.outbox import Manner, Post, Route, posts, wait
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros
from reconciler.posting import Letter, NotifyFailed
from reconciler.store import SqlStore
from tests.channels.notices import NOW, notice

ALL = Route("oncall", frozenset({"page", "ticket", "info"}))


@dataclass
class Pen:
    """A channel that writes down what it is told, as long as it can."""

    manner: Manner = field(default_factory=Manner)
    name: str = "oncall"
    told: list[Letter] = field(default_factory=list)
    failure: NotifyFailed | None = None
    refuses: str = ""
    """Id of the incident that it never takes."""

    def send(self, letter: Letter) -> Mapping[str, Any]:
        if self.failure is not None:
            raise self.failure
        if letter.notice.id == self.refuses:
            raise NotifyFailed("this one not", permanent=False)
        self.told.append(letter)
        return {"place": len(self.told)}

    def check(self) -> str:
        return "a pen"


@dataclass
class World:
    """An outbox, a channel and a clock that is moved by hand."""

    store: SqlStore
    pen: Pen = field(default_factory=Pen)
    now: Micros = NOW

    def __post_init__(self) -> None:
        self.channel = Channel(self.pen)

    def put(self, *told: Any) -> None:
        self.store.outbox.post(posts([ALL], told), self.now)

    def work(self, after: Micros = 0) -> list[tuple[str, str]]:
        """One pass; what it said."""
        self.now += after
        before = len(self.pen.told)
        self.channel.announce(self.store, lambda: self.now)
        return [(one.notice.id, one.notice.status) for one in self.pen.told[before:]]


@pytest.fixture
def world(embedded: SqlStore) -> World:
    return World(embedded)


@pytest.fixture
def either(store: SqlStore) -> World:
    """The same, once on each kind of database."""
    return World(store)


def test_the_newest_state_replaces_the_older_ones(either: World) -> None:
    either.put(notice(id="a"))
    either.put(notice(id="a", status="updated"))
    either.put(notice(id="a", status="resolved"))
    assert either.work() == [("a", "resolved")]
    assert either.work(HOUR) == []


def test_what_was_told_is_told_again_only_when_it_has_changed_and_with_its_reference(world: World) -> None:
    world.put(notice(id="a"))
    world.work()
    world.put(notice(id="a", status="updated"))
    assert world.work(MINUTE) == [("a", "updated")]
    assert [dict(one.reference) for one in world.pen.told] == [{}, {"place": 1}]
    assert [one.version for one in world.pen.told] == [1, 2]


def test_the_most_urgent_goes_first(world: World) -> None:
    world.put(notice(id="info", severity="info"), notice(id="ticket", severity="ticket"), notice(id="page"))
    assert [one for one, _ in world.work()] == ["page", "ticket", "info"]


def test_a_letter_that_is_refused_holds_up_no_other(world: World) -> None:
    world.pen.refuses = "poison"
    world.put(notice(id="poison"))
    world.put(*(notice(id=f"i{number}", severity="ticket") for number in range(30)))
    said = [one for _ in range(5) for one in world.work(10 * SECOND)]
    assert len(said) == 30


def test_a_channel_that_is_down_is_left_alone_longer_and_longer_and_told_all_when_it_is_back(world: World) -> None:
    tries: list[Micros] = []

    class Down(NotifyFailed):
        pass

    def send(letter: Letter) -> Mapping[str, Any]:
        tries.append(world.now)
        raise Down("gone")

    told, world.pen.send = world.pen.send, send  # type: ignore[method-assign]  # the channel goes down
    world.put(*(notice(id=f"i{number:02}", opened_at=NOW + number) for number in range(40)))
    for _ in range(12 * 60):
        world.work(5 * SECOND)
    assert len(tries) < 25, "an hour of hammering"
    world.pen.send = told  # type: ignore[method-assign]  # and is back
    said = [one for _ in range(5) for one, _ in world.work(10 * MINUTE)]
    assert sorted(said) == [f"i{number:02}" for number in range(40)], "each once"


def test_a_channel_that_asks_for_rest_gets_it(world: World) -> None:
    world.pen.failure = NotifyFailed("slow down", retry_after=90 * SECOND)
    world.put(notice(id="a"), notice(id="b"))
    world.work()
    world.pen.failure = None
    assert world.work(80 * SECOND) == []
    assert len(world.work(11 * SECOND)) >= 1


def test_what_fails_for_a_day_is_a_dead_letter_that_is_loud_and_still_goes_out_in_the_end(either: World) -> None:
    either.pen.failure = NotifyFailed("no")
    either.put(notice(id="a"))
    for _ in range(6 * 25):
        either.work(10 * MINUTE)
    (stands,) = either.store.outbox.backlogs()
    assert (stands.pending, stands.dead, stands.error) == (1, 1, "no")
    assert stands.failing_since == NOW + 10 * MINUTE
    either.pen.failure = None
    assert either.work(HOUR + MINUTE) == [("a", "open")]
    (stands,) = either.store.outbox.backlogs()
    assert (stands.pending, stands.dead, stands.error) == (0, 0, "")
    assert [one.what for one in either.store.outbox.sendings("a")] == ["dead", "sent"]


def test_what_only_a_change_of_settings_can_mend_is_dead_at_once(world: World) -> None:
    world.pen.failure = NotifyFailed("token revoked", permanent=True)
    world.put(notice(id="a"))
    world.work()
    assert world.store.outbox.backlogs()[0].dead == 1


def test_a_try_of_which_nobody_knows_the_end_is_not_made_by_another_at_once_and_is_doubted_later(either: World) -> None:
    either.put(notice(id="a"))
    (entry,) = either.store.outbox.due("oncall", NOW, either.pen.manner, 10)
    assert either.store.outbox.claim(entry, NOW, NOW + MINUTE)  # and the process dies
    assert not either.store.outbox.claim(entry, NOW, NOW + MINUTE), "two processes never send the same"
    assert either.work(30 * SECOND) == []
    assert either.work(31 * SECOND) == [("a", "open")]
    assert either.pen.told[0].doubt_since == NOW


def test_a_newer_state_that_comes_while_an_older_one_is_on_its_way_is_told_next(either: World) -> None:
    either.put(notice(id="a"))
    first = either.pen.send

    def send(letter: Letter) -> Mapping[str, Any]:
        either.put(notice(id="a", status="resolved"))
        either.pen.send = first  # type: ignore[method-assign]  # only once
        return first(letter)

    either.pen.send = send  # type: ignore[method-assign]  # somebody judges meanwhile
    assert either.work() == [("a", "open"), ("a", "resolved")]


def test_a_channel_that_forgets_is_told_again_in_time_and_for_a_while_that_it_is_over(world: World) -> None:
    world.pen.manner = Manner(resend=MINUTE)
    world.put(notice(id="a"))
    assert len([world.work(20 * SECOND) for _ in range(9)]) == 9
    assert [one.again for one in world.pen.told] == [False, True, True]
    world.put(notice(id="a", status="resolved", at=world.now))
    assert [one for _ in range(30) for one in world.work(MINUTE)] == [("a", "resolved")] * 14
    assert {one.again for one in world.pen.told[4:]} == {True}


def test_a_channel_that_cannot_edit_hears_of_news_at_once_and_of_growing_numbers_once_an_hour(world: World) -> None:
    world.pen.manner = Manner(edits=False, updates_every=HOUR)
    world.put(notice(id="a"))
    world.work()
    for minute in range(1, 121):
        world.put(notice(id="a", status="updated", at=NOW + minute * MINUTE))
        world.work(MINUTE)
    world.put(notice(id="a", status="updated", severity="ticket"))
    world.work(SECOND)
    world.put(notice(id="a", status="resolved"))
    world.work(SECOND)
    assert [one.notice.at - NOW for one in world.pen.told[:3]] == [0, HOUR, 2 * HOUR]
    assert [one.notice.status for one in world.pen.told[3:]] == ["updated", "resolved"]


def test_where_too_much_is_open_new_incidents_share_one_message_and_pages_have_their_own(either: World) -> None:
    either.pen.manner = Manner(digest_above=5)
    either.put(*(notice(id=f"t{number}", severity="ticket") for number in range(9)))
    either.put(notice(id="page"))
    either.work()
    assert [one.notice.id for one in either.pen.told if one.notice.kind != "digest"] == ["page"]
    (digest,) = [one.notice for one in either.pen.told if one.notice.kind == "digest"]
    assert digest.title.startswith("9 incidents")
    for number in range(9):
        either.put(notice(id=f"t{number}", severity="ticket", status="resolved"))
    either.work(MINUTE)
    last = either.pen.told[-1].notice
    assert (last.id, last.status) == (digest.id, "resolved"), "the same message, and it ends with them"
    either.put(*(notice(id=f"u{number}", severity="ticket") for number in range(9)))
    either.work(HOUR)
    assert either.pen.told[-1].notice.id not in (digest.id, "page"), "the next wave is another message"


def test_what_is_over_is_no_news_to_those_who_never_heard_of_it(world: World) -> None:
    world.put(notice(id="a", status="resolved"))
    assert world.work() == []


def test_a_channel_for_pages_that_heard_of_a_page_hears_that_it_is_a_ticket_now(world: World) -> None:
    pages = Route("oncall", frozenset({"page"}), ("batch*",), frozenset({"loss"}))
    states = [notice(id="a"), notice(id="a", severity="ticket"), notice(id="b", severity="ticket")]
    states += [notice(id="c", kind="delay"), notice(id="d", pipeline="streaming")]
    world.store.outbox.post(posts([pages], states), NOW)
    assert [(one, world.pen.told[-1].notice.severity) for one, _ in world.work()] == [("a", "ticket")]


def test_the_watchdog_goes_only_to_those_who_ask_for_it() -> None:
    dog = notice(kind="watchdog", pipeline="")
    asked = Route("dog", frozenset({"page"}), kinds=frozenset({"watchdog"}))
    assert posts([ALL, asked], [dog]) == [Post("oncall", dog, begins=False), Post("dog", dog, begins=True)]


def test_waits_double_never_fall_in_step_and_keep_to_what_was_asked_for() -> None:
    waits = [wait(attempt, "a") for attempt in range(1, 30)]
    assert all(
        usual <= found <= usual * 6 // 5
        for usual, found in zip([5 * SECOND << n for n in range(7)], waits, strict=False)
    )
    assert max(waits) <= 12 * MINUTE
    assert wait(3, "a") != wait(3, "b")
    assert wait(1, "a", retry_after=HOUR) == HOUR
    assert wait(1, "a", retry_after=9 * DAY) == DAY
