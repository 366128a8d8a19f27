"""Instants, durations and the grid: exact, in UTC, and nothing guessed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.times import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    floor_to,
    format_duration,
    format_time,
    from_datetime,
    parse_duration,
    parse_time,
    to_datetime,
)

NOON = 1_626_782_400 * SECOND


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2021-07-20T12:00:00Z", NOON, id="in UTC"),
        pytest.param("2021-07-20t12:00:00z", NOON, id="in small letters"),
        pytest.param("2021-07-20T14:00:00+02:00", NOON, id="east of Greenwich"),
        pytest.param("2021-07-20T05:00:00-07:00", NOON, id="west of Greenwich"),
        pytest.param("2021-07-20T12:00:00.5Z", NOON + 500_000, id="with a fraction"),
        pytest.param("2021-07-20T12:00:00.123456Z", NOON + 123_456, id="to the microsecond"),
        pytest.param("2021-07-20T12:00:00.123456789Z", NOON + 123_456, id="finer than a microsecond: cut off"),
        pytest.param("1969-12-31T23:59:59Z", -SECOND, id="before the epoch"),
    ],
)
def test_a_time_names_one_instant(text: str, instant: int) -> None:
    assert parse_time(text) == instant


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("2021-07-20T12:00:00", "lacks an offset", id="naive"),
        pytest.param("2021-07-20", "not a time", id="a date alone"),
        pytest.param("2021-07-20 12:00:00Z", "not a time", id="a blank instead of T"),
        pytest.param("2021-07-20T12:00Z", "not a time", id="no seconds"),
        pytest.param("1626782400", "not a time", id="seconds since the epoch"),
        pytest.param("", "not a time", id="empty"),
        pytest.param("2021-07-20T12:00:00Z\n", "not a time", id="a line end behind it"),
        pytest.param("٢٠٢١-07-20T12:00:00Z", "not a time", id="digits of another script"),
        pytest.param("2021-02-30T12:00:00Z", "no time of the calendar", id="no such day"),
        pytest.param("2021-07-20T24:30:00Z", "no time of the calendar", id="no such hour"),
        pytest.param("2021-07-20T12:00:60Z", "no time of the calendar", id="a leap second"),
        pytest.param("0000-01-01T00:00:00Z", "no time of the calendar", id="the year zero"),
        pytest.param("9999-12-31T23:59:59-12:00", "no time of the calendar", id="the year ten thousand, in UTC"),
        pytest.param("0001-01-01T00:00:00+12:00", "no time of the calendar", id="the year zero, in UTC"),
    ],
)
def test_a_malformed_time_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_time(text)


def test_a_datetime_without_a_zone_names_no_instant() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        from_datetime(datetime(2021, 7, 20, 12))  # noqa: DTZ001  naive on purpose


def test_a_time_is_written_in_utc_with_a_fraction_only_where_there_is_one() -> None:
    assert format_time(NOON) == "2021-07-20T12:00:00Z"
    assert format_time(NOON + 1) == "2021-07-20T12:00:00.000001Z"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_being_written_and_read(moment: datetime) -> None:
    instant = from_datetime(moment)
    assert parse_time(format_time(instant)) == instant
    assert to_datetime(instant) == moment


@pytest.mark.parametrize(
    ("text", "span"), [("90s", 90 * SECOND), ("5m", 5 * MINUTE), ("12h", 12 * HOUR), ("7d", 7 * DAY), ("0s", 0)]
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, span: int) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["5", "m", "", "5 m", "1.5h", "-5m", "5M", "1w", "5m30s", "٥m"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0 s"),
        (59 * SECOND, "59 s"),
        (14 * MINUTE, "14 min"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (7 * DAY, "7 d"),
        (DAY + HOUR + MINUTE, "1 d 1 h"),
        (-90 * SECOND, "1 min 30 s"),
    ],
)
def test_a_duration_is_told_in_at_most_two_units(span: int, text: str) -> None:
    assert format_duration(span) == text


def test_a_bucket_starts_on_the_grid_before_the_epoch_too() -> None:
    assert floor_to(NOON + 59 * SECOND, MINUTE) == NOON
    assert floor_to(NOON, MINUTE) == NOON
    assert floor_to(-1, MINUTE) == -MINUTE
