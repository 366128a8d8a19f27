"""`reconciler count --engine spark` says what DuckDB says: counts, distinct ids, digests, refusals."""

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import parse_time
from reconciler.counting.definition import Cell, Definition
from reconciler.counting.duck import DuckEngine
from reconciler.counting.places import find
from reconciler.counting.spark import SparkEngine
from reconciler.counting.tally import Engine
from reconciler.errors import ConfigError
from tests.integration.shell import Shell

pytestmark = [
    pytest.mark.slow,
    pytest.mark.spark,
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # py4j leaves its sockets to the collector
]
AT = parse_time("2021-07-20T19:00:00Z")
HOSTILE = [
    "a", "A", "b/c", 'Ünï "q" ,\'', "=1+1", "<b>&amp;", " lead and trail ", "x\ttab", "emoji 😀", "\u2028", "%s {x} $1",
    "back\\slash \\n \\u0041", "`tick`", "--", "null", "NaN", "a" * 10_000, "e\u0301", "\u00e9", "日本", "0017", "1e3",
]  # fmt: skip
TIMES = [
    "2021-07-20T18:45:01Z", "2021-07-20 18:45:59.999999999", "2021-07-20T18:45", "2021-07-20T18:45Z", "2021-07-20",
    "2021-07-20T20:45:30+02:00", "2021-07-20T20:45:30+02", "2021-07-20T20:45+02", "2021-07-20T00:15:30.25-05:30",
    "1626806701", "1626806701.999999", "2021-03-28T02:30:00+01:00",
]  # fmt: skip
NO_TIMES = [
    "", "yesterday", "2021-02-30T00:00:00Z", "2021-07-20T24:00:00Z", "2021-07-20T18:45:60Z",
    "2021-07-20T18:45:01+19:00", "2021-07-20T18:45:01Z\n", " 2021-07-20T18:45:01Z", "12",
    "-1626806701", "16268067010000000", "1.5E9", "２０２１-07-20",
    "2021-07-21T18:45:01Z",
]  # fmt: skip
IDS = ["", "dup", "Dup", "ünï", "'; --", "0", "1.50"]
TIMED = '"ts":"2021-07-20T18:45:01Z"'
ODD_LINES = [
    "", "   ", "no json", "[1]", "7", "null", '"{who"', '{"who":"a"', '{"who":"a"} x', '{"who":"a"}{"who":"b"}',
    '{"who":"a"}] {}', '{"who":"a"},"x":2', "{'who':'a'}", f'{{"who":"t\tab",{TIMED}}}',
    f'{{"who":"a","who":"b",{TIMED}}}', f'{{"who":"half \\ud83d",{TIMED}}}', f'{{"who":"n\\u0000",{TIMED}}}',
    f'{{"who":"whole \\ud83d\\ude00 \\\\ud83d",{TIMED}}}', f'\t{{"who":"a",{TIMED},"id":"x"}} ',
    '{"who":"a","ts":null}', '{"who":7,"ts":1626806701.25,"id":12345678901234567890123}',
    '{"who":true,"ts":1626806701,"id":null}',
    f'{{"WHO":"a",{TIMED}}}', f'{{"who":"x",{TIMED},"other":NaN}}', f'{{"who":"x",{TIMED},"other":{{"a":1,"a":2}}}}',
]  # fmt: skip


@dataclass(frozen=True)
class Found:
    """All that an engine says."""

    cells: list[Cell]
    rows: int
    outside: int
    refused: int
    refusals: "Counter[tuple[str, str, str]]"


def definition(**changed: Any) -> Definition:
    pipeline = Pipeline("batch", ("ingress", "processed"))
    told: dict[str, Any] = {"source": "who", "time": "ts", "outcome": "o", "id": "id", "unit": "s"}
    told |= {"pipeline": pipeline, "stage": "ingress", "at": AT, "start": None, "end": None}
    return Definition(**(told | changed))


def counted(engine: Engine, files: list[str]) -> Found:
    refusals: Counter[tuple[str, str, str]] = Counter()
    engine.take(
        find(files, None, lambda url: ()),
        lambda name, line: refusals.update([(Path(name).name, line.field, line.reason)]),
        lambda size: None,
    )
    cells, totals = list(engine.cells()), engine.totals
    engine.close()
    return Found(cells, totals.rows, totals.outside, totals.refused, refusals)


def by_both(files: list[str], **changed: Any) -> tuple[Found, Found]:
    asked = definition(**changed)
    duck = DuckEngine(asked, delimiter=None, memory="1GB", threads=2)
    spark = SparkEngine(asked, delimiter=None, memory="1GB", threads=2, master=None)
    return counted(duck, files), counted(spark, files)


