"""From bad cells to incidents: one cause, one incident, told when it is sure and until it is over."""

import msgspec
import pytest

from reconciler.core.incidents import CellChange, Condition, Incident, Register
from reconciler.core.times import MINUTE, Micros, parse_time
from reconciler.core.verdicts import Evidence, Verdict

START = parse_time("2021-07-20T18:45:00Z")
HOP = "ingress>processed"
DELETED = Evidence.QUEUE_EXPIRED
NOTHING = Evidence(0)
INFERRED = Evidence.OVERTAKEN | Evidence.LAG_EXCEEDED


class Desk:
    """A register, and what was last said of each cell; minutes count from 18:45."""

    def __init__(self) -> None:
        self.register = Register("batch", MINUTE)
        self.said: dict[tuple[str, int], tuple[Verdict, Evidence, int]] = {}
        self.now: Micros = START
        self.news: list[tuple[str, CellChange]] = []

    def say(
        self, source: str, minute: int, verdict: Verdict, evidence: Evidence = NOTHING, lost: int = 0,
        hop: str = HOP,
    ) -> None:  # fmt: skip
        """At the next tick, this is said of one cell."""
        old = self.said.get((source, minute), (Verdict.NONE, Evidence(0), 0))
        self.said[source, minute] = (verdict, evidence, lost)
        bucket = START + minute * MINUTE
        self.news.append((hop, CellChange(source, bucket, verdict, evidence, lost, max(lost, 1), *old)))

    def tick(self, minute: float) -> list[str]:
        """Judge so many minutes after 18:45; kind and status of what is told."""
        self.now = START + round(minute * MINUTE)
        for hop, change in self.news:
            self.register.take(hop, [change], self.now)
        self.news.clear()
        return [f"{incident.kind} {incident.status}" for incident in self.register.settle(self.now)]

    def only(self) -> Incident:
        (incident,) = self.register.incidents.values()
        return incident


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- when an incident opens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evidence", ["queue_expired", "passed_expired", "purged", "not_enqueued", "shrunk", "digest"])
def test_direct_evidence_of_one_cell_opens_at_once(desk: Desk, evidence: str) -> None:
    desk.say("segment", 0, Verdict.LOST, Evidence[evidence.upper()], 5)
    assert desk.tick(1) == ["loss open"]


def test_missing_counts_are_told_at_once(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.UNKNOWN, Evidence.NOT_REPORTED)
    assert desk.tick(1) == ["missing_counts open"]


@pytest.mark.parametrize(
    ("verdict", "evidence", "kind"),
    [
        pytest.param(Verdict.DELAYED, Evidence(0), "delay", id="delay"),
        pytest.param(Verdict.AT_RISK, Evidence.FORECAST, "at_risk", id="at risk"),
        pytest.param(Verdict.LOST, INFERRED, "loss", id="inferred loss"),
    ],
)
def test_without_direct_evidence_it_must_hold_at_two_ticks_and_be_more_than_a_stray(
    desk: Desk, verdict: Verdict, evidence: Evidence, kind: str
) -> None:
    desk.say("segment", 0, verdict, evidence, 3)
    desk.say("segment", 1, verdict, evidence, 3)
    assert desk.tick(0) == []
    assert desk.tick(1) == [f"{kind} open"]


@pytest.mark.parametrize("verdict", [Verdict.DELAYED, Verdict.AT_RISK])
def test_a_stray_cell_opens_nothing_unless_it_lasts(desk: Desk, verdict: Verdict) -> None:
    desk.say("segment", 0, verdict)
    assert [desk.tick(minute) for minute in range(15)] == [[]] * 15
    assert desk.tick(15) == [f"{'delay' if verdict == Verdict.DELAYED else 'at_risk'} open"]


def test_two_ticks_that_are_not_running_open_nothing(desk: Desk) -> None:
    for minute in (0, 2, 4):
        for at in (0, 1):
            desk.say("segment", at, Verdict.DELAYED)
        assert desk.tick(minute) == []
        for at in (0, 1):
            desk.say("segment", at, Verdict.COMPLETE)
        assert desk.tick(minute + 1) == []


def test_cells_that_are_well_open_nothing(desk: Desk) -> None:
    for verdict in (Verdict.COMPLETE, Verdict.OPEN, Verdict.PENDING):
        desk.say("segment", 0, verdict)
        desk.say("segment", 1, verdict)
        assert (desk.tick(0), desk.tick(1)) == ([], [])


# --- one cause, one incident ------------------------------------------------------------------------------------------


def test_one_cause_that_hits_many_sources_is_one_incident(desk: Desk) -> None:
    for number in range(50):
        desk.say(f"direct/customer-{number:02}", 0, Verdict.LOST, DELETED, 2)
    assert desk.tick(1) == ["loss open"]
    assert (len(desk.only().shares), desk.only().lost) == (50, 100)


