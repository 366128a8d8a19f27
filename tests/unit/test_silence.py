"""Who should have told something by now and has not."""

from typing import Any

from reconciler.core.incidents import Condition
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Hop, Pipeline, Queue, Reporters
from reconciler.core.queues import QueueLedger
from reconciler.core.silence import silent_reporters, silent_samplers
from reconciler.core.times import MINUTE, Micros, parse_time

START = parse_time("2021-07-20T11:45:00Z")
HOP = Hop("ingress", "processed")
WATCHED = Queue("batch-events", HOP, sampler="kafka", sampled_every=MINUTE)
DEAF = Queue("pushed-events", HOP)


def after(minutes: float) -> Micros:
    return START + round(minutes * MINUTE)


def samplers(now: Micros, *samples: QueueSample, queue: Queue = WATCHED, width: Micros = MINUTE) -> list[Condition]:
    ledger = QueueLedger(queue, width)
    for one in samples:
        ledger.observe(one)
    pipeline = Pipeline("batch", ("ingress", "processed"), width, queues={queue.name: queue})
    return list(silent_samplers(pipeline, {queue.name: ledger} if samples else {}, now))


def sample(minute: int, partition: int = 0, **fields: Any) -> QueueSample:
    return QueueSample(after(minute), "batch", "batch-events", partition, 0, 100, 100, **fields)


def test_a_queue_that_is_looked_at_is_no_condition_until_three_intervals_have_passed() -> None:
    assert samplers(after(2.9), sample(0)) == []
    (found,) = samplers(after(3), sample(0))
    assert (found.subject, found.kind, found.severity) == ("batch-events", "missing_counts", "ticket")
    assert found.detail == "has not been sampled by kafka lately: what is in it proves nothing"


def test_a_queue_that_was_never_seen_is_not_empty() -> None:
    (found,) = samplers(START)
    assert found.detail.startswith("has not been sampled by kafka")


def test_partitions_that_are_seen_no_more_are_counted_apart() -> None:
    (found,) = samplers(after(5), sample(0), sample(0, 1), sample(4, 1))
    assert found.detail.startswith("has 1 of 2 partitions that have not been sampled by kafka")


def test_intervals_are_those_of_the_connector_or_of_the_buckets_whichever_is_longer() -> None:
    slow = Queue("batch-events", HOP, sampler="kafka", sampled_every=10 * MINUTE)
    assert samplers(after(29), sample(0), queue=slow) == []
    assert samplers(after(30), sample(0), queue=slow) != []
    assert samplers(after(14), sample(0), width=5 * MINUTE) == []
    assert samplers(after(15), sample(0), width=5 * MINUTE) != []


def test_a_queue_whose_samples_are_pushed_has_no_connector_to_be_named() -> None:
    assert samplers(after(60), queue=DEAF) == []


def reporters(now: Micros, *said: Observation, expect: tuple[str, ...] = ()) -> str:
    pipeline = Pipeline("batch", ("ingress", "processed"), reporters={"ingress": Reporters(expect)})
    ledger = Ledger(pipeline)
    ledger.apply(said)
    return silent_reporters(ledger, HOP, now)


def progress(minute: int, name: str, stage: str = "ingress") -> Progress:
    return Progress(after(minute), "batch", stage, after(minute), name)


def test_a_reporter_that_is_silent_is_named_with_its_stage() -> None:
    said = (progress(0, "ingest-01"), progress(4, "ingest-02"), progress(0, "etl", "processed"))
    assert reporters(after(1), *said) == ""
    assert reporters(after(5), *said) == "not heard from ingest-01 at ingress, etl at processed"


def test_one_that_was_expected_and_never_heard_is_named_too_and_many_are_counted() -> None:
    names = tuple(f"ingest-0{number}" for number in range(1, 6))
    seen = Count(after(0), "batch", "ingress", "a", START, 1, "accepted", "ingest-01")
    told = "not heard from ingest-01 at ingress, ingest-02 at ingress, ingest-03 at ingress and 2 more"
    assert reporters(after(0), seen, expect=names) == told


def test_a_reporter_without_a_name_is_the_only_one() -> None:
    assert reporters(after(5), progress(0, "")) == "not heard from the only reporter at ingress"
