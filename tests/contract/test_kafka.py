"""The contract of connectors, held by the Kafka connector against a broker."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.core.times import Micros, parse_time
from tests.contract.suite import SECRET, SamplingContract
from tests.servers.kafka import Broker


@dataclass
class KafkaCounterpart:
    """A topic of two partitions and a group that reads it."""

    broker: Broker
    topic: str
    kind: str = "kafka"
    now: Micros = field(default_factory=lambda: parse_time("2021-07-20T18:45:30Z"))
    pipeline: dict[str, Any] = field(
        default_factory=lambda: {"queues": {"batch-events": {"from": "ingress", "to": "processed"}}}
    )

    @property
    def options(self) -> dict[str, Any]:
        queues = {"batch-events": {"topic": self.topic, "group": f"{self.topic}-readers"}}
        return {"bootstrap": self.broker.bootstrap, "queues": queues, "timeout": "20s"}

    @property
    def away(self) -> dict[str, Any]:
        login = {"sasl.mechanism": "PLAIN", "sasl.username": "user", "sasl.password": SECRET}
        properties = {"security.protocol": "SASL_PLAINTEXT", **login}
        return {"bootstrap": "127.0.0.1:1", "timeout": "1s", "properties": properties}

    def fill(self) -> dict[tuple[str, int], tuple[int, int, int | None]]:
        now = self.now // 1000
        self.broker.write(self.topic, [now - 3000, now - 2000, now - 1000], partition=0)
        self.broker.write(self.topic, [now - 500], partition=1)
        self.broker.commit(f"{self.topic}-readers", self.topic, {0: 2})
        return {("batch-events", 0): (0, 3, 2), ("batch-events", 1): (0, 1, None)}


@pytest.fixture
def counterpart(broker: Broker) -> KafkaCounterpart:
    topic = broker.topic(2, retention_ms=-1)
    broker.commit(f"{topic}-readers", topic, {0: 0})
    return KafkaCounterpart(broker, topic)


class TestKafka(SamplingContract):
    pass
