"""What is fuzzed, and what must hold of whatever it is given. A target raises where it does not."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.pipelines import Pipeline
from reconciler.core.swift import CountReader
from reconciler.core.times import parse_time
from reconciler.errors import ConfigError
from reconciler.reading import LineReader, RefusedLine, read
from reconciler.reading.lines import BOM, GZIP
from reconciler.scenarios import loading
from reconciler.scenarios.sections import StoryError
from reconciler.settings import parse
from reconciler.web.arrays import NoArray
from reconciler.web.intake import Intake, Taken
from reconciler.web.unpacking import TooMuch

Trial = Callable[[bytes], None]
ROOT = Path(__file__).parents[2]
PIPELINES = {"batch": Pipeline("batch", ("ingress", "processed"))}
NOW = parse_time("2021-07-20T18:47:00Z")
GOOD: tuple[Mapping[str, object], ...] = (
    {"type": "count", "at": "2021-07-20T18:46:10Z", "pipeline": "batch", "stage": "ingress", "source": "segment",
     "bucket": "2021-07-20T18:45:00Z", "count": 1234, "outcome": "accepted", "reporter": "a", "digest": "7",
     "error": 0.5, "replay": None},
    {"type": "progress", "at": "2021-07-20T18:46:10Z", "pipeline": "batch", "stage": "ingress", "reporter": "a",
     "through": "2021-07-20T18:46:00Z", "final": False},
    {"type": "queue", "at": "2021-07-20T18:46:00Z", "pipeline": "batch", "queue": "q", "partition": 0,
     "start_offset": 100, "end_offset": 5100, "committed_offset": 4100, "oldest_at": "2021-07-20T18:26:00Z",
     "retention_seconds": 1200, "retention_bytes": None, "replicas": 2, "in_sync_replicas": 2, "exact": True},
    {"type": "capacity", "at": "2021-07-20T18:46:00Z", "resource": "r", "used": 7, "limit": 9, "pipelines": ["batch"]},
)  # fmt: skip
"""An observation of each kind."""
NDJSON = b"\n".join(json.dumps(one).encode() for one in GOOD)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads from outside."""

    about: str
    """For the table of what was tried."""
    seeds: Callable[[], Iterator[bytes]]
    """What it is fed with first: sound, and what was once found."""
    make: Callable[[Path], Trial]
    """What tries one input; the folder is its own."""


def lines(folder: Path) -> Trial:
    """A file of lines: each that is not blank is kept or refused, and the swift reader agrees with the careful one."""
    path, careful, swift = folder / "observations.ndjson", LineReader(PIPELINES).read, CountReader(PIPELINES).read
    first = NDJSON.split(b"\n")[0]  # so that it is no table, and not packed

    def attempt(data: bytes) -> None:
        whole = first + b"\n" + data
        path.write_bytes(whole)
        texts = whole.split(b"\n")
        blank = sum(not text.strip(b" \t\r") for text in texts)
        assert len(list(read(str(path), PIPELINES))) == len(texts) - blank, "a line was dropped in silence"
        for text, count in zip(texts, swift(texts), strict=True):
            assert count is None or count == careful(text), f"two readings of {text!r}"

    return attempt


def tables(folder: Path) -> Trial:
    """A file of any kind, as it is and packed: it is read to its end, and what is refused is named."""
    path = folder / "observations.csv"

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        for found in read(str(path), PIPELINES):
            assert not isinstance(found, RefusedLine) or found.reason

    return attempt


def taken(body: bytes, size: int) -> Taken | str:
    """What a push of this body comes to, told so many bytes at a time; or what is wrong with it as a whole.

    Of what it has too much of, blank lines or others, may depend on the pieces.
    """
    intake = Intake(
        PIPELINES, NOW, everything=True, size=1_000_000, observations=1000, kept_from={"batch": 0}, closed={}
    )
    try:
        for place in range(0, len(body), size):
            intake.feed(body[place : place + size])
        return intake.finish()
    except (TooMuch, NoArray) as error:
        return type(error).__name__


def pushes(_: Path) -> Trial:
    """The body of a push: in whatever pieces it comes, each entry is kept or refused."""

    def attempt(data: bytes) -> None:
        whole = taken(data, len(data) or 1)
        # Of damaged gzip more or less comes out before it is noticed; that the rest was not read is said.
        damaged = isinstance(whole, Taken) and any("damaged" in one["reason"] for one in whole.refusals)
        assert whole == taken(data, 7) or damaged, "what is taken depends on the pieces"
        plain = data.removeprefix(BOM)
        if isinstance(whole, str) or plain.startswith(GZIP) or plain.lstrip()[:1] == b"[":
            return
        said = sum(bool(text.strip(b" \t\r")) for text in plain.split(b"\n"))
        assert len(whole.observations) + len(whole.refusals) == said, "an entry was dropped in silence"

    return attempt


def configurations(_: Path) -> Trial:
    """A configuration is sound, or told to be wrong."""

    def attempt(data: bytes) -> None:
        with suppress(ConfigError):
            parse(data.decode("utf-8", "replace"), Path("reconciler.yaml"), {"X": "y"})

    return attempt


def stories(folder: Path) -> Trial:
    """A story is sound, or told to be wrong."""
    path = folder / "story.yaml"

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        with suppress(StoryError):
            loading.load(path)

    return attempt


def asking(folder: Path) -> Trial:
    """A request to the HTTP face."""
    from tests.fuzz import asked  # the whole application: the others need a tenth of it

    return asked.asking(folder)


def _requests() -> Iterator[bytes]:
    from tests.fuzz import asked

    yield from asked.requests()


def _bodies() -> Iterator[bytes]:
    yield from (json.dumps(one).encode() for one in GOOD)
    yield NDJSON
    yield b"[" + b",".join(NDJSON.split(b"\n")) + b"]"
    yield BOM + NDJSON.replace(b"\n", b"\r\n")
    yield gzip.compress(NDJSON, mtime=0)
    yield gzip.compress(NDJSON, mtime=0) + bytes(512)


def _tables() -> Iterator[bytes]:
    yield from _bodies()
    for one in GOOD:
        cells = ['"' + str(value).replace('"', '""') + '"' for value in one.values() if value is not None]
        names = [name for name, value in one.items() if value is not None]
        table = f"{','.join(names)}\n{','.join(cells)}\n".encode()
        yield table
        yield gzip.compress(table, mtime=0)


def _configurations() -> Iterator[bytes]:
    for path in (ROOT / "config" / "reconciler.yaml", *sorted((ROOT / "config" / "examples").glob("*.yaml"))):
        yield path.read_bytes()


def _stories() -> Iterator[bytes]:
    for name in ("sc-01a", "sc-10", "sc-12a"):
        yield (loading._SHIPPED / f"{name}.yaml").read_bytes()


TARGETS = {
    "lines": Target("files of lines", _bodies, lines),
    "tables": Target("files of any kind: CSV, packed, cut off", _tables, tables),
    "pushes": Target("bodies of a push", _bodies, pushes),
    "configurations": Target("configurations", _configurations, configurations),
    "stories": Target("stories", _stories, stories),
    "api": Target("requests to the HTTP face, pages too", _requests, asking),
}
