"""What comes in: taken as it is, or refused with the field and the reason; never guessed."""

import json
from typing import Any

import pytest

from reconciler.core.observations import (
    LEGAL_ENDS,
    Capacity,
    Count,
    Observation,
    Progress,
    QueueSample,
    Refusal,
    parse,
)
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, SECOND, format_time, parse_time
from tests.lines import COUNT

PIPELINES = {"batch": Pipeline("batch", ("ingress", "processed"))}
AT, BUCKET = COUNT["at"], COUNT["bucket"]
MISSING = object()
"""The field is left out."""

PROGRESS = {"type": "progress", "at": AT, "pipeline": "batch", "stage": "ingress", "through": "2021-07-20T18:46:00Z"}
QUEUE = {
    "type": "queue",
    "at": AT,
    "pipeline": "batch",
    "queue": "batch-events",
    "start_offset": 100,
    "end_offset": 5100,
    "committed_offset": 4100,
}
CAPACITY = {"type": "capacity", "at": AT, "resource": "postgres:main/public.events_id_seq", "used": 20, "limit": 21}
KINDS: dict[str, dict[str, Any]] = {"count": COUNT, "progress": PROGRESS, "queue": QUEUE, "capacity": CAPACITY}


def read(kind: str, **changes: Any) -> Observation:
    record = KINDS[kind] | changes
    return parse({name: value for name, value in record.items() if value is not MISSING}, PIPELINES)


