"""What to do now, the most urgent first, with commands to be copied.

Names in commands are quoted for a shell; what is not known stands there in capitals.
"""

from collections.abc import Callable, Iterator
from shlex import quote

from reconciler.core import advice, room
from reconciler.core.cases import Incident
from reconciler.core.notices import Step
from reconciler.core.pipelines import Queue
from reconciler.core.scene import BROKERS, Scene
from reconciler.core.times import DAY, SECOND, format_duration, format_time, to_datetime
from reconciler.core.verdicts import Evidence
from reconciler.core.wording import clock, short

NAMED = 3
"""Reporters and queues that get a command of their own."""
PARTITIONS = 50
"""Offsets that fit into a command; a topic of more partitions is set back by time."""

Steps = Iterator[Step]


def steps(incident: Incident, scene: Scene) -> list[Step]:
    """What to do about an incident; once it is over: nothing."""
    if incident.status == "resolved":
        return []
    made = _MADE.get(incident.kind, _advised)
    return list(made(incident, scene))


def _advised(incident: Incident, scene: Scene) -> Steps:
    command = f"reconciler incidents show {incident.id}" if incident.id else ""
    yield Step(advice.advice(incident, scene.pipeline, scene.now), command)


def _at_risk(incident: Incident, scene: Scene) -> Steps:
    if incident.unseen:
        yield Step(
            "Look at the queue again: ask its connector by hand, and mend it.", "reconciler check-config --connect"
        )
    queues = scene.queues_of(incident.hop)[:NAMED]
    for queue in queues:
        yield raise_retention(queue, scene)
    if not queues:
        yield from _advised(incident, scene)
    if Evidence.SKIPPED in incident.evidence:
        for queue in queues:
            yield rewind(queue, incident, scene)
    elif Evidence.FORECAST in incident.evidence:
        yield from (restart(queue) for queue in queues)


def _loss(incident: Incident, scene: Scene) -> Steps:
    if incident.mechanism == "deleted":
        queues = scene.queues_of(incident.hop)[:NAMED]
        yield from (raise_retention(queue, scene) for queue in queues)
        if scene.unread(incident.hop):
            yield from (restart(queue) for queue in queues)
    else:
        yield Step(advice.advice(incident, scene.pipeline, scene.now), _where(incident))
    yield Step(
        "Find out who can send what again, how, and by when.",
        f"reconciler replay plan --incident {incident.id} --author NAME",
    )
    yield Step(
        "Tell those whose events are lost what they can do: a draft for each way of sending again.",
        f"reconciler incidents draft {incident.id}",
    )
    yield Step(
        "Once all that can come again has come, say that it is over.",
        f"reconciler incidents close {incident.id} --author NAME --reason REASON",
    )


def _where(incident: Incident) -> str:
    """The command that shows more of a loss, by how it came about."""
    until = max(incident.until, incident.since + 1)  # one that covers no bucket yet
    span = f"--pipeline {quote(incident.pipeline)} --from {format_time(incident.since)} --to {format_time(until)}"
    compared = {"digest": f"reconciler missing --ids {span}", "shrunk": f"reconciler missing {span}"}
    return compared.get(incident.mechanism, f"reconciler incidents show {incident.id}")


def _delay(incident: Incident, scene: Scene) -> Steps:
    queues = scene.queues_of(incident.hop)[:NAMED]
    yield from (restart(queue) for queue in queues)
    if not queues:
        yield from _advised(incident, scene)


def _missing(incident: Incident, scene: Scene) -> Steps:
    pipeline = scene.pipeline.name
    for stage, name in scene.silent[:NAMED]:
        who = f"reporter {short(name)}" if name else "the only reporter"
        yield Step(f"Restart {who} of stage {stage}, or find out why it does not report.")
    for stage, name in scene.silent[:1]:
        where = f"--pipeline {quote(pipeline)} --stage {quote(stage)}"
        yield Step(
            "If it has ended for good, say so: then nobody waits for it.",
            f"reconciler reporters retire {quote(name)} {where} --author NAME --reason REASON",
        )
    if incident.mechanism != "missing_counts":
        yield Step("Ask the connector by hand, and mend what it says.", "reconciler check-config --connect")
    else:
        yield Step("See who is missing, and since when.", "reconciler reporters list --missing")


def _policy(incident: Incident, scene: Scene) -> Steps:
    queue = scene.pipeline.queues.get(incident.hop)
    if queue is None:
        yield from _advised(incident, scene)
    else:
        yield policy(queue, incident.mechanism, scene)


