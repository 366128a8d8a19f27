"""Channels fail, hang, drop, limit and restart, the service dies in the middle of a sending, again and again; at the
end each incident is one message in its right final state on each channel.

RECONCILER_CHAOS sets how many incidents:  RECONCILER_CHAOS=2000 make test ARGS='-k chaos'
"""

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.announce import Channel, routes_of
from reconciler.app import now as clock
from reconciler.core.notices import Notice
from reconciler.core.outbox import posts
from reconciler.core.times import HOUR, MINUTE, SECOND, Micros
from reconciler.notifiers import _http
from reconciler.notifiers._text import heading
from reconciler.posting import Letter, Notifier, NotifyFailed
from reconciler.store import SqlStore, open_store
from tests.channels.notices import impatient, notice, settings
from tests.channels.servers import Fake, FakePagerDuty, FakeSlack, Fault, Json, Request, running
from tests.servers.alertmanager import Alertmanager, running_alertmanager

INCIDENTS = int(os.environ.get("RECONCILER_CHAOS", "200"))
LASTS: Micros = 2 * HOUR
STEP: Micros = 30 * SECOND
HANGS = 12
"""So often a server hangs in earnest, a fifth of a second each time."""

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """The process is dead: nothing that follows is done."""


@dataclass
class Before(Fake):
    """Stands before a real Alertmanager, so that it can fail as others do."""

    behind: Alertmanager | None = None

    def answer(self, request: Request) -> tuple[int, Json]:
        assert self.behind is not None
        try:
            _http.Caller("behind", 5 * SECOND).post(
                self.behind.url + request.path, request.body, {"Content-Type": "application/json"}
            )
        except NotifyFailed as failure:
            return failure.answered or 502, {}
        return 200, {}


@dataclass
class Chance:
    """Seeded misfortune."""

    random: random.Random
    hangs: int = HANGS
    down: bool = False
    """The channel is wholly away."""
    calm: bool = False
    seen: "Counter[Fault]" = field(default_factory=Counter)

    def fault(self, _: str) -> Fault:
        """What goes wrong with the next request."""
        found = self._draw()
        self.seen[found] += 1
        return found

    def _draw(self) -> Fault:
        if self.calm:
            return Fault.NONE
        if self.down:
            return Fault.DROP
        if self.hangs and self.random.random() < 0.01:
            self.hangs -= 1
            return self.random.choice([Fault.HANG, Fault.LATE_HANG])
        faults = [Fault.ERROR, Fault.LATE_ERROR, Fault.DROP, Fault.LATE_DROP, Fault.LIMIT]
        return self.random.choice(faults) if self.random.random() < 0.12 else Fault.NONE


@dataclass
class Mortal:
    """A notifier in a process that is killed now and then: before it sends, or before it can record that it has."""

    notifier: Notifier
    chance: Chance
    deaths: int = 0

    @property
    def name(self) -> str:
        return self.notifier.name

    @property
    def manner(self) -> Any:
        return self.notifier.manner

    def send(self, letter: Letter) -> Mapping[str, Any]:
        draw = 1.0 if self.chance.calm else self.chance.random.random()
        if draw < 0.02:
            self.deaths += 1
            raise Killed
        done = self.notifier.send(letter)
        if draw < 0.05:
            self.deaths += 1
            raise Killed
        return done

    def check(self) -> str:
        return self.notifier.check()


