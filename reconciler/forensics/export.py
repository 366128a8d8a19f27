"""An investigation as files in a folder: tables as CSV and Parquet, all of it as JSON, drafts as Markdown."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from reconciler.errors import ConfigError
from reconciler.forensics.drafts import letters, postmortem
from reconciler.forensics.inquiry import Investigation
from reconciler.forensics.tables import TABLES, Table, record
from reconciler.reports.tables import to_csv

if TYPE_CHECKING:
    from reconciler.forensics.whatif import WhatIf

_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)


def export(looked: Investigation, folder: Path, *, parquet: bool, otherwise: "WhatIf | None" = None) -> list[Path]:
    """Write everything; returns the files. `ConfigError` where that is not possible."""
    duckdb = _duckdb() if parquet else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = list(_files(looked, folder, duckdb, otherwise))
    except OSError as error:
        raise ConfigError(f"--output {folder}: cannot be written: {error.strerror or error}") from None
    return made


def _duckdb() -> ModuleType:
    try:
        import duckdb
    except ImportError as error:
        hint = "or leave it out by --no-parquet"
        raise ConfigError(f"writing Parquet needs duckdb: pip install 'reconciler[files]', {hint}") from error
    return duckdb


def _files(
    looked: Investigation, folder: Path, duckdb: ModuleType | None, otherwise: "WhatIf | None"
) -> Iterator[Path]:
    for make in TABLES:
        table = make(looked)
        yield _write(folder / f"{table.name}.csv", to_csv(table.heads, table.written()))
        if duckdb is not None:
            yield _parquet(duckdb, table, folder / f"{table.name}.parquet")
    yield _write(folder / "forensics.json", json.dumps(record(looked, otherwise), ensure_ascii=False, indent=1) + "\n")
    yield _write(folder / "postmortem.md", "".join(f"{line}\n" for line in postmortem(looked)))
    for number, (name, lines) in enumerate(letters(looked), start=1):
        (folder / "letters").mkdir(exist_ok=True)
        label = _UNSAFE.sub("-", name).strip("-.")[:60]
        yield _write(folder / "letters" / f"{number:02}-{label}.md", "".join(f"{line}\n" for line in lines))


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _parquet(duckdb: ModuleType, table: Table, path: Path) -> Path:
    frame = table.frame()
    for head in [
        name for name in frame if frame[name].isna().all()
    ]:  # a column of nothing but gaps has no type of its own
        frame[head] = frame[head].astype("string")
    with duckdb.connect(":memory:") as connection:
        connection.register("frame", frame)
        connection.from_query("SELECT * FROM frame").write_parquet(str(path))
    return path
