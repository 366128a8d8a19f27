"""Instants, counts and names as databases give them."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from reconciler.connectors._sql_values import Bind, instant_reader, name_of, to_database, whole_number
from reconciler.core.times import parse_time

BERLIN = ZoneInfo("Europe/Berlin")
QUARTER = "2021-07-20T18:45:00Z"
SAME_INSTANT = {
    "aware": datetime(2021, 7, 20, 18, 45, tzinfo=UTC),
    "aware elsewhere": datetime(2021, 7, 20, 20, 45, tzinfo=timezone(timedelta(hours=2))),
    "naive": datetime(2021, 7, 20, 18, 45),  # noqa: DTZ001  as a driver returns it
    "text": "2021-07-20 18:45:00",
    "text with a T": "2021-07-20T18:45:00",
    "text with a zone": "2021-07-20T20:45:00+02:00",
    "text as PostgreSQL writes it": "2021-07-20 18:45:00+00",
    "text with a fraction": "2021-07-20 18:45:00.000000",
    "text of a minute": "2021-07-20 18:45",
    "text with a Z": QUARTER,
    "seconds": 1626806700,
    "seconds as a decimal": Decimal("1626806700.0"),
    "seconds as a float": 1626806700.0,
    "seconds as text": "1626806700",
}


@pytest.mark.parametrize("value", SAME_INSTANT.values(), ids=SAME_INSTANT.keys())
def test_an_instant_is_read_in_whatever_form_a_database_keeps_it(value: object) -> None:
    assert instant_reader("datetime", UTC)(value) == parse_time(QUARTER)


def test_a_time_without_a_zone_is_of_the_zone_that_is_configured() -> None:
    read = instant_reader("naive", BERLIN)
    assert read("2021-07-20 20:45:00") == parse_time(QUARTER)
    assert read(date(2021, 7, 20)) == parse_time("2021-07-19T22:00:00Z")
    assert read("2021-07-20T18:45:00Z") == parse_time(QUARTER)


def test_milliseconds_are_read_where_milliseconds_are_bound() -> None:
    assert instant_reader("epoch_ms", UTC)(1626806700_123) == parse_time("2021-07-20T18:45:00.123Z")
    assert to_database(parse_time(QUARTER), "epoch_ms", UTC, "any") == 1626806700_000


@pytest.mark.parametrize(
    "value", [None, True, "", "yesterday", "20210720", "2021-02-30 00:00", float("nan"), float("inf"), 10**30, b"x", []]
)
def test_what_is_no_time_is_refused_with_a_reason(value: object) -> None:
    with pytest.raises(ValueError, match="is|day|month|range"):
        instant_reader("datetime", UTC)(value)


@pytest.mark.parametrize(
    ("bind", "dialect", "bound"),
    [
        ("datetime", "postgresql", datetime(2021, 7, 20, 18, 45, tzinfo=UTC)),
        ("datetime", "sqlite", "2021-07-20 18:45:00"),
        ("naive", "postgresql", datetime(2021, 7, 20, 20, 45)),  # noqa: DTZ001  that is what naive means
        ("naive", "sqlite", "2021-07-20 20:45:00"),
        ("iso", "postgresql", "2021-07-20T18:45:00"),
        ("epoch", "postgresql", 1626806700),
    ],
)
def test_an_instant_is_bound_as_the_database_compares_it(bind: Bind, dialect: str, bound: Any) -> None:
    assert to_database(parse_time(QUARTER), bind, BERLIN, dialect) == bound


@pytest.mark.parametrize("text", ["2021-07-20T18:45:00Z", "2021-07-20T18:45:00.000Z", "2021-07-20T18:45:00+00:00"])
def test_bound_text_sorts_before_every_text_of_the_same_second(text: str) -> None:
    assert to_database(parse_time(QUARTER), "iso", UTC, "any") <= text
    assert not to_database(parse_time("2021-07-20T18:45:01Z"), "iso", UTC, "any") <= text


@pytest.mark.parametrize("value", [7, 7.0, Decimal("7"), Decimal("7.000")])
def test_a_count_is_whole_in_whatever_form_it_comes(value: object) -> None:
    assert whole_number(value) == 7


@pytest.mark.parametrize("value", [None, True, "7", 7.5, Decimal("7.5"), -1, 2**63, float("nan"), Decimal("inf")])
def test_what_is_no_count_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is"):
        whole_number(value)


def test_numbers_and_uuids_that_identify_customers_are_names() -> None:
    assert name_of("a") == "a"
    assert name_of(42) == "42"
    assert name_of(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize("value", [None, "", "a\x00b", True, 1.5, b"a"])
def test_what_is_no_name_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is|holds"):
        name_of(value)
