"""Questions to a Kafka cluster, each one call for all partitions, and what can go wrong with them.

The library is loaded when a cluster is first asked, for it is an extra.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from reconciler.core.times import SECOND, Micros

if TYPE_CHECKING:
    pass

Answer = TypeVar("Answer")
Key = TypeVar("Key")
NO_OFFSET = -1001
"""What the library says where a group has committed nothing."""


class Part(NamedTuple):
    """One partition."""

    topic: str
    number: int


class Found(NamedTuple):
    """A record that was looked for."""

    offset: int
    """-1: there is none."""
    stamp: int
    """Its timestamp, ms since the epoch; -1 where none was asked for."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the cluster describes it."""

    id: str
    """Differs when a topic of the same name is made again; empty: the cluster gives none."""
    copies: dict[int, tuple[int, int]]
    """By partition: replicas, and those of them in sync."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why one thing was not told, though the cluster answered."""

    name: str
    """As Kafka names it: `TOPIC_AUTHORIZATION_FAILED`."""
    text: str

    @property
    def refused(self) -> bool:
        """The rights do not suffice."""
        return self.name.endswith("_AUTHORIZATION_FAILED")


class Unreachable(Exception):  # noqa: N818  the fault lies elsewhere
    """The cluster did not answer."""


class Cluster:
    """A connection that asks and never changes anything."""

    def __init__(self, properties: Mapping[str, str], timeout: Micros) -> None:
        """Raise `ImportError` where the library is missing, and `ValueError` for a property that it does not know."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        self._failed: type[Exception] = KafkaException
        self._seconds = timeout / SECOND
        # The callback holds the list and not this object, which else would never go.
        self._said = said = list[str]()
        # Its own log would go to standard error; what it has to say of errors comes by `error_cb`.
        quiet = {"log_level": "0", "error_cb": lambda error: said.append(error.str())}
        try:
            self._client: AdminClient = AdminClient(quiet | dict(properties))
        except KafkaException as error:
            raise ValueError(_trouble(error).text) from None

    def topics(self, names: Collection[str]) -> dict[str, Topic | Trouble]:
        """Partitions and copies of each topic."""
        from confluent_kafka import TopicCollection

        futures = self._ask(self._client.describe_topics, TopicCollection(list(names)))
        return self._some({name: self._result(future, _topic) for name, future in futures.items()})

    def settings(self, topics: Collection[str]) -> dict[str, dict[str, str] | Trouble]:
        """The settings in force for each topic: its own, or the default of the broker or of the cluster."""
        from confluent_kafka.admin import ConfigResource, ResourceType

        asked = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        futures = self._ask(self._client.describe_configs, asked)
        return self._some({resource.name: self._result(future, _values) for resource, future in futures.items()})

    def starts(self, parts: Iterable[Part]) -> dict[Part, Found | Trouble]:
        """The first record that can still be read."""
        from confluent_kafka.admin import OffsetSpec

        return self._offsets({part: OffsetSpec.earliest() for part in parts})

    def ends(self, parts: Iterable[Part], *, stable: bool = False) -> dict[Part, Found | Trouble]:
        """The next record to be written; with `stable` the first of a transaction that is not over, if there is one."""
        from confluent_kafka import IsolationLevel
        from confluent_kafka.admin import OffsetSpec

        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        return self._offsets({part: OffsetSpec.latest() for part in parts}, isolation_level=level)

    def since(self, stamps: Mapping[Part, int]) -> dict[Part, Found | Trouble]:
        """The first record of each partition whose timestamp is this (ms) or later."""
        from confluent_kafka.admin import OffsetSpec

        return self._offsets({part: OffsetSpec.for_timestamp(stamp) for part, stamp in stamps.items()})

    def committed(self, group: str, parts: Iterable[Part]) -> dict[Part, int | None] | Trouble:
        """The next record that the group will read; `None` where it has committed nothing."""
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*part) for part in parts])
        futures = self._ask(self._client.list_consumer_group_offsets, [asked])
        return self._result(futures[group], _committed)

    def exists(self, group: str) -> bool | Trouble:
        """Whether the cluster knows the group."""
        from confluent_kafka import ConsumerGroupState

        future = self._ask(self._client.describe_consumer_groups, [group])[group]
        found = self._result(future, lambda told: bool(told.state != ConsumerGroupState.DEAD))
        return False if isinstance(found, Trouble) and found.name == "GROUP_ID_NOT_FOUND" else found

    def _offsets(self, asked: Mapping[Part, Any], **how: Any) -> dict[Part, Found | Trouble]:
        from confluent_kafka import TopicPartition

        specs = {TopicPartition(*part): spec for part, spec in asked.items()}
        futures = self._ask(self._client.list_offsets, specs, **how) if specs else {}
        found = {Part(at.topic, at.partition): self._result(future, _found) for at, future in futures.items()}
        return self._some(found)

    def _some(self, found: dict[Key, Answer | Trouble]) -> dict[Key, Answer | Trouble]:
        """The same, unless no part of the question was answered by anybody."""
        away = [entry.text for entry in found.values() if isinstance(entry, Trouble) and entry.name in _AWAY]
        if away and len(away) == len(found):
            raise Unreachable(self._why(away[0]))
        return found

    def _ask(self, question: Callable[..., dict[Any, "Future[Any]"]], *what: Any, **how: Any) -> dict[Any, Any]:
        try:
            return question(*what, request_timeout=self._seconds, **how)
        except (self._failed, ValueError) as error:
            raise Unreachable(self._why(str(error))) from None

    def _result(self, future: "Future[Any]", read: Callable[[Any], Answer]) -> Answer | Trouble:
        """What came of one part of a question. Raises `Unreachable` where nobody answered at all."""
        try:
            return read(future.result())
        except self._failed as error:
            trouble = _trouble(error)
            if trouble.name in _NOBODY:
                raise Unreachable(self._why(trouble.text)) from None
            return trouble

    def _why(self, text: str) -> str:
        """The reason behind a time-out, which by itself says little."""
        self._client.poll(0)
        return f"{text} ({self._said[-1]})" if self._said else text


_NOBODY = {"_TRANSPORT", "_ALL_BROKERS_DOWN", "_AUTHENTICATION", "_SSL", "_RESOLVE", "_DESTROY"}
_AWAY = {"_TIMED_OUT", "LEADER_NOT_AVAILABLE", "BROKER_NOT_AVAILABLE", "REQUEST_TIMED_OUT", "_WAIT_COORD"}


def _trouble(error: Exception) -> Trouble:
    told = error.args[0]
    return Trouble(told.name(), told.str())


def _topic(told: Any) -> Topic:
    # Brokers before 2.8 know no identity, and say zero.
    name = "" if told.topic_id is None or not any(_bits(told.topic_id)) else str(told.topic_id)
    return Topic(name, {one.id: (len(one.replicas), len(one.isr)) for one in told.partitions})


def _bits(uuid: Any) -> tuple[int, int]:
    return uuid.get_most_significant_bits(), uuid.get_least_significant_bits()


def _values(told: Any) -> dict[str, str]:
    return {name: entry.value for name, entry in told.items()}


def _found(told: Any) -> Found:
    return Found(told.offset, told.timestamp)


def _committed(told: Any) -> dict[Part, int | None]:
    parts = told.topic_partitions
    return {Part(one.topic, one.partition): None if one.offset == NO_OFFSET else one.offset for one in parts}
