"""What was sent again fills the hole it was sent for, whichever stages can tell it from what came the first time."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from reconciler.backtest import backtest
from reconciler.core.observations import parse
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, format_time, parse_time

START = parse_time("2024-01-15T00:00:00Z")
HOLE = range(5, 10)
TWO, THREE = ("ingress", "processed"), ("ingress", "processed", "stored")
WORDS = ("verdict", "accepted", "processed", "lost", "recovered", "duplicated", "returned", "surplus")


def story(stages: tuple[str, ...], labelled: tuple[str, ...], sent: int, late: int = 0) -> Iterator[dict[str, Any]]:
    """Of 1,000 events a minute 600 of five minutes vanish behind the first stage; then so many are sent again.

    Labelled counts are reported `late` minutes after the others.
    """
    for minute in range(56):
        at = format_time(START + (minute + 1) * MINUTE)
        for stage in stages:
            place = {"at": at, "pipeline": "p", "stage": stage, "reporter": stage}
            count = {"type": "count", **place, "source": "a"}
            if minute < 40:
                yield {**count, "bucket": format_time(START + minute * MINUTE), "count": 1000}
            for gone in HOLE:
                bucket = format_time(START + gone * MINUTE)
                if minute == 29 and stage != stages[0]:
                    yield {**count, "bucket": bucket, "count": 400}
                if stage in labelled:
                    if minute == 49 + late:
                        yield {**count, "bucket": bucket, "count": sent, "replay": "again"}
                elif minute == 49 and stage != stages[0]:
                    yield {**count, "bucket": bucket, "count": 400 + sent}
            yield {"type": "progress", **place, "through": at}


def said(lines: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The last word of each hop on a bucket of the hole, by `WORDS`."""
    stages = dict.fromkeys(str(line["stage"]) for line in lines)
    pipelines = {"p": Pipeline("p", tuple(stages))}
    seen = [parse(line, pipelines) for line in lines]
    last: dict[str, dict[str, Any]] = {}
    for line in backtest(seen, pipelines, tick=MINUTE, until=START + 60 * MINUTE):
        if line["type"] == "verdict" and line["bucket"] == format_time(START + 7 * MINUTE):
            last[line["from_stage"]] = line
    return [tuple(line[word] for word in WORDS) for line in last.values()]


@pytest.mark.parametrize(
    ("stages", "labelled", "sent", "expected"),
    [
        pytest.param(TWO, TWO, 600, [("complete", 1000, 1000, 0, 600, 0, 0, 0)], id="both stages label it"),
        pytest.param(TWO, TWO[:1], 600, [("complete", 1000, 1000, 0, 600, 0, 0, 0)], id="only the first stage does"),
        pytest.param(TWO, TWO[1:], 600, [("complete", 1000, 1000, 0, 600, 0, 0, 0)], id="only the second stage does"),
        pytest.param(TWO, (), 600, [("complete", 1000, 1000, 0, 0, 0, 600, 0)], id="nobody does, so it came by itself"),
        pytest.param(TWO, TWO, 250, [("lost", 1000, 650, 350, 250, 0, 0, 0)], id="a part comes back"),
        pytest.param(TWO, TWO[:1], 250, [("lost", 1000, 650, 350, 250, 0, 0, 0)], id="a part, by the first stage"),
        pytest.param(TWO, TWO, 700, [("surplus", 1000, 1100, 0, 600, 100, 0, 100)], id="more than was missing"),
        pytest.param(TWO, TWO[:1], 700, [("surplus", 1000, 1100, 0, 600, 100, 0, 100)], id="more, by the first stage"),
        pytest.param(
            THREE, THREE, 600, [("complete", 1000, 1000, 0, 600, 0, 0, 0), ("complete", 1000, 1000, 0, 600, 0, 0, 0)],
            id="it goes on to the next stage, and is no surplus there",
        ),
        pytest.param(
            THREE, THREE[:2], 600, [("complete", 1000, 1000, 0, 600, 0, 0, 0), ("complete", 1000, 1000, 0, 0, 0, 0, 0)],
            id="the last stage does not know the label",
        ),
        pytest.param(
            THREE, THREE[:1], 600, [("complete", 1000, 1000, 0, 600, 0, 0, 0), ("complete", 1000, 1000, 0, 0, 0, 0, 0)],
            id="three stages, the first alone knows the label",
        ),
    ],
)  # fmt: skip
def test_lost_shrinks_and_recovered_grows(
    stages: tuple[str, ...], labelled: tuple[str, ...], sent: int, expected: list[tuple[Any, ...]]
) -> None:
    assert said(list(story(stages, labelled, sent))) == expected


def test_what_came_before_its_label_is_recovered_once_the_label_comes() -> None:
    lines = list(story(TWO, TWO[:1], 600, late=3))
    assert said(lines) == [("complete", 1000, 1000, 0, 600, 0, 0, 0)]


def test_a_count_that_is_corrected_fills_no_hole() -> None:
    at = format_time(START + 51 * MINUTE)
    place = {"type": "count", "at": at, "pipeline": "p", "stage": "ingress", "reporter": "ingress", "source": "a"}
    corrected = [{**place, "bucket": format_time(START + gone * MINUTE), "count": 400} for gone in HOLE]
    assert said([*story(TWO, (), 0), *corrected]) == [("complete", 400, 400, 0, 0, 0, 0, 0)]
