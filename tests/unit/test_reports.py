"""The report of a day and the list of holes, from verdicts laid down by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.acts import Act
from reconciler.core.directory import Directory
from reconciler.core.ledger import Ledger
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN, TileKey, VerdictTile
from reconciler.core.times import DAY, HOUR, Micros, parse_time
from reconciler.core.verdicts import Verdict
from reconciler.ports import Horizon, Retirement, Store
from reconciler.reports.daily import Daily, daily
from reconciler.reports.days import Day
from reconciler.reports.holes import holes
from reconciler.reports.tally import AMOUNTS
from reconciler.reports.text import as_text
from reconciler.serving import ServiceStore

TODAY = parse_time("2021-07-20T00:00:00Z")
DATE = Day(date(2021, 7, 20))
HOURLY = Pipeline("batch", ("ingress", "processed"), width=HOUR, alert=True)
HOP = "ingress>processed"
CLAIMS = ("processed", "accounted", "retained", "in_flight", "passed_over", "unproven", "lost", "misplaced")


@dataclass
class Told:
    """What a ledger would have told of one hop: a store as far as a report asks it."""

    directory_: Directory = field(default_factory=Directory)
    tiles: dict[TileKey, VerdictTile] = field(default_factory=dict)
    judged: Micros | None = TODAY + DAY
    lines: list[dict[str, Any]] = field(default_factory=list)
    horizon_: Horizon = field(default_factory=Horizon)
    acts_: list[Act] = field(default_factory=list)
    retired: list[Retirement] = field(default_factory=list)

    def say(self, source: str, bucket: Micros, verdict: Verdict, **parts: int) -> None:
        """Say something of a cell, as of its first bucket on."""
        number = self.directory_.source(source)
        self.directory_.saw(np.array([number]), np.array([bucket]))
        span, column = divmod(bucket // HOUR, SPAN)
        tile = self.tiles.setdefault(TileKey(HOP, number // CHUNK, span), VerdictTile())
        cell = (number % CHUNK, column)
        tile.code[cell], tile.proven[cell] = verdict, bool(parts.pop("proven", 1))
        for name, amount in parts.items():
            tile.parts.own(name)[cell] = amount

    def day(self, source: str, verdict: Verdict = Verdict.COMPLETE, **parts: int) -> None:
        """A source that has the same in every hour of the day."""
        for hour in range(24):
            self.say(source, TODAY + hour * HOUR, verdict, **parts)

    def directory(self, _: Pipeline) -> Directory:
        return self.directory_

    def judged_at(self, _: Pipeline) -> Micros | None:
        return self.judged

    def incidents(self, *_: object) -> list[dict[str, Any]]:
        return self.lines

    def horizon(self, _: Pipeline) -> Horizon:
        return self.horizon_

    @property
    def acts(self) -> "Told":
        return self

    def all(self) -> list[Act]:
        return self.acts_

    def retirements(self, _: str) -> list[Retirement]:
        return self.retired

    def learned_at(self, _: Pipeline) -> Micros | None:
        return TODAY

    def reporters(self, pipeline: Pipeline, _: Micros) -> Ledger:
        return Ledger(pipeline, self.directory_)

    def verdict_tiles(
        self, _: Pipeline, hop: str, first: Micros, last: Micros
    ) -> Iterator[tuple[TileKey, VerdictTile]]:
        spans = range(first // HOUR // SPAN, last // HOUR // SPAN + 1)
        for key in sorted(self.tiles, key=lambda key: (key.span, key.chunk)):
            if key.part == hop and key.span in spans:
                yield key, self.tiles[key]


def report(told: Told, now: Micros = TODAY + 2 * DAY, day: Day = DATE) -> Daily:
    return daily(cast(ServiceStore, told), [HOURLY], day, now)


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Verdict)[1:]), st.lists(st.integers(0, 9), min_size=9, max_size=9)),
        min_size=1,
        max_size=24,
    )
)
def test_the_sums_of_a_source_add_up_to_what_was_accepted(cells: list[tuple[Verdict, list[int]]]) -> None:
    told = Told()
    for hour, (verdict, amounts) in enumerate(cells):
        parts = dict(zip((*CLAIMS, "surplus"), amounts, strict=True))
        accepted = sum(amounts) - 2 * parts["surplus"]
        told.say("a", TODAY + hour * HOUR, verdict, accepted=accepted, **parts)
    (row,) = report(told).pipelines[0].hops[0].sources
    claims = ("processed", "accounted", "late", "at_risk", "undetermined", "lost", "misplaced")
    sums = row.amounts
    assert sums["accepted"] == sum(sums[name] for name in claims) - sums["surplus"]


def test_what_came_twice_stands_for_nothing_that_is_missing() -> None:
    told = Told()
    told.day("a", accepted=10, processed=10)
    told.say("a", TODAY, Verdict.LOST, accepted=10, processed=5, lost=5)
    told.say("a", TODAY + HOUR, Verdict.SURPLUS, accepted=10, processed=15, surplus=5)
    (row,) = report(told).pipelines[0].hops[0].sources
    assert row.amounts["accepted"] == row.amounts["processed"] == 240
    assert row.completeness == row.delivered == 235 / 240


def test_what_is_accounted_for_is_complete_but_not_delivered() -> None:
    told = Told()
    told.day("a", accepted=10, processed=7, accounted=3)
    (row,) = report(told).pipelines[0].hops[0].sources
    assert (row.completeness, row.delivered) == (1.0, 0.7)


def test_events_at_risk_are_not_merely_late() -> None:
    told = Told()
    told.day("a", Verdict.AT_RISK, accepted=10, processed=4, retained=3, passed_over=2, in_flight=1)
    (row,) = report(told).pipelines[0].hops[0].sources
    assert (row.amounts["at_risk"], row.amounts["late"]) == (5 * 24, 24)


def test_one_unproven_cell_leaves_the_day_unproven() -> None:
    told = Told()
    told.day("a", accepted=1, processed=1)
    assert report(told).pipelines[0].hops[0].total.proven
    told.say("a", TODAY + HOUR, Verdict.COMPLETE, proven=0, accepted=1, processed=1)
    found = report(told).pipelines[0]
    assert not found.hops[0].total.proven
    assert found.not_known == ["ingress to processed: 1 source is complete by the counts alone, which is not proof."]


def test_a_missing_judgement_stops_complete_through_and_is_unknown() -> None:
    told = Told()
    for hour in (0, 1, 3, *range(4, 24)):
        told.say("a", TODAY + hour * HOUR, Verdict.COMPLETE)
    (row,) = report(told).pipelines[0].hops[0].sources
    assert row.complete_through == TODAY + 2 * HOUR
    assert (row.cells, row.unknown, row.worst) == (24, 1, Verdict.UNKNOWN)


def test_a_cell_that_time_may_still_change_is_not_settled() -> None:
    told = Told()
    told.day("a", accepted=1, processed=1)
    told.tiles[next(iter(told.tiles))].active[:] = True
    (row,) = report(told).pipelines[0].hops[0].sources
    assert row.complete_through == TODAY


def test_a_source_that_came_later_has_no_cells_before() -> None:
    told = Told()
    told.day("a")
    told.say("b", TODAY + 20 * HOUR, Verdict.COMPLETE)
    rows = {row.source: row for row in report(told).pipelines[0].hops[0].sources}
    assert (rows["b"].cells, rows["b"].unknown) == (4, 3)


def test_the_worst_sources_come_first_and_the_many_complete_ones_are_only_counted() -> None:
    told = Told()
    for number in range(300):
        told.day(f"s{number:03}", accepted=1, processed=1)
    told.say("s200", TODAY, Verdict.LOST, accepted=1, lost=1)
    told.say("s250", TODAY, Verdict.DELAYED, accepted=1, unproven=1)
    lines = list(as_text(report(told).record()))
    table = next(at for at, line in enumerate(lines) if line.startswith("ingress to processed"))
    assert lines[table + 1].startswith("all 300 sources")
    assert [line.split()[0] for line in lines[table + 2 : table + 5]] == ["s200", "s250", "s000"]
    assert lines[table + 52] == "and 250 more, all complete"


def test_what_is_not_whole_never_looks_whole() -> None:
    told = Told()
    told.day("a", accepted=10**9, processed=10**9)
    told.say("a", TODAY, Verdict.LOST, accepted=10**9, processed=10**9 - 1, lost=1)
    assert "99.9999%" in "\n".join(as_text(report(told).record()))
    assert "100.0000%" not in "\n".join(as_text(report(told).record()))


def test_a_day_that_goes_on_is_judged_up_to_the_last_judgement() -> None:
    told = Told(judged=TODAY + 5 * HOUR)
    for hour in range(5):
        told.say("a", TODAY + hour * HOUR, Verdict.COMPLETE)
    found = report(told, now=TODAY + 6 * HOUR)
    assert not found.over
    (row,) = found.pipelines[0].hops[0].sources
    assert (row.cells, row.unknown) == (5, 0)
    over = report(told)
    (row,) = over.pipelines[0].hops[0].sources
    assert (row.cells, row.unknown) == (24, 19)


def test_every_amount_is_said_to_programs() -> None:
    told = Told()
    told.day("a", accepted=1, processed=1)
    record = report(told).record()["pipelines"][0]["hops"][0]["sources"][0]
    assert set(AMOUNTS) <= record.keys()


def test_neighbouring_bad_cells_are_one_hole_and_the_worst_come_first() -> None:
    told = Told()
    told.day("a", accepted=3, processed=3)
    for hour in (3, 4, 5, 9):
        told.say("a", TODAY + hour * HOUR, Verdict.LOST, accepted=3, lost=2)
    told.say("a", TODAY + 6 * HOUR, Verdict.DELAYED, accepted=3, unproven=3)
    told.say("b", TODAY + 4 * HOUR, Verdict.UNKNOWN)
    assert [str(hole) for hole in holes(cast(Store, told), HOURLY, TODAY, TODAY + DAY)] == [
        "2021-07-20T03:00:00Z to 2021-07-20T06:00:00Z  ingress to processed, a: 6 lost",
        "2021-07-20T09:00:00Z to 2021-07-20T10:00:00Z  ingress to processed, a: 2 lost",
        "2021-07-20T04:00:00Z to 2021-07-20T05:00:00Z  ingress to processed, b: unknown",
        "2021-07-20T06:00:00Z to 2021-07-20T07:00:00Z  ingress to processed, a: 3 delayed",
    ]
    later = holes(cast(Store, told), HOURLY, TODAY + 5 * HOUR, TODAY + 9 * HOUR)
    assert [(hole.start, hole.end) for hole in later] == [
        (TODAY + 5 * HOUR, TODAY + 6 * HOUR),
        (TODAY + 6 * HOUR, TODAY + 7 * HOUR),
    ]


def test_incidents_that_have_nothing_to_do_with_the_day_are_left_out() -> None:
    line = {"opened_at": "2021-07-19T12:00:00Z", "severity": "page", "mode": "alert", "status": "resolved"}
    spans = {
        "before": ("18T00", "20T00"),
        "into": ("18T00", "20T01"),
        "after": ("21T00", "21T01"),
        "opened": ("19T00",) * 2,
    }
    told = Told(
        lines=[
            line | {"id": name, "from": f"2021-07-{a}:00:00Z", "to": f"2021-07-{b}:00:00Z"}
            for name, (a, b) in spans.items()
        ]
    )
    told.lines[-1] |= {"opened_at": "2021-07-20T00:01:00Z"}
    told.day("a")
    assert [line["id"] for line in report(told).pipelines[0].incidents] == ["into", "opened"]


def test_what_was_kept_quiet_on_the_day_is_said_with_who_said_so() -> None:
    told = Told()
    told.day("a")
    hour = TODAY + 9 * HOUR
    told.acts_ = [
        Act(hour, "ann", "mute", "being drained", 1, "b*", incident_kind="delay", since=hour, until=hour + 48 * HOUR),
        Act(hour + HOUR, "bob", "unmute", "drained", 2, ends=1),
        Act(hour, "ann", "mute", "of another", 3, "other", since=hour, until=hour + HOUR),
        Act(hour, "ann", "mute", "of another day", 4, since=TODAY + 3 * DAY, until=TODAY + 4 * DAY),
        Act(
            hour, "ann", "planned", "the partner moves", 5, sources="partner/*", since=TODAY - HOUR, until=TODAY + HOUR
        ),
    ]
    told.retired = [Retirement(HOURLY.name, "source", "old", "", hour, hour, "ann", "they left")]
    (found,) = report(told).record()["pipelines"]
    day = "2021-07-20T"
    assert found["quiet"] == [
        f"mute 1: kind delay, {day}09:00:00Z to {day}10:00:00Z (ann: being drained)",
        f"planned work 5: sources partner/*, 2021-07-19T23:00:00Z to {day}01:00:00Z (ann: the partner moves)",
        f"source old is retired from {day}09:00:00Z (ann: they left)",
    ]
    text = "\n".join(as_text(report(told).record()))
    assert "kept quiet\n  mute 1" in text
