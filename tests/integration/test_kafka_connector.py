"""The Kafka connector against a broker: what changes under it, what is refused, and the incident itself."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from reconciler.collect import collect
from reconciler.connectors.kafka import KafkaConnector, Options, build
from reconciler.core.observations import FOREVER, Count, Progress, QueueSample, Refusal
from reconciler.core.pipelines import Hop, Pipeline, Policy, Queue
from reconciler.core.times import DAY, MINUTE, SECOND, Micros, format_time, parse_time
from reconciler.ports import ConnectorFailed, Store
from reconciler.service import judge
from reconciler.store import open_store
from tests.servers.kafka import PASSWORD, Broker, second_broker, until

NOW = parse_time("2021-07-20T18:50:00Z")
HOP = Hop("ingress", "processed")
QUEUE = Queue("batch-events", HOP, Policy(7 * DAY, 2), sampler="kafka", sampled_every=MINUTE)
PIPELINES = {"batch": Pipeline("batch", ("ingress", "processed"), queues={"batch-events": QUEUE}, alert=True)}
CANNOT_SEEK = "the emulator that stands in for Apache Kafka has no passwords and no identities of topics"


@pytest.fixture
def apache(broker: Broker) -> Broker:
    """For what the emulator cannot do."""
    if not broker.real:
        pytest.skip(CANNOT_SEEK)
    return broker


def connector(broker: Broker, topic: str, group: str | None = None, **changes: Any) -> KafkaConnector:
    queue = {"topic": topic, "group": group} | changes.pop("queue", {})
    options = {"pipeline": "batch", "bootstrap": broker.bootstrap, "queues": {"batch-events": queue}} | changes
    return build("kafka", Options.model_validate(options), PIPELINES)


def look(asked: KafkaConnector, now: Micros = NOW) -> tuple[list[QueueSample], list[str]]:
    """Samples, and refusals as text."""
    said = list(asked.collect(now, now + MINUTE, now))
    return (
        [entry for entry in said if isinstance(entry, QueueSample)],
        [str(entry) for entry in said if isinstance(entry, Refusal)],
    )


def stamps(number: int, start: str = "2021-07-20T18:40:00Z", step: int = 1000) -> list[int]:
    return [parse_time(start) // 1000 + step * place for place in range(number)]


def test_ages_retention_and_copies_are_read_with_the_offsets(broker: Broker) -> None:
    topic = broker.topic(retention_ms=DAY // 1000 * 36_500, retention_bytes=10**9)
    broker.write(topic, stamps(100))
    broker.commit(f"{topic}-g", topic, {0: 40})
    (sample,), refused = look(connector(broker, topic, f"{topic}-g"))
    assert refused == []
    assert (sample.start_offset, sample.end_offset, sample.committed_offset) == (0, 100, 40)
    assert sample.oldest_at == parse_time("2021-07-20T18:40:00Z")
    assert sample.committed_at is not None
    assert abs(sample.committed_at - parse_time("2021-07-20T18:40:40Z")) <= SECOND
    assert (sample.retention, sample.retention_bytes) == (36_500 * DAY, 10**9)
    assert (sample.replicas, sample.in_sync_replicas, sample.exact) == (1, 1, True)


def test_a_topic_without_settings_of_its_own_has_those_of_the_cluster(broker: Broker) -> None:
    (sample,), _ = look(connector(broker, broker.topic()))
    assert (sample.retention, sample.retention_bytes) == (7 * DAY, None)


def test_an_empty_topic_has_no_ages_and_nothing_unread(broker: Broker) -> None:
    (sample,), refused = look(connector(broker, broker.topic(retention_ms=-1)))
    assert refused == []
    assert (sample.start_offset, sample.end_offset, sample.committed_offset) == (0, 0, None)
    assert (sample.oldest_at, sample.committed_at, sample.retention) == (None, None, FOREVER)


def test_two_groups_that_stand_at_different_places_are_dated_each(broker: Broker) -> None:
    topic = broker.topic(retention_ms=-1)
    broker.write(topic, stamps(100))
    broker.commit(f"{topic}-slow", topic, {0: 10})
    broker.commit(f"{topic}-fast", topic, {0: 90})
    queues = {"batch-events": {"topic": topic, "group": f"{topic}-slow"}}
    queues["other"] = {"topic": topic, "group": f"{topic}-fast"}
    samples, _ = look(connector(broker, topic, queues=queues))
    start = parse_time("2021-07-20T18:40:00Z")
    dates = {sample.queue: ((sample.committed_at or 0) - start) / SECOND for sample in samples}
    assert dates == {"batch-events": pytest.approx(10, abs=1), "other": pytest.approx(90, abs=1)}
    (sample,), _ = look(connector(broker, topic, f"{topic}-slow", dated=0))
    assert sample.committed_at is None


def test_only_where_one_record_is_one_event_offsets_are_proof(broker: Broker) -> None:
    compacted = broker.topic(cleanup_policy="compact")
    (sample,), _ = look(connector(broker, compacted))
    assert (sample.exact, sample.retention) == (False, FOREVER)
    (sample,), _ = look(connector(broker, broker.topic(), queue={"exact": False}))
    assert sample.exact is False


def test_a_transaction_that_is_not_over_is_seen(apache: Broker) -> None:
    topic = apache.topic(retention_ms=-1)
    producer = Producer({"bootstrap.servers": apache.bootstrap, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"event")
    producer.flush(30)
    (sample,), _ = look(connector(apache, topic))
    assert (sample.end_offset, sample.exact) == (1, False)
    producer.abort_transaction(30)


def test_a_group_that_does_not_exist_is_named_and_has_read_nothing(broker: Broker) -> None:
    topic = broker.topic(retention_ms=-1)
    broker.write(topic, stamps(3))
    (sample,), refused = look(connector(broker, topic, "nobody"))
    assert sample.committed_offset is None
    assert refused == ["group nobody: is not known to the cluster, so that nothing counts as read"]


def test_a_topic_that_does_not_exist_is_named_and_not_made_and_the_others_are_read(broker: Broker) -> None:
    topic = broker.topic()
    asked = connector(broker, topic, queues={"batch-events": {"topic": topic}, "gone": {"topic": "nowhere"}})
    samples, refused = look(asked)
    assert [sample.queue for sample in samples] == ["batch-events"]
    assert len(refused) == 1
    assert refused[0].startswith("topic nowhere: ")
    assert "nowhere" not in broker.admin.list_topics(timeout=10).topics


def test_a_topic_that_vanishes_is_no_queue_that_is_empty(broker: Broker) -> None:
    topic = broker.topic()
    asked = connector(broker, topic)
    assert len(look(asked)[0]) == 1
    broker.admin.delete_topics([topic])[topic].result()
    until(lambda: look(asked)[0] == [])
    assert look(asked)[1][0].startswith(f"topic {topic}: ")


def test_a_topic_that_is_made_again_begins_a_new_ledger_of_offsets(apache: Broker) -> None:
    topic = apache.topic(retention_ms=-1)
    apache.write(topic, stamps(5))
    ((before,), _) = look(connector(apache, topic))
    apache.admin.delete_topics([topic])[topic].result()
    until(lambda: topic not in apache.admin.list_topics(timeout=10).topics)
    apache.make(topic)
    ((after,), _) = look(connector(apache, topic))
    assert after.end_offset == 0
    assert None not in (before.epoch, after.epoch)
    assert before.epoch != after.epoch


def test_partitions_that_appear_are_seen_in_the_next_cycle(broker: Broker) -> None:
    topic = broker.topic(1)
    assert len(look(connector(broker, topic))[0]) == 1
    broker.admin.create_partitions([NewPartitions(topic, 3)])[topic].result()
    until(lambda: len(look(connector(broker, topic))[0]) == 3)
    assert [sample.partition for sample in look(connector(broker, topic))[0]] == [0, 1, 2]


def test_partitions_whose_broker_is_away_are_named_and_the_others_are_read(apache: Broker) -> None:
    with second_broker(apache) as number:
        alone, copied = f"{apache.topic()}-alone", f"{apache.topic()}-copied"
        here_and_there = [NewTopic(alone, 2, replica_assignment=[[1], [number]])]
        both = [NewTopic(copied, 1, replica_assignment=[[1, number]])]
        for future in apache.admin.create_topics(here_and_there + both).values():
            future.result()
        queues = {"batch-events": {"topic": alone}, "copied": {"topic": copied}}
        asked = connector(apache, alone, queues=queues, timeout="2s")
        until(lambda: [(sample.queue, sample.in_sync_replicas) for sample in look(asked)[0]][2:] == [("copied", 2)])
        assert look(asked)[1] == []
    seen: list[tuple[list[QueueSample], list[str]]] = []

    def noticed() -> bool:
        """Whether the cluster has noticed; until then the dead broker may be asked, and all fails."""
        with suppress(ConnectorFailed):
            seen.append(look(asked))
        return bool(seen) and [sample.in_sync_replicas for sample in seen[-1][0]] == [1, 1]

    until(noticed)
    samples, refused = seen[-1]
    assert [(sample.queue, sample.partition, sample.replicas) for sample in samples] == [
        ("batch-events", 0, 1),
        ("copied", 0, 2),
    ]
    assert {line.rpartition(" (")[2] for line in refused} == {"1 partitions: 1)"}
    assert all(line.startswith(f"topic {alone}: ") for line in refused)


def test_brokers_that_take_the_question_and_never_answer_are_a_failure_within_the_time_out() -> None:
    # The mock cluster of librdkafka: it has topics and no controller that describes them.
    mock = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "unused:1", "log_level": 0})
    brokers = mock.list_topics(timeout=10).brokers.values()
    queues = {"batch-events": {"topic": "events"}}
    bootstrap = ",".join(f"{one.host}:{one.port}" for one in brokers)
    options = {"pipeline": "batch", "bootstrap": bootstrap, "queues": queues, "timeout": "1s"}
    with pytest.raises(ConnectorFailed, match="(?i)timed out"):
        look(build("kafka", Options.model_validate(options), PIPELINES))


def guarded(broker: Broker, user: str, topic: str, group: str) -> KafkaConnector:
    login = {"sasl.mechanism": "PLAIN", "sasl.username": user, "sasl.password": PASSWORD}
    properties = {"security.protocol": "SASL_PLAINTEXT", **login}
    return connector(broker, topic, group, bootstrap=broker.guarded, properties=properties)


def test_the_rights_that_are_printed_are_enough(apache: Broker) -> None:
    topic = apache.topic(retention_ms=-1)
    apache.write(topic, stamps(10))
    apache.commit(f"{topic}-g", topic, {0: 4})
    asked = guarded(apache, "reconciler", topic, f"{topic}-g")
    rules = [rule for line in asked.permissions() for rule in rules_of(line)]
    assert {rule.operation for rule in rules} == {AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS}
    for future in apache.admin.create_acls(rules).values():
        future.result()
    until(lambda: look(asked)[1] == [])
    ((sample,), _) = look(asked)
    ((wanted,), _) = look(connector(apache, topic, f"{topic}-g"))
    assert sample == wanted


def rules_of(line: str) -> Iterator[AclBinding]:
    """The rules that a printed command would make."""
    words = [word.strip("'") for word in line.split()]
    kind = ResourceType.TOPIC if "--topic" in words else ResourceType.GROUP
    names = {"Describe": AclOperation.DESCRIBE, "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS}
    who = words[words.index("--allow-principal") + 1]
    for place, word in enumerate(words):
        if word == "--operation":
            how = (who, "*", names[words[place + 1]], AclPermissionType.ALLOW)
            yield AclBinding(kind, words[-1], ResourcePatternType.LITERAL, *how)


def test_rights_that_do_not_suffice_are_named_and_nothing_is_made_up(apache: Broker) -> None:
    topic = apache.topic(retention_ms=-1)
    samples, refused = look(guarded(apache, "stranger", topic, "readers"))
    assert samples == []
    assert len(refused) == 1
    assert refused[0].startswith(f"topic {topic}: ")
    assert "authorization failed" in refused[0].lower()
    assert "check-config --permissions" in refused[0]


def test_a_group_that_may_not_be_seen_is_no_group_that_has_read_nothing(apache: Broker) -> None:
    topic = apache.topic(retention_ms=-1)
    asked = guarded(apache, "stranger", topic, "readers")
    rule = AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:stranger", "*",
        AclOperation.DESCRIBE, AclPermissionType.ALLOW,
    )  # fmt: skip
    apache.admin.create_acls([rule])[rule].result()
    until(lambda: not look(asked)[1][0].startswith(f"topic {topic}: "))
    samples, refused = look(asked)
    assert samples == []
    assert [line.partition(":")[0] for line in refused] == [f"settings of topic {topic}", "group readers"]


def test_a_wrong_password_is_a_failure_that_says_so_and_not_the_password(apache: Broker) -> None:
    login = {"sasl.mechanism": "PLAIN", "sasl.username": "reconciler", "sasl.password": "wrong-and-secret"}
    properties = {"security.protocol": "SASL_PLAINTEXT", **login}
    with pytest.raises(ConnectorFailed, match="(?i)authentication") as caught:
        look(connector(apache, "events", bootstrap=apache.guarded, properties=properties, timeout="2s"))
    assert "wrong-and-secret" not in caught.value.message


def test_a_property_that_does_not_exist_is_a_failure_that_names_it(broker: Broker) -> None:
    with pytest.raises(ConnectorFailed, match="no.such.thing"):
        look(connector(broker, "events", properties={"no.such.thing": True}))


class Story:
    """Minutes of 100 events each, from ingress through a topic to a consumer, as a ledger and its judge see them."""

    def __init__(self, broker: Broker, store: Store) -> None:
        self.broker, self.store = broker, store
        # A segment a minute: Kafka deletes whole segments.
        self.topic = broker.topic(retention_ms=-1, segment_ms=50_000)
        self.group = f"{self.topic}-g"
        self.lines: list[dict[str, Any]] = []

    def minute(self, start: Micros, *, consumer: bool) -> None:
        """Let a minute pass: written, perhaps read, counted, sampled, judged."""
        self.broker.write(self.topic, [start // 1000 + 100 * place for place in range(100)])
        now = start + MINUTE
        if consumer:
            end = 100 * ((start - parse_time("2021-07-20T18:40:00Z")) // MINUTE + 1)
            self.broker.commit(self.group, self.topic, {0: end})
        for stage, outcome, counted in (("ingress", "accepted", True), ("processed", "processed", consumer)):
            said: list[Count | Progress] = [Progress(now, "batch", stage, now, stage)]
            if counted:
                said.insert(0, Count(now, "batch", stage, "a", start, 100, outcome, stage))
            self.store.record(said, PIPELINES)
        self.look(now)

    def look(self, now: Micros) -> None:
        """One tick."""
        (done,) = collect(self.store, [connector(self.broker, self.topic, self.group)], PIPELINES, now)
        assert (done.failure, done.refused) == (None, ())
        self.lines += judge(self.store, PIPELINES["batch"], now, every=True)

    def keep_only_since(self, cut: str) -> None:
        """Shorten the retention so that what is older is deleted, and wait until that has happened."""
        if self.broker.real:
            span = self.broker.clock() - parse_time(cut) // 1000
            setting = ConfigEntry("retention.ms", str(span), incremental_operation=AlterConfigOpType.SET)
            resource = ConfigResource(ConfigResource.Type.TOPIC, self.topic, incremental_configs=[setting])
            self.broker.admin.incremental_alter_configs([resource])[resource].result()
        else:  # the emulator knows no segments, and is told what to delete
            first = (parse_time(cut) - parse_time("2021-07-20T18:40:00Z")) // MINUTE + 1
            place = TopicPartition(self.topic, 0, 100 * first)
            self.broker.admin.delete_records([place])[place].result()
        until(lambda: look(connector(self.broker, self.topic))[0][0].start_offset != 0)

    def last(self, kind: str) -> dict[str, dict[str, Any]]:
        """What was said last of each bucket, or of each kind of incident."""
        key = "bucket" if kind == "verdict" else "kind"
        return {line[key]: line for line in self.lines if line["type"] == kind}


@pytest.fixture
def story(broker: Broker, sqlite_ledger: str) -> Iterator[Story]:
    store = open_store(sqlite_ledger)
    yield Story(broker, store)
    store.close()


def test_exactly_the_deleted_unread_records_are_reported_as_expired(story: Story) -> None:
    start = parse_time("2021-07-20T18:40:00Z")
    for minute in range(10):
        story.minute(start + minute * MINUTE, consumer=minute < 5)
    assert "lost" not in {line["verdict"] for line in story.last("verdict").values()}
    # Minutes 40 to 47 go; of these 45, 46 and 47 have not been read.
    story.keep_only_since("2021-07-20T18:47:11Z")
    for minute in (11, 12):
        story.look(start + minute * MINUTE)
    cells = story.last("verdict")
    lost = {bucket: line["lost"] for bucket, line in cells.items() if line["lost"]}
    assert lost == {format_time(start + minute * MINUTE): 100 for minute in (5, 6, 7)}
    assert all("queue_expired" in cells[bucket]["evidence"] for bucket in lost)
    assert all(cells[format_time(start + minute * MINUTE)]["verdict"] == "complete" for minute in range(5))
    retained = {minute: cells[format_time(start + minute * MINUTE)]["retained"] for minute in (8, 9)}
    assert retained == {8: 100, 9: 100}
    loss = story.last("incident")["loss"]
    assert (loss["lost"], loss["sources"], loss["severity"]) == (300, ["a"], "page")


def test_a_broker_that_goes_away_is_told_by_the_name_of_its_connector(story: Story) -> None:
    start = parse_time("2021-07-20T18:40:00Z")
    for minute in range(3):
        story.minute(start + minute * MINUTE, consumer=minute < 2)
    away = connector(story.broker, story.topic, story.group, bootstrap="127.0.0.1:1", timeout="1s")
    for minute in range(4, 8):
        now = start + minute * MINUTE
        (done,) = collect(story.store, [away], PIPELINES, now)
        assert done.failure is not None
        for stage in ("ingress", "processed"):
            story.store.record([Progress(now, "batch", stage, now, stage)], PIPELINES)
        story.lines += judge(story.store, PIPELINES["batch"], now, every=True)
        told = [line for line in story.lines if line["type"] == "incident" and line["kind"] == "missing_counts"]
        assert bool(told) == (minute >= 6), "three intervals after the last sample"
    assert "batch-events has not been sampled by kafka lately" in told[0]["summary"]
    unread = story.last("verdict")[format_time(start + 2 * MINUTE)]
    assert unread["verdict"] in {"delayed", "pending"}
    assert (unread["lost"], unread["retained"], unread["unproven"] + unread["in_flight"]) == (0, 0, 100)
