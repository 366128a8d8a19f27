"""What people say of incidents: it is heard once, it changes no judgement, and it never hides what goes on."""

from dataclasses import replace

import pytest

from reconciler.core.acts import Act
from reconciler.core.cases import Condition
from reconciler.core.times import HOUR, MINUTE, Micros
from reconciler.core.verdicts import Verdict
from tests.unit.test_incidents import DELETED, START, Desk, stored

END = START + 2 * HOUR
MUTE = Act(START, "ann", "mute", "known", id=1, until=END)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def loss(desk: Desk, minute: int = 0, source: str = "segment") -> str:
    desk.say(source, minute, Verdict.LOST, DELETED, 5)
    desk.tick(minute + 1)
    return desk.only().id


def hear(desk: Desk, minute: float, *acts: Act) -> list[str]:
    desk.register.hear(acts, START + round(minute * MINUTE))
    return desk.tick(minute)


def said(desk: Desk, kind: str, number: int = 1, at: Micros = START) -> Act:
    return Act(at, "ann", kind, "because", id=number, incident=desk.only().id)  # type: ignore[arg-type]  # words of the test


def test_who_has_an_incident_is_told_once_and_it_goes_on(desk: Desk) -> None:
    loss(desk)
    act = said(desk, "acknowledge")
    assert hear(desk, 2, act) == ["loss updated"]
    assert hear(desk, 3, act) == []
    assert desk.only().acknowledged == {"author": "ann", "at": "2021-07-20T18:45:00Z", "reason": "because"}
    desk.say("segment", 3, Verdict.LOST, DELETED, 5)
    assert hear(desk, 4, act) == ["loss updated"]


def test_a_loss_that_a_person_closes_is_over_and_stays_so(desk: Desk) -> None:
    loss(desk)
    act = said(desk, "close")
    assert hear(desk, 2, act) == ["loss resolved"]
    assert [hear(desk, minute, act) for minute in range(3, 60, 10)] == [[]] * 6


def test_a_loss_that_grows_after_it_was_closed_is_open_again_and_says_how_often(desk: Desk) -> None:
    loss(desk)
    hear(desk, 2, said(desk, "close"))
    desk.say("braze", 2, Verdict.LOST, DELETED, 1)
    assert hear(desk, 3, said(desk, "close")) == ["loss updated"]
    assert (desk.only().reopened, desk.only().closed, desk.only().lost) == (1, None, 6)


def test_a_person_may_open_again_what_a_person_closed(desk: Desk) -> None:
    loss(desk)
    hear(desk, 2, said(desk, "close"))
    assert hear(desk, 3, said(desk, "close"), said(desk, "reopen", 2)) == ["loss updated"]
    assert desk.only().alive


def test_an_act_of_the_future_is_not_heard_yet(desk: Desk) -> None:
    loss(desk)
    assert hear(desk, 2, said(desk, "close", at=START + HOUR)) == []


def test_a_muted_incident_is_judged_alike_says_so_and_speaks_again_at_the_end(desk: Desk) -> None:
    loss(desk)
    assert hear(desk, 2, MUTE) == ["loss updated"]
    assert desk.only().muted == {
        "author": "ann", "at": "2021-07-20T18:45:00Z", "reason": "known", "until": "2021-07-20T20:45:00Z",
    }  # fmt: skip
    desk.say("segment", 3, Verdict.LOST, DELETED, 5)
    assert hear(desk, 4, MUTE) == ["loss updated"]
    assert desk.only().lost == 10
    assert hear(desk, 120, MUTE) == ["loss updated"]
    assert desk.only().muted is None


def test_a_mute_that_is_ended_holds_no_more(desk: Desk) -> None:
    loss(desk)
    hear(desk, 2, MUTE)
    hear(desk, 3, MUTE, Act(START, "ann", "unmute", "drained", id=2, ends=1))
    assert desk.only().muted is None


@pytest.mark.parametrize(
    ("mute", "fits"),
    [
        pytest.param(MUTE, True, id="everything"),
        pytest.param(replace(MUTE, pipeline="bat*"), True, id="a pattern of pipelines"),
        pytest.param(replace(MUTE, pipeline="other"), False, id="another pipeline"),
        pytest.param(replace(MUTE, incident_kind="delay"), False, id="another kind"),
        pytest.param(replace(MUTE, sources="partner/*"), True, id="all of its sources"),
        pytest.param(replace(MUTE, sources="partner/a"), False, id="one of its sources only"),
        pytest.param(replace(MUTE, since=START + HOUR), False, id="later"),
        pytest.param(replace(MUTE, kind="planned"), False, id="planned work hides no loss"),
    ],
)
def test_a_mute_is_for_what_it_names_and_nothing_more(desk: Desk, mute: Act, *, fits: bool) -> None:
    desk.say("partner/a", 0, Verdict.LOST, DELETED, 5)
    desk.say("partner/b", 0, Verdict.LOST, DELETED, 5)
    desk.tick(1)
    hear(desk, 2, mute)
    assert (desk.only().muted is not None) is fits


def test_planned_work_keeps_a_delay_quiet(desk: Desk) -> None:
    for minute in (0, 1):
        desk.say("segment", minute, Verdict.DELAYED)
    desk.tick(0)
    assert desk.tick(1) == ["delay open"]
    hear(desk, 2, replace(MUTE, kind="planned"))
    assert (desk.only().muted or {}).get("planned") is True


def test_what_people_said_survives_being_stored(desk: Desk) -> None:
    loss(desk)
    hear(desk, 2, said(desk, "acknowledge"), said(desk, "confirm", 2), replace(MUTE, id=3))
    assert stored(desk.only()) == desk.only()


# --- flapping, and one cause seen at several ages ---------------------------------------------------------------------


def test_what_comes_back_again_and_again_is_damped_and_counted(desk: Desk) -> None:
    late = Condition("batch-events", "queue_policy", "retention", "keeps 20 min", "ticket")
    told: list[str] = []
    for minute in range(12 * 60):
        if minute % 20 < 2:  # seen for two minutes of every twenty: without damping 36 times over and back
            desk.register.hold([late], START + minute * MINUTE)
        told += desk.tick(minute)
    assert told == [
        "queue_policy open", "queue_policy resolved", "queue_policy updated",
    ]  # fmt: skip
    assert desk.only().reopened == 1


def test_a_delay_beside_what_is_at_risk_is_the_same_stoppage(desk: Desk) -> None:
    for minute in (0, 1):
        desk.say("segment", minute, Verdict.AT_RISK)
    desk.tick(1)
    assert desk.tick(2) == ["at_risk open"]
    for minute in (2, 3):
        desk.say("segment", minute, Verdict.DELAYED)
    assert [one for minute in range(3, 18) for one in desk.tick(minute) if one.startswith("delay")] == []
    assert desk.tick(18) == ["delay open"]
