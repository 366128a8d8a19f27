"""Counts of rows in files: what should have arrived (manifests, listings), and what was loaded (load logs).

A file is counted once and remembered; it is looked into again only where it has changed. At the first stage what once
arrived stands, at later ones a file that shrank or vanished makes the count smaller. Either is noted by name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ValidationInfo, model_validator

from reconciler.abilities import Identified, Note, Remembering
from reconciler.connectors import _shapes
from reconciler.connectors._files_ids import FileIds, Piece
from reconciler.connectors._files_memory import Memory, Rows
from reconciler.connectors._files_paths import PathPattern, Place
from reconciler.connectors._files_rows import Counter, Format, format_of
from reconciler.connectors._files_stores import Away, FileStore, Folder, Listed, Unreadable, bucket_of
from reconciler.connectors._identities import identity_of, summary_of
from reconciler.connectors._sql_table import Counting as TableCounting
from reconciler.core.identities import Identity, Summary
from reconciler.core.observations import LIMIT, Count, Observation, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND, Micros, floor_to
from reconciler.ports import ConnectorFailed
from reconciler.settings.schema import AnyDuration, ConnectorOptions, Duration, Name, PipelineSettings, Section


def _place(url: str, info: ValidationInfo) -> str:
    base = (info.context or {}).get("base")
    if "://" in url and not url.startswith("s3://"):
        raise ValueError("is neither a folder nor s3://bucket/prefix")
    return url if base is None or url.startswith("s3://") else str(Path(base) / url)


class ColumnSettings(Section):
    """Columns that say whose a row is and when it was accepted, each an SQL expression of DuckDB."""

    time: Name
    """The accept time."""
    source: Name | None = None
    """Who sent the event. Default: as the path says."""
    id: Name | None = None
    """What is different for each event. It is only used by `reconciler missing --ids`."""


class ManifestSettings(Section):
    """Files that name other files, with how many rows each should have."""

    file: Name = "file"
    """Column, or SQL expression of DuckDB, of the name of the file."""
    rows: Name = "rows"
    """Column, or SQL expression, of how many rows it has."""
    names: Name
    """The pattern of the names in it, as in `path`; whatever stands before it in a name does not matter."""


class Options(ConnectorOptions):
    """Files of one folder or bucket."""

    url: Annotated[str, AfterValidator(_place)]
    """A folder, relative to this file, or `s3://bucket/prefix`."""
    path: Name
    """Pattern of the paths below it: `{name}` is a part of the source, %Y %m %d %H %M (or %s) are the accept time, `*`
    and `**` anything within a folder and through folders."""
    source: str = ""
    """The source, made of the names of the pattern: `{customer}/{feed}`. Default: all of them, with slashes."""
    format: Format | None = None
    """`parquet`, `csv` or `ndjson`, packed with gzip or not. Default: as the name of the file ends."""
    header: bool = True
    """Whether the first line of a CSV file names its columns."""
    columns: ColumnSettings | None = None
    """Where rows say their accept time themselves. Then each file is read; a Parquet file otherwise by its footer."""
    manifest: ManifestSettings | None = None
    """The files are manifests or load logs: not their rows count, but those of the files that they name."""
    settle: AnyDuration = 0
    """How long after its time a file may still come; so much of the end is not yet whole."""
    endpoint: Name | None = None
    """URL of an object store that is not Amazon's. Who asks it comes from the environment, as with every AWS tool."""
    region: Name | None = None
    """Region of the bucket."""
    timeout: Duration = MINUTE
    """How long the object store may take to answer."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.columns is not None and self.manifest is not None:
            raise ValueError("has columns and manifest; a manifest names its own columns")
        PathPattern(self.path, "")
        named = PathPattern(self.manifest.names if self.manifest else self.path, self.source)
        if self.columns is None and not named.codes:
            raise ValueError("knows no accept time: put %Y-%m-%d and so on into the pattern, or say columns.time")
        if not (named.names or self.source or (self.columns and self.columns.source)):
            raise ValueError("knows no source: put {source} into the pattern, or say source or columns.source")
        return self

    def contradictions(self, pipeline: PipelineSettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """A path that names days cannot be put into buckets of an hour."""
        pattern = PathPattern(self.manifest.names if self.manifest else self.path, self.source)
        unit = {"s": 1, "M": 60, "H": 3_600}
        finest = min((unit.get(code, 86_400) for code in pattern.codes), default=0) * SECOND
        if self.columns is None and finest > pipeline.bucket:
            yield ("path",), "names a time that is longer than a bucket of the pipeline; widen its bucket"


def build(name: str, options: Options, pipelines: Mapping[str, Pipeline]) -> "FilesConnector":
    """The connector as configured; it looks nowhere before it is asked to collect."""
    return FilesConnector(name, options, pipelines[options.pipeline])


def _epoch(seconds: object) -> Micros:
    return int(str(seconds)) * SECOND


class FilesConnector(_shapes.Counting, Remembering, Identified):
    """Lists files and counts their rows."""

    options: Options

    def __init__(self, name: str, options: Options, target: Pipeline) -> None:
        self.name, self.options, self.target = name, options, target
        self.first = options.stage == target.stages[0]
        self._memory = Memory()
        self._listing = PathPattern(options.path, "" if options.manifest else options.source)

    @property
    def withdraws(self) -> bool:
        """What has arrived has arrived, and what a log said, it said; but stored rows that are no more are gone."""
        return not self.first and self.options.manifest is None

    def recall(self, memory: Mapping[str, Any]) -> None:
        self._memory.recall(memory)

    def memory(self) -> dict[str, Any]:
        return self._memory.dump()

    def notes(self) -> Sequence[Note]:
        return self._memory.notes

    def permissions(self) -> list[str]:
        """Statements of a policy of the object store, or the rights of the folder."""
        if not self.options.url.startswith("s3://"):
            return [f"-- the folder {self.options.url} and what is below it must be readable"]
        bucket, _, base = self.options.url.removeprefix("s3://").partition("/")
        arn = f"arn:aws:s3:::{bucket}"
        return [
            f'{{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "{arn}"}}',
            f'{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "{arn}/{base.rstrip("/")}*"}}',
        ]

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterator[Observation | Refusal]:
        """Rows of all files of [start, end), then how far that is whole; see `ports.Connector`."""
        refused: list[Refusal] = []
        self._memory.notes = []
        try:
            self._look_through(start, end, refused)
        except ImportError as error:
            extra = "s3" if "boto" in str(error.name) else "files"
            raise self._failure(f"the package {error.name} is missing", f"pip install 'reconciler[{extra}]'.") from None
        except Away as error:
            raise self._failure(str(error), "Check that it is there and may be read from here.") from None
        yield from refused
        for (source, bucket), rows in self._memory.cells(start, end, stands=self.first).items():
            outcome = self.target.usual_outcome(self.stage)
            yield Count(now, self.pipeline, self.stage, source, bucket, rows, outcome, self.name)
        if not refused:
            yield Progress(now, self.pipeline, self.stage, min(now - self.options.settle, end), self.name)
        self._memory.forget(now - self.window - 2 * self.target.width)

    @property
    def unnamed(self) -> str | None:
        return None if self.options.columns and self.options.columns.id else "has no `columns.id`"

    def summaries(self, start: Micros, end: Micros, slots: int, *, handed_on: bool) -> Iterator[Summary]:
        for row in self._ids(start, end, lambda counting: counting.summaries(slots, "", handed_on=handed_on)):
            yield summary_of(row, _epoch)

    def identities(
        self, start: Micros, end: Micros, slots: int, wanted: Sequence[int], *, handed_on: bool
    ) -> Iterator[Identity]:
        for row in self._ids(start, end, lambda counting: counting.identities(slots, wanted, "", handed_on=handed_on)):
            yield identity_of(row, _epoch)

    def _ids(self, start: Micros, end: Micros, ask: Callable[[TableCounting], str]) -> Iterator[tuple[Any, ...]]:
        """Asked of all files that may hold rows of [start, end), together: an id may be in two of them."""
        columns, store = self.options.columns, self._store()
        if columns is None or columns.id is None:
            return
        try:
            with ExitStack() as stack:
                pieces = []
                for file in store.list(self._listing.prefixes(start, end, by_time=False)):
                    place = self._listing.read(file.path)
                    if place is not None and file.changed_at >= start:
                        kind = self.options.format or format_of(file.path)
                        pieces.append(Piece(stack.enter_context(store.near(file, footer=False)), kind, place.source))
                files = FileIds(pieces, columns.id, columns.time, columns.source, self.target.width)
                yield from files.rows(start, end, ask, header=self.options.header)
        except ImportError as error:
            raise self._failure(f"the package {error.name} is missing", "pip install 'reconciler[files]'.") from None
        except (Away, Unreadable, ValueError) as error:
            raise self._failure(str(error), "Check the files and the columns by hand, with DuckDB.") from None

    def _failure(self, reason: str, remedy: str) -> ConnectorFailed:
        where = self.options.url + (f" ({self.options.endpoint})" if self.options.endpoint else "")
        who = f"connector {self.name} ({self.pipeline}, {self.stage})"
        return ConnectorFailed(f"{who}: {reason}\n  at {where}\n  {remedy}")

    def _look_through(self, start: Micros, end: Micros, refused: list[Refusal]) -> None:
        """List what is there and look into what is new."""
        store, counter = self._store(), Counter(header=self.options.header)
        listed = list(store.list(self._listing.prefixes(start, end, by_time=self._by_path)))
        odd = 0
        for file in listed:
            try:
                place = self._listing.read(file.path)
                odd += place is None
                if place is not None and self._concerns(file, place, start, end):
                    self._look_into(store, file, place, counter)
            except (Unreadable, ValueError) as error:
                refused.append(Refusal(file.path, str(error)))
        if odd:
            self._memory.notes.append(Note(self.options.path, f"does not fit {odd:,} files that are there"))
        self._memory.miss({file.path for file in listed}, start, end, stands=self.options.manifest is not None)

    @property
    def _by_path(self) -> bool:
        """Whether the path of a listed file says when its rows were accepted."""
        return self.options.columns is None and self.options.manifest is None

    def _concerns(self, file: Listed, place: Place, start: Micros, end: Micros) -> bool:
        """Whether it may hold, or name, rows of [start, end) that are not known."""
        if self._memory.knows(file.path, file.version):
            return False
        if self._by_path and place.time is not None:
            return start <= self._bucket(place.time) < end
        # Nothing that was accepted after its last change can be in it.
        return file.changed_at >= start

    def _look_into(self, store: FileStore, file: Listed, place: Place, counter: Counter) -> None:
        kind = self.options.format or format_of(file.path)
        with store.near(file, footer=kind == "parquet" and self._by_path) as path:
            self._memory.put(file.path, file.version, list(self._rows(path, kind, place, counter)))

    def _rows(self, path: Path, kind: Format, place: Place, counter: Counter) -> Iterator[Rows]:
        columns, manifest = self.options.columns, self.options.manifest
        if manifest is not None:
            named = PathPattern(manifest.names, self.options.source, anywhere=True)
            for name, rows in counter.named(path, kind, manifest.file, manifest.rows):
                yield self._named(named, name, rows)
        elif columns is not None:
            source = columns.source or "NULL"
            for who, second, rows in counter.grouped(path, kind, source, columns.time, self.target.width):
                if second is None or (who is None and columns.source):
                    raise Unreadable(f"has {rows:,} rows without {'a time' if second is None else 'a source'}")
                yield Rows(place.key, str(who) if columns.source else place.source, second * SECOND, rows)
        else:
            yield Rows(place.key, place.source, self._bucket(place.time or 0), counter.rows(path, kind))

    def _named(self, pattern: PathPattern, name: object, rows: object) -> Rows:
        place = pattern.read(str(name))
        if place is None or place.time is None:
            raise Unreadable(f"names {name!r}, which does not fit manifest.names")
        if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows < LIMIT:
            raise Unreadable(f"says that {name} has {rows!r} rows, which is no number of rows")
        return Rows(place.key, place.source, self._bucket(place.time), rows)

    def _bucket(self, time: Micros) -> Micros:
        return floor_to(time, self.target.width)

    def _store(self) -> FileStore:
        if not self.options.url.startswith("s3://"):
            return Folder(Path(self.options.url))
        return bucket_of(self.options.url, self.options.endpoint, self.options.region, self.options.timeout)
