"""Lays the same counts down in the form of each rival: Parquet, PostgreSQL's tables, plain arrays."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
from pyarrow import csv, parquet

from benchmarks.rivals import STAGES, Data
from reconciler.core.tiles import CHUNK, SPAN, Ints, TileKey


def lay_down(data: Data, hours: Iterator[tuple[TileKey, Ints, Ints]]) -> None:
    """Write hours of counts: (where, accepted, processed)."""
    writer = Writer(data)
    for key, accepted, processed in hours:
        for stage, counts in zip(STAGES, (accepted, processed), strict=True):
            writer.write(stage, key.chunk * CHUNK, key.span * SPAN, counts)
    writer.finish()


class Writer:
    """Writes the data in the form of each of them, an hour at a time."""

    def __init__(self, data: Data) -> None:
        columns = [("source", pa.dictionary(pa.int32(), pa.string())), ("minute", pa.int64()), ("count", pa.int64())]
        self._data = data
        self._parquet = {name: parquet.ParquetWriter(data.file(name), pa.schema(columns)) for name in STAGES}
        self._plain = {name: (Path(data.folder) / f"{name}.bin").open("wb") for name in STAGES}
        self._tables = {
            name: psycopg.connect(host=data.socket, dbname=data.database, user="postgres") for name in STAGES
        }
        for name, connection in self._tables.items():
            connection.execute(f"CREATE TABLE {name} (source text, minute bigint, count bigint)".encode())

    def write(self, stage: str, first: int, minute: int, counts: Ints) -> None:
        """Counts of neighbouring sources from `first` on (rows) in neighbouring minutes (columns)."""
        rows, columns = counts.shape
        source = pa.DictionaryArray.from_arrays(
            np.repeat(np.arange(rows, dtype=np.int32), columns), [f"customer-{first + row}" for row in range(rows)]
        )
        values = [source, np.tile(np.arange(minute, minute + columns), rows), counts.ravel()]
        table = pa.table(dict(zip(("source", "minute", "count"), values, strict=True)))
        self._parquet[stage].write_table(table)
        self._plain[stage].write(counts.astype(np.int32).tobytes())
        text = pa.BufferOutputStream()
        plain = table.set_column(0, "source", table["source"].cast(pa.string()))
        csv.write_csv(plain, text, csv.WriteOptions(include_header=False))
        with self._tables[stage].cursor().copy(f"COPY {stage} FROM STDIN (FORMAT csv)".encode()) as copy:
            copy.write(text.getvalue().to_pybytes())

    def finish(self) -> None:
        """Close the files; give the tables a key, and the database what it needs to plan."""
        for name in STAGES:
            self._parquet[name].close()
            self._plain[name].close()
            connection = self._tables[name]
            connection.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (source, minute)".encode())
            connection.commit()
            connection.autocommit = True
            connection.execute(f"VACUUM ANALYZE {name}".encode())
            connection.close()
