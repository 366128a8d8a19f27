"""The fast way to read a count never says anything else than the careful one."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.core.observations import Count, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.swift import CountReader
from reconciler.core.times import HOUR
from reconciler.reading import LineReader
from tests.lines import COUNT

PIPELINES = {
    "batch": Pipeline("batch", ("ingress", "processed")),
    "hourly": Pipeline("hourly", ("ingress", "processed"), width=HOUR),
}
MORE = {"outcome": "rejected", "reporter": "r", "digest": "18446744073709551615", "error": 1.5, "replay": "again"}


def line(**changes: Any) -> bytes:
    return json.dumps(COUNT | changes).encode()


def both(text: bytes) -> tuple[Count | None, object]:
    return CountReader(PIPELINES).read([text])[0], LineReader(PIPELINES).read(text)


@pytest.mark.parametrize("more", [{}, {"source": "é/\u2028"}, {"count": 0}, {"count": 2**63 - 1}, MORE, {"error": 3}])
def test_a_sound_count_is_read_fast_and_as_the_careful_way_reads_it(more: dict[str, Any]) -> None:
    for text in (line(**more), json.dumps(COUNT | more, ensure_ascii=False, indent=1).encode() + b"\r\n"):
        swift, careful = both(text)
        assert isinstance(careful, Count)
        if b"\\" not in text:
            assert swift == careful


DOUBTFUL = {
    "a fraction that is whole": line(count=1.0),
    "an exponent": line().replace(b"1234", b"1e3"),
    "a field twice": line().replace(b"{", b'{"count": 7, '),
    "a text twice": line().replace(b"{", b'{"at": "2021-07-20T18:46:10Z", '),
    "a field twice and the type left out": line().replace(b'"type": "count"', b'"at": "2021-07-20T18:46:10Z"'),
    "an escape that hides a quotation mark": line(source='a"b'),
    "an empty source": line(source=""),
    "an empty outcome": line(outcome=""),
    "an empty reporter": line(reporter=""),
    "null": line(digest=None),
    "a count too large": line(count=2**63),
    "a negative count": line(count=-1),
    "a digest too large": line(digest=str(2**64)),
    "an error that is no number": line(error=True),
    "a field of the sender's own": line(x_mine="a"),
    "an unknown field": line(colour="a"),
    "an unknown pipeline": line(pipeline="other"),
    "an unknown stage": line(stage="other"),
    "off the grid": line(pipeline="hourly"),
    "too far ahead": line(bucket="2021-07-20T18:52:00Z"),
    "a naive time": line(at="2021-07-20T18:46:10"),
    "another kind": b'{"type": "progress"}',
    "two in a line": line() + line(),
    "a byte order mark": b"\xef\xbb\xbf" + line(),
    "no UTF-8": line().replace(b"segment", b"\xed\xa0\x80"),
    "a letter that cannot be": line().replace(b"segment", b"a\x00"),
    "endless digits": line().replace(b"1234", b"9" * 5000),
    "nothing": b"",
}


@pytest.mark.parametrize("text", DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_a_line_that_leaves_any_doubt_is_left_to_the_careful_way(text: bytes) -> None:
    assert CountReader(PIPELINES).read([text]) == [None]


VALUES = st.one_of(
    st.sampled_from(["", "batch", "hourly", "ingress", "processed", "accepted", "rejected", "count", "17", "1e3", "é"]),
    st.sampled_from(["2021-07-20T18:45:00Z", "2021-07-20T18:46:10.5+00:00", "2021-07-20T18:00:00", "2021-07-20"]),
    st.text(max_size=3),
    st.integers(-1, 2**64),
    st.floats(),
    st.none() | st.booleans(),
)
CHANGES = st.dictionaries(st.sampled_from([*COUNT, *MORE, "x_own", "other"]), VALUES, max_size=2)


@settings(deadline=None, max_examples=500)
@given(CHANGES, st.sampled_from([*COUNT, *MORE]), st.booleans(), st.booleans())
@example({}, "at", True, False)
def test_what_the_fast_way_takes_the_careful_way_takes_alike(
    changes: dict[str, Any], again: str, twice: bool, escaped: bool
) -> None:
    record = COUNT | changes
    text = json.dumps(record, ensure_ascii=escaped)
    if twice and again in record:
        text = text[:-1] + f", {json.dumps(again)}: {json.dumps(record[again], ensure_ascii=escaped)}}}"
    swift, careful = both(text.encode("utf-8", "surrogatepass"))
    assert swift is None or swift == careful
    assert swift is None or not isinstance(careful, Refusal)


@given(st.lists(st.sampled_from([line(), line(source="b"), *DOUBTFUL.values()]), max_size=6))
def test_a_line_is_read_alike_among_others_and_alone(lines: list[bytes]) -> None:
    reader = CountReader(PIPELINES)
    assert reader.read(lines) == [reader.read([text])[0] for text in lines]


@given(st.binary(max_size=60), st.integers(0, 150))
def test_bytes_that_were_damaged_are_never_taken_otherwise(damage: bytes, place: int) -> None:
    whole = line()
    swift, careful = both(whole[:place] + damage + whole[place + len(damage) :])
    assert swift is None or swift == careful


def test_places_that_never_come_again_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.core.swift._REMEMBERED", 10)
    reader = CountReader(PIPELINES)
    for second in range(60):
        assert reader.read([line(at=f"2021-07-20T18:46:{second:02}Z")]) != [None]
        assert len(reader._places) <= 10