def test_one_cause_that_goes_on_is_one_incident_that_is_updated(desk: Desk) -> None:
    told = []
    for minute in range(5):
        desk.say("segment", minute, Verdict.LOST, DELETED, 2)
        told += desk.tick(minute)
    assert told == ["loss open", *["loss updated"] * 4]
    assert (desk.only().since, desk.only().until) == (START, START + 5 * MINUTE)


def test_an_incident_of_which_nothing_new_is_known_is_not_told_again(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 2)
    assert desk.tick(1) == ["loss open"]
    assert [desk.tick(minute) for minute in range(2, 30)] == [[]] * 28


def test_two_causes_in_the_same_minutes_are_two_incidents(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 2)
    desk.say("braze", 0, Verdict.UNKNOWN, Evidence.NOT_REPORTED)
    assert sorted(desk.tick(1)) == ["loss open", "missing_counts open"]


@pytest.mark.parametrize(
    "other", [Evidence.NOT_ENQUEUED, Evidence.SHRUNK, Evidence.DIGEST], ids=["not enqueued", "shrunk", "digest"]
)
def test_losses_that_came_about_differently_are_two_incidents(desk: Desk, other: Evidence) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 2)
    desk.say("segment", 1, Verdict.LOST, other, 2)
    assert desk.tick(1) == ["loss open", "loss open"]


def test_deletions_before_and_after_the_consumer_passed_are_one_cause(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 2)
    desk.say("segment", 1, Verdict.LOST, Evidence.PASSED_EXPIRED, 2)
    desk.say("segment", 2, Verdict.LOST, Evidence.PURGED, 2)
    assert desk.tick(1) == ["loss open"]


def test_each_hop_has_incidents_of_its_own(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 2)
    desk.said.clear()
    desk.say("segment", 0, Verdict.LOST, DELETED, 2, hop="processed>stored")
    assert desk.tick(1) == ["loss open", "loss open"]


def test_the_same_history_gives_the_same_ids() -> None:
    names = []
    for _ in range(2):
        desk = Desk()
        desk.say("segment", 0, Verdict.LOST, DELETED, 2)
        desk.tick(1)
        names.append(desk.only().id)
    assert names[0] == names[1]


# --- from risk to loss ------------------------------------------------------------------------------------------------


def test_a_risk_that_comes_true_opens_a_loss_that_follows_it(desk: Desk) -> None:
    for minute in (0, 1):
        desk.say("segment", minute, Verdict.AT_RISK, Evidence.FORECAST)
    desk.tick(1)
    assert desk.tick(2) == ["at_risk open"]
    risk = desk.only()
    desk.say("segment", 0, Verdict.LOST, DELETED, 7)
    assert "loss open" in desk.tick(60)
    (loss,) = [one for one in desk.register.incidents.values() if one.kind == "loss"]
    assert (loss.follows, risk.bad, loss.lost) == (risk.id, 1, 7)
    assert loss.id != risk.id


def test_a_loss_that_nobody_foresaw_follows_nothing(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 7)
    desk.tick(1)
    assert desk.only().follows is None


# --- when it is over --------------------------------------------------------------------------------------------------


def delayed(desk: Desk) -> None:
    for minute in (0, 1):
        desk.say("segment", minute, Verdict.DELAYED)
    desk.tick(0)
    assert desk.tick(1) == ["delay open"]


def well_again(desk: Desk) -> None:
    for minute in (0, 1):
        desk.say("segment", minute, Verdict.COMPLETE)


def test_a_delay_is_resolved_after_fifteen_minutes_without_a_bad_cell(desk: Desk) -> None:
    delayed(desk)
    well_again(desk)
    assert [desk.tick(minute) for minute in range(2, 16)] == [[]] * 14
    assert desk.tick(16) == ["delay resolved"]


def test_a_delay_that_comes_back_within_fifteen_minutes_was_never_over(desk: Desk) -> None:
    delayed(desk)
    well_again(desk)
    for minute in range(2, 10):
        desk.tick(minute)
    desk.say("segment", 9, Verdict.DELAYED)
    assert desk.tick(10) == ["delay updated"]
    assert desk.tick(16) == []


def test_the_same_cause_within_a_day_is_the_same_incident_again(desk: Desk) -> None:
    delayed(desk)
    first = desk.only().id
    well_again(desk)
    assert desk.tick(16) == ["delay resolved"]
    desk.tick(20 * 60)
    desk.say("segment", 20 * 60, Verdict.DELAYED)
    desk.say("segment", 20 * 60 + 1, Verdict.DELAYED)
    assert desk.tick(20 * 60 + 2) == ["delay updated"]
    assert desk.only().id == first


