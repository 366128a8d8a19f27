"""Samples of Kafka topics as queues: offsets, ages, retention and copies of every partition.

A cycle is a dozen questions for all partitions at once, answered by brokers out of their indexes: no record is read.
It needs the extra `kafka` (confluent-kafka).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Annotated

from pydantic import BeforeValidator, Field

from reconciler.connectors import _shapes
from reconciler.connectors._kafka_client import Cluster, Found, Part, Topic, Trouble, Unreachable
from reconciler.core.observations import FOREVER, Observation, QueueSample, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND, Micros
from reconciler.ports import ConnectorFailed
from reconciler.settings.schema import Duration, Name, PipelineSettings, SamplerOptions, Section, Whole

MILLI = SECOND // 1000
NEAR = 1000
"""ms; the age of the first unread record is told to this."""
STEPS = 32
"""Questions at most that finding these ages may take; each halves the time in which a record may lie."""
NAMED = 10
"""Partitions that a refusal names."""
_SECRET = ("password", "secret", "key", "jaas", "token")


def _as_text(value: object) -> object:
    """Settings of librdkafka are text; YAML makes numbers and truths of some."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Property = Annotated[str, BeforeValidator(_as_text)]


class QueueOptions(Section):
    """A queue of the pipeline as a topic."""

    topic: Name | None = None
    """Name of the topic. Default: the name of the queue."""
    group: Name | None = None
    """The consumer group that reads it. Without one, nothing counts as read."""
    exact: bool = True
    """`false` where a record may hold several events, or where producers use transactions (their markers take offsets).
    Compacted topics, and transactions while they are seen open, are never taken as exact."""


