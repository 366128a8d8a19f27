"""How many rows a file has: a Parquet file says it in its footer, CSV and NDJSON are counted by DuckDB."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from reconciler.connectors._files_stores import Unreadable
from reconciler.core.times import SECOND, Micros

Format = Literal["parquet", "csv", "ndjson"]
_ENDINGS: dict[str, Format] = {
    ".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson",
}  # fmt: skip
_PACKED = {".gz", ".zst"}


def format_of(path: str) -> Format:
    """The format that the end of a name says."""
    endings = [ending for ending in Path(path).suffixes if ending not in _PACKED]
    found = _ENDINGS.get(endings[-1].lower()) if endings else None
    if found is None:
        raise Unreadable("has no ending of a format that is known; say `format`")
    return found


def table_of(kind: Format, path: str, *, header: bool, typed: bool) -> str:
    """The function of DuckDB that reads such a file; `path` as SQL."""
    if kind == "csv":
        text = "" if typed else ", all_varchar = true"
        return f"read_csv({path}, header = {str(header).lower()}, strict_mode = true{text})"
    return f"read_parquet({path})" if kind == "parquet" else f"read_json({path}, format = 'newline_delimited')"


class Counter:
    """DuckDB in this process, without a file and without a network."""

    def __init__(self, *, header: bool) -> None:
        import duckdb  # an extra

        self._error: type[Exception] = duckdb.Error
        self._connection = duckdb.connect(":memory:", config={"threads": 2, "autoinstall_known_extensions": "false"})
        self._header = header

    def rows(self, path: Path, kind: Format) -> int:
        """All rows of a file."""
        if kind != "parquet" and path.stat().st_size == 0:
            return 0
        if kind == "parquet":
            query = "SELECT num_rows FROM parquet_file_metadata($path)"
        else:
            query = f"SELECT count(*) FROM {self._table(kind, typed=False)}"  # noqa: S608  one of two constants
        return int(self._ask(query, {"path": str(path)})[0][0])

    def grouped(self, path: Path, kind: Format, source: str, time: str, width: Micros) -> Iterator[tuple[Any, ...]]:
        """Source, start of the bucket and rows, by columns; a source or time that is NULL comes as `None`."""
        seconds = width // SECOND
        query = (
            f"SELECT {source}, CAST(floor(epoch({time}) / {seconds}) AS BIGINT) * {seconds}, count(*)"  # noqa: S608  the user's own SQL
            f" FROM {self._table(kind, typed=True)} GROUP BY 1, 2"
        )
        yield from self._ask(query, {"path": str(path)})

    def named(self, path: Path, kind: Format, file: str, rows: str) -> list[tuple[Any, Any]]:
        """What a manifest names: files, and how many rows each should have."""
        query = f"SELECT {file}, {rows} FROM {self._table(kind, typed=True)}"  # noqa: S608  the user's own SQL
        return [(name, number) for name, number in self._ask(query, {"path": str(path)})]

    def _table(self, kind: Format, *, typed: bool) -> str:
        return table_of(kind, "$path", header=self._header, typed=typed)

    def _ask(self, query: str, values: dict[str, str]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except self._error as error:
            raise Unreadable(f"cannot be read: {str(error).splitlines()[0]}") from None
