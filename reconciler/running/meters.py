"""What can be measured of the service, in the words of Prometheus. Labels are names of the configuration only."""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from reconciler import __version__
from reconciler.announce import Announced
from reconciler.collect import Collected
from reconciler.core.objectives import Standing
from reconciler.core.times import SECOND, Micros, compact
from reconciler.posting import Backlog

SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Edges of the histogram of durations."""


class Meters:
    """One for each process; its registry is its own, and others may add theirs to it."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("reconciler_build", "Version of the program.", registry=registry).info({"version": __version__})
        self._runs = Counter(
            "reconciler_runs", "Runs of a duty by how they ended.", ["duty", "result"], registry=registry
        )
        self._duration = Histogram(
            "reconciler_run_duration_seconds", "How long a run took.", ["duty"], buckets=SECONDS, registry=registry
        )
        self._succeeded = Gauge(
            "reconciler_run_last_success_timestamp_seconds",
            "As of when a duty last went well in this process.",
            ["duty"],
            registry=registry,
        )
        self._leader = Gauge(
            "reconciler_leader", "1 in the process that does the work, 0 in one that waits.", registry=registry
        )
        self._epoch = Gauge("reconciler_lease_epoch", "Epoch of the lease that this process holds.", registry=registry)
        self._judged = Gauge(
            "reconciler_judged_timestamp_seconds", "As of when a pipeline was last judged.", ["pipeline"],
            registry=registry,
        )  # fmt: skip
        self._verdicts = Counter(
            "reconciler_verdict_changes",
            "Cells that were said anew to be anything but complete or open.",
            ["pipeline", "verdict"],
            registry=registry,
        )
        self._incidents = Gauge(
            "reconciler_incidents", "Incidents that are open.", ["pipeline", "kind", "severity"], registry=registry
        )
        self._lost = Gauge(
            "reconciler_lost_events", "Events that open incidents say are lost.", ["pipeline"], registry=registry
        )
        self._up = Gauge(
            "reconciler_connector_up", "1 if the last reading went well.", ["connector"], registry=registry
        )
        self._read = Gauge(
            "reconciler_connector_last_success_timestamp_seconds",
            "As of when a connector last answered.",
            ["connector"],
            registry=registry,
        )
        self._collected = Counter(
            "reconciler_collected_observations",
            "What connectors said, by what became of it.",
            ["connector", "result"],
            registry=registry,
        )
        names = ["pipeline", "sources", "window"]
        self._accepted = Gauge(
            "reconciler_objective_accepted_events",
            "Events accepted in the time of a window; sources: a pattern, or empty for all.", names, registry=registry,
        )  # fmt: skip
        self._missed = Gauge(
            "reconciler_objective_lost_events", "Of these the events that are lost.", names, registry=registry
        )
        self._promised = Gauge(
            "reconciler_objective_ratio", "Share of the events that was promised.", names[:2], registry=registry
        )
        self._noted = Counter(
            "reconciler_connector_notes",
            "What connectors found beside their counts, such as a file that vanished or shrank.",
            ["connector"],
            registry=registry,
        )
        self._sources = Gauge("reconciler_sources", "Sources that are judged.", ["pipeline"], registry=registry)
        self._beyond = Gauge(
            "reconciler_sources_beyond_limit",
            "Sources beyond max_sources, which are judged together as one: alert above 0.",
            ["pipeline"],
            registry=registry,
        )
        self._pruned = Counter("reconciler_pruned_rows", "Rows removed from the ledger.", registry=registry)

        self._notices = Counter(
            "reconciler_notices", "States of incidents by what a channel did.", ["channel", "result"], registry=registry
        )
        self._pending = Gauge(
            "reconciler_outbox_pending", "Incidents of whose newest state a channel was not told.", ["channel"],
            registry=registry,
        )  # fmt: skip
        self._dead = Gauge(
            "reconciler_dead_letters",
            "Notices that a channel would not take: page on anything above 0.",
            ["channel"],
            registry=registry,
        )
        self._failing = Gauge(
            "reconciler_outbox_failing_seconds",
            "For how long the oldest failing notice has failed.",
            ["channel"],
            registry=registry,
        )

    def ran(self, duty: str, now: Micros, seconds: float, *, well: bool) -> None:
        """A duty has run."""
        self._runs.labels(duty, "ok" if well else "failed").inc()
        self._duration.labels(duty).observe(seconds)
        if well:
            self._succeeded.labels(duty).set(now / SECOND)

    def skipped(self, duty: str) -> None:
        """A duty was due while it was still running."""
        self._runs.labels(duty, "skipped").inc()

    def leads(self, epoch: int | None) -> None:
        """This process does the work, or does not any more."""
        self._leader.set(0 if epoch is None else 1)
        self._epoch.set(epoch or 0)
        if epoch is None:
            for gauge in (
                self._judged, self._incidents, self._lost, self._up, self._read, self._sources, self._beyond,
                self._pending, self._dead, self._failing,
                self._accepted, self._missed, self._promised,
            ):  # fmt: skip
                gauge.clear()  # what another process knows better now

    def collected(self, done: Collected, now: Micros) -> None:
        """A connector was asked."""
        self._up.labels(done.connector).set(0 if done.failure else 1)
        if done.failure is None:
            self._read.labels(done.connector).set(now / SECOND)
        self._noted.labels(done.connector).inc(len(done.notes))
        amounts = {
            "kept": done.kept, "unchanged": done.unchanged, "refused": len(done.refused), "too_old": done.too_old,
        }  # fmt: skip
        for result, amount in amounts.items():
            self._collected.labels(done.connector, result).inc(amount)

    def announced(self, done: Announced) -> None:
        """A channel was told."""
        amounts = {"sent": done.sent, "digest": done.shared, "failed": len(done.failures), "dead": done.dead}
        for result, amount in amounts.items():
            self._notices.labels(done.channel, result).inc(amount)

    def outbox(self, backlogs: Iterable[Backlog], now: Micros) -> None:
        """How all channels stand."""
        for one in backlogs:
            self._pending.labels(one.channel).set(one.pending)
            self._dead.labels(one.channel).set(one.dead)
            self._failing.labels(one.channel).set((now - one.failing_since) / SECOND if one.failing_since else 0)

    def judged(self, pipeline: str, now: Micros, lines: Iterable[Mapping[str, Any]]) -> None:
        """A pipeline was judged, and this was said."""
        self._judged.labels(pipeline).set(now / SECOND)
        for verdict, number in Tally(line["verdict"] for line in lines if line["type"] == "verdict").items():
            self._verdicts.labels(pipeline, verdict).inc(number)

    def standing(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """The incidents that are open now."""
        found = list(lines)
        self._incidents.clear()
        self._lost.clear()
        for line in found:
            self._incidents.labels(line["pipeline"], line["kind"], line["severity"]).inc()
            self._lost.labels(line["pipeline"]).inc(line["lost"])

    def objectives(self, standings: Iterable[Standing]) -> None:
        """How the objectives of a pipeline stand."""
        for one in standings:
            self._promised.labels(one.pipeline, one.pattern).set(one.objective)
            for span, accepted, lost in (*one.spans, (one.window, one.accepted, one.lost)):
                labels = (one.pipeline, one.pattern, compact(span))
                self._accepted.labels(*labels).set(accepted)
                self._missed.labels(*labels).set(lost)

    def sources(self, pipeline: str, number: int, beyond: int) -> None:
        """So many sources are judged one by one, and so many beyond the limit."""
        self._sources.labels(pipeline).set(number)
        self._beyond.labels(pipeline).set(beyond)

    def pruned(self, rows: int) -> None:
        """So many rows were removed."""
        self._pruned.inc(rows)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
