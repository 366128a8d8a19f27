"""What no cell shows: a queue that does not keep its policy, and finite things about to run out."""

from typing import Any

import pytest

from reconciler.core.conditions import capacities, queue_policies
from reconciler.core.incidents import Condition
from reconciler.core.observations import Capacity, QueueSample
from reconciler.core.pipelines import Hop, Pipeline, Policy, Queue, Watch
from reconciler.core.queues import QueueLedger
from reconciler.core.times import DAY, HOUR, MINUTE, parse_time

START = parse_time("2021-07-20T11:45:00Z")
HOP = Hop("ingress", "processed")


def policies(*samples: QueueSample, policy: Policy = Policy(7 * DAY, 2)) -> list[Condition]:  # noqa: B008  frozen
    queue = Queue("batch-events", HOP, policy)
    ledger = QueueLedger(queue, MINUTE)
    for one in samples:
        ledger.observe(one)
    return queue_policies(Pipeline("batch", ("ingress", "processed"), queues={queue.name: queue}), [ledger])


def sample(minute: int = 0, start: int = 0, end: int = 100, **fields: Any) -> QueueSample:
    known: dict[str, Any] = {"retention": 7 * DAY, "replicas": 2, "in_sync_replicas": 2} | fields
    return QueueSample(
        START + minute * MINUTE,
        "batch",
        "batch-events",
        fields.pop("partition", 0),
        start,
        end,
        end,
        **{name: value for name, value in known.items() if name != "partition"},
    )


def test_a_queue_that_keeps_its_policy_is_no_condition() -> None:
    assert policies(sample()) == []


def test_twenty_minutes_where_seven_days_are_policy_are_a_ticket_while_all_is_well() -> None:
    (found,) = policies(sample(retention=20 * MINUTE))
    assert (found.kind, found.mechanism, found.severity) == ("queue_policy", "retention", "ticket")
    assert found.detail == "keeps 20 min where the policy is 7 d"


def test_a_retention_that_still_leaves_time_to_act_is_a_ticket() -> None:
    (found,) = policies(sample(retention=6 * DAY))
    assert found.severity == "ticket"


def test_the_shortest_retention_of_any_partition_counts() -> None:
    (found,) = policies(sample(), sample(partition=1, retention=20 * MINUTE))
    assert found.detail.startswith("keeps 20 min")


def test_deletion_that_comes_sooner_than_configured_is_a_condition_in_peace() -> None:
    rows = [sample(minute, 10 * max(0, minute - 20), 10 * minute, oldest_at=START + max(0, minute - 20) * MINUTE)
            for minute in range(30)]  # fmt: skip
    (found,) = policies(*rows)
    assert found.detail == "keeps 20 min where the policy is 7 d"


def test_too_few_replicas_and_replicas_out_of_sync_are_two_conditions() -> None:
    found = policies(sample(replicas=1, in_sync_replicas=1), sample(partition=1, in_sync_replicas=1))
    assert [one.mechanism for one in found] == ["replicas", "in_sync"]
    assert found[0].detail == "has 1 replicas where the policy is 2"


def test_without_a_policy_only_what_is_out_of_sync_is_told() -> None:
    found = policies(sample(retention=MINUTE, in_sync_replicas=0), policy=Policy())
    assert [one.mechanism for one in found] == ["in_sync"]


def test_what_a_sample_does_not_tell_breaks_no_policy() -> None:
    assert policies(sample(retention=None, replicas=None, in_sync_replicas=None)) == []


# --- capacities -------------------------------------------------------------------------------------------------------

LIMIT = 2**31 - 1


NOBODY = Pipeline("batch", ("ingress", "processed"))


def readings(*used: int, every: int = HOUR, limit: int = LIMIT, name: str = "id_seq") -> list[Capacity]:
    return [Capacity(START + at * every, f"postgres:main/{name}", n, limit) for at, n in enumerate(used)]


def sequence(*used: int, every: int = HOUR, limit: int = LIMIT) -> list[Condition]:
    return capacities([readings(*used, every=every, limit=limit)], NOBODY, START + len(used) * every)


@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.5, None), (0.79, None), (0.8, "ticket"), (0.94, "ticket"), (0.95, "page"), (1.0, "page"), (1.5, "page")],
)
def test_without_a_pace_the_share_alone_decides(share: float, severity: str | None) -> None:
    assert [found.severity for found in sequence(round(share * 1000), limit=1000)] == ([severity] if severity else [])


