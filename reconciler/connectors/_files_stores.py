"""Where files lie: a folder, or a bucket of an object store. They are listed, and brought near as far as needed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reconciler.core.times import SECOND, Micros, from_datetime

TAIL = 64 * 1024
"""Bytes of the end of a Parquet file that are fetched first: the footer of nearly all is in them."""
MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a listing shows it."""

    path: str
    """Below the place that is listed."""
    size: int
    """Bytes."""
    version: str
    """Another one whenever the content is another: an entity tag, or the time of the last change."""
    changed_at: Micros


class Away(Exception):  # noqa: N818  a place, not a fault of this program
    """The place cannot be listed, or a file of it not be fetched."""


class Unreadable(Exception):  # noqa: N818  it names one file, and the others can be read
    """A file that is not what it says it is."""


class FileStore(Protocol):
    """A place with files."""

    def list(self, prefixes: list[str]) -> Iterator[Listed]:
        """All files whose path begins with one of these."""

    def near(self, file: Listed, *, footer: bool) -> Any:
        """A context manager that gives the path of the file on this machine; of a Parquet file perhaps its end only."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Files on this machine, or on a disk that it shares."""

    root: Path

    def list(self, prefixes: list[str]) -> Iterator[Listed]:
        """See `FileStore`; a part of it that is not there is empty, the folder itself must be."""
        try:
            self.root.stat()
            for prefix in prefixes:
                yield from self._below(self.root / prefix.rpartition("/")[0], prefix)
        except OSError as error:
            raise Away(f"{error.strerror}: {error.filename}") from None

    def _below(self, folder: Path, prefix: str) -> Iterator[Listed]:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            name = path.relative_to(self.root).as_posix()
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # it went while it was listed
            if name.startswith(prefix) and path.is_file():
                yield Listed(name, found.st_size, str(found.st_mtime_ns), found.st_mtime_ns // 1000)

    @contextmanager
    def near(self, file: Listed, *, footer: bool) -> Iterator[Path]:
        """The file itself."""
        yield self.root / file.path


@dataclass(frozen=True, slots=True)
class Bucket:
    """Objects of an object store that speaks S3."""

    client: Any
    """Of boto3."""
    name: str
    base: str
    """Prefix of all that belongs here; empty, or with a slash at its end."""
    errors: tuple[type[Exception], ...]
    """What the client raises."""

    def list(self, prefixes: list[str]) -> Iterator[Listed]:
        """See `FileStore`."""
        try:
            pages = self.client.get_paginator("list_objects_v2")
            for prefix in prefixes:
                for page in pages.paginate(Bucket=self.name, Prefix=self.base + prefix):
                    yield from map(self._listed, page.get("Contents", ()))
        except self.errors as error:
            raise Away(str(error)) from None

    def _listed(self, entry: dict[str, Any]) -> Listed:
        path, changed_at = entry["Key"].removeprefix(self.base), from_datetime(entry["LastModified"])
        return Listed(path, entry["Size"], entry["ETag"].strip('"'), changed_at)

    @contextmanager
    def near(self, file: Listed, *, footer: bool) -> Iterator[Path]:
        """A copy that goes away again; of a Parquet file whose rows are only counted, a hollow one with its footer."""
        with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
            copy = Path(folder) / Path(file.path).name
            try:
                if footer:
                    self._hollow(file, copy)
                else:
                    self.client.download_file(self.name, self.base + file.path, str(copy))
            except self.errors as error:
                raise Away(f"{file.path}: {error}") from None
            yield copy

    def _hollow(self, file: Listed, copy: Path) -> None:
        """As large as the file and empty but for its end, so that whoever reads the footer finds it in its place."""
        tail = self._end(file, TAIL)
        if len(tail) < 12 or tail[-4:] != MAGIC:
            raise Unreadable("is no Parquet file: its end is missing")
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if length > len(tail):
            tail = self._end(file, length)
        with copy.open("wb") as hollow:
            hollow.write(MAGIC)
            hollow.truncate(file.size)
            hollow.seek(file.size - len(tail))
            hollow.write(tail)

    def _end(self, file: Listed, length: int) -> bytes:
        first = max(0, file.size - length)
        if file.size == 0:
            return b""
        # The version that was listed: another one has another footer.
        answer = self.client.get_object(
            Bucket=self.name, Key=self.base + file.path, Range=f"bytes={first}-", IfMatch=file.version
        )
        content: bytes = answer["Body"].read()
        return content


def bucket_of(url: str, endpoint: str | None, region: str | None, patience: Micros) -> Bucket:
    """The bucket of ``s3://bucket/prefix``; who asks comes from the environment. Raises `ImportError`."""
    import boto3  # an extra
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    seconds = max(1, patience // SECOND)
    config = Config(connect_timeout=min(10, seconds), read_timeout=seconds, retries={"total_max_attempts": 3})
    client = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    name, _, base = url.removeprefix("s3://").partition("/")
    base = base.rstrip("/")
    return Bucket(client, name, f"{base}/" if base else "", (Boto3Error, BotoCoreError, ClientError, OSError))
