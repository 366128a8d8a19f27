"""Counting by DuckDB, in this process: file after file into a table of sums on disk, then once over that.

Memory is bounded: DuckDB puts what is too much into files beside the table, and all of them go away at the end.
"""

import csv
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconciler.connectors._files_rows import Format
from reconciler.connectors._files_stores import Away, Unreadable
from reconciler.counting.definition import Cell, Definition, flattened
from reconciler.counting.places import Source
from reconciler.counting.question import OUTSIDE, Kind, gathered, judged, kind_of, objects, summed
from reconciler.counting.tally import NAMED, Advance, Refuse, Totals, cell_of, refusal_of, refuse_file, refuse_rest
from reconciler.counting.words import DUCKDB
from reconciler.errors import ConfigError
from reconciler.reading import RefusedLine

FETCH = 10_000
"""Rows taken from the engine at a time."""
LONGEST = 64_000_000
"""Bytes in a line of NDJSON."""
BOM = "\ufeff"
MIXED = (
    "some of its lines end with CR LF and some with LF, or quotation marks do not pair; "
    "give all lines the same end (`sed -i 's/\\r$//' FILE`), and look for a quotation mark that is not doubled"
)
"""Of CSV only: what DuckDB's parser means by a state that it cannot be in."""


class DuckEngine:
    """DuckDB with a database of its own that goes away with it."""

    def __init__(self, asked: Definition, *, delimiter: str | None, memory: str, threads: int) -> None:
        try:
            import duckdb  # an extra
        except ImportError:
            raise ConfigError("the package duckdb is missing; pip install 'reconciler[files]'") from None
        self._asked, self._delimiter = asked, delimiter
        self._errors: tuple[type[Exception], ...] = (duckdb.Error,)
        self._folder = tempfile.TemporaryDirectory(prefix="reconciler-count-")
        folder = Path(self._folder.name)
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(folder / "spilled"),
        }
        try:
            self._connection = duckdb.connect(
                str(folder / "sums.duckdb"), config=config | {"autoinstall_known_extensions": "false"}
            )
        except self._errors as error:
            raise ConfigError(f"DuckDB cannot start: {_first_line(error)}") from None
        self._ask("SET TimeZone = 'UTC'")
        self._ask(
            "CREATE TABLE gathered (fault VARCHAR, source VARCHAR, bucket BIGINT, outcome VARCHAR, id VARCHAR,"
            " copies BIGINT)"
        )
        self.totals = Totals()

    def take(self, sources: Sequence[Source], refuse: Refuse, advance: Advance) -> None:
        """See `tally.Engine`."""
        for source in sources:
            try:
                with source.near() as path:
                    self._take(source, path, refuse)
            except (Unreadable, Away) as error:
                refuse_file(source.name, error, self.totals, refuse)
            advance(source.size)

    def cells(self) -> Iterator[Cell]:
        """See `tally.Engine`."""
        answer = self._ask(summed("gathered", DUCKDB, ids=self._asked.id is not None))
        while rows := answer.fetchmany(FETCH):
            for row in rows:
                yield cell_of(row, self._asked)

    def close(self) -> None:
        """See `tally.Engine`."""
        self._connection.close()
        self._folder.cleanup()

    def _take(self, source: Source, path: Path, refuse: Refuse) -> None:
        if source.kind != "parquet" and path.stat().st_size == 0:
            return
        asked = flattened(self._asked) if source.kind == "ndjson" else self._asked
        for table in ("reject_errors", "reject_scans"):  # of the file before it
            self._ask(f"DROP TABLE IF EXISTS {table}")
        question = self._question(path, source.kind, asked)
        # A file counts in full or not at all: its sums join the others once it has been read to its end.
        try:
            self._gather(question)
        except Unreadable:
            if source.kind != "ndjson":
                raise
            question = replace(question, rows=_lines(path, mixed=True))
            self._gather(question)
        faults = dict(self._ask("SELECT fault, SUM(copies) FROM latest GROUP BY 1").fetchall())
        misread = self._misread() if source.kind == "csv" else []
        for line, reason in misread[:NAMED]:
            refuse(source.name, RefusedLine(line, "(line)", reason))
        self.totals.rows += int(sum(faults.values())) + len(misread)
        self.totals.outside += int(faults.pop(OUTSIDE, 0))
        faults.pop(None, None)
        bad = int(sum(faults.values()))
        self.totals.refused += bad + len(misread)
        if bad:
            self._name(source.name, question(numbered=True), refuse)
        refuse_rest(source.name, max(0, bad - NAMED) + max(0, len(misread) - NAMED), refuse)
        self._ask("INSERT INTO gathered SELECT * FROM latest WHERE fault IS NULL")

    def _gather(self, question: "Question") -> None:
        self._ask(f"CREATE OR REPLACE TEMP TABLE latest AS\n{gathered(question(numbered=False))}")

    def _question(self, path: Path, kind: Format, asked: Definition) -> "Question":
        """What every row of the file means, by number where that is asked for."""
        if kind == "parquet":
            rows = f"read_parquet({_text(path)})"
            types = self._ask(f"DESCRIBE SELECT ({asked.time}) AS r_time FROM {rows}").fetchall()
            return Question(asked, rows, kind_of(types[0][1]))
        if kind == "csv":
            return Question(asked, self._csv(path), "text")
        return Question(asked, _lines(path), "text", self._asked.named())

    def _csv(self, path: Path) -> str:
        delimiter = self._delimiter or ("\t" if ".tsv" in path.suffixes else ",")
        first = self._ask(f"SELECT line FROM {_lines(path)} LIMIT 1").fetchall()
        names = next(csv.reader([first[0][0] or ""], delimiter=delimiter)) if first else []
        columns = ", ".join(f"{_text(name.removeprefix(BOM))}: 'VARCHAR'" for name in names)
        return (
            f"read_csv({_text(path)}, columns = {{{columns}}}, auto_detect = false, header = true,"
            f" delim = {_text(delimiter)}, quote = '\"', escape = '\"', strict_mode = true,"
            " store_rejects = true, rejects_limit = 0)"
        )

    def _misread(self) -> list[tuple[int, str]]:
        """Lines of a CSV file that are no rows of it, each with the first reason."""
        found = self._ask("SELECT line, MIN(error_message) FROM reject_errors GROUP BY 1 ORDER BY 1").fetchall()
        return [(int(line), str(reason)) for line, reason in found]

    def _name(self, name: str, question: str, refuse: Refuse) -> None:
        """Say which rows are at fault, and why."""
        faulty = f"fault IS NOT NULL AND fault <> '{OUTSIDE}'"
        answer = self._ask(f"SELECT fault, r_row, written, outcome FROM ({question}) WHERE {faulty} LIMIT {NAMED}")
        for fault, row, written, outcome in answer.fetchall():
            refuse(name, refusal_of(fault, row, outcome if fault == "outcome" else written))

    def _ask(self, query: str) -> Any:
        try:
            return self._connection.execute(query)
        except self._errors as error:
            said = _first_line(error)
            raise Unreadable(f"cannot be read: {MIXED if 'state machine' in said else said}") from None


