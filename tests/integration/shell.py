"""The command as a person or a script calls it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli import group, run
from reconciler.core.times import MINUTE, SECOND, Micros, format_time, parse_time
from reconciler.scenarios import Story, configuration, load, simulate

LOSS_START = parse_time("2024-01-15T00:00:00Z")
LOSS_END = "2024-01-15T00:40:00Z"


class Shell:
    """Calls the command and keeps what it printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.out = self.err = ""

    def file(self, name: str, *lines: object) -> str:
        """A file of lines, or of one JSON object a line."""
        path = self.folder / name
        path.write_text("".join(f"{entry if isinstance(entry, str) else json.dumps(entry)}\n" for entry in lines))
        return str(path)

    def __call__(self, *arguments: str) -> int:
        code = run(group, arguments)
        self.out, self.err = self._capsys.readouterr()
        return code

    def records(self) -> list[dict[str, Any]]:
        """What was printed, as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def loss(self, *, mode: str = "alert") -> str:
        """A file of forty minutes in which 3,000 of 40,000 events of source `a` are lost, and the configuration."""
        self.file("reconciler.yaml", f"pipelines: {{batch: {{stages: [ingress, processed], mode: {mode}}}}}")
        return self.file("loss.ndjson", *a_loss())

    def story(self, name: str, *, minutes: tuple[int, int], mode: str = "alert") -> str:
        """A file of what was observed in these minutes of a story, and the configuration that goes with it."""
        told = load(name)
        config = configuration(told)
        for pipeline in config["pipelines"].values():
            pipeline["mode"] = mode
        (self.folder / "reconciler.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return self.file(f"{name}.ndjson", *observed(told, minutes))


def observed(story: Story, minutes: tuple[int, int]) -> Iterable[Mapping[str, Any]]:
    """The observations between these minutes, counted from the story's own zero."""
    first, last = (minute_of(story, minute) for minute in minutes)
    lines = simulate(story, until=minutes[1])
    return [line for line in lines if first <= parse_time(line["at"]) <= last]


def minute_of(story: Story, minute: int) -> Micros:
    """A minute of the story as an instant."""
    return story.t0 * SECOND + minute * MINUTE


def a_loss() -> Iterator[dict[str, Any]]:
    """Of `a` and `b` 1,000 events a minute; at half past, 600 of each of five minutes of `a` are there no more."""
    for minute in range(40):
        bucket, at = LOSS_START + minute * MINUTE, LOSS_START + (minute + 1) * MINUTE
        for stage in ("ingress", "processed"):
            place = {"at": format_time(at), "pipeline": "batch", "stage": stage, "reporter": f"{stage}-1"}
            for source in ("a", "b"):
                yield {"type": "count", **place, "source": source, "bucket": format_time(bucket), "count": 1000}
            yield {"type": "progress", **place, "through": format_time(at)}
            for gone in range(5, 10) if (minute, stage) == (29, "processed") else ():
                shrunk = format_time(LOSS_START + gone * MINUTE)
                yield {"type": "count", **place, "source": "a", "bucket": shrunk, "count": 400}
