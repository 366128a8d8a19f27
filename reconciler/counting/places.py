"""Which files are meant: paths and globs of this machine, and of object stores that speak S3."""

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from reconciler.connectors._files_paths import PathPattern
from reconciler.connectors._files_rows import Format, format_of
from reconciler.connectors._files_stores import Away, Bucket, Listed, Unreadable, bucket_of
from reconciler.core.times import MINUTE
from reconciler.errors import ConfigError, OutOfReach

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be counted."""

    name: str
    """As the user would write it."""
    size: int
    """Bytes."""
    kind: Format
    where: Bucket | None = None
    """The object store that it is in; `None`: this machine."""
    listed: Listed | None = None

    def near(self) -> AbstractContextManager[Path]:
        """The path of the file, or of a copy that goes away again."""
        if self.where is None or self.listed is None:
            return nullcontext(Path(self.name))
        return self.where.near(self.listed, footer=False)


Listing = Callable[[str], Iterable[Source]]
"""Files that an address means."""


def stored(kind: Format | None, endpoint: str | None, region: str | None) -> Listing:
    """Lists what lies in object stores that speak S3."""
    return lambda url: _remote(url, kind, endpoint, region)


def find(patterns: Sequence[str], kind: Format | None, away: Listing) -> list[Source]:
    """All files that the patterns mean, each once, in order; a pattern that means none is an error.

    `away` lists those that are addresses.
    """
    found: dict[str, Source] = {}
    for pattern in patterns:
        some = list(away(pattern)) if "://" in pattern else _local(pattern, kind)
        before = len(found)
        for one in some:
            found[one.name] = one
        if len(found) == before and not some:
            raise ConfigError(f"{pattern}: there is no such file; a glob in quotes is looked up by this command")
    return list(found.values())


def _local(pattern: str, kind: Format | None) -> list[Source]:
    # A name that exists is that file, even if it looks like a glob.
    names = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  absolute patterns
    paths = [path for path in map(Path, names) if path.is_file()]
    return [Source(str(path), path.stat().st_size, kind or kind_at(str(path))) for path in paths]


def _remote(url: str, kind: Format | None, endpoint: str | None, region: str | None) -> list[Source]:
    if not url.startswith("s3://"):
        raise ConfigError(f"{url}: is neither a path nor s3://bucket/path; --engine spark reads other addresses")
    name, _, path = url.removeprefix("s3://").partition("/")
    wild = _WILD.search(path)
    prefix = path[: wild.start()] if wild else path
    try:
        bucket = bucket_of(f"s3://{name}", endpoint, region, MINUTE)
        listed = list(_matching(bucket, prefix, path))
    except ImportError as error:
        raise ConfigError(f"the package {error.name} is missing; pip install 'reconciler[s3]'") from None
    except Away as error:
        raise OutOfReach(f"{url}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{url}: {error}") from None
    return [
        Source(f"s3://{name}/{one.path}", one.size, kind or kind_at(one.path), bucket, one)
        for one in sorted(listed, key=lambda one: one.path)
    ]


def _matching(bucket: Bucket, prefix: str, path: str) -> Iterator[Listed]:
    pattern = PathPattern(path, "")
    for one in bucket.list([prefix]):
        if one.path == path or pattern.read(one.path) is not None:
            yield one


def kind_at(path: str) -> Format:
    """As the end of a name says it."""
    try:
        return format_of(path)
    except Unreadable as error:
        raise ConfigError(f"{path}: {error}") from None