def daily(start: int, pace: int) -> list[Condition]:
    """Three readings a day apart, of a sequence of two thousand million."""
    return sequence(*(start + pace * day for day in range(3)), every=DAY, limit=2_000_000_000)


PACES = {
    "nearly empty, but it ends the day after tomorrow": (1_000_000, 800_000_000, "page"),
    "half used, and ends in three weeks": (1_000_000_000, 45_000_000, "ticket"),
    "half used, and ends in a year and a half": (1_000_000_000, 1_800_000, None),
    "four fifths used, and ends in ten months": (1_600_000_000, 1_300_000, "ticket"),
    "nine tenths used, and lasts five years more": (1_800_000_000, 100_000, None),
    "nearly used up, and lasts five years more": (1_990_000_000, 5_000, "ticket"),
    "nearly used up, and ends in three weeks": (1_950_000_000, 2_000_000, "page"),
    "transaction ids between two vacuums": (10_000_000, 90_000_000, None),
}


@pytest.mark.parametrize(("start", "pace", "severity"), PACES.values(), ids=PACES.keys())
def test_the_time_that_is_left_decides_and_not_the_share(start: int, pace: int, severity: str | None) -> None:
    assert [found.severity for found in daily(start, pace)] == ([severity] if severity else [])


def test_what_ends_within_a_day_at_its_present_pace_pages_however_empty_it_is() -> None:
    (found,) = sequence(0, 100, 200, limit=1000)
    assert (found.severity, found.loss_at) == ("page", START + 10 * HOUR)
    assert found.detail == "ends in about 8 h: 20% of 1,000 is used, about 2,000 more a day"


def test_a_sequence_about_to_end_is_not_called_wholly_used() -> None:
    (found,) = sequence(LIMIT - 1000)
    assert found.detail == "is 99.9% used, of 2,147,483,647"
    assert found.loss_at == 0, "one reading shows no pace"


def test_the_words_stay_the_same_while_little_changes_so_that_nobody_is_told_twice() -> None:
    first, second = daily(1_480_000_000, 50_000_000), daily(1_480_050_000, 50_000_040)
    assert first[0].detail == second[0].detail
    assert first[0].loss_at != second[0].loss_at


def test_what_shrinks_does_not_end() -> None:
    (found,) = sequence(900, 850, limit=1000)
    assert found.loss_at == 0


def test_the_pace_is_that_since_it_was_last_freed() -> None:
    (found,) = sequence(700, 800, 100, 150, 200, limit=1000)
    assert found.loss_at == START + 20 * HOUR


def test_what_lasts_for_ages_has_no_date_beyond_the_calendar() -> None:
    (found,) = sequence(2**63 * 97 // 100, 2**63 * 97 // 100 + 1, every=DAY, limit=2**63 - 1)
    assert (found.severity, found.loss_at) == ("ticket", START + DAY + 36_500 * DAY)


def test_what_is_used_up_says_so_and_has_ended_already() -> None:
    for readings in ((900, 1000), (1000, 1000), (1000,)):
        (found,) = sequence(*readings, limit=1000)
        assert (found.severity, found.detail) == ("page", "is used up (1,000 of 1,000)")
        assert found.loss_at == START + (len(readings) - 1) * HOUR


def test_nothing_used_of_much_is_no_condition() -> None:
    assert sequence(0, 0, 0) == []


WATCHED = Pipeline(
    "batch", ("ingress", "processed"), limits=(Watch("postgres:main/", "limits", HOUR), Watch("postgres:b/", "b", HOUR))
)


def test_capacities_that_nobody_reads_any_more_are_not_known_and_said_so_by_name() -> None:
    full = readings(1000, limit=1000)
    (one, other) = capacities([full], WATCHED, START + 2 * HOUR)
    assert (one.subject, one.kind, one.severity) == ("postgres:b", "missing_counts", "ticket")
    assert one.detail.startswith("has not been read by b lately"), "it was never read"
    assert other.kind == "capacity"
    later = capacities([full], WATCHED, START + 3 * HOUR)
    assert [(found.subject, found.kind) for found in later] == [
        ("postgres:main", "missing_counts"),
        ("postgres:b", "missing_counts"),
    ]


def test_what_its_connector_reads_no_more_while_it_reads_others_is_gone() -> None:
    dropped, alive = readings(1000, limit=1000), readings(*range(10), name="other")
    assert [found.subject for found in capacities([dropped, alive], WATCHED, START + 9 * HOUR)] == ["postgres:b"]
