"""Counting by Spark, on this machine or on a cluster: files of one shape at a time, then once over all sums.

The questions are those that DuckDB is asked. Workers run no code of this package and need nothing installed. Where a
row stands in its file is not known there, so refusals name file, reason and value.
"""

import csv
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from reconciler.connectors._files_rows import Format
from reconciler.connectors._files_stores import Unreadable
from reconciler.counting.definition import Cell, Definition, flattened, rewritten
from reconciler.counting.places import Source, kind_at
from reconciler.counting.question import OUTSIDE, gathered, judged, kind_of, objects, summed
from reconciler.counting.tally import (
    NAMED,
    Advance,
    Refuse,
    Totals,
    cell_of,
    refusal_of,
    refuse_file,
    refuse_rest,
)
from reconciler.counting.words import SPARK
from reconciler.errors import ConfigError, OutOfReach

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BROKEN = "r_broken_row"
SETTINGS = {
    # Names in double quotes, texts without escapes: what the user wrote means what it means to DuckDB.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.sql.session.timeZone": "UTC",
    # All columns of a row are read, so that one with too many or too few is seen.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    # Of an object that names a key twice nothing is taken anyway; elsewhere in it nobody minds.
    "spark.sql.variant.allowDuplicateKeys": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
}
QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
Shape = tuple[Format, tuple[tuple[str, str], ...]]
"""Format, and names and types of the columns."""


