"""`reconciler import`: files of observations into the ledger."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from reconciler.commands.options import config_option, json_option
from reconciler.commands.refusals import Refusals, refusals_file, refusals_option
from reconciler.commands.terminal import Advance, reading
from reconciler.core.directory import newcomer
from reconciler.core.observations import Count, Observation, Refusal
from reconciler.errors import Refused
from reconciler.ports import Store
from reconciler.reading import Refuse, RefusedLine, read
from reconciler.settings import Settings, load
from reconciler.store import open_store

BATCH = 20_000
"""Observations in a transaction."""


@dataclass(slots=True)
class Imported:
    """What became of the files."""

    files: int = 0
    kept: int = 0
    """Observations that said something new."""
    unchanged: int = 0
    """Observations that said again what was known."""
    refused: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)
    """The first of them."""
    too_old: int = 0
    """Counts of buckets that the ledger keeps no more."""


@click.command(
    epilog="""\b
Examples:
  reconciler import counts.ndjson queue.csv.gz
  zcat old.ndjson.gz | reconciler import -
""",
)
@click.argument("files", nargs=-1, required=True)
@config_option
@refusals_option
@json_option
def command(files: tuple[str, ...], config: str, refusals: str | None, *, as_json: bool) -> int:
    """Store observations (counts, progress, queue samples, capacities) of FILES; `-` is standard input.

    Files are NDJSON, or CSV with field names in its header; either may be packed with gzip. What cannot be used is
    refused by file, line, field and reason, and the rest is kept: then the exit code is 3. The same file twice changes
    nothing, so an import that broke off is simply made again.
    """
    settings = load(config)
    with ExitStack() as stack:
        out = stack.enter_context(refusals_file(refusals))
        tell, on_bytes = stack.enter_context(reading(files))
        store = open_store(settings.ledger)
        stack.callback(store.close)
        refused = Refusals(tell, out)
        done = _import(store, settings, files, refused, on_bytes)
    click.echo(json.dumps(asdict(done)) if as_json else _summary(done))
    refused.close()
    return Refused.exit_code if done.refused else 0


def _import(
    store: Store, settings: Settings, files: tuple[str, ...], refusals: Refusals, on_bytes: Advance | None
) -> Imported:
    done = Imported(len(files))
    door = _Door(store, settings)
    for batch in _batches(settings, files, refusals, on_bytes, door.refuse):
        recorded = store.record(batch, settings.pipelines)
        door.look()
        done.kept += recorded.kept
        done.unchanged += recorded.unchanged
        done.too_old += recorded.too_old
    done.refused, done.refusals = refusals.count, refusals.first
    return done


class _Door:
    """Lets in sources that are known, or may still come: names without end must not fill the ledger."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._pipelines = store, settings.pipelines
        self.look()

    def look(self) -> None:
        """See anew which pipelines take no more."""
        self._closed = {name: self._store.closed(pipeline) for name, pipeline in self._pipelines.items()}

    def refuse(self, seen: Observation) -> Refusal | None:
        """Why this observation is not let in."""
        if not isinstance(seen, Count):
            return None
        return newcomer(seen, self._closed[seen.pipeline], self._pipelines[seen.pipeline].max_sources)


def _batches(
    settings: Settings, files: tuple[str, ...], refusals: Refusals, on_bytes: Advance | None, refuse: Refuse
) -> Iterator[list[Observation]]:
    batch: list[Observation] = []
    for file in files:
        for entry in read(file, settings.pipelines, on_bytes, refuse):
            if isinstance(entry, RefusedLine):
                refusals.note(file, entry)
                continue
            batch.append(entry)
            if len(batch) >= BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _summary(done: Imported) -> str:
    files = "1 file" if done.files == 1 else f"{done.files} files"
    old = f", {done.too_old:,} of buckets that are kept no more" if done.too_old else ""
    return f"{files}: {done.kept:,} kept, {done.unchanged:,} unchanged, {done.refused:,} refused{old}"
