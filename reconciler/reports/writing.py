"""The formats of a report, and files that appear whole or not at all."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from reconciler.errors import ConfigError
from reconciler.reports.chart import as_png
from reconciler.reports.html import as_html
from reconciler.reports.markdown import as_markdown
from reconciler.reports.tables import as_csv
from reconciler.reports.text import as_text
from reconciler.reports.words import Record

ENDINGS = {"text": "txt", "markdown": "md"}
"""Endings of file names, where they are not the name of the format."""


def _joined(write: Callable[[Record], Iterable[str]]) -> Callable[[Record], str]:
    return lambda record: "".join(f"{line}\n" for line in write(record))


FORMATS: dict[str, Callable[[Record], str]] = {
    "text": _joined(as_text),
    "json": lambda record: json.dumps(record, ensure_ascii=False) + "\n",
    "html": as_html,
    "markdown": _joined(as_markdown),
    "csv": as_csv,
}


def rendered(record: Record, kind: str) -> bytes:
    """A report in one of the formats, or as a picture."""
    return as_png(record) if kind == "png" else FORMATS[kind](record).encode()


def write(path: Path, content: bytes) -> None:
    """A file, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from None