class Options(SamplerOptions):
    """Topics of one cluster."""

    bootstrap: Name
    """Brokers to ask first: `host:port`, several with commas."""
    queues: Annotated[dict[Name, QueueOptions], Field(min_length=1)]
    """The topic of each queue, by name of the queue in the pipeline."""
    properties: dict[Name, Property] = Field(default_factory=dict, repr=False)
    """Settings of librdkafka, such as `security.protocol` or `sasl.password`."""
    timeout: Duration = 10 * SECOND
    """How long the cluster may take to answer one question."""
    dated: Whole = 100
    """For so many partitions with unread records, those with the most, the age of the first one is found too."""

    def contradictions(self, pipeline: PipelineSettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Queues that the pipeline does not have."""
        for name in self.queues:
            if name not in pipeline.queues:
                known = ", ".join(pipeline.queues) or "none"
                yield ("queues", name), f"is no queue of {self.pipeline}; there are: {known}"

    def samples(self) -> Collection[str]:
        """All queues."""
        return self.queues

    def addresses(self) -> Mapping[str, tuple[str, str, str]]:
        """Topic, group and brokers of each queue."""
        return {name: (self.topic(name), queue.group or "", self.bootstrap) for name, queue in self.queues.items()}

    def topic(self, queue: str) -> str:
        """The topic of a queue."""
        return self.queues[queue].topic or queue


def build(name: str, options: Options, pipelines: Mapping[str, Pipeline]) -> "KafkaConnector":
    """The connector as configured; it connects when it is asked to collect."""
    return KafkaConnector(name, pipelines[options.pipeline].name, options)


@dataclass(frozen=True, slots=True)
class KafkaConnector(_shapes.Sampling):
    """Looks at the topics of one cluster."""

    name: str
    pipeline: str
    options: Options

    def permissions(self) -> list[str]:
        """The ACLs of a principal `reconciler`."""
        options = self.options
        command = f"kafka-acls.sh --bootstrap-server {options.bootstrap} --add --allow-principal User:reconciler"
        topics = dict.fromkeys(options.topic(queue) for queue in options.queues)
        groups = dict.fromkeys(queue.group for queue in options.queues.values() if queue.group)
        return [
            *(f"{command} --operation Describe --operation DescribeConfigs --topic '{topic}'" for topic in topics),
            *(f"{command} --operation Describe --group '{group}'" for group in groups),
        ]

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterator[Observation | Refusal]:
        """A sample of every partition as of now; see `ports.Connector`."""
        properties = {"bootstrap.servers": self.options.bootstrap} | self.options.properties
        try:
            look = Look(self, Cluster(properties, self.options.timeout), now)
            yield from look.samples()
            yield from look.refusals()
        except ImportError:
            raise self._failure("the package confluent-kafka is missing", "pip install 'reconciler[kafka]'.") from None
        except ValueError as error:
            raise self._failure(str(error), "Check the properties of this connector.") from None
        except Unreachable as error:
            remedy = "Check that the brokers run and can be reached from here, and the properties of this connector."
            raise self._failure(str(error), remedy) from None

    def _failure(self, reason: str, remedy: str) -> ConnectorFailed:
        for key, value in self.options.properties.items():
            if value and any(word in key for word in _SECRET):
                reason = reason.replace(value, "***")
        where = self.options.bootstrap
        return ConnectorFailed(f"connector {self.name} ({self.pipeline}): {reason}\n  at {where}\n  {remedy}")


class Look:
    """One look at all queues of a connector."""

    def __init__(self, connector: KafkaConnector, cluster: Cluster, now: Micros) -> None:
        self.connector, self.cluster, self.now = connector, cluster, now
        self.options = connector.options
        self.refused: dict[tuple[str, str], list[int]] = defaultdict(list)
        """Partitions by (topic, reason); none: the whole topic."""

    def samples(self) -> Iterator[QueueSample]:
        """What is seen of each partition; what is not seen goes to `refusals`."""
        topics = self._topics()
        settings = self._settings(topics)
        parts = [Part(name, number) for name, topic in topics.items() for number in topic.copies]
        # In this order: the start is never later than the position, nor that than the end, so that nothing which was
        # read between two questions looks deleted unread.
        starts = self._found(self.cluster.starts(parts))
        # Who has not answered once is not waited for again.
        oldest = self._found(self.cluster.since(dict.fromkeys(starts, 0)))
        read = self._positions(topics)
        ends = self._found(self.cluster.ends(starts))
        stable = self._found(self.cluster.ends(ends, stable=True))
        dates = self._dates(read, starts, ends, oldest)
        for queue, options in self.options.queues.items():
            name = self.options.topic(queue)
            for number in topics[name].copies if name in topics else ():
                part = Part(name, number)
                if part not in starts or part not in ends or (queue, number) not in read:
                    continue
                found = settings.get(name, {})
                transactions = stable.get(part) != ends[part]
                yield QueueSample(
                    at=self.now,
                    pipeline=self.connector.pipeline,
                    queue=queue,
                    partition=number,
                    start_offset=starts[part].offset,
                    end_offset=ends[part].offset,
                    committed_offset=read[queue, number],
                    oldest_at=_instant(oldest.get(part)),
                    committed_at=dates.get((queue, number)),
                    retention=_retention(found),
                    retention_bytes=_bytes(found),
                    replicas=topics[name].copies[number][0],
                    in_sync_replicas=topics[name].copies[number][1],
                    exact=options.exact and found.get("cleanup.policy") == "delete" and not transactions,
                    epoch=topics[name].id or None,
                )

    def refusals(self) -> Iterator[Refusal]:
        """All that was not told, and why."""
        for (what, reason), numbers in self.refused.items():
            named = ", ".join(map(str, numbers[:NAMED])) + (", …" if len(numbers) > NAMED else "")
            some = f" ({len(numbers)} partitions: {named})" if numbers else ""
            yield Refusal(what, f"{reason}{some}")

    def _refuse(self, what: str, trouble: Trouble) -> None:
        hint = "; `reconciler check-config --permissions` prints the rights that are needed" if trouble.refused else ""
        self.refused[what, f"{trouble.text}{hint}"] += []

    def _topics(self) -> dict[str, Topic]:
        names = dict.fromkeys(self.options.topic(queue) for queue in self.options.queues)
        found: dict[str, Topic] = {}
        for name, told in self.cluster.topics(names).items():
            if isinstance(told, Trouble):
                self._refuse(f"topic {name}", told)
            else:
                found[name] = told
        return found

    def _settings(self, topics: Collection[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for name, told in (self.cluster.settings(topics) if topics else {}).items():
            if isinstance(told, Trouble):
                self._refuse(f"settings of topic {name}", told)
            else:
                found[name] = told
        return found

    def _found(self, told: Mapping[Part, Found | Trouble]) -> dict[Part, Found]:
        for part, entry in told.items():
            if isinstance(entry, Trouble):
                numbers = self.refused[f"topic {part.topic}", entry.text]
                numbers += [] if part.number in numbers else [part.number]
        return {part: entry for part, entry in told.items() if not isinstance(entry, Trouble)}

    def _positions(self, topics: Mapping[str, Topic]) -> dict[tuple[str, int], int | None]:
        """By (queue, partition): the next record that the group will read; a queue that cannot be told is left out."""
        read: dict[tuple[str, int], int | None] = {}
        by_group: dict[str, list[str]] = defaultdict(list)
        for queue, options in self.options.queues.items():
            if options.group is not None:
                by_group[options.group].append(queue)
            elif (topic := topics.get(self.options.topic(queue))) is not None:
                read |= {(queue, number): None for number in topic.copies}
        for group, queues in by_group.items():
            known = [(queue, self.options.topic(queue)) for queue in queues if self.options.topic(queue) in topics]
            parts = {Part(name, number) for _, name in known for number in topics[name].copies}
            told = self.cluster.committed(group, parts) if parts else {}
            if isinstance(told, Trouble):
                self._refuse(f"group {group}", told)
                continue
            if parts and not any(offset is not None for offset in told.values()):
                self._check(group)
            for queue, name in known:
                read |= {(queue, number): told.get(Part(name, number)) for number in topics[name].copies}
        return read

    def _check(self, group: str) -> None:
        """A group that has committed nothing may be new, or its name may be wrong."""
        exists = self.cluster.exists(group)
        if isinstance(exists, Trouble):
            self._refuse(f"group {group}", exists)
        elif not exists:
            self.refused[f"group {group}", "is not known to the cluster, so that nothing counts as read"] += []

    def _dates(
        self, read: Mapping[tuple[str, int], int | None], starts: Mapping[Part, Found], ends: Mapping[Part, Found],
        oldest: Mapping[Part, Found],
    ) -> dict[tuple[str, int], Micros]:  # fmt: skip
        """Timestamps of the first unread records that can still be read, by (queue, partition)."""
        unread: dict[tuple[str, int], Unread] = {}
        for (queue, number), offset in read.items():
            part = Part(self.options.topic(queue), number)
            first = oldest.get(part)
            if part not in starts or part not in ends or first is None or first.offset < 0 or first.stamp < 0:
                continue
            offset = max(starts[part].offset, offset or 0)
            if offset < ends[part].offset:
                unread[queue, number] = Unread(part, offset, ends[part].offset - offset, first, self.now)
        chosen = nlargest(self.options.dated, unread, key=lambda key: unread[key].records)
        search = {key: unread[key] for key in chosen}
        for _ in range(STEPS):
            asked = {entry.part: entry.middle for entry in search.values() if not entry.known}
            if not asked:
                break
            found = self.cluster.since(asked)
            for entry in search.values():
                if entry.part in asked:
                    entry.narrow(asked[entry.part], found.get(entry.part))
        return {key: entry.low * MILLI for key, entry in search.items() if entry.known}


class Unread:
    """The search for the timestamp of the first unread record of a partition, between two timestamps (ms)."""

    def __init__(self, part: Part, offset: int, records: int, oldest: Found, now: Micros) -> None:
        self.part, self.offset, self.records = part, offset, records
        self.low = oldest.stamp
        self.high = self.low if oldest.offset >= offset else max(self.low, (now + 5 * MINUTE) // MILLI)

    @property
    def known(self) -> bool:
        """To the precision that is wanted."""
        return self.high - self.low <= NEAR

    @property
    def middle(self) -> int:
        """What to ask next."""
        return (self.low + self.high) // 2

    def narrow(self, asked: int, found: Found | Trouble | None) -> None:
        """Take the first record that is no older than the timestamp that was asked for."""
        if self.known or not isinstance(found, Found):
            return
        if found.offset == self.offset:
            self.low = self.high = found.stamp
        elif 0 <= found.offset < self.offset:
            self.low = max(self.low, asked, found.stamp)
            self.high = max(self.low, self.high)
        else:
            self.high = max(self.low, min(self.high, asked))


def _instant(found: Found | None) -> Micros | None:
    return None if found is None or found.offset < 0 or found.stamp < 0 else found.stamp * MILLI


def _retention(settings: Mapping[str, str]) -> Micros | None:
    """How long the topic keeps a record; a topic that is only compacted deletes none for its age."""
    if "retention.ms" not in settings:
        return None
    span = int(settings["retention.ms"])
    return FOREVER if span < 0 or settings.get("cleanup.policy") == "compact" else min(span * MILLI, FOREVER)


def _bytes(settings: Mapping[str, str]) -> int | None:
    size = int(settings.get("retention.bytes", -1))
    return None if size < 0 else size