class SparkEngine:
    """A session of Spark that goes away with it."""

    def __init__(
        self, asked: Definition, *, delimiter: str | None, memory: str, threads: int, master: str | None
    ) -> None:
        try:
            from py4j.protocol import Py4JError, Py4JJavaError  # an extra
            from pyspark.errors import PySparkException
        except ImportError:
            raise ConfigError("the package pyspark is missing; pip install 'reconciler[spark]'") from None
        self._asked, self._delimiter, size = _spoken(asked), delimiter, _memory(memory)
        self._errors: tuple[type[Exception], ...] = (PySparkException, Py4JJavaError, Py4JError)
        self._unreadable: tuple[type[Exception], ...] = (Unreadable, *self._errors)
        self._folder = tempfile.TemporaryDirectory(prefix="reconciler-count-")
        try:
            self._spark = self._session(master or f"local[{threads}]", size)
        except self._errors as error:
            self._folder.cleanup()
            raise OutOfReach(f"Spark cannot start: {_reason(error)}; it needs Java 17 or later") from None
        self._gathered: list[DataFrame] = []
        self.totals = Totals()

    def _session(self, master: str, memory: str) -> "SparkSession":
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.appName("reconciler count").master(master)
        told = SETTINGS | QUIET | {"spark.sql.warehouse.dir": self._folder.name}
        if master.startswith("local"):  # a cluster has its own measures of both
            parts = re.sub(r"\D", "", master) or "2"
            told |= {"spark.driver.memory": memory, "spark.local.dir": self._folder.name}
            told |= {"spark.sql.shuffle.partitions": parts, "spark.driver.bindAddress": "127.0.0.1"}
            told |= {"spark.driver.host": "127.0.0.1"}
        for name, value in told.items():
            builder = builder.config(name, value)
        return builder.getOrCreate()

    def take(self, sources: Sequence[Source], refuse: Refuse, advance: Advance) -> None:
        """See `tally.Engine`."""
        shapes: dict[Shape, list[Source]] = {}
        for source in sources:
            try:
                if source.size or source.kind == "parquet":
                    shapes.setdefault(self._shape(source), []).append(source)
            except self._unreadable as error:
                refuse_file(source.name, _told(error), self.totals, refuse)
        for shape, alike in shapes.items():
            self._take(shape, alike, refuse)
            advance(sum(source.size for source in alike))

    def cells(self) -> Iterator[Cell]:
        """See `tally.Engine`."""
        if not self._gathered:
            return
        whole = self._gathered[0]
        for more in self._gathered[1:]:
            whole = whole.unionAll(more)
        whole.createOrReplaceTempView("gathered")
        try:
            for row in self._spark.sql(summed("gathered", SPARK, ids=self._asked.id is not None)).toLocalIterator():
                yield cell_of(tuple(row), self._asked)
        except self._errors as error:
            raise OutOfReach(f"Spark ended before all was summed: {_reason(error)}") from None

    def close(self) -> None:
        """See `tally.Engine`."""
        self._spark.stop()
        self._folder.cleanup()

    def _shape(self, source: Source) -> Shape:
        if source.kind == "parquet":
            return "parquet", tuple((one, kind) for one, kind in self._spark.read.parquet(_place(source)).dtypes)
        if source.kind == "ndjson":
            return "ndjson", ()
        first = self._spark.read.text(_place(source)).first()
        names = next(csv.reader([first.value if first else ""], delimiter=self._letter(source)), [])
        return "csv", ((self._letter(source), ""), *((name.removeprefix("\ufeff"), "string") for name in names))

    def _letter(self, source: Source) -> str:
        return self._delimiter or ("\t" if ".tsv" in Path(source.name).suffixes else ",")

    def _take(self, shape: Shape, sources: list[Source], refuse: Refuse) -> None:
        """All at once; where one of them cannot be read, one by one, so that it alone is left out."""
        try:
            self._count(shape, sources, refuse)
        except self._unreadable as error:
            if len(sources) == 1:
                refuse_file(sources[0].name, _told(error), self.totals, refuse)
                return
            for source in sources:
                self._take(shape, [source], refuse)

    def _count(self, shape: Shape, sources: list[Source], refuse: Refuse) -> None:
        from pyspark import StorageLevel

        names = {_address(source): source.name for source in sources}
        rows = self._rows(shape, [_place(source) for source in sources])
        if names.keys() - set(map(_given, rows.inputFiles())):
            raise Unreadable("cannot be read: Spark leaves out files whose names begin with _ or .")
        rows.createOrReplaceTempView("r_rows")
        judged_rows = self._judged(shape)
        found = self._spark.sql(gathered(judged_rows, ", r_file")).persist(StorageLevel.DISK_ONLY)
        by_file = found.groupBy("r_file", "fault").sum("copies").collect()
        found.createOrReplaceTempView("r_found")
        unsound, by_name = self._unsound(shape, by_file), self._at_fault(judged_rows, by_file)
        for file in unsound:
            refuse_file(names[_given(file)], "cannot be read: is not UTF-8", self.totals, refuse)
        read = sorted({file for file, _, _ in by_file} - set(unsound))
        for file in read:
            faults = {fault: int(copies) for of, fault, copies in by_file if of == file}
            self._note(names[_given(file)], faults, by_name.get(file, []), refuse)
        usable = found.where("fault IS NULL")
        for file in unsound:
            usable = usable.where(usable.r_file != file)
        self._gathered.append(usable.drop("r_file"))

    def _at_fault(self, judged_rows: str, by_file: list[Any]) -> dict[str, list[Any]]:
        """By file the first rows of each that are at fault."""
        if all(fault in (None, OUTSIDE) for _, fault, _ in by_file):
            return {}
        ranked = (
            f"SELECT *, ROW_NUMBER() OVER (PARTITION BY r_file ORDER BY fault, written) AS r_rank FROM ({judged_rows})"
        )
        rows = self._spark.sql(f"{ranked} WHERE fault IS NOT NULL AND fault <> '{OUTSIDE}'")
        found: dict[str, list[Any]] = {}
        for row in rows.where(f"r_rank <= {NAMED}").toLocalIterator():
            found.setdefault(row.r_file, []).append(row)
        return found

    def _note(self, name: str, faults: dict[str | None, int], rows: list[Any], refuse: Refuse) -> None:
        """Add up what became of the rows of a file, and say which are at fault."""
        self.totals.rows += sum(faults.values())
        self.totals.outside += faults.pop(OUTSIDE, 0)
        faults.pop(None, None)
        bad = sum(faults.values())
        self.totals.refused += bad
        for row in rows:
            refuse(name, refusal_of(row.fault, 0, row.outcome if row.fault == "outcome" else row.written))
        refuse_rest(name, bad - NAMED, refuse)

    def _judged(self, shape: Shape) -> str:
        kind, _ = shape
        if kind == "ndjson":
            asked = flattened(self._asked)
            rows = objects(self._asked.named(), SPARK, "r_rows", "r_file")
            return judged(asked, SPARK, rows, "text", broken="r_fault", also="r_file")
        if kind == "csv":
            broken = f"CASE WHEN {BROKEN} IS NOT NULL THEN 'row' END"
            return judged(self._asked, SPARK, "r_rows", "text", broken=broken, also="r_file")
        types = self._spark.sql(f"SELECT ({self._asked.time}) AS r_time FROM r_rows").dtypes
        return judged(self._asked, SPARK, "r_rows", kind_of(types[0][1]), also="r_file")

    def _rows(self, shape: Shape, places: list[str]) -> "DataFrame":
        kind, columns = shape
        read = self._spark.read
        if kind == "parquet":
            return read.parquet(*places).selectExpr("*", "_metadata.file_path AS r_file")
        if kind == "ndjson":
            return read.text(places).selectExpr("value AS line", "_metadata.file_path AS r_file")
        (letter, _), *named = columns
        texts = ", ".join(f"{_quoted(name)} STRING" for name, _ in [*named, (BROKEN, "")])
        rows = read.csv(
            places, schema=texts, header=True, sep=letter, quote='"', escape='"', multiLine=True, mode="PERMISSIVE",
            columnNameOfCorruptRecord=BROKEN, nullValue="", emptyValue="",
        )  # fmt: skip
        empty = (f"NULLIF({_quoted(name)}, '') AS {_quoted(name)}" for name, _ in named)
        return rows.selectExpr(*empty, BROKEN, "_metadata.file_path AS r_file")

    def _unsound(self, shape: Shape, by_file: list[Any]) -> list[str]:
        """Files with bytes that are no letters: the reader of CSV puts others in their place."""
        suspect = {file for file, fault, _ in by_file if shape[0] == "csv" or fault == "line"}
        if not suspect or shape[0] == "parquet":
            return []
        lines = self._spark.read.text([_plain(_given(file)) for file in sorted(suspect)]).where(
            "NOT IS_VALID_UTF8(value)"
        )
        return sorted(str(row[0]) for row in lines.selectExpr("_metadata.file_path").distinct().collect())

    def list(self, url: str, kind: Format | None) -> Iterator[Source]:
        """The files that an address means to Spark, which may have a pattern in it."""
        java: Any = self._spark
        path = java._jvm.org.apache.hadoop.fs.Path(url)
        try:
            for found in path.getFileSystem(java._jsc.hadoopConfiguration()).globStatus(path) or ():
                name = re.sub("^file:/+", "file:///", found.getPath().toString())
                if found.isFile():
                    yield Source(name, found.getLen(), kind or kind_at(name))
        except self._errors as error:
            raise OutOfReach(f"{url}: {_reason(error)}") from None


def _spoken(asked: Definition) -> Definition:
    """The same with a quote in a text said as Spark takes it."""

    return rewritten(
        asked, lambda text: "(" + text.replace("''", "' || CHR(39) || '") + ")" if "''" in text[1:-1] else text
    )


def _place(source: Source) -> str:
    """For Spark, which takes a path for a pattern."""
    return _plain(_address(source))


def _plain(address: str) -> str:
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", address)


def _address(source: Source) -> str:
    return source.name if "://" in source.name else f"file://{Path(source.name).resolve()}"


def _given(address: str) -> str:
    """A file as it was given, of its address as Spark tells it."""
    return re.sub("^file:/+", "file:///", unquote(address))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _memory(size: str) -> str:
    """As Java writes it: 1GB is 1g."""
    found = re.fullmatch(r"\s*(\d+)\s*([kmgt])i?b?\s*", size, re.IGNORECASE)
    if found is None:
        raise ConfigError(f"--memory: {size!r} is no size; write it as 512MB or 4GB")
    return found[1] + found[2].lower()


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes[-1] if causes else " ".join(lines[:2]))[:500]


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, Unreadable) else f"cannot be read: {_reason(error)}"
