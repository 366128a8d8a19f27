"""Every kind of incident as the engine would tell of it, on the evening of 20 July 2021."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reconciler.core.alarms import alive, blind, ledger_away, observed
from reconciler.core.cases import Incident, Share
from reconciler.core.dearth import Limits
from reconciler.core.dearth import notices as shortages
from reconciler.core.engine import Engine
from reconciler.core.notices import Notice, notice_of
from reconciler.core.objectives import Standing
from reconciler.core.observations import Capacity, QueueSample
from reconciler.core.outbox import Entry, digest
from reconciler.core.pipelines import Hop, Pipeline, Policy, Queue
from reconciler.core.queues import QueueLedger
from reconciler.core.scene import Scene
from reconciler.core.threats import Watched, notices
from reconciler.core.times import DAY, HOUR, MINUTE, Micros, parse_time
from reconciler.core.verdicts import Evidence

NOW: Micros = parse_time("2021-07-20T19:10:00Z")
STOPPED: Micros = parse_time("2021-07-20T18:45:00Z")
HOP = "ingress>processed"
URL = "https://reconciler.example.com"
QUEUE = Queue(
    "batch-events", Hop("ingress", "processed"), Policy(7 * DAY, 3), topic="events.batch", group="batch-processor",
    bootstrap="kafka-1:9092", record_bytes=900,
)  # fmt: skip
BATCH = Pipeline(
    "batch", ("ingress", "processed"), hops=(Hop("ingress", "processed"),), queues={"batch-events": QUEUE}, alert=True,
    runbooks={"default": "https://wiki.example.com/runbooks/batch"},
)  # fmt: skip
STANDING = Standing("batch", "", 0.9999, 30 * DAY, 43_200_000, 150_000, ())
RATES = {
    "partner/segment": 10_000, "partner/mparticle": 6_000, "direct/acme": 5_000, "vacuum/acme": 4_000,
    "partner/braze": 3_000, "partner/rudderstack": 2_000,
}  # fmt: skip


def ledger(*, moving: bool = False, until: Micros = NOW, kept: Micros = 20 * MINUTE) -> QueueLedger:
    """The queue of the evening: 30,000 records a minute, read until 18:45, or all along."""
    built = QueueLedger(QUEUE, MINUTE)
    begin = STOPPED - HOUR
    for at in range(begin, until + 1, MINUTE):
        end = (at - begin) // MINUTE * 30_000
        read = end if moving else min(end, 60 * 30_000)
        start = max(0, end - kept // MINUTE * 30_000)
        seen_at = begin + max(read, start) // 30_000 * MINUTE
        built.observe(
            QueueSample(at, "batch", "batch-events", 0, start, end, read, None, at - kept, seen_at, kept, replicas=3,
                        in_sync_replicas=3)
        )  # fmt: skip
    return built


def scene(**more: Any) -> Scene:
    """As of ten past seven."""
    return Scene(BATCH, **{"now": NOW, "queues": {"batch-events": ledger()}, "standing": STANDING} | more)  # type: ignore[arg-type]  # tests name what they need


def incident(kind: str, how: str = "", /, **more: Any) -> Incident:
    """One with six sources, from 18:45 to 18:50."""
    lost = kind == "loss"
    shares = {name: Share(5, 5 * rate if lost else 0, 5 * rate, 5 * rate) for name, rate in RATES.items()}
    values: dict[str, Any] = {
        "status": "open", "opened_at": NOW, "since": STOPPED, "until": STOPPED + 5 * MINUTE, "shares": shares,
        "severity": "page" if kind in {"loss", "at_risk"} else "ticket",
    }  # fmt: skip
    name = f"{kind.replace('_', '-')}-0a1b2c3d4e5f"
    return Incident(name, "batch", more.pop("hop", HOP), kind, how or kind, STOPPED, **(values | more))


def condition(kind: str, subject: str, how: str, detail: str, **more: Any) -> Incident:
    """One that no cell shows."""
    return incident(kind, how, **({"hop": subject, "detail": detail, "shares": {}, "since": NOW, "until": NOW} | more))


def told(one: Incident, seen: Scene | None = None, said: dict[str, object] | None = None) -> Notice:
    """As people are told of it."""
    one.said = said or {}
    return notice_of(Engine(BATCH).line(one, seen or scene()), public_url=URL)


def by(author: str, reason: str, **more: str) -> dict[str, Any]:
    """What somebody said."""
    return {"author": author, "at": "2021-07-20T19:12:00Z", "reason": reason, **more}


def losses() -> Iterator[tuple[str, Notice]]:
    """Loss in all its ways."""
    deleted = Evidence.QUEUE_EXPIRED
    yield "loss-deleted", told(incident("loss", "deleted", evidence=deleted, follows="at-risk-0a1b2c3d4e5f"))
    yield "loss-deleted-growing", told(
        incident("loss", "deleted", evidence=deleted, status="updated"),
        said={"lost": 30_000, "sources": 4, "severity": "ticket"},
    )  # fmt: skip
    yield (
        "loss-whose-is-not-known",
        told(incident("loss", "deleted", evidence=deleted, shares={}, unplaced=150_000, until=STOPPED)),
    )
    yield (
        "loss-acknowledged",
        told(incident("loss", "deleted", evidence=deleted, status="updated", acknowledged=by("ann", "on it"))),
    )
    calm = scene(queues={"batch-events": ledger(moving=True)})
    yield "loss-not-enqueued", told(incident("loss", "not_enqueued", evidence=Evidence.NOT_ENQUEUED), calm)
    yield "loss-shrunk", told(incident("loss", "shrunk", evidence=Evidence.SHRUNK), calm)
    few = {"direct/acme": Share(1, 3, 3, 5_000)}
    yield "loss-digest", told(incident("loss", "digest", evidence=Evidence.DIGEST, shares=few, severity="ticket"), calm)
    yield "loss-inferred", told(incident("loss", "inferred", evidence=Evidence.OVERTAKEN), calm)
    none = {name: Share(0, 0, 0, 0) for name in RATES}
    yield (
        "loss-recovered",
        told(
            incident("loss", "deleted", evidence=deleted, status="resolved", shares=none),
            calm,
            {"lost": 150_000, "sources": 6, "severity": "page"},
        ),
    )
    yield "loss-closed", told(
        incident("loss", "deleted", evidence=deleted, status="resolved", closed=by("ann", "the rest cannot come")),
        replace(calm, now=NOW + 12 * DAY),
    )  # fmt: skip


def others() -> Iterator[tuple[str, Notice]]:
    """What is not lost, or not yet."""
    early = scene(now=STOPPED + 3 * MINUTE, queues={"batch-events": ledger(until=STOPPED + 3 * MINUTE)})
    risk: dict[str, Any] = {"evidence": Evidence.FORECAST, "loss_at": STOPPED + 20 * MINUTE}
    yield "at-risk", told(incident("at_risk", **risk), early)
    yield "at-risk-deleting", told(incident("at_risk", **risk, status="updated"))
    skipped = Evidence.SKIPPED | Evidence.FORECAST
    yield "at-risk-skipped", told(incident("at_risk", evidence=skipped, loss_at=STOPPED + 20 * MINUTE), early)
    watched = {"batch-events": ledger(moving=True, until=STOPPED + 15 * HOUR)}
    over = scene(now=STOPPED + 15 * HOUR, queues=watched, lost_beside="loss-0a1b2c3d4e5f")
    none = {name: Share() for name in RATES}
    yield (
        "at-risk-over",
        told(incident("at_risk", **risk, status="resolved", shares=none, until=STOPPED + 14 * HOUR), over),
    )
    unseen: dict[str, Any] = risk | {"unseen": True, "status": "updated"}
    yield "at-risk-queue-seen-no-more", told(incident("at_risk", **unseen), replace(early, now=NOW - 10 * MINUTE))
    closed = unseen | {"status": "resolved", "closed": by("ann", "nobody reads it any more")}
    yield "at-risk-closed-unseen", told(incident("at_risk", **closed))
    week = scene(queues={"batch-events": ledger(kept=7 * DAY)})
    yield "delay", told(incident("delay", evidence=Evidence.LAG_EXCEEDED), week)
    yield "delay-nothing-known-of-the-queue", told(incident("delay"), scene(queues={}))
    yield "delay-over", told(incident("delay", status="resolved", shares=none), replace(week, now=STOPPED + 15 * HOUR))
    yield "surplus", told(incident("surplus"))
    one = {"partner/segment": Share(1, 0, 0, 0)}
    seen = "partner/segment: 0 of about 10,000 in 1 min, found by its silence, so rare once in 40 years, on 21 d"
    yield "low-volume", told(incident("low_volume", shares=one, detail=seen))
    share = "partner/segment: 12 % rejected, usually 0.4 %"
    yield "rejects", told(incident("rejects", shares=one, detail=share))
    silent = scene(silent=[("processed", "worker-7"), ("processed", "worker-9")])
    yield "missing-counts", told(incident("missing_counts", evidence=Evidence.NOT_REPORTED), silent)


def conditions() -> Iterator[tuple[str, Notice]]:
    """What concerns no cell."""
    yield (
        "missing-samples",
        told(condition("missing_counts", "batch-events", "unsampled", "has not been sampled by kafka-queues lately")),
    )
    short = "keeps 20 min where the policy is 7 d"
    yield "queue-policy-retention", told(condition("queue_policy", "batch-events", "retention", short))
    yield "queue-policy-over", told(condition("queue_policy", "batch-events", "retention", short, status="resolved"))
    copies = "has 2 replicas where the policy is 3"
    yield "queue-policy-replicas", told(condition("queue_policy", "batch-events", "replicas", copies))
    behind = "has 3 of 24 partitions with replicas out of sync"
    yield "queue-policy-in-sync", told(condition("queue_policy", "batch-events", "in_sync", behind))
    name, ends = "postgres:main/public.events_id_seq", NOW + 9 * HOUR
    text = "ends in about 9 h: 99.1% of 2,147,483,647 is used, about 50,000,000 more a day"
    yield "capacity", told(condition("capacity", name, "used", text, severity="page", loss_at=ends))
    key, ids = "postgres:main/public.events.id", "postgres:main/transaction ids of main"
    yield "capacity-key", told(condition("capacity", key, "used", "is 97% used, of 2,147,483,647", severity="page"))
    aged = condition("capacity", ids, "used", "is 96% used, of 2,144,483,647", severity="page")
    yield "capacity-transaction-ids", told(aged)
    lag = "ends in about 40 min: 80% of 1,000,000 is used, about 5,000,000 more a day"
    disk = condition("capacity", "disk:kafka-1", "used", lag, severity="page", loss_at=NOW + 40 * MINUTE)
    yield "capacity-disk", told(disk)
    unread = "has not been read by limits lately: nothing is known of what is used"
    yield "missing-capacities", told(condition("missing_counts", "postgres:main", "unread_capacity", unread))
    text = "is used up (2,147,483,647 of 2,147,483,647)"
    yield "capacity-used-up", told(condition("capacity", name, "used", text, severity="page", loss_at=NOW - MINUTE))
    text = "are not enough: 1,200 sources beyond the 10,000 are judged together as (overflow)"
    yield "capacity-sources", told(condition("capacity", "sources", "sources", text))
    text = "still lacks 2,628,000 events of partner/braze, which can be sent again until 2021-08-02T06:59:00Z"
    yield "replay", told(condition("replay", "replay-1", "overdue", text, severity="page", loss_at=NOW + 12 * DAY))


def itself() -> Iterator[tuple[str, Notice]]:
    """What the detector tells of itself."""
    late = ["pipeline batch was not judged since 18:45 UTC"]
    yield "self-alarm", blind(late, NOW - 20 * MINUTE, NOW)
    away = "the ledger postgresql://db/reconciler cannot be reached (connection refused); check that the server runs"
    yield "self-alarm-ledger", ledger_away(away, (1, 2), NOW - 20 * MINUTE, NOW)
    watched = Watched(BATCH, ledger(), 0)
    for one in notices(watched, NOW - 20 * MINUTE, NOW):
        yield f"away-{one.kind.replace('_', '-')}", one
    disk = Limits(BATCH)
    for minute in (60, 0):
        disk.observe(Capacity(NOW - minute * MINUTE, "disk:kafka-1", 800_000 - 5_000 * minute, 1_000_000, ()))
    (full,) = shortages(disk, {}, NOW - 20 * MINUTE, NOW)
    yield "away-capacity", full
    yield "watchdog", alive({"batch": NOW, "streaming": NOW - MINUTE}, NOW - DAY, NOW)
    lines = [
        {"opened_at": "2021-07-20T19:10:00Z", "severity": "page", "summary": "batch: 9 events lost", "sources": ["a"]},
        {"opened_at": "2021-07-20T18:47:00Z", "severity": "ticket", "summary": "batch: late", "sources": ["a", "b"]},
    ]  # fmt: skip
    yield "observed", observed("batch", lines, NOW // DAY * DAY, NOW + DAY)
    tickets = [told(incident("delay", hop=f"{HOP}{number}")) for number in range(3)]
    entries = [Entry("oncall", replace(one, id=f"{one.id}{at}"), 1, 1) for at, one in enumerate(tickets)]
    yield "digest", digest("digest-oncall-1", entries, NOW, URL)


def every() -> Iterator[tuple[str, Notice]]:
    """All of them, by name of the case."""
    yield from losses()
    yield from others()
    yield from conditions()
    yield from itself()
