"""A real Alertmanager for the tests, which can be killed and started again at the same address."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

from tests.servers.install import ALERTMANAGER
from tests.servers.kafka import free_ports, until
from tests.servers.prometheus import is_ready

START_SECONDS = 60


@dataclass
class Alertmanager:
    """One process after the other."""

    folder: Path
    port: int
    log: IO[str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = (
            ALERTMANAGER / "alertmanager", "--config.file=alertmanager.yml", "--storage.path=data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=",
        )  # fmt: skip
        process = self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        until(lambda: process.poll() is not None or is_ready(self.url), START_SECONDS)
        if process.poll() is not None:
            raise RuntimeError(f"Alertmanager did not start:\n{(self.folder / 'server.log').read_text()[-4000:]}")

    def kill(self) -> None:
        """As if its machine had lost its power: alerts are forgotten."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def alerts(self) -> list[dict[str, Any]]:
        """What fires."""
        with urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:  # noqa: S310  our own process
            return list(json.load(answer))


@contextmanager
def running_alertmanager() -> Iterator[Alertmanager]:
    """Start one that tells nobody."""
    if not (ALERTMANAGER / "alertmanager").exists():
        raise RuntimeError("no Alertmanager is installed: `make test` does it, or python -m tests.servers.install")
    with tempfile.TemporaryDirectory(prefix="reconciler-alertmanager-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        with (folder / "server.log").open("w") as log:
            server = Alertmanager(folder, free_ports(1)[0], log)
            server.start()
            try:
                yield server
            finally:
                server.kill()