def rows(number: int) -> list[dict[str, Any]]:
    """Rows of everything: hostile names, times that are none, ids that are missing or come twice."""
    chance = random.Random(number)
    return [
        {
            "who": chance.choice([*HOSTILE, *HOSTILE, "", None]),
            "ts": chance.choice([*TIMES, *TIMES, *TIMES, *NO_TIMES, None]),
            "o": chance.choice(["", None, "accepted", "accepted", "rejected", "vanished"]),
            "id": chance.choice([*IDS, f"id-{chance.randrange(number)}"]) if one % 3 else f"id-{one}",
        }
        for one in range(number)
    ]


def ndjson(path: Path, some: list[dict[str, Any]]) -> str:
    lines = [json.dumps(row, ensure_ascii=bool(one % 2)) for one, row in enumerate(some)] + ODD_LINES
    random.Random(1).shuffle(lines)
    text = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def table(path: Path, some: list[dict[str, Any]], letter: str = ",") -> str:
    names = ("who", "ts", "o", "id")
    quoted = ([str(row[name] or "").replace('"', '""') for name in names] for row in some)
    lines = [letter.join(names), *(letter.join(f'"{value}"' for value in row) for row in quoted)]
    lines += [
        letter.join(["plain", "2021-07-20T18:45:01Z", "", "x"]),
        letter.join(["two", "few"]),
        letter.join("abcde"),
    ]
    path.write_text("\n".join(lines) + "\n", newline="")
    return str(path)


def parquet(path: Path, some: list[dict[str, Any]], times: str) -> str:
    """With a column of time of this type."""
    source = path.with_suffix(".ndjson")
    source.write_text("".join(json.dumps(row) + "\n" for row in some))
    columns = "{'who': 'VARCHAR', 'ts': 'VARCHAR', 'o': 'VARCHAR', 'id': 'VARCHAR'}"
    read = f"SELECT who, CAST(ts AS {times}) AS ts, o, id FROM read_json('{source}', columns = {columns})"
    duckdb.connect().execute(f"SET TimeZone = 'UTC'; COPY ({read}) TO '{path}'")
    source.unlink()
    return str(path)


def timed(some: list[dict[str, Any]], times: list[str | None]) -> list[dict[str, Any]]:
    return [row | {"ts": times[one % len(times)]} for one, row in enumerate(some)]


@pytest.fixture(scope="module", autouse=True)
def java() -> Iterator[None]:
    """The gateway to Java outlives its sessions; it ends with the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:+UseSerialGC")
        yield
    from pyspark import SparkContext

    if SparkContext._gateway is not None:
        SparkContext._gateway.shutdown()
        SparkContext._gateway.proc.stdin.close()
        SparkContext._gateway.proc.wait(60)
        SparkContext._gateway = SparkContext._jvm = None


def test_both_engines_say_the_same_of_files_of_every_format_with_everything_in_them(tmp_path: Path) -> None:
    some = rows(600)
    instants: list[str | None] = ["2021-07-20T18:45:01.5Z", "2021-07-20T18:59:59.999999Z", None, "1969-12-31T23:59:59Z"]
    numbers: list[str | None] = ["1626806701", "1626806761", None, "12"]
    files = [
        ndjson(tmp_path / "a.ndjson", some[:200]),
        ndjson(tmp_path / "b [1] %41 ü.ndjson.gz", some[150:300]),
        table(tmp_path / "a.csv", some[200:400]),
        table(tmp_path / "b.tsv", some[100:250], "\t"),
        parquet(tmp_path / "text.parquet", some[300:], "VARCHAR"),
        parquet(tmp_path / "zoned.parquet", timed(some[:300], instants), "TIMESTAMPTZ"),
        parquet(tmp_path / "naive.parquet", timed(some[:300], instants), "TIMESTAMP"),
        parquet(tmp_path / "whole.parquet", timed(some[:300], numbers), "BIGINT"),
        parquet(tmp_path / "parts.parquet", timed(some[:300], ["1626806701.25", "1626806759.9999"]), "DOUBLE"),
    ]
    duck, spark = by_both(files)
    assert spark.cells == duck.cells
    assert (spark.rows, spark.outside, spark.refused) == (duck.rows, duck.outside, duck.refused)
    assert without_wording(spark.refusals) == without_wording(duck.refusals)
    assert len(duck.cells) > 60
    assert sum(cell.rows - cell.count for cell in duck.cells) > 100, "ids come twice"
    assert {None, int} <= {type(cell.digest) if cell.digest else None for cell in duck.cells}
    assert len({field for _, field, _ in duck.refusals}) >= 4


def without_wording(refusals: "Counter[tuple[str, str, str]]") -> "Counter[tuple[str, str, str]]":
    """How an instant and a line that is no row are written is each engine's own."""
    known: Counter[tuple[str, str, str]] = Counter()
    for (file, field, reason), often in refusals.items():
        typed = file in ("zoned.parquet", "naive.parquet", "parts.parquet")
        known[file, field, "" if typed or (field == "(line)" and file.endswith(("csv", "tsv"))) else reason] += often
    return known


