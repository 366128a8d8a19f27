"""Legal ends: the books balance, and still an unusual share of the data may be gone."""

import json

import numpy as np
import pytest

from reconciler.core.rejects import ENOUGH, EndShares, LegalShares


def learned(*cells: tuple[int, int, int]) -> LegalShares:
    """Shares that have seen these cells: (source, accepted, ended legally)."""
    shares = LegalShares()
    for source, accepted, legal in cells:
        shares.learn(np.array([source]), np.array([accepted]), np.array([legal]))
    return shares


def unusual(shares: LegalShares, source: int, accepted: int, legal: int) -> bool:
    return bool(shares.unusual(np.array([source]), np.array([accepted]), np.array([legal]))[0])


def test_a_source_that_usually_drops_nothing_and_now_drops_most_is_unusual() -> None:
    assert unusual(learned(*[(0, 100, 0)] * 10), 0, 100, 60)


def test_a_source_that_usually_drops_a_third_may_go_on_doing_so() -> None:
    shares = learned(*[(0, 300, 100)] * 10)
    assert not unusual(shares, 0, 300, 110)
    assert unusual(shares, 0, 300, 250)


def test_fewer_drops_than_usual_are_not_unusual() -> None:
    assert not unusual(learned(*[(0, 300, 100)] * 10), 0, 300, 0)


def test_a_few_events_are_never_unusual() -> None:
    assert not unusual(learned(*[(0, 100, 0)] * 10), 0, 4, 4)


def test_nothing_is_unusual_before_enough_was_seen() -> None:
    assert not unusual(learned((0, ENOUGH - 1, 0)), 0, 100, 100)
    assert unusual(learned((0, ENOUGH, 0)), 0, 100, 100)


def test_a_source_without_a_history_of_its_own_is_held_against_all_sources() -> None:
    shares = learned(*[(0, 1000, 500)] * 10)
    assert not unusual(shares, 7, 100, 50)
    assert unusual(shares, 7, 1000, 990)


def test_a_source_with_a_history_of_its_own_is_held_against_that() -> None:
    shares = learned(*[(0, 1000, 900)] * 10, *[(1, 1000, 1)] * 10)
    assert unusual(shares, 1, 1000, 450)
    assert not unusual(shares, 0, 1000, 900)


def test_what_was_long_ago_weighs_less() -> None:
    shares = learned((0, 1000, 900), *[(0, 1000, 10)] * 3000)
    assert unusual(shares, 0, 1000, 200)


def test_what_was_long_ago_weighs_less_for_all_sources_together_too() -> None:
    shares = learned((0, 1000, 900), *[(0, 1000, 10)] * 3000)
    ended, seen = shares.of_all
    assert ended / seen == pytest.approx(0.01, rel=0.1)
    assert unusual(shares, 7, 1000, 200)


def test_shares_survive_being_stored() -> None:
    shares = learned(*[(0, 1000, 900)] * 10, *[(1, 1000, 1)] * 10)
    restored = LegalShares.restore(json.loads(json.dumps(shares.dump())))
    assert unusual(restored, 1, 1000, 450)
    assert not unusual(restored, 0, 1000, 900)


def take(shares: EndShares, **ended: int) -> tuple[bool, str]:
    """Judge a cell of 1,000 events of which so many ended in each way; usual ones are learned."""
    found = shares.take(np.array([0]), np.array([1000]), {name: np.array([amount]) for name, amount in ended.items()})
    return bool(found.cells[0]), found.detail


def test_each_legal_outcome_has_a_usual_share_of_its_own() -> None:
    shares = EndShares()
    for _ in range(10):
        assert not take(shares, filtered=300, rejected=5)[0]
    assert take(shares, filtered=0, rejected=300) == (True, "above all rejected"), "as many legal ends as ever"
    assert not take(shares, filtered=300, rejected=5)[0], "what is unusual was not learned"


def test_the_shares_of_all_outcomes_survive_being_stored() -> None:
    shares = EndShares()
    for _ in range(10):
        take(shares, filtered=300)
    restored = EndShares.restore(json.loads(json.dumps(shares.dump())))
    assert take(restored, filtered=310)[0] is False
    assert take(restored, deduplicated=310)[0] is True


def test_an_unusual_share_is_as_unusual_the_hundredth_time() -> None:
    shares = EndShares()
    for _ in range(10):
        take(shares, rejected=5)
    assert all(take(shares, rejected=700)[0] for _ in range(100))
