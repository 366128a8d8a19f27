"""What must outlive the ledger's absence: samples that wait to be stored, and what channels were told directly."""

import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from reconciler.core import notices
from reconciler.core.observations import Observation
from reconciler.core.outbox import Entry
from reconciler.core.pipelines import Pipeline
from reconciler.core.records import record_of
from reconciler.reading import RefusedLine, read

log = logging.getLogger(__name__)

MOST_BYTES = 200_000_000
"""Of samples that wait. What comes after them is not kept, and the log says so."""


class Spool:
    """A folder. What waits there are lines as `reconciler import` reads them.

    It is of no less use when it cannot be written, for people are told from memory: a failure is said, and not raised.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._waiting, self._told = folder, folder / "waiting.ndjson", folder / "told.json"
        self._memory = folder / "memory.ndjson"

    def add(self, seen: Iterable[Observation]) -> None:
        """Keep observations for later, durably."""
        text = _lines(seen)
        try:
            size = self._waiting.stat().st_size if self._waiting.exists() else 0
            if size + len(text) > MOST_BYTES:
                log.error("the spool is full: samples are not kept", extra={"lines": text.count("\n")})
            elif text:
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._waiting.open("a", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            log.error("the spool cannot be written: samples are not kept", extra={"failure": str(error)})

    def taken(self, pipelines: Mapping[str, Pipeline]) -> dict[Path, list[Observation]]:
        """By file: what waits. The files are set apart, so that what comes meanwhile is not lost with them."""
        if self._waiting.exists():
            with suppress(FileNotFoundError):  # another look, which hung until now, was quicker
                self._waiting.rename(self._folder / f"taken-{secrets.token_hex(4)}.ndjson")
        return {path: self._read(path, pipelines) for path in sorted(self._folder.glob("taken-*.ndjson"))}

    def _read(self, path: Path, pipelines: Mapping[str, Pipeline]) -> list[Observation]:
        found: list[Observation] = []
        for one in read(str(path), pipelines):
            if isinstance(one, RefusedLine):  # cut off by a crash, or of a pipeline that is configured no more
                log.warning("a line of the spool was refused", extra={"line": one.line, "reason": one.reason})
            else:
                found.append(one)
        return found

    def waiting(self, pipelines: Mapping[str, Pipeline]) -> list[Observation]:
        """All that waits; it goes on waiting."""
        paths = [*sorted(self._folder.glob("taken-*.ndjson")), self._waiting]
        return [one for path in paths if path.exists() for one in self._read(path, pipelines)]

    def remember(self, seen: Iterable[Observation]) -> None:
        """Keep what the next process has to know if it finds no ledger, in place of what was kept before."""
        text = _lines(seen)
        try:
            if text:
                self._replace(self._memory, text)
            else:
                self._memory.unlink(missing_ok=True)
        except OSError as error:
            log.error("the spool cannot be written: a process that starts without a ledger will know nothing",
                      extra={"failure": str(error)})  # fmt: skip

    def remembered(self, pipelines: Mapping[str, Pipeline]) -> list[Observation]:
        """What an earlier process kept."""
        return self._read(self._memory, pipelines) if self._memory.exists() else []

    def _replace(self, path: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    def keep_told(self, entries: Iterable[Entry]) -> None:
        """Keep how each channel was told, in place of what was kept before: another process may have to end it."""
        told = [asdict(one) | {"notice": notices.dump(one.notice)} for one in entries]
        try:
            if not told:
                self._told.unlink(missing_ok=True)
                return
            self._replace(self._told, json.dumps(told))
        except OSError as error:
            log.error("the spool cannot be written: after a restart nobody ends these alarms",
                      extra={"failure": str(error)})  # fmt: skip

    def told(self) -> list[Entry]:
        """What an earlier process told, and did not end."""
        try:
            kept = json.loads(self._told.read_text(encoding="utf-8")) if self._told.exists() else []
        except (OSError, ValueError) as error:
            log.error("what was told directly cannot be read", extra={"failure": str(error)})
            return []
        return [Entry(**(one | {"notice": notices.load(one["notice"])})) for one in kept]


def _lines(seen: Iterable[Observation]) -> str:
    return "".join(f"{json.dumps(record_of(one), separators=(',', ':'))}\n" for one in seen)
