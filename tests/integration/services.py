"""`reconciler run` as real processes on a real ledger."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.until import until


@dataclass
class Process:
    """One process of the service."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    def logged(self, message: str = "") -> list[dict[str, Any]]:
        """The lines of its log with this message, or all."""
        whole = self.log.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if message in ("", line["message"])]

    @property
    def address(self) -> str:
        """Where it listens; waits until it does."""

        def listening() -> str | None:
            assert self.popen.poll() is None, self.log.read_text()
            return next((str(line["address"]) for line in self.logged("listening")), None)

        return until(listening, 60, "a process that listens")

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=30) as answer:  # noqa: S310  our own process
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self) -> bool:
        """Whether it says that it sees."""
        return self.get("/readyz")[0] == 200

    def meter(self, name: str) -> float | None:
        """A sample of `/metrics`, by its name with labels."""
        lines = self.get("/metrics")[1].splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), None)

    def end(self, number: int = signal.SIGTERM, seconds: float = 10) -> int:
        """Send a signal and wait for its end; returns the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(seconds)


@dataclass
class House:
    """A folder with a configuration, and the processes that were started there."""

    folder: Path
    config: dict[str, Any]
    started: list[Process] = field(default_factory=list)

    def write(self) -> str:
        """The configuration as it is now; returns the name of its file."""
        path = self.folder / "reconciler.yaml"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        return str(path)

    def start(self) -> Process:
        """Another process of the service."""
        log = self.folder / f"log-{len(self.started)}.ndjson"
        command = [sys.executable, "-m", "reconciler", "run", "--config", self.write()]
        with log.open("wb") as output:
            process = Process(subprocess.Popen(command, stderr=output, cwd=self.folder), log)
        self.started.append(process)
        return process


@contextmanager
def house(folder: Path, ledger: str, **config: Any) -> Iterator[House]:
    """A service with a look every four seconds, unless `config` says otherwise; whatever it started is killed."""
    short: dict[str, Any] = {
        "ledger": ledger,
        "pipelines": {"batch": {"stages": ["ingress", "processed"], "bucket": "1s", "mode": "alert"}},
        "schedule": {"tick": "4s"},
        "service": {"listen": "127.0.0.1:0", "lease": "2s", "log": "json", "blind_after": "40s"},
    }
    built = House(folder, short | config)
    try:
        yield built
    finally:
        for process in built.started:
            process.popen.kill()
            process.popen.wait()