@dataclass(frozen=True, slots=True)
class Question:
    """Rows of one file, and what they mean."""

    asked: Definition
    rows: str
    kind: Kind
    names: list[str] | None = None
    """Of NDJSON: what may be keys."""

    def __call__(self, *, numbered: bool) -> str:
        number = "*, ROW_NUMBER() OVER () AS r_row" if numbered else "*"
        rows, also = f"(SELECT {number} FROM {self.rows}) AS r_rows", "r_row" if numbered else ""
        if self.names is None:
            return judged(self.asked, DUCKDB, rows, self.kind, also=also)
        lines = objects(self.names, DUCKDB, rows, also)
        return judged(self.asked, DUCKDB, lines, self.kind, broken="r_fault", also=also)


def _lines(path: Path, *, mixed: bool = False) -> str:
    """`mixed`: they end now with CR LF and now with LF, and a CR may leave a blank one behind."""
    lines = (
        f"read_csv({_text(path)}, columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false, delim = '',"
        f" quote = '', escape = '', max_line_size = {LONGEST}, buffer_size = {2 * LONGEST}"
    )
    return f"(SELECT * FROM {lines}, strict_mode = false) WHERE line IS NOT NULL)" if mixed else f"{lines})"


def _text(value: object) -> str:
    """A text of SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:2])