def lives(chance: random.Random, start: Micros) -> list[tuple[Micros, Notice]]:
    """All states of all incidents, in order of time. Of ten, seven end."""
    told: list[tuple[Micros, Notice]] = []
    for number in range(INCIDENTS):
        at = opened = start + chance.randrange(LASTS * 3 // 4)
        ends, severity = chance.random() < 0.7, chance.choice(["page", "page", "ticket"])
        states = ["open", *chance.choices(["updated", "updated", "acknowledged"], k=chance.randrange(4))]
        if "acknowledged" in states:  # it stays so, whatever grows
            first = states.index("acknowledged")
            states[first:] = ["acknowledged"] * (len(states) - first)
        for status in [*states, *(["resolved"] if ends else [])]:
            if status == "updated" and chance.random() < 0.3:
                severity = chance.choice(["page", "ticket"])
            one = notice(
                id=f"loss-{number:04}", status=status, severity=severity, at=at // SECOND * SECOND,
                opened_at=opened // SECOND * SECOND, title=f"incident {number} is {status} since {at}",
                changed=f"it is {status}",
            )  # fmt: skip
            told.append((one.at, one))
            at += chance.randrange(10 * MINUTE)
    return sorted(told, key=lambda pair: pair[0])


@dataclass
class World:
    """The channels, the ledger, and a clock that is moved by hand."""

    url: str
    folder: Path
    now: Micros
    slack: FakeSlack
    pager: FakePagerDuty
    before: Before
    chances: dict[str, Chance]
    store: SqlStore = field(init=False)
    channels: dict[str, Channel] = field(default_factory=dict)
    deaths: int = 0

    def __post_init__(self) -> None:
        slack = {"kind": "slack", "token": "xoxb-1", "channel": "C0123ABCD", "digest_above": 9999}
        pager = {"kind": "pagerduty", "severities": ["page", "ticket"], "routing_key": "key"}
        alerts = {"kind": "alertmanager", "urls": [self.before.url], "resend": "30m"}
        channels = {
            "slack": slack | {"api": self.slack.url},
            "pager": pager | {"url": self.pager.url},
            "alerts": alerts,
        }
        self.settings = settings(channels, self.folder)
        self.store = open_store(self.url)
        for name in self.settings.notifiers:
            self.live(name)

    def live(self, name: str) -> None:
        """A process that knows nothing but the ledger."""
        from reconciler.announce import notifiers_of

        (built,) = [one for one in notifiers_of(self.settings) if one.name == name]
        self.channels[name] = Channel(Mortal(impatient(built), self.chances[name]))

    def put(self, told: Notice) -> None:
        self.store.outbox.post(posts(routes_of(self.settings), [told]), self.now)

    def work(self) -> None:
        """One pass of each channel."""
        for name, channel in list(self.channels.items()):
            try:
                channel.announce(self.store, lambda: self.now)
            except Killed:
                self.deaths += 1
                self.live(name)


@contextmanager
def worlds(url: str, folder: Path, server: Alertmanager, start: Micros) -> Iterator[World]:
    seeded = random.Random(11)
    chances = {name: Chance(random.Random(seeded.random())) for name in ("slack", "pager", "alerts")}
    with running(FakeSlack()) as slack, running(FakePagerDuty()) as pager, running(Before(behind=server)) as before:
        assert isinstance(before, Before)
        world = World(url, folder, start, slack, pager, before, chances)
        slack.clock = lambda: world.now / SECOND
        for name, fake in (("slack", slack), ("pager", pager), ("alerts", before)):
            fake.faults = chances[name].fault
        yield world
        world.store.close()


def live_through(world: World, server: Alertmanager, coming: list[tuple[Micros, Notice]], start: Micros) -> None:
    """Two hours of misfortune, and then what is left in peace."""
    chance = random.Random(5)
    while world.now < start + LASTS:
        while coming and coming[0][0] <= world.now:
            world.put(coming.pop(0)[1])
        minute = (world.now - start) // MINUTE
        for number, one in enumerate(world.chances.values()):
            one.down = minute % 40 in range(5 + 12 * number, 12 + 12 * number)  # an outage each, in turn
        if world.now > start and chance.random() < 4 * STEP / LASTS:
            server.kill()
            server.start()
        world.work()
        world.now += STEP
    while coming:
        world.put(coming.pop(0)[1])
    for one in world.chances.values():
        one.calm = True
    world.now = clock()  # Alertmanager lives by the clock of the machine
    for _ in range(60):
        world.work()
        world.now += 20 * SECOND


def slack_is_right(slack: FakeSlack, final: Mapping[str, Notice]) -> None:
    """One message each, and it shows the final state; no step of a thread twice."""
    shown = Counter(one["metadata"]["event_payload"]["incident"] for one in slack.tops())
    assert shown == Counter(dict.fromkeys(final, 1))
    for message in slack.tops():
        told = final[message["metadata"]["event_payload"]["incident"]]
        assert heading(told) in message["blocks"][0]["text"]["text"]
        assert message["blocks"][1]["elements"][0]["elements"][0]["text"] == told.title
    steps = Counter(one["metadata"]["event_payload"]["step"] for one in slack.messages if "thread_ts" in one)
    assert set(steps.values()) == {1}, "a step of a thread was said twice"


def pager_is_right(pager: FakePagerDuty, final: Mapping[str, Notice]) -> None:
    """One incident of theirs for one of ours; none where it was over before it could be told."""
    for name, told in final.items():
        states = pager.incidents.get(name, [])
        if told.status == "resolved":
            assert states in ([], ["resolved"]), told
        else:
            assert states == ["acknowledged" if told.status == "acknowledged" else "triggered"], told


def test_in_chaos_each_incident_is_one_message_in_its_right_state_on_each_channel(
    sqlite_ledger: str, tmp_path: Path
) -> None:
    start = clock() - 6 * HOUR
    coming = lives(random.Random(5), start)
    final = {told.id: told for _, told in coming}
    with running_alertmanager() as server, worlds(sqlite_ledger, tmp_path, server, start) as world:
        live_through(world, server, coming, start)
        assert [one.pending for one in world.store.outbox.backlogs()] == [0, 0, 0]
        slack_is_right(world.slack, final)
        pager_is_right(world.pager, final)
        firing = [(alert["labels"]["incident"], alert["labels"]["severity"]) for alert in server.alerts()]
        alive = [told for told in final.values() if told.status != "resolved"]
        assert sorted(firing) == sorted((told.id, told.severity) for told in alive)
        assert world.deaths >= 20, "the kills have hit nothing"
        for one in world.chances.values():
            assert {Fault.ERROR, Fault.LATE_ERROR, Fault.DROP, Fault.LATE_DROP, Fault.LIMIT} <= set(one.seen)
            assert {Fault.HANG, Fault.LATE_HANG} & set(one.seen)