def refused(kind: str, **changes: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(kind, **changes)
    return caught.value


def test_a_count_is_read_word_for_word() -> None:
    seen = read(
        "count", outcome="accepted", reporter="ingest-01", digest="18446744073709551615", error=2.5, replay="r1"
    )
    assert seen == Count(
        at=parse_time(AT),
        pipeline="batch",
        stage="ingress",
        source="segment",
        bucket=parse_time(BUCKET),
        count=1234,
        outcome="accepted",
        reporter="ingest-01",
        digest=2**64 - 1,
        error=2.5,
        replay="r1",
    )


def test_an_outcome_left_out_is_accepted_at_the_first_stage_and_processed_at_the_others() -> None:
    first, later = read("count"), read("count", stage="processed")
    assert isinstance(first, Count)
    assert isinstance(later, Count)
    assert (first.outcome, later.outcome) == ("accepted", "processed")
    assert (first.reporter, first.digest, first.error, first.replay) == ("", None, 0.0, None)


@pytest.mark.parametrize("outcome", LEGAL_ENDS)
@pytest.mark.parametrize("stage", ["ingress", "processed"])
def test_an_event_may_end_legally_at_any_stage(outcome: str, stage: str) -> None:
    seen = read("count", outcome=outcome, stage=stage)
    assert isinstance(seen, Count)
    assert seen.outcome == outcome


def test_zero_is_a_count() -> None:
    seen = read("count", count=0)
    assert isinstance(seen, Count)
    assert seen.count == 0


def test_the_largest_count_is_one_below_two_to_the_63rd() -> None:
    seen = read("count", count=2**63 - 1)
    assert isinstance(seen, Count)
    assert seen.count == 2**63 - 1


def test_progress_is_not_final_unless_it_says_so() -> None:
    assert read("progress") == Progress(
        parse_time(AT), "batch", "ingress", parse_time("2021-07-20T18:46:00Z"), "", final=False
    )
    ended = read("progress", final=True, reporter="ingest-01")
    assert isinstance(ended, Progress)
    assert ended.final


def test_a_queue_sample_needs_only_its_offsets() -> None:
    assert read("queue") == QueueSample(
        at=parse_time(AT),
        pipeline="batch",
        queue="batch-events",
        partition=0,
        start_offset=100,
        end_offset=5100,
        committed_offset=4100,
        exact=True,
    )


def test_a_queue_sample_is_read_word_for_word() -> None:
    seen = read(
        "queue",
        partition=3,
        oldest_at="2021-07-20T18:26:00Z",
        committed_at="2021-07-20T18:41:12Z",
        retention_seconds=1200,
        retention_bytes=None,
        replicas=2,
        in_sync_replicas=1,
        exact=False,
        epoch="topic-7",
    )
    assert isinstance(seen, QueueSample)
    assert (seen.partition, seen.retention, seen.retention_bytes) == (3, 1200 * SECOND, None)
    assert (seen.oldest_at, seen.committed_at) == (
        parse_time("2021-07-20T18:26:00Z"),
        parse_time("2021-07-20T18:41:12Z"),
    )
    assert (seen.replicas, seen.in_sync_replicas, seen.exact, seen.epoch) == (2, 1, False, "topic-7")


def test_no_consumer_is_said_by_null_and_is_not_position_zero() -> None:
    seen = read("queue", committed_offset=None)
    assert isinstance(seen, QueueSample)
    assert seen.committed_offset is None


def test_a_queue_without_offsets_tells_its_depth() -> None:
    seen = read("queue", start_offset=MISSING, end_offset=MISSING, committed_offset=MISSING, depth=7, oldest_at=BUCKET)
    assert isinstance(seen, QueueSample)
    assert (seen.start_offset, seen.end_offset, seen.depth) == (None, None, 7)


def test_a_capacity_names_what_is_used_of_what_limit() -> None:
    assert read("capacity", pipelines=["batch"]) == Capacity(
        parse_time(AT), "postgres:main/public.events_id_seq", 20, 21, ("batch",)
    )


def test_fields_of_the_senders_own_are_ignored() -> None:
    assert read("count", x_trace="abc", x_={"deep": [1]}) == read("count")


def test_a_bucket_within_the_clock_allowance_ahead_of_at_is_taken() -> None:
    seen = read("count", at="2021-07-20T18:40:00Z")
    assert seen.at == parse_time("2021-07-20T18:40:00Z")


REFUSALS = [
    # every type
    pytest.param("count", {"type": "counts"}, "type", "not one of count, progress, queue, capacity", id="unknown type"),
    pytest.param("count", {"type": MISSING}, "type", "is None", id="no type"),
    pytest.param("count", {"type": ["count"]}, "type", "not one of", id="type that is a list"),
    pytest.param("count", {"cuont": 1}, "cuont", "not a field of count", id="misspelled field"),
    pytest.param("count", {"X_own": 1}, "X_own", "begin with x_", id="own field with a capital"),
    pytest.param("progress", {"bucket": BUCKET}, "bucket", "not a field of progress", id="field of another type"),
    pytest.param("count", {"at": MISSING}, "at", "is missing", id="no at"),
    pytest.param("count", {"at": "2021-07-20T18:46:10"}, "at", "lacks an offset", id="naive at"),
    pytest.param("count", {"at": 1626806770}, "at", "not a time", id="at as a number"),
    pytest.param("count", {"at": None}, "at", "not a time", id="at null"),
    pytest.param("count", {"pipeline": "stream"}, "pipeline", "not configured; known: batch", id="unknown pipeline"),
    pytest.param("count", {"pipeline": MISSING}, "pipeline", "is missing", id="no pipeline"),
    # count
    pytest.param("count", {"stage": "stored"}, "stage", "no stage of batch", id="unknown stage"),
    pytest.param("count", {"stage": MISSING}, "stage", "is missing", id="no stage"),
    pytest.param("count", {"source": MISSING}, "source", "is missing", id="no source"),
    pytest.param("count", {"source": ""}, "source", "is empty", id="empty source"),
    pytest.param("count", {"source": 7}, "source", "not text", id="source as a number"),
    pytest.param("count", {"source": "a\x00b"}, "source", "NUL", id="source with a NUL"),
    pytest.param("count", {"source": "a\ud800"}, "source", "surrogate", id="source with half a surrogate pair"),
    pytest.param("count", {"bucket": MISSING}, "bucket", "is missing", id="no bucket"),
    pytest.param(
        "count", {"bucket": "2021-07-20T18:45:30Z"}, "bucket", "off the grid of 60 s", id="bucket off the grid"
    ),
    pytest.param("count", {"bucket": "2021-07-20T18:45:00"}, "bucket", "lacks an offset", id="naive bucket"),
    pytest.param("count", {"at": "2021-07-20T18:39:59Z"}, "bucket", "ahead of at", id="bucket ahead of at"),
    pytest.param("count", {"count": MISSING}, "count", "is missing", id="no count"),
    pytest.param("count", {"count": None}, "count", "is missing", id="count null"),
    pytest.param("count", {"count": -1}, "count", "not between 0 and", id="negative count"),
    pytest.param("count", {"count": 1.5}, "count", "not a whole number", id="fractional count"),
    pytest.param("count", {"count": 3.0}, "count", "not a whole number", id="count with a point"),
    pytest.param("count", {"count": True}, "count", "not a whole number", id="true as a count"),
    pytest.param("count", {"count": "12"}, "count", "not a whole number", id="count as text"),
    pytest.param("count", {"count": 2**63}, "count", "not between 0 and", id="over-large count"),
    pytest.param("count", {"count": float("nan")}, "count", "not a whole number", id="count that is no number"),
    pytest.param("count", {"outcome": "dropped"}, "outcome", "not one of accepted", id="unknown outcome"),
    pytest.param("count", {"outcome": ["filtered"]}, "outcome", "not one of", id="outcome that is a list"),
    pytest.param("count", {"outcome": None}, "outcome", "not one of", id="outcome null"),
    pytest.param("count", {"reporter": 1}, "reporter", "not text", id="reporter as a number"),
    pytest.param("count", {"digest": 12}, "digest", "decimal string", id="digest as a number"),
    pytest.param("count", {"digest": "0x1f"}, "digest", "decimal string", id="digest in hexadecimal"),
    pytest.param("count", {"digest": "-1"}, "digest", "decimal string", id="negative digest"),
    pytest.param("count", {"digest": "١٢"}, "digest", "decimal string", id="digest in digits of another script"),
    pytest.param("count", {"digest": "18446744073709551616"}, "digest", "below 2^64", id="digest of 2^64"),
    pytest.param("count", {"digest": "9" * 5000}, "digest", "below 2^64", id="digest of thousands of digits"),
    pytest.param("count", {"error": -0.5}, "error", "0 or more", id="negative error"),
    pytest.param("count", {"error": "1"}, "error", "0 or more", id="error as text"),
    pytest.param("count", {"error": True}, "error", "0 or more", id="true as an error"),
    pytest.param("count", {"error": float("nan")}, "error", "0 or more", id="error that is no number"),
    pytest.param("count", {"error": float("inf")}, "error", "0 or more", id="infinite error"),
    pytest.param("count", {"replay": ""}, "replay", "is empty", id="empty replay label"),
    pytest.param("count", {"replay": 5}, "replay", "not text", id="replay as a number"),
    # progress
    pytest.param("progress", {"through": MISSING}, "through", "is missing", id="no through"),
    pytest.param("progress", {"through": "2021-07-20T18:52:00Z"}, "through", "ahead of at", id="through ahead of at"),
    pytest.param("progress", {"final": "yes"}, "final", "not true or false", id="final as text"),
    pytest.param("progress", {"final": 1}, "final", "not true or false", id="final as a number"),
    # queue
    pytest.param("queue", {"queue": MISSING}, "queue", "is missing", id="no queue name"),
    pytest.param("queue", {"start_offset": MISSING}, "start_offset", "is missing", id="no start offset"),
    pytest.param("queue", {"end_offset": MISSING}, "end_offset", "is missing", id="no end offset"),
    pytest.param("queue", {"committed_offset": MISSING}, "committed_offset", "give null", id="no committed offset"),
    pytest.param("queue", {"start_offset": 6000}, "start_offset", "lies after end_offset", id="start after end"),
    pytest.param("queue", {"end_offset": -1}, "end_offset", "not between 0 and", id="negative offset"),
    pytest.param("queue", {"committed_offset": 1.5}, "committed_offset", "not a whole number", id="fractional offset"),
    pytest.param("queue", {"partition": -1}, "partition", "not between 0 and", id="negative partition"),
    pytest.param("queue", {"oldest_at": "yesterday"}, "oldest_at", "not a time", id="oldest_at in words"),
    pytest.param("queue", {"retention_seconds": -1}, "retention_seconds", "not between", id="negative retention"),
    pytest.param("queue", {"exact": "no"}, "exact", "not true or false", id="exact as text"),
    # capacity
    pytest.param("capacity", {"resource": MISSING}, "resource", "is missing", id="no resource"),
    pytest.param("capacity", {"used": MISSING}, "used", "is missing", id="no used"),
    pytest.param("capacity", {"limit": 0}, "limit", "positive", id="limit zero"),
    pytest.param("capacity", {"pipelines": "batch"}, "pipelines", "not a list", id="pipelines as text"),
    pytest.param(
        "capacity", {"pipelines": ["stream"]}, "pipelines", "not a configured", id="unknown pipeline in a list"
    ),
    pytest.param("capacity", {"pipelines": [["batch"]]}, "pipelines", "not a configured", id="a list in the list"),
]


@pytest.mark.parametrize(("kind", "changes", "field", "reason"), REFUSALS)
def test_what_does_not_fit_is_refused_with_the_field_and_the_reason(
    kind: str, changes: dict[str, Any], field: str, reason: str
) -> None:
    refusal = refused(kind, **changes)
    assert refusal.field == field
    assert reason in refusal.reason


@pytest.mark.parametrize("line", [[], "count", 7, None, True], ids=["list", "text", "number", "null", "true"])
def test_a_line_that_is_no_object_is_refused(line: object) -> None:
    with pytest.raises(Refusal, match="not a JSON object"):
        parse(line, PIPELINES)


def test_a_retention_without_end_is_longer_than_any_policy_and_still_ends_within_the_calendar() -> None:
    seen = read("queue", retention_seconds=2**63 - 1)
    assert isinstance(seen, QueueSample)
    assert seen.retention is not None
    assert seen.retention > 100 * 365 * DAY
    assert format_time(seen.at + seen.retention).startswith("30")


def test_an_epoch_is_text_or_a_number_and_nothing_deeper() -> None:
    seen = read("queue", epoch=7)
    assert isinstance(seen, QueueSample)
    assert seen.epoch == "7"
    assert refused("queue", epoch={"a": 1}).field == "epoch"
    assert refused("queue", epoch="a\x00").field == "epoch"
    assert refused("queue", epoch=True).field == "epoch"


@pytest.mark.parametrize(
    "text", ["a/b c'd\"; DROP TABLE cells; --", "<script>", "../../etc", "é", "\u202e", "a" * 5000]
)
def test_hostile_text_is_only_text(text: str) -> None:
    seen = parse(json.loads(json.dumps(COUNT | {"source": text})), PIPELINES)
    assert isinstance(seen, Count)
    assert seen.source == text