def test_the_same_cause_more_than_a_day_later_is_another_incident(desk: Desk) -> None:
    delayed(desk)
    first = desk.only().id
    well_again(desk)
    desk.tick(16)
    desk.tick(26 * 60)
    for minute in (26 * 60, 26 * 60 + 1):
        desk.say("segment", minute, Verdict.DELAYED)
    desk.tick(26 * 60 + 1)
    assert desk.tick(26 * 60 + 2) == ["delay open"]
    assert desk.only().id != first


def test_a_loss_is_not_over_by_itself(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 7)
    assert desk.tick(1) == ["loss open"]
    assert [desk.tick(hour * 60) for hour in range(1, 24 * 7, 8)] == [[]] * 21
    assert desk.only().status == "open"


def test_a_loss_is_resolved_once_all_of_it_is_recovered(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 7)
    desk.tick(1)
    desk.say("segment", 0, Verdict.LOST, DELETED, 3)
    assert desk.tick(2) == ["loss updated"]
    assert desk.only().lost == 3
    desk.say("segment", 0, Verdict.COMPLETE)
    desk.tick(3)
    assert desk.tick(17) == ["loss resolved"]


def test_what_came_to_nothing_is_never_told_and_does_not_stay(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.DELAYED)
    desk.tick(0)
    desk.say("segment", 0, Verdict.COMPLETE)
    assert desk.tick(1) == []
    assert desk.register.incidents == {}
    assert len(desk.register.dropped) == 1


# --- what no source can be given yet ----------------------------------------------------------------------------------


def test_a_deletion_that_belongs_to_no_source_yet_opens_with_the_total(desk: Desk) -> None:
    desk.register.unplaced(HOP, 120, desk.now)
    assert desk.tick(0) == ["loss open"]
    assert (desk.only().lost, desk.only().shares) == (120, {})


def test_its_sources_follow_in_the_same_incident(desk: Desk) -> None:
    desk.register.unplaced(HOP, 120, desk.now)
    desk.tick(0)
    desk.register.unplaced(HOP, 0, START + MINUTE)
    desk.say("segment", 0, Verdict.LOST, DELETED, 120)
    assert desk.tick(1) == ["loss updated"]
    assert (desk.only().lost, list(desk.only().shares)) == (120, ["segment"])


# --- conditions and legal ends ----------------------------------------------------------------------------------------


def short(detail: str = "keeps 20 min where the policy is 7 d") -> Condition:
    return Condition("batch-events", "queue_policy", "retention", detail, "page")


def test_a_condition_is_told_once_and_again_only_when_it_changes(desk: Desk) -> None:
    told = []
    for minute, condition in enumerate([short(), short(), short("keeps 10 min where the policy is 7 d")]):
        desk.now = START + minute * MINUTE
        desk.register.hold([condition], desk.now)
        told.append(desk.tick(minute))
    assert told == [["queue_policy open"], [], ["queue_policy updated"]]


def test_a_condition_that_holds_no_more_is_resolved(desk: Desk) -> None:
    desk.register.hold([short()], desk.now)
    desk.tick(0)
    desk.register.hold([], START + 15 * MINUTE)
    assert desk.tick(14) == []
    assert desk.tick(15) == ["queue_policy resolved"]


def test_an_unusual_share_of_legal_ends_opens_at_the_second_tick(desk: Desk) -> None:
    desk.register.rejects(HOP, [("segment", START)], set, MINUTE, desk.now)
    assert desk.tick(0) == []
    desk.register.rejects(HOP, [("segment", START + MINUTE)], set, MINUTE, START + MINUTE)
    assert desk.tick(1) == ["rejects open"]
    desk.register.rejects(HOP, [], lambda: {"segment"}, MINUTE, START + 2 * MINUTE)
    desk.tick(2)
    assert desk.tick(16) == ["rejects resolved"]


# --- at rest ----------------------------------------------------------------------------------------------------------


def stored(incident: Incident) -> Incident:
    """The incident, out of what a store keeps of it."""
    return msgspec.json.decode(msgspec.json.encode(incident), type=Incident)


def test_an_incident_survives_being_stored(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED | Evidence.SKIPPED, 7)
    desk.tick(1)
    assert stored(desk.only()) == desk.only()


def test_a_cell_that_leaves_after_a_restart_leaves_the_incident_that_it_was_in(desk: Desk) -> None:
    desk.say("segment", 0, Verdict.LOST, DELETED, 7)
    desk.tick(1)
    fresh = Desk()
    kept = stored(desk.only())
    fresh.register.incidents[kept.id] = kept
    fresh.said = dict(desk.said)
    fresh.say("segment", 0, Verdict.COMPLETE)
    fresh.tick(2)
    assert (kept.bad, kept.lost) == (0, 0)
