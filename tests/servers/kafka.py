"""A real Apache Kafka for the tests: one process, no ZooKeeper, thrown away at the end.

It listens twice: for everybody, who may do everything, and with passwords, where ACLs hold.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.servers.install import KAFKA, NO_KAFKA

START_SECONDS = 60
PASSWORD = "hush-hush"  # noqa: S105  of a server that lives for one run of the tests
SETTINGS = """
process.roles=broker,controller
node.id=1
listeners=OPEN://127.0.0.1:{open},GUARDED://127.0.0.1:{guarded},CONTROLLER://127.0.0.1:{controller}
sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_reconciler="{password}" user_stranger="{password}";
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=300
broker.session.timeout.ms=2000
log.retention.check.interval.ms=200
log.initial.task.delay.ms=100
"""
JOINING = """
process.roles=broker
node.id=2
listeners=OPEN://127.0.0.1:{open}
"""
SHARED = """
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=OPEN:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=OPEN
log.dirs={folder}/logs
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
# What a busy broker is tuned for is not wanted of one that lives for seconds.
JAVA = (
    "java",
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker, and what tests do with it."""

    bootstrap: str
    guarded: str
    """Where a password is asked for; empty: the emulator has no such thing."""
    admin: AdminClient
    controller: int = 0
    """Port at which further brokers join."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def real(self) -> bool:
        """Whether this is Apache Kafka, and not the emulator."""
        return bool(self.guarded)

    def topic(self, partitions: int = 1, **settings: Any) -> str:
        """Make a topic with a name of its own; `retention_ms` is `retention.ms`."""
        name = f"events-{next(self.numbers)}"
        self.make(name, partitions, **settings)
        return name

    def make(self, name: str, partitions: int = 1, **settings: Any) -> None:
        config = {key.replace("_", "."): str(value) for key, value in settings.items()}
        self.admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result()
        until(lambda: self._leads(name, partitions))

    def _leads(self, topic: str, partitions: int) -> bool:
        """Whether every partition answers: a new one needs a moment to have a leader."""
        # A client of its own: one that has asked too early remembers for long that there is no such topic.
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)}
        return all(future.result() for future in admin.list_offsets(asked, request_timeout=5).values())

    def write(self, topic: str, stamps: list[int], partition: int = 0) -> None:
        """One record at each of these instants, ms."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 0, "log_level": 0})
        for stamp in stamps:
            producer.produce(topic, b"event", partition=partition, timestamp=stamp, on_delivery=taken)
        left = producer.flush(30)
        assert left == 0, f"{left} records were not taken"

    def clock(self) -> int:
        """The broker's own time as it stamps records, ms; by it retention is measured."""
        topic = TopicPartition(self.topic(message_timestamp_type="LogAppendTime"), 0)
        self.write(topic.topic, [0])
        found = self.admin.list_offsets({topic: OffsetSpec.max_timestamp()})
        return int(found[topic].result().timestamp)

    def commit(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        """Let a consumer group stand at these offsets."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 0})
        there = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        # The coordinator of groups needs a moment when the first one is asked for.
        until(lambda: consumer.commit(offsets=there, asynchronous=False))
        consumer.close()


def taken(error: KafkaError | None, _record: object) -> None:
    """See that a record was written."""
    assert error is None, error


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something that a server does in its own time; what Kafka answers meanwhile may be an error."""
    deadline, pause, last = monotonic() + seconds, threading.Event(), ""
    while True:
        try:
            if condition():
                return
        except KafkaException as error:
            last = str(error)
        assert monotonic() < deadline, f"the server has not got there in time {last}"
        pause.wait(0.05)


@contextmanager
def running_broker() -> Iterator[Broker]:
    """Start a broker in a temporary folder, the real one where it could be installed."""
    with tempfile.TemporaryDirectory(prefix="reconciler-kafka-", ignore_cleanup_errors=True) as name:
        if KAFKA.is_dir() and not NO_KAFKA.exists():
            with _apache(Path(name)) as broker:
                yield broker
        elif NO_KAFKA.exists():
            with _emulator(Path(name)) as broker:
                yield broker
        else:
            raise RuntimeError("no broker is installed: `make test` does it, or python -m tests.servers.install")


@contextmanager
def _apache(folder: Path) -> Iterator[Broker]:
    ports = dict(zip(("open", "guarded", "controller"), free_ports(3), strict=True))
    with _node(SETTINGS, folder, ports) as admin:
        yield Broker(f"127.0.0.1:{ports['open']}", f"127.0.0.1:{ports['guarded']}", admin, ports["controller"])


@contextmanager
def second_broker(first: Broker) -> Iterator[int]:
    """Another broker of the same cluster, which may die; yields its number."""
    with tempfile.TemporaryDirectory(prefix="reconciler-kafka-", ignore_cleanup_errors=True) as name:
        (port,) = free_ports(1)
        with _node(JOINING, Path(name), {"open": port, "controller": first.controller}):
            until(lambda: 2 in first.admin.list_topics(timeout=5).brokers)
            yield 2
        until(lambda: 2 not in first.admin.list_topics(timeout=5).brokers)


@contextmanager
def _node(template: str, folder: Path, ports: dict[str, int]) -> Iterator[AdminClient]:
    settings = folder / "server.properties"
    settings.write_text((template + SHARED).format(**ports, folder=folder, password=PASSWORD))
    program = (*JAVA, "-cp", f"{KAFKA}/*")
    form = (*program, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(settings))
    subprocess.run(form, check=True, capture_output=True)
    with _process((*program, "kafka.Kafka", str(settings)), folder, ports["open"]) as admin:
        yield admin


@contextmanager
def _emulator(folder: Path) -> Iterator[Broker]:
    (port,) = free_ports(1)
    program = shutil.which("noida-db", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        raise RuntimeError(f"there is neither Apache Kafka ({NO_KAFKA.read_text()}) nor the emulator noida-db")
    command = (program, "start", "--data-dir", str(folder / "data"), "--only", "kafka", "--kafka-port", str(port))
    with _process(command, folder, port) as admin:
        yield Broker(f"127.0.0.1:{port}", "", admin)


@contextmanager
def _process(command: tuple[str, ...], folder: Path, port: int) -> Iterator[AdminClient]:
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        # It looks about often: another broker may join and die.
        settings = {"bootstrap.servers": f"127.0.0.1:{port}", "topic.metadata.refresh.interval.ms": 500}
        client = AdminClient(settings | {"log_level": 0})
        try:
            until(lambda: server.poll() is not None or _answers(client), START_SECONDS)
        except AssertionError:
            server.kill()
        if server.poll() is not None:
            raise RuntimeError(f"the broker did not start:\n{log.read_text()[-4000:]}")
        yield client
    finally:
        server.kill()
        server.wait()


def _answers(client: AdminClient) -> bool:
    with suppress(KafkaException):
        return bool(client.list_topics(timeout=0.5).brokers)
    return False


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
