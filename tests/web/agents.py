"""An agent whose steps are taken one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.agent.centre import Centre
from reconciler.agent.forwarder import Forwarder
from reconciler.agent.meters import Meters
from reconciler.agent.spool import Spool
from reconciler.core.observations import parse
from reconciler.core.times import DAY, MINUTE, format_time
from reconciler.settings import parse as parse_settings
from tests.web.serving import NOW, Clock

SETTINGS = "pipelines: {batch: {stages: [ingress, processed]}}\n"
BUCKET = NOW // MINUTE * MINUTE - MINUTE


def count(source: str, number: int, reporter: str, at: int = NOW, **more: Any) -> dict[str, Any]:
    place = {"pipeline": "batch", "stage": "ingress", "source": source, "bucket": format_time(BUCKET)}
    return {"type": "count", "at": format_time(at), **place, "count": number, "reporter": reporter, **more}


def progress(reporter: str, through: int, at: int = NOW, **more: Any) -> dict[str, Any]:
    place = {"pipeline": "batch", "stage": "ingress", "reporter": reporter}
    return {"type": "progress", "at": format_time(at), **place, "through": format_time(through), **more}


@dataclass
class Rig:
    """An agent without its threads, so that each step is taken when it is asked for."""

    path: Path
    url: str
    clock: Clock
    token: str | None = None

    def __post_init__(self) -> None:
        self.settings = parse_settings(SETTINGS, Path("reconciler.yaml"), {})
        self.start()

    def start(self) -> None:
        """Begin a process, or begin again on what the one before it has left."""
        self.spool = Spool(self.path, "host", self.clock, megabytes=100)
        pipelines, self.meters = self.settings.pipelines, Meters()
        self.forwarder = Forwarder(
            self.spool, Centre(self.url, self.token), pipelines, self.clock, every=1, keep=DAY, meters=self.meters
        )

    def take(self, *lines: dict[str, Any]) -> None:
        self.spool.record([parse(line, self.settings.pipelines) for line in lines], self.settings.pipelines)

    def end(self) -> None:
        self.forwarder.close()
        self.spool.close()


@contextmanager
def rig(folder: Path, url: str, token: str | None = None, clock: Clock | None = None) -> Iterator[Rig]:
    made = Rig(folder / "agent.db", url, clock or Clock(), token)
    try:
        yield made
    finally:
        made.end()
