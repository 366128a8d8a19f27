"""A place with files, on the disk or in an object store, as a user of the files connector has it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import duckdb
import pytest

from tests.servers.objects import REGION, ObjectStore


class Place(Protocol):
    """Where files are put."""

    @property
    def options(self) -> dict[str, Any]:
        """How a connector finds it."""

    def put(self, path: str, content: bytes) -> None:
        """Write a file, or write it anew."""

    def remove(self, path: str) -> None:
        """Take it away."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder."""

    root: Path

    @property
    def options(self) -> dict[str, Any]:
        return {"url": str(self.root)}

    def put(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()


@dataclass(frozen=True, slots=True)
class Objects:
    """A prefix of a bucket."""

    store: ObjectStore
    bucket: str

    @classmethod
    def lent(cls, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Self:
        """An empty one, and what lets this process in."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        store: ObjectStore = request.getfixturevalue("object_store")
        return cls(store, store.bucket())

    @property
    def options(self) -> dict[str, Any]:
        return {"url": f"s3://{self.bucket}/landing", "endpoint": self.store.endpoint, "region": REGION}

    def put(self, path: str, content: bytes) -> None:
        self.store.client.put_object(Bucket=self.bucket, Key=f"landing/{path}", Body=content)

    def remove(self, path: str) -> None:
        self.store.client.delete_object(Bucket=self.bucket, Key=f"landing/{path}")


def ndjson(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv(rows: int) -> bytes:
    return ("id,name\n" + "".join(f'{number},"a,\nb"\n' for number in range(rows))).encode()


def parquet(folder: Path, rows: int, *, wide: int = 0) -> bytes:
    """A Parquet file of so many rows; a wide one has a footer of many kilobytes."""
    path = folder / "made.parquet"
    columns = ", ".join(
        ["range AS id", *(f"range + {one} AS column_with_a_rather_long_name_{one}" for one in range(wide))]
    )
    duckdb.connect(":memory:").execute(f"COPY (SELECT {columns} FROM range({rows})) TO '{path}' (ROW_GROUP_SIZE 2048)")
    return path.read_bytes()
