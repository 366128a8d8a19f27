"""The report of a day in its formats: days of any length, hostile names, ten thousand sources, what has changed."""

import csv
import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from reconciler.core.tiles import CHUNK, SPAN, TileKey, VerdictTile
from reconciler.core.times import DAY, HOUR, parse_time
from reconciler.core.verdicts import Verdict
from reconciler.ports import Horizon
from reconciler.reports.changes import changes
from reconciler.reports.chart import as_png
from reconciler.reports.daily import daily
from reconciler.reports.days import Day, day_of
from reconciler.reports.html import as_html
from reconciler.reports.maker import fingerprint
from reconciler.reports.markdown import as_markdown
from reconciler.reports.rows import prefixes
from reconciler.reports.summary import summary
from reconciler.reports.tables import as_csv
from reconciler.reports.text import as_text
from tests.unit.test_reports import HOP, HOURLY, TODAY, Told, report

BERLIN = ZoneInfo("Europe/Berlin")
HOSTILE = (
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "a\"b'c`d|e\n| f |\r\n# g",
    "[x](https://evil.example) <!here> @everyone *bold* &amp;",
    "$\\frac{1}{0}$",
    "\x1b[31mred\x00",
    "n" * 10_000,
    "/" * 10_000,
    "  =1+1",
)


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "action", "onload", "onclick")]

    def handle_data(self, data: str) -> None:
        self.text += data


def told_of(names: Iterator[str] | tuple[str, ...]) -> Told:
    told = Told()
    for number, name in enumerate(names):
        told.day(name, accepted=10, processed=10)
        told.say(name, TODAY, Verdict.LOST, accepted=10, processed=9 - number % 5, lost=1 + number % 5, lost_proven=1)
    return told


@pytest.mark.parametrize(
    ("day", "hours"),
    {"24": (date(2024, 3, 30), 24), "23": (date(2024, 3, 31), 23), "25": (date(2024, 10, 27), 25)}.values(),
)
def test_a_day_has_as_many_hours_as_its_zone_gives_it(day: date, hours: int) -> None:
    assert Day(day, BERLIN).end - Day(day, BERLIN).start == hours * HOUR
    assert len(Day(day, BERLIN).hours) == hours
    assert Day(day, BERLIN).before(1).end == Day(day, BERLIN).start
    assert day_of(Day(day, BERLIN).end - 1, BERLIN) == Day(day, BERLIN)


@pytest.mark.parametrize(("day", "cells"), [(date(2021, 3, 28), 23), (date(2021, 10, 31), 25)])
def test_a_report_counts_the_cells_of_the_day_as_its_zone_has_it(day: date, cells: int) -> None:
    told, local = Told(judged=parse_time("2022-01-01T00:00:00Z")), Day(day, BERLIN)
    for bucket in range(local.start - 2 * HOUR, local.end + 2 * HOUR, HOUR):
        told.say("a", bucket, Verdict.COMPLETE, accepted=1, processed=1)
    (row,) = report(told, now=parse_time("2022-01-01T00:00:00Z"), day=local).pipelines[0].hops[0].sources
    assert (row.cells, row.amounts["accepted"], row.unknown) == (cells, cells, 0)


def test_no_name_becomes_markup_a_link_or_a_formula() -> None:
    record = report(told_of(HOSTILE)).record()
    page = as_html(record)
    seen = Seen(page)
    assert not {"script", "img", "a", "iframe", "form"} & set(seen.tags)
    assert seen.links == []
    assert "<script>alert(1)</script>" in seen.text
    assert "http-equiv" in page
    for lines in (list(as_markdown(record)), list(as_text(record))):
        assert not any("\x1b" in line or "\x00" in line or "\n" in line for line in lines)
    marked = "\n".join(as_markdown(record))
    assert "<script>" not in marked.replace(r"\<script", "")
    assert "](https://evil.example)" not in marked.replace(r"\](", "")
    rows = list(csv.reader(io.StringIO(as_csv(record))))
    assert len({len(row) for row in rows}) == 1
    for row in rows[1:]:
        name = row[6]
        assert not name.lstrip(" ").startswith(("=", "+", "-", "@", "\t"))
    assert any(row[6] == "'" + HOSTILE[0] for row in rows)
    assert {HOSTILE[1], HOSTILE[6]} <= {row[6] for row in rows}, "a name is whole in the CSV"


