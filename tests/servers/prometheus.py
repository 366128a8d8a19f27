"""A real Prometheus for the tests, back-filled with samples of the past."""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers.install import PROMETHEUS
from tests.servers.kafka import free_ports, until

START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """One scrape of one series."""

    at: float
    """Seconds since 1970."""
    value: float
    labels: Mapping[str, str]
    metric: str = "events_total"


@contextmanager
def running_prometheus(samples: Iterable[Sample]) -> Iterator[str]:
    """Start one that holds these samples; yields its address."""
    if not (PROMETHEUS / "promtool").exists():
        raise RuntimeError("no Prometheus is installed: `make test` does it, or python -m tests.servers.install")
    with tempfile.TemporaryDirectory(prefix="reconciler-prometheus-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "samples").write_text(open_metrics(samples))
        (folder / "prometheus.yml").write_text("global: {}\n")
        fill = ("tsdb", "create-blocks-from", "openmetrics", "samples", "data")
        subprocess.run((PROMETHEUS / "promtool", *fill), cwd=folder, check=True, capture_output=True)
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        command = (
            PROMETHEUS / "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
        )  # fmt: skip
        with (folder / "server.log").open("w") as output:
            server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            until(lambda: server.poll() is not None or is_ready(url), START_SECONDS)
            if server.poll() is not None:
                raise RuntimeError(f"Prometheus did not start:\n{(folder / 'server.log').read_text()[-4000:]}")
            yield url
        finally:
            server.kill()
            server.wait()


def is_ready(url: str) -> bool:
    """Whether a program of Prometheus' family says so."""
    try:
        with urlopen(f"{url}/-/ready", timeout=1) as answer:  # noqa: S310  our own process
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def open_metrics(samples: Iterable[Sample]) -> str:
    """The text that `promtool` back-fills from: metrics one after the other, each series in order of time."""
    lines: list[str] = []
    known: set[str] = set()
    for one in sorted(samples, key=lambda one: (one.metric, sorted(one.labels.items()), one.at)):
        if one.metric not in known:
            known.add(one.metric)
            family, kind = (
                (one.metric.removesuffix("_total"), "counter") if "_total" in one.metric else (one.metric, "gauge")
            )
            lines.append(f"# TYPE {family} {kind}")
        labels = ",".join(f'{key}="{value}"' for key, value in sorted(one.labels.items()))
        lines.append(f"{one.metric}{{{labels}}} {one.value:g} {one.at:.3f}")
    return "\n".join([*lines, "# EOF\n"])
