"""What one cycle of the Kafka connector costs for thousands of partitions of a real broker, and storing what it saw.

    python -m benchmarks.bench_kafka                       # 5,000 partitions
    python -m benchmarks.bench_kafka --partitions 1000

Every partition has records, and a group that stands before the last of them. All topics are on one broker, which here
shares the machine with the connector; each cycle connects anew, as under `reconciler tick`.
"""

import argparse
import statistics
import tempfile
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from reconciler.collect import collect
from reconciler.connectors.kafka import KafkaConnector, Options, build
from reconciler.core.observations import QueueSample
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.times import MINUTE, Micros
from reconciler.store import open_store
from tests.servers.kafka import Broker, running_broker, taken, until

TOPIC_SIZE = 100
"""Partitions of a topic."""
CYCLES = 5
START = 1_626_806_700_000_000
"""20 July 2021, 18:45."""


def main() -> None:
    """Measure and print, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=5_000)
    asked = parser.parse_args()
    names = [f"events-{number:03}" for number in range(-(-asked.partitions // TOPIC_SIZE))]
    with running_broker() as broker:
        print(f"{'Apache Kafka' if broker.real else 'an emulator, no Kafka'}, {len(names)} topics of {TOPIC_SIZE}")
        fill(broker, names)
        pipeline = Pipeline("batch", ("ingress", "processed"))
        queues = {name: Queue(name, Hop("ingress", "processed")) for name in names}
        pipelines = {"batch": Pipeline("batch", pipeline.stages, queues=queues)}
        for dated in (0, 100):
            options = {"queues": {name: {"group": "readers"} for name in names}, "dated": dated, "timeout": "60s"}
            options |= {"pipeline": "batch", "bootstrap": broker.bootstrap}
            looking(build("kafka", Options.model_validate(options), pipelines), dated)
        storing(build("kafka", Options.model_validate(options), pipelines), pipelines)


def fill(broker: Broker, names: list[str]) -> None:
    """Make the topics, with two records in each partition, of which the group has read one."""
    begin = time.perf_counter()
    for name in names:
        settings = {"retention.ms": "-1"}
        broker.admin.create_topics([NewTopic(name, TOPIC_SIZE, 1, config=settings)])[name].result()
    until(lambda: known(broker, names) == TOPIC_SIZE * len(names), seconds=300)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "log_level": 0})
    places = [TopicPartition(name, number, 1) for name in names for number in range(TOPIC_SIZE)]
    for place in places:
        for second in range(2):
            stamp = START // 1000 + 1000 * second
            producer.produce(place.topic, b"event", partition=place.partition, timestamp=stamp, on_delivery=taken)
        producer.poll(0)
    left = producer.flush(300)
    assert left == 0, f"{left} records were not taken"
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "readers", "log_level": 0})
    for first in range(0, len(places), TOPIC_SIZE):
        consumer.commit(offsets=places[first : first + TOPIC_SIZE], asynchronous=False)
    consumer.close()
    print(f"  prepared in {time.perf_counter() - begin:.0f} s")


def known(broker: Broker, names: list[str]) -> int:
    """How many partitions the broker tells of."""
    topics = broker.admin.list_topics(timeout=60).topics
    return sum(len(topics[name].partitions) for name in names if name in topics)


def looking(connector: KafkaConnector, dated: int) -> None:
    """Take samples of everything, several times."""
    seconds = []
    for cycle in range(CYCLES):
        now: Micros = START + cycle * MINUTE
        begin = time.perf_counter()
        said = list(connector.collect(now, now + MINUTE, now))
        seconds.append(time.perf_counter() - begin)
        samples = [entry for entry in said if isinstance(entry, QueueSample)]
        assert len(samples) == len(said), "nothing is refused"
        odd = [one for one in samples if (one.end_offset, one.committed_offset) != (2, 1)]
        assert not odd, odd[:3]
    dates = sum(one.committed_at is not None for one in samples)
    print(
        f"  {len(samples):,} partitions, the first unread record of {dated} dated ({dates} found): "
        f"a cycle {statistics.median(seconds):.2f} s (median of {CYCLES}; {min(seconds):.2f} to {max(seconds):.2f})"
    )


def storing(connector: KafkaConnector, pipelines: dict[str, Pipeline]) -> None:
    """The whole pass, with the ledger in a SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/ledger.db")
        seconds = []
        for cycle in range(CYCLES):
            begin = time.perf_counter()
            (done,) = collect(store, [connector], pipelines, START + cycle * MINUTE)
            seconds.append(time.perf_counter() - begin)
            assert done.kept
        store.close()
    print(f"  the same, stored in a SQLite ledger: {statistics.median(seconds):.2f} s (median of {CYCLES})")


if __name__ == "__main__":
    main()