def policy(queue: Queue, mechanism: str, scene: Scene) -> Step:
    """Bring a queue back to the part of its policy that it breaks."""
    if mechanism == "retention":
        return raise_retention(queue, scene)
    topic = queue.topic or queue.name
    look = f"kafka-topics --bootstrap-server {_brokers(queue)} --describe --topic {quote(topic)}"
    if mechanism == "in_sync":
        text = f"See which brokers are behind with {topic}, and bring them back."
        return Step(text, f"{look} --under-replicated-partitions")
    wanted = f" its {queue.policy.replicas}" if queue.policy.replicas else ""
    return Step(f"Give {topic}{wanted} copies again: see where they lie now, then reassign its partitions.", look)


def raise_retention(queue: Queue, scene: Scene) -> Step:
    """To what the policy says; without one, to a week."""
    wanted = queue.policy.retention or 7 * DAY
    told = f"its policy of {format_duration(wanted)}" if queue.policy.retention else format_duration(wanted)
    text = f"Raise the retention of {queue.topic or queue.name} to {told}. {_disk(queue, scene)}"
    command = (
        f"kafka-configs --bootstrap-server {_brokers(queue)} --alter --entity-type topics --entity-name "
        f"{quote(queue.topic or queue.name)} --add-config retention.ms={wanted * 1000 // SECOND}"
    )
    return Step(text, command)


def _disk(queue: Queue, scene: Scene) -> str:
    ledger = scene.queues.get(queue.name)
    rate = ledger.written_per_second(scene.now) if ledger else 0.0
    if not (queue.record_bytes and rate and queue.policy.retention):
        return "Check the free disk first."
    size = rate * queue.record_bytes * queue.policy.retention / SECOND
    return f"At the present rate that takes {_size(size)} of disk for each copy; check that it is free."


def _size(size: float) -> str:
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 1000:
            return f"{size:.3g} {unit}"
    return f"{size / 1000:,.3g} PB"


def rewind(queue: Queue, incident: Incident, scene: Scene) -> Step:
    """Set the consumer back to the first record of the incident, partition by partition where that is known."""
    group = queue.group or "GROUP"
    since = clock(incident.since, scene.now)
    text = f"Stop the consumers of group {group}, set it back to before {since}, and let it read again."
    command = f"kafka-consumer-groups --bootstrap-server {_brokers(queue)} --group {quote(group)} --reset-offsets"
    topic = queue.topic or queue.name
    ledger = scene.queues.get(queue.name)
    offsets = ledger.offsets_at(incident.since) if ledger else {}
    if 0 < len(offsets) <= PARTITIONS:
        lines = " ".join(quote(f"{topic},{number},{offset}") for number, offset in offsets.items())
        return Step(text, f"printf '%s\\n' {lines} > offsets.csv && {command} --from-file offsets.csv --execute")
    moment = f"{to_datetime(incident.since):%Y-%m-%dT%H:%M:%S}.000"
    return Step(text, f"{command} --topic {quote(topic)} --to-datetime {moment} --execute")


def restart(queue: Queue) -> Step:
    """Let what is unread be read, and nothing be jumped over."""
    group = queue.group or "GROUP"
    return Step(
        f"Get the consumer of {queue.topic or queue.name} going, from its committed offset, never from the newest.",
        f"kafka-consumer-groups --bootstrap-server {_brokers(queue)} --group {quote(group)} --describe",
    )


def _brokers(queue: Queue) -> str:
    return quote(queue.bootstrap) if queue.bootstrap else BROKERS


def _low_volume(incident: Incident, scene: Scene) -> Steps:
    yield from _advised(incident, scene)
    worst = sorted(source for source, share in incident.shares.items() if share.bad)[:1]
    for source in worst:
        where = f"--pipeline {quote(scene.pipeline.name)}"
        yield Step("See what is usual for a source.", f"reconciler model show {quote(source)} {where}")


def _replay(incident: Incident, scene: Scene) -> Steps:
    show = f"reconciler replay show {quote(incident.hop)}"
    yield Step("See who still has to send what, and ask them while they can.", show)
    done = f"reconciler replay close {quote(incident.hop)} --author NAME --reason REASON"
    yield Step("Or say that what has not come is final.", done)


_MADE: dict[str, Callable[[Incident, Scene], Steps]] = {
    "at_risk": _at_risk,
    "loss": _loss,
    "delay": _delay,
    "missing_counts": _missing,
    "queue_policy": _policy,
    "low_volume": _low_volume,
    "capacity": room.steps,
    "replay": _replay,
}
