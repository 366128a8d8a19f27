"""Requests go to the host that is configured, and a secret in a header goes nowhere else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from reconciler.connectors import prometheus
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE
from reconciler.ports import ConnectorFailed
from reconciler.running import heartbeat
from reconciler.settings.schema import HeartbeatSettings


@pytest.fixture
def asked() -> list[tuple[str, str | None]]:
    return []


@pytest.fixture
def elsewhere(asked: list[tuple[str, str | None]]) -> Iterator[str]:
    """A server that sends everybody to another path of its own; what was asked of it is noted."""

    class Sender(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path.partition("?")[0], self.headers.get("Authorization")))
            self.send_response(302)
            self.send_header("Location", "/stolen")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Sender) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_prometheus_that_sends_us_elsewhere_is_not_followed(elsewhere: str, asked: list[Any]) -> None:
    options = prometheus.Options.model_validate(
        {"pipeline": "batch", "stage": "a", "url": elsewhere, "counter": "c", "headers": {"Authorization": "secret"}}
    )
    connector = prometheus.build("p", options, {"batch": Pipeline("batch", ("a", "b"))})
    with pytest.raises(ConnectorFailed, match="302") as caught:
        list(connector.collect(0, 5 * MINUTE, 10 * MINUTE))
    assert asked == [("/api/v1/query", "secret")]
    assert "secret" not in str(caught.value)


def test_a_heartbeat_that_sends_us_elsewhere_is_not_followed(elsewhere: str, asked: list[Any]) -> None:
    assert heartbeat.call(HeartbeatSettings.model_validate({"url": f"{elsewhere}/ping", "timeout": "5s"})) is False
    assert [path for path, _ in asked] == ["/ping"]
