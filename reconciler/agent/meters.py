"""What can be measured of the agent, in the words of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from reconciler.agent.outbox import Standing
from reconciler.core.times import SECOND, Micros


class Meters:
    """One for each agent."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"reconciler_agent_{name}", about, registry=registry)

        def counter(name: str, about: str) -> Counter:
            return Counter(f"reconciler_agent_{name}", about, registry=registry)

        self._told = counter("told", "Lines that the centre has confirmed.")
        self._refusals = counter("refusals", "Lines that the centre has refused.")
        self._failures = counter("failures", "Rounds in which the centre was not reached.")
        self._success = gauge("last_success_timestamp_seconds", "When the centre last confirmed all there was.")
        self._cells = gauge("cells", "Sums in the spool.")
        self._waiting = gauge("waiting", "Sums of which the centre does not know the latest.")
        self._refused = gauge("refused", "Sums that the centre refused; they hold progress back.")
        self._reporters = gauge("reporters", "Local reporters that have not ended.")
        self._apart = gauge("reporters_apart", "Those that are silent or behind, told under their own names.")
        self._size = gauge("spool_bytes", "Size of the spool.")

    def told(self, kept: int, refused: int) -> None:
        """The centre has answered."""
        self._told.inc(kept)
        self._refusals.inc(refused)

    def failed(self) -> None:
        """The centre was not reached."""
        self._failures.inc()

    def succeeded(self, now: Micros) -> None:
        """All that there was is confirmed."""
        self._success.set(now / SECOND)

    def stands(self, standing: Standing) -> None:
        """How much there is in the spool."""
        self._cells.set(standing.cells)
        self._waiting.set(standing.waiting)
        self._refused.set(standing.refused)
        self._reporters.set(standing.reporters)
        self._apart.set(standing.apart)
        self._size.set(standing.size)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
