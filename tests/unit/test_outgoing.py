"""Requests go to the host that is configured, and a secret in a header goes nowhere else."""

from collections.abc import Iterator

import pytest

from reconciler.connectors import prometheus
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE
from reconciler.ports import ConnectorFailed
from reconciler.running import heartbeat
from reconciler.settings.schema import HeartbeatSettings
from tests.channels.servers import Fake, Request, running


class Astray(Fake):
    """Sends everybody to another path of its own."""

    def take(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Note what was asked."""
        self.requests.append(request)
        return 302, {"Location": "/stolen"}, b""


@pytest.fixture
def elsewhere() -> Iterator[Astray]:
    with running(Astray()) as server:
        yield server


def test_a_prometheus_that_sends_us_elsewhere_is_not_followed(elsewhere: Astray) -> None:
    options = prometheus.Options.model_validate(
        {
            "pipeline": "batch",
            "stage": "a",
            "url": elsewhere.url,
            "counter": "c",
            "headers": {"Authorization": "secret"},
        }
    )
    connector = prometheus.build("p", options, {"batch": Pipeline("batch", ("a", "b"))})
    with pytest.raises(ConnectorFailed, match="302") as caught:
        list(connector.collect(0, 5 * MINUTE, 10 * MINUTE))
    assert [(one.path, one.headers["Authorization"]) for one in elsewhere.requests] == [("/api/v1/query", "secret")]
    assert "secret" not in str(caught.value)


def test_a_heartbeat_that_sends_us_elsewhere_is_not_followed(elsewhere: Astray) -> None:
    assert heartbeat.call(HeartbeatSettings.model_validate({"url": f"{elsewhere.url}/ping", "timeout": "5s"})) is False
    assert [one.path for one in elsewhere.requests] == ["/ping"]