def crowd(names: tuple[str, ...]) -> Told:
    """Two hours of so many sources; every other one has lost nine events in the second hour."""
    told = Told()
    numbers = np.array([told.directory_.source(name) for name in names])
    told.directory_.saw(numbers, np.full(len(names), TODAY))
    span, column = divmod(TODAY // HOUR, SPAN)
    for chunk in range(-(-len(names) // CHUNK)):
        tile, bad = VerdictTile(), np.arange(CHUNK) % 2 == 1
        tile.code[:, column : column + 2], tile.code[bad, column + 1] = Verdict.COMPLETE, Verdict.LOST
        tile.parts.own("accepted")[:, column : column + 2] = tile.parts.own("processed")[:, column : column + 2] = 9
        tile.parts.own("processed")[bad, column + 1], tile.parts.own("lost")[bad, column + 1] = 0, 9
        told.tiles[TileKey(HOP, chunk, span)] = tile
    return told


def test_ten_thousand_sources_stay_below_a_megabyte_the_worst_first_and_the_rest_by_group() -> None:
    names = tuple(f"{('partner', 'direct', 'vacuum')[n % 3]}/{'c' * (n % 90)}-{n}" for n in range(10_000))
    told = crowd(names)
    told.judged = TODAY + 2 * HOUR
    record = report(told, now=TODAY + 2 * HOUR).record()
    page = as_html(record)
    assert len(page.encode()) < 1_000_000
    (hop,) = record["pipelines"][0]["hops"]
    assert {row["source"]: row["sources"] for row in hop["groups"]} == {
        "partner": 3334, "direct": 3333, "vacuum": 3333,
    }  # fmt: skip
    assert sum(row["lost"] for row in hop["groups"]) == hop["total"]["lost"] == 45_000
    text = Seen(page).text
    assert "The other 9,900 sources, by group" in text
    assert '"v v-complete"' not in page, "those that are well are rolled up"
    assert len(list(csv.reader(io.StringIO(as_csv(record))))) == 1 + 1 + 3 + 10_000


def test_many_pipelines_with_the_longest_names_stay_below_a_megabyte() -> None:
    told = told_of(tuple(f"{'n' * 10_000}{number}" for number in range(120)))
    one = report(told).pipelines[0]
    many = [replace(one, pipeline=replace(HOURLY, name="p" * 9_000 + str(number))) for number in range(200)]
    assert len(as_html(replace(report(told), pipelines=many).record()).encode()) < 1_000_000


def test_groups_follow_the_slashes_and_no_name_makes_more_than_a_few() -> None:
    assert prefixes("partner/segment/eu") == ["partner", "partner/segment"]
    assert prefixes("httpapi") == []
    assert len(prefixes("/" * 10_000)) < 5


def test_a_day_is_held_against_the_day_before_and_the_week_before() -> None:
    told = Told()
    for ago, lost in ((0, 1), (1, 0), (7, 5)):
        for hour in range(24):
            told.say("a/b", TODAY - ago * DAY + hour * HOUR, Verdict.LOST if lost else Verdict.COMPLETE, accepted=10,
                     processed=10 - lost, lost=lost)  # fmt: skip
    hop = report(told).record()["pipelines"][0]["hops"][0]
    for row in (hop["total"], hop["sources"][0], hop["groups"][0]):
        assert row["completeness"] == 0.9
        assert row["before"]["yesterday"]["completeness"] == 1.0
        assert row["before"]["last_week"]["completeness"] == 0.5
    assert "−10.0000" in as_html(report(told).record())
    assert "+40.0000" in as_html(report(told).record())


def test_the_budget_is_what_the_objective_allows_to_be_missing() -> None:
    told = Told()
    told.day("a", accepted=10_000, processed=10_000)
    assert report(told).pipelines[0].budget.record()["result"] == "met"
    told.say("a", TODAY, Verdict.DELAYED, accepted=10_000, processed=9_000, unproven=1_000)
    budget = report(told).pipelines[0].budget
    assert (budget.word, budget.allowed, budget.waiting) == ("open", 24, 1_000)
    told.say("a", TODAY, Verdict.LOST, accepted=10_000, processed=9_970, lost=30)
    assert report(told).pipelines[0].budget.word == "missed"


def test_what_has_been_forgotten_is_said_and_not_guessed() -> None:
    told = Told(horizon_=Horizon(detail=TODAY + DAY))
    told.day("a", accepted=1, processed=1)
    assert report(told).pipelines[0].hops, "the last verdicts outlive the history"
    past = daily_as_of(told)
    assert past["forgotten"]
    assert past["hops"] == []
    assert "cannot be said any more" in past["not_known"][0]
    told.horizon_ = Horizon(detail=TODAY + DAY, verdicts=TODAY + DAY)
    assert report(told).record()["pipelines"][0]["forgotten"]


def daily_as_of(told: Told) -> dict[str, Any]:
    store: Any = told
    found: dict[str, Any] = daily(store, [HOURLY], Day(date(2021, 7, 20)), TODAY + DAY, TODAY + HOUR).record()
    return found["pipelines"][0]  # type: ignore[no-any-return]  # a record is JSON


def test_what_changed_names_the_figures_and_the_sources() -> None:
    told = Told()
    told.day("a", accepted=10, processed=10)
    told.say("a", TODAY, Verdict.LOST, accepted=10, processed=4, lost=6)
    before = report(told).record()
    assert changes(before, report(told).record()) == []
    told.say("a", TODAY, Verdict.COMPLETE, accepted=10, processed=10, recovered=6)
    told.say("a", TODAY, Verdict.COMPLETE, accepted=10, processed=10, recovered=6, lost=0)
    lines = changes(before, report(told).record())
    assert lines == [
        "batch, ingress to processed: lost → complete, processed 234 → 240, lost 6 → 0, recovered 0 → 6",
        "batch, ingress to processed, a: lost → complete, processed 234 → 240, lost 6 → 0, recovered 0 → 6",
    ]
    other = {**before, "made_by": {"version": "9", "settings": "x"}}
    assert changes(other, before)[0].startswith("made by version 9 (settings x) then")


def test_the_fingerprint_of_settings_changes_with_what_judges_and_with_nothing_else() -> None:
    again = replace(HOURLY, queues={})
    assert fingerprint([HOURLY]) == fingerprint([again])
    assert fingerprint([HOURLY]) != fingerprint([replace(HOURLY, objective=0.5)])


def test_the_summary_says_the_worst_first_and_whether_all_is_well() -> None:
    told = told_of(("a/b", "c"))
    short = summary(report(told).record())
    assert short.title == "Completeness of 2021-07-20: 3 events lost"
    assert short.facts[0][0] == "batch"
    assert "3 lost; objective missed" in short.facts[0][1]
    assert short.sources == ("c", "a/b")
    assert not short.good
    well = Told()
    well.day("a", accepted=1, processed=1)
    assert summary(report(well).record()).good


def test_the_picture_is_a_png_of_some_size_whatever_the_names() -> None:
    image = as_png(report(told_of(HOSTILE)).record())
    assert image.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", image[16:24])
    assert width > 600
    assert height > 200
