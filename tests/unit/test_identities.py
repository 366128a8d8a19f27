"""Which events: the comparison of ids, against plain sets."""

import hashlib
from collections import Counter
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.identities import Identity, Oddity, Summary, compare, prints, slots_for, stretches
from reconciler.core.times import MINUTE

Event = tuple[str, int, str]
"""Source, minute, id."""
events = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3), st.sampled_from("pqrstuvw")), max_size=12
)  # fmt: skip
SLOTS = 3


def hashed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def summaries(side: list[Event], slots: int) -> list[Summary]:
    """What a database would say of these events."""
    keys = sorted((source, bucket, hashed(name) % slots, name) for source, bucket, name in side)
    found = []
    for (source, bucket, slot), own in groupby(keys, key=lambda key: key[:3]):
        names = Counter(key[3] for key in own)
        digest = sum(map(hashed, names)) % 2**64
        doubles = sum(names.values()) - len(names)
        found.append(Summary(source, bucket * MINUTE, slot, len(names), doubles, 0, digest))
    return found


def identities(side: list[Event], wanted: list[int]) -> list[Identity]:
    found = [
        Identity(hashed(name) % SLOTS, source, bucket * MINUTE, name, copies)
        for (source, bucket, name), copies in Counter(side).items()
    ]
    return sorted((one for one in found if one.slot in wanted), key=lambda one: one.slot)


@given(events, events)
def test_what_is_found_is_what_plain_sets_would_find(before: list[Event], after: list[Event]) -> None:
    by_slot = prints(summaries(before, SLOTS), summaries(after, SLOTS), lambda one: one.slot)
    wanted = by_slot.differing()
    found = list(compare(identities(before, wanted), identities(after, wanted)))
    gone = {key for key in before if key not in after}
    names = {name for _, _, name in set(after) - set(before)}
    by_reason = {
        reason: {(one.source, one.bucket // MINUTE, one.id) for one in found if one.reason == reason}
        for reason in ("missing", "moved", "double", "extra")
    }
    assert by_reason["missing"] == {key for key in gone if key[2] not in names}
    assert by_reason["moved"] == {key for key in gone if key[2] in names}
    assert by_reason["double"] == {key for key, copies in Counter(after).items() if copies > 1}
    lonely = {key for key in set(after) - set(before) if key[2] not in {name for _, _, name in by_reason["moved"]}}
    assert by_reason["extra"] == lonely


@given(events)
def test_where_both_sides_agree_nothing_is_looked_into(side: list[Event]) -> None:
    once = sorted(set(side))
    assert prints(summaries(once, SLOTS), summaries(once[::-1], SLOTS), lambda one: one.slot).differing() == []


def test_ids_that_change_places_do_not_go_unseen() -> None:
    before = [("a", 0, "p"), ("b", 0, "q")]
    after = [("a", 0, "q"), ("b", 0, "p")]
    assert prints(summaries(before, 1), summaries(after, 1), lambda one: one.bucket).differing() == [0]


def test_neighbouring_buckets_that_differ_are_asked_about_together() -> None:
    before = [("a", minute, f"{minute}") for minute in (0, 1, 2, 4)]
    found = prints(summaries(before, 1), summaries(before[2:3], 1), lambda one: one.bucket)
    assert list(stretches(found, MINUTE)) == [(0, 2 * MINUTE, 2), (4 * MINUTE, 5 * MINUTE, 1)]


def test_many_ids_are_cut_into_slots_of_which_one_is_held() -> None:
    assert [slots_for(ids) for ids in (0, 20_000, 20_001, 5_000_000)] == [1, 1, 2, 250]


def test_an_id_that_ended_legally_is_accounted_for_and_not_double() -> None:
    one, other = Identity(0, "a", 0, "p", 1), Identity(0, "a", 0, "p", 0)
    assert list(compare([one], [other])) == []
    assert list(compare([one], [Identity(0, "a", 0, "p", 3)])) == [Oddity("double", "p", "a", 0, 3)]
