"""Which events are in files: DuckDB hashes and groups their ids, and spills to disk where memory does not suffice."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.connectors._files_rows import Format, table_of
from reconciler.connectors._files_stores import Unreadable
from reconciler.connectors._sql_dialects import DIALECTS
from reconciler.connectors._sql_table import Counting, TableSettings
from reconciler.core.times import SECOND, Micros

MEMORY = "1GB"
"""Of DuckDB; what needs more is written to a folder that goes away."""
FETCH = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A file on this machine, and whose rows it has as its path says."""

    path: Path
    kind: Format
    source: str


class FileIds:
    """The ids of some files as if they were one table."""

    def __init__(self, pieces: Sequence[Piece], name: str, time: str, source: str | None, width: Micros) -> None:
        self._pieces, self._name, self._time, self._source, self._width = pieces, name, time, source, width

    def rows(
        self, start: Micros, end: Micros, ask: Callable[[Counting], str], *, header: bool
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a question about [start, end)."""
        if not self._pieces:
            return
        table = TableSettings.model_construct(
            name="events", time="r_time", source="r_source", id="r_id", outcome=None, where=None
        )
        question = ask(Counting(table, DIALECTS["duckdb"], "epoch", self._width))
        with _duckdb() as (connection, failure):
            try:
                connection.execute(f"CREATE TEMP VIEW events AS {self._events(header=header)}")
                ends = {"start": start // SECOND, "end": end // SECOND}
                connection.execute(question.replace(":start", "$start").replace(":end", "$end"), ends)
                while found := connection.fetchmany(FETCH):
                    yield from found
            except failure as error:
                raise Unreadable(f"cannot be read: {str(error).splitlines()[0]}") from None

    def _events(self, *, header: bool) -> str:
        return " UNION ALL ".join(self._piece(piece, header=header) for piece in self._pieces)

    def _piece(self, piece: Piece, *, header: bool) -> str:
        seconds, who = f"CAST(floor(epoch({self._time})) AS BIGINT)", self._source or _quoted(piece.source)
        rows = table_of(piece.kind, _quoted(str(piece.path)), header=header, typed=True)
        return f"SELECT {who} AS r_source, {seconds} AS r_time, {self._name} AS r_id FROM {rows}"  # noqa: S608  the user's own SQL


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _duckdb() -> Iterator[tuple[Any, type[Exception]]]:
    import duckdb  # an extra

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="reconciler-"))
        config: dict[str, Any] = {
            "threads": 2, "autoinstall_known_extensions": "false", "memory_limit": MEMORY, "temp_directory": folder,
        }  # fmt: skip
        connection = duckdb.connect(":memory:", config=config)
        stack.callback(connection.close)
        yield connection, duckdb.Error
