"""The Prometheus connector against a real Prometheus that holds the samples of the past."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from reconciler.connectors.prometheus import Options, PrometheusConnector, build
from reconciler.core.observations import Count, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND, format_time, parse_time
from reconciler.ports import ConnectorFailed
from tests.servers.prometheus import Sample, running_prometheus

PIPELINES = {"batch": Pipeline("batch", ("ingress", "processed"))}
ZERO = parse_time("2021-07-20T18:00:00Z")
"""Instants in these tests are seconds since then."""
Serve = Callable[[Iterable[Sample]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda samples: stack.enter_context(running_prometheus(samples))


def steady(times: Iterable[int], pace: float = 10, born: int = 0, **labels: str) -> list[Sample]:
    """A counter that has counted `pace` events a second since it was born, scraped at these seconds."""
    named = {"job": "ingest", "instance": "one", "source": "a"} | labels
    return [Sample(ZERO // SECOND + at, round(pace * (at - born)), named) for at in times]


def health(times: dict[int, int], instance: str) -> list[Sample]:
    """Whether the target could be scraped at these seconds."""
    labels = {"job": "ingest", "instance": instance}
    return [Sample(ZERO // SECOND + at, value, labels, "up") for at, value in times.items()]


def connector(url: str, **changes: Any) -> PrometheusConnector:
    options = {"pipeline": "batch", "stage": "ingress", "url": url, "counter": 'events_total{job="ingest"}'} | changes
    return build("scraped", Options.model_validate(options), PIPELINES)


def ask(
    asked: PrometheusConnector, first: int, last: int, now: int | None = None
) -> tuple[dict[int, Count], str | None]:
    """Counts of source a by minute, of the minutes first to last (exclusive), and how far they are whole."""
    at = ZERO + (60 * last if now is None else now) * SECOND
    said = list(asked.collect(ZERO + first * MINUTE, ZERO + last * MINUTE, at))
    assert [str(entry) for entry in said if isinstance(entry, Refusal)] == []
    counts = {(one.bucket - ZERO) // MINUTE: one for one in said if isinstance(one, Count) and one.source == "a"}
    through = [one.through for one in said if isinstance(one, Progress)]
    return counts, format_time(through[0])[11:19] if through else None


def numbers(counts: dict[int, Count]) -> list[int]:
    return [one.count for one in counts.values()]


EVERY_15 = range(0, 3601, 15)


def test_counters_scraped_at_the_edges_are_exact(serve: Serve) -> None:
    counts, through = ask(connector(serve(steady(EVERY_15))), 20, 30)
    assert numbers(counts) == [600] * 10
    assert {one.error for one in counts.values()} == {0}
    assert through == "18:30:00"


def test_counters_scraped_elsewhere_have_an_error_that_covers_what_is_not_known(serve: Serve) -> None:
    counts, through = ask(connector(serve(steady(range(7, 3600, 15)))), 20, 30, now=30 * 60)
    assert numbers(counts)[:-1] == [600] * 9
    assert [one.error for one in counts.values()][:-1] == [150] * 9, "15 s at either edge can hold 150 events"
    assert through == "18:29:52", "only as far as the samples reach"


def test_processes_of_a_source_are_added_up_and_sources_are_kept_apart(serve: Serve) -> None:
    samples = steady(EVERY_15) + steady(EVERY_15, 5, instance="two") + steady(EVERY_15, 1, source="b")
    counts, _ = ask(connector(serve(samples)), 20, 22)
    assert numbers(counts) == [900, 900]


def test_a_process_that_starts_again_loses_nothing_that_was_scraped(serve: Serve) -> None:
    samples = steady(range(0, 1501, 15)) + steady(range(1515, 3601, 15), born=1503)
    counts, _ = ask(connector(serve(samples)), 20, 30)
    assert numbers(counts) == [600] * 5 + [570] + [600] * 4, "30 events came before its first scrape, or were not there"
    assert {minute for minute, one in counts.items() if one.error} == {25}
    assert counts[25].error >= 30


def test_a_process_that_appears_has_counted_its_first_value(serve: Serve) -> None:
    samples = steady(EVERY_15, 1, instance="old") + steady(range(1515, 3601, 15), born=1503, instance="new")
    counts, _ = ask(connector(serve(samples)), 20, 30)
    assert numbers(counts) == [60] * 5 + [60 + 570] + [660] * 4
    assert counts[25].error == 120, "it may have been running for a while before it was found"


def test_what_was_counted_before_prometheus_looked_is_no_burst_and_that_time_is_not_claimed(serve: Serve) -> None:
    samples = steady(range(1515, 3601, 15), born=-1_000_000)
    counts, _ = ask(connector(serve(samples)), 20, 30)
    assert {minute: one.count for minute, one in counts.items()} == {26: 600, 27: 600, 28: 600, 29: 600}


def test_a_gap_in_the_scrapes_is_not_zero_and_its_error_says_that_nothing_is_known(serve: Serve) -> None:
    counts, _ = ask(connector(serve(steady([*range(0, 1261, 15), *range(1680, 3601, 15)]))), 20, 30)
    assert numbers(counts) == [600] * 10, "the sum is known, its place is guessed"
    assert {minute for minute, one in counts.items() if one.error} == set(range(21, 28))
    assert all(counts[minute].error >= counts[minute].count for minute in range(21, 28))


def test_a_window_that_begins_in_a_gap_counts_no_burst_after_it(serve: Serve) -> None:
    counts, _ = ask(connector(serve(steady([*range(0, 301, 15), *range(1680, 3601, 15)]))), 20, 30)
    assert numbers(counts)[8:] == [600, 600]
    assert all(counts[minute].error >= counts[minute].count for minute in range(20, 28))


def test_where_scrapes_end_for_all_nothing_is_said_of_what_comes_after(serve: Serve) -> None:
    samples = steady(range(0, 1531, 15)) + steady(range(0, 1531, 15), source="b")
    counts, through = ask(connector(serve(samples)), 20, 30)
    assert through == "18:25:30"
    assert list(counts) == [20, 21, 22, 23, 24, 25]


def test_a_process_that_is_a_little_behind_is_waited_for_and_one_that_has_gone_is_not(serve: Serve) -> None:
    behind = steady(EVERY_15) + steady(range(0, 1741, 15), instance="two")
    assert ask(connector(serve(behind)), 20, 30)[1] == "18:29:00"
    gone = steady(EVERY_15) + steady(range(0, 1381, 15), instance="two")
    counts, through = ask(connector(serve(gone)), 20, 30)
    assert through == "18:30:00"
    assert numbers(counts) == [1200] * 3 + [600] * 7


def test_a_target_that_cannot_be_scraped_holds_back_what_is_whole(serve: Serve) -> None:
    samples = steady(EVERY_15) + steady(range(0, 1381, 15), instance="two")
    samples += health(dict.fromkeys(EVERY_15, 1), "one")
    samples += health({at: int(at <= 1380) for at in EVERY_15}, "two")
    url = serve(samples)
    assert ask(connector(url, targets='up{job="ingest"}'), 20, 30)[1] == "18:23:00"
    assert ask(connector(url), 20, 30)[1] == "18:30:00"


def test_a_counter_that_bears_its_bucket_counts_at_a_later_stage(serve: Serve) -> None:
    def processed(bucket: int, counted: dict[int, int], **labels: str) -> list[Sample]:
        named = {"job": "ingest", "source": "a", "accepted": format_time(ZERO + bucket * MINUTE)} | labels
        return [Sample(ZERO // SECOND + at, value, named) for at, value in counted.items()]

    first = processed(20, {1260: 400, 1275: 600, 1290: 600, 1800: 600})
    late = processed(21, {1320: 10, 1500: 599, 1515: 3, 1800: 4})  # it starts again after 18:25
    other = processed(21, {1320: 50, 1800: 60}, instance="two")
    asked = connector(serve(first + late + other), stage="processed", bucket_label="accepted")
    counts, through = ask(asked, 20, 30)
    assert {minute: one.count for minute, one in counts.items()} == {20: 600, 21: 599 + 4 + 60}
    assert {one.outcome for one in counts.values()} == {"processed"}
    assert counts[20].error == 0
    assert counts[21].error > 0, "what was counted before the fall and never scraped"
    assert through == "18:30:00"


def test_a_longer_window_is_read_in_pieces_that_fit_together(serve: Serve) -> None:
    counts, _ = ask(connector(serve(steady(range(0, 4 * 3600 + 1, 60)))), 10, 230)
    assert numbers(counts) == [600] * 220


def test_a_counter_that_is_not_there_has_not_counted_zero(serve: Serve) -> None:
    with pytest.raises(ConnectorFailed, match="no series is selected"):
        ask(connector(serve(steady(EVERY_15)), counter="nothing_total"), 20, 30)


def test_a_series_without_a_source_is_refused_and_nothing_is_whole(serve: Serve) -> None:
    asked = connector(serve(steady(EVERY_15)), source_label="customer")
    said = list(asked.collect(ZERO + 20 * MINUTE, ZERO + 21 * MINUTE, ZERO + 21 * MINUTE))
    assert [type(entry) for entry in said] == [Refusal]
    assert str(said[0]).startswith("customer: of the series __name__=events_total, instance=one")


def test_what_prometheus_says_of_a_selector_is_handed_on(serve: Serve) -> None:
    with pytest.raises(ConnectorFailed, match="parse error"):
        ask(connector(serve(steady(EVERY_15)), counter='events_total{job=~"["}'), 20, 30)


def test_an_address_where_something_else_answers_is_a_failure(serve: Serve) -> None:
    with pytest.raises(ConnectorFailed, match="HTTP 404"):
        ask(connector(f"{serve(steady(EVERY_15))}/elsewhere"), 20, 30)


@pytest.mark.parametrize("counter", ["rate(events_total[5m])", "events_total[5m]", "sum(events_total)", " "])
def test_only_the_counter_itself_is_selected(counter: str) -> None:
    with pytest.raises(ValueError, match="is no plain selector"):
        connector("http://localhost:9090", counter=counter)


def test_an_address_that_bears_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="bears a user"):
        connector("http://me:hush@localhost:9090")