def test_both_engines_take_the_same_questions(tmp_path: Path) -> None:
    some = [row | {"ts": f"2021-07-20T18:4{one % 10}:00Z"} for one, row in enumerate(rows(80))]
    span = {"start": parse_time("2021-07-20T18:42:00Z"), "end": parse_time("2021-07-20T18:48:00Z")}
    source = """CASE WHEN who LIKE 'a%' THEN 'it''s an a \\n' ELSE UPPER("who") || COALESCE(o, '-') END"""
    files = [ndjson(tmp_path / "a.ndjson", some), table(tmp_path / "a.csv", some)]
    duck, spark = by_both(files, source=source, outcome=None, id=None, **span)
    assert spark.cells == duck.cells
    assert (spark.rows, spark.outside, spark.refused) == (duck.rows, duck.outside, duck.refused)
    assert duck.outside > 10
    assert "it's an a \\n" in {cell.source for cell in duck.cells}


def test_keys_within_keys_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    values = [{"team": "red", "feed": 7}, {"team": None}, "text", {"team": {"x": 1}}, None]
    lines = [json.dumps({"meta": value, "at_ms": 1_626_806_701_250}) for value in values]
    path.write_text("\n".join([*lines, '{"meta":{"team":"a","team":"b"},"at_ms":1626806701250}']))
    duck, spark = by_both([str(path)], source="meta.team", time="at_ms", outcome=None, id="meta.feed", unit="ms")
    assert spark == duck
    assert duck.refusals["a.ndjson", "(line)", "names a key twice: which of the two is meant is not known"] == 1


def test_a_file_that_cannot_be_read_is_left_out_and_the_others_are_counted(tmp_path: Path) -> None:
    some = timed(rows(60), ["2021-07-20T18:45:01Z"])
    good = [parquet(tmp_path / "a.parquet", some, "VARCHAR"), ndjson(tmp_path / "a.ndjson", some)]
    torn, other = tmp_path / "torn.parquet", tmp_path / "other.parquet"
    torn.write_bytes(Path(good[0]).read_bytes()[:-100])
    duckdb.connect().execute(f"COPY (SELECT 1 AS x) TO '{other}'")
    bad = tmp_path / "bytes.ndjson"
    bad.write_bytes(b'{"who":"a\xff","ts":"2021-07-20T18:45:01Z","id":"1","o":null}\n')
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"who,ts,o,id\n\xe9,2021-07-20T18:45:01Z,,1\n")
    hidden = parquet(tmp_path / "_hidden.parquet", some, "VARCHAR")
    files = [*good, str(torn), str(other), str(bad), str(latin)]
    duck, spark = by_both(files)
    assert spark.cells == duck.cells
    assert (spark.rows, spark.refused) == (duck.rows, duck.refused)
    assert {name for name, field, _ in spark.refusals if field == "(file)"} == {
        "torn.parquet", "other.parquet", "bytes.ndjson", "latin.csv",
    }  # fmt: skip
    _, left_out = by_both([good[0], hidden])
    assert [name for name, field, _ in left_out.refusals if field == "(file)"] == ["_hidden.parquet"]


def test_the_command_counts_by_spark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path, capsys)
    shell.file("reconciler.yaml", "pipelines: {batch: {stages: [ingress, processed]}}")
    file = ndjson(tmp_path / "a.ndjson", rows(50))
    asked = ("--pipeline", "batch", "--stage", "ingress", "--source", "who", "--time", "ts", "--id", "id")
    said = {}
    for engine in ("duckdb", "spark"):
        out = tmp_path / f"{engine}.ndjson"
        call = ("count", file, "--config", str(tmp_path / "reconciler.yaml"), *asked, "--at", "2021-07-20T19:00:00Z")
        assert shell(*call, "--engine", engine, "--output", str(out)) == 3
        said[engine] = (out.read_text(), shell.out)
    assert said["spark"] == said["duckdb"]
    assert shell("count", f"file://{tmp_path}/a.nd*", *call[2:], "--engine", "spark", "--output", str(out)) == 3
    assert out.read_text() == said["duckdb"][0]


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="512MB or 4GB"):
        SparkEngine(definition(), delimiter=None, memory="much", threads=2, master=None)
    missing = str(tmp_path / "none-*.csv")
    with pytest.raises(ConfigError, match="there is no such file"):
        find([missing], None, lambda url: ())
