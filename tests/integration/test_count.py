"""`reconciler count`: raw events in files, as a person or a script has them counted."""

import gzip
import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reconciler.core.times import format_time, parse_time
from reconciler.store import open_store
from tests.integration.shell import Shell
from tests.integration.test_commands_input import PIPELINE
from tests.servers.objects import REGION, ObjectStore

AT = "2021-07-20T19:00:00Z"
ASKED = ("--pipeline", "batch", "--stage", "ingress", "--source", "who", "--time", "ts", "--at", AT)
START = parse_time("2021-07-20T18:45:00Z")


def digest(ids: set[str]) -> int:
    """As the contract says it, without any of what is tested."""
    return sum(int.from_bytes(hashlib.sha256(one.encode()).digest()[:8], "big") for one in ids) % 2**64


def events(number: int) -> list[dict[str, Any]]:
    """Events of three sources in ten minutes, some of them written twice."""
    chance = random.Random(number)
    return [
        {
            "who": chance.choice(["a", "b/c", 'Ünï "q" ,\'']),
            "ts": format_time(START + chance.randrange(600) * 1_000_000),
            "id": f"id-{chance.randrange(number)}",
        }
        for _ in range(number)
    ]


def expected(rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, str]]:
    """Source and bucket -> distinct ids and their digest."""
    cells: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        cells.setdefault((row["who"], f"{row['ts'][:17]}00Z"), set()).add(row["id"])
    return {cell: (len(ids), str(digest(ids))) for cell, ids in cells.items()}


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    """The rows in the format and packing that the name says."""
    if path.suffix == ".parquet":
        source = path.with_suffix(".ndjson")
        written(source, rows)
        types = "{'who': 'VARCHAR', 'ts': 'TIMESTAMPTZ', 'id': 'VARCHAR'}"
        query = f"COPY (FROM read_json('{source}', columns = {types})) TO '{path}'"
        duckdb.connect().execute(query)
        source.unlink()
        return str(path)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if ".csv" in path.name:
        quoted = ([row[key].replace('"', '""') for key in ("who", "ts", "id")] for row in rows)
        text = "who,ts,id\n" + "".join('"' + '","'.join(row) + '"\n' for row in quoted)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def counted(shell: Shell) -> dict[tuple[str, str], tuple[int, str | None]]:
    return {
        (one["source"], one["bucket"]): (one["count"], one.get("digest"))
        for one in shell.records()
        if one["type"] == "count"
    }


@pytest.fixture
def configured(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A folder with a configuration and without a ledger."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, capsys)
    shell.file("reconciler.yaml", "pipelines: {batch: {stages: [ingress, processed]}}")
    return shell


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.ndjson", "a.csv.gz", "a.ndjson.gz"])
def test_distinct_ids_and_digests_are_those_of_the_contract_in_every_format(configured: Shell, name: str) -> None:
    rows = events(400)
    file = written(configured.folder / name, rows)
    assert configured("count", file, *ASKED, "--id", "id", "--through", AT) == 0
    assert counted(configured) == expected(rows)
    assert configured.records()[-1] == {
        "type": "progress",
        "at": AT,
        "pipeline": "batch",
        "stage": "ingress",
        "reporter": "count-ingress",
        "through": AT,
    }
    copies = 400 - sum(count for count, _ in expected(rows).values())
    assert f"{copies} duplicates" in configured.err


def test_an_id_that_is_in_two_files_is_one_event(configured: Shell) -> None:
    rows = events(300)
    written(configured.folder / "a.parquet", rows[:200])
    written(configured.folder / "b.ndjson", rows[100:])
    assert configured("count", str(configured.folder / "[ab].*"), *ASKED, "--id", "id") == 0
    assert counted(configured) == expected(rows)


def test_without_ids_rows_are_counted_and_no_digest_is_told(configured: Shell) -> None:
    rows = events(300)
    assert configured("count", written(configured.folder / "a.csv", rows), *ASKED) == 0
    sums = Counter((row["who"], f"{row['ts'][:17]}00Z") for row in rows)
    assert counted(configured) == {cell: (count, None) for cell, count in sums.items()}
    assert configured.err.endswith("not called whole (no --through)\n")


BAD = (
    '{"who":"a","ts":"2021-07-20T18:45:01Z"}\n'
    "\n"
    '{"who":"a","ts":"yesterday"}\n'
    '{"who":"","ts":"2021-07-20T18:45:01Z"}\n'
    '{"ts":"2021-07-20T18:45:01Z"}\n'
    "no json\n"
    "[1]\n"
    '{"who":"a","ts":null}\n'
    '{"who":"a","ts":"2021-02-30T00:00:00Z"}\n'
    '{"who":"a","ts":"2021-07-21T18:45:01Z"}\n'
    '{"who":"a\\u0000","ts":"2021-07-20T18:45:01Z"}\n'
    '{"who":7,"ts":1626806701.25}\n'
)


def test_bad_rows_are_refused_by_file_row_and_reason_and_the_good_ones_around_them_are_counted(
    configured: Shell,
) -> None:
    file = configured.folder / "bad.ndjson"
    file.write_text(BAD)
    assert configured("count", str(file), *ASKED, "--through", AT) == 3
    assert counted(configured) == {("a", "2021-07-20T18:45:00Z"): (1, None), ("7", "2021-07-20T18:45:00Z"): (1, None)}
    *refused, summary = configured.err.splitlines()
    assert [line.removeprefix(f"{file}:") for line in refused] == [
        "3: time: is 'yesterday', not a time",
        "4: source: is missing",
        "5: source: is missing",
        "6: (line): is not an object of JSON",
        "7: (line): is not an object of JSON",
        "8: time: is missing",
        "9: time: is '2021-02-30T00:00:00Z', not a time",
        "10: time: is '2021-07-21T18:45:01Z', which lies ahead of the reading (--at) by more than the clock allowance",
        "11: source: holds a NUL, which no database can keep",
    ]
    assert summary == "1 file, 11 rows: 2 events in 2 cells, 9 refused; not called whole (something was refused)"


def test_lines_of_csv_that_are_no_rows_are_refused_by_line(configured: Shell) -> None:
    file = configured.folder / "bad.csv"
    good = "a,2021-07-20T18:45:01Z\n"
    file.write_text(f'who,ts\n{good}b\n{good}c,d,e\n,2021-07-20T18:45:01Z\n"a",2021-07-20 18:45:02\n')
    assert configured("count", str(file), *ASKED, "--json", "--output", str(configured.folder / "out")) == 3
    done = json.loads(configured.out)
    assert (done["rows"], done["events"], done["refused"]) == (6, 3, 3)
    assert [(one["line"], one["field"]) for one in done["refusals"]] == [(3, "(line)"), (5, "(line)"), (3, "source")]


def test_no_refusal_is_silent_however_many_there_are(configured: Shell) -> None:
    file = configured.folder / "bad.ndjson"
    file.write_text('{"who":"a"}\n' * 2_500)
    assert configured("count", str(file), *ASKED, "--refusals", "all.txt", "--json") == 3
    named = Path("all.txt").read_text().splitlines()
    assert (len(named), named[-1]) == (1_001, f"{file}:0: (rows): and 1,500 more rows are refused")
    assert json.loads(configured.err.splitlines()[-1])["refused"] == 2_500


def test_a_file_that_cannot_be_read_is_refused_and_the_others_are_counted(configured: Shell) -> None:
    good = written(configured.folder / "good.parquet", events(50))
    torn = configured.folder / "torn.parquet"
    torn.write_bytes(Path(good).read_bytes()[:-100])
    assert configured("count", good, str(torn), *ASKED, "--through", AT) == 3
    assert sum(count for count, _ in counted(configured).values()) == 50
    assert f"{torn}:0: (file): cannot be read: " in configured.err


def test_outcomes_come_from_their_column_and_an_unknown_one_is_refused(configured: Shell) -> None:
    file = configured.folder / "a.csv"
    time = "2021-07-20T18:45:01Z"
    file.write_text(f"who,ts,o\na,{time},\na,{time},rejected\na,{time},vanished\n")
    assert configured("count", str(file), *ASKED, "--outcome", "o") == 3
    assert {one["outcome"]: one["count"] for one in configured.records()} == {"accepted": 1, "rejected": 1}
    assert "a.csv:3: outcome: is 'vanished', not one of accepted, " in configured.err


def test_keys_within_keys_and_expressions_name_the_source(configured: Shell) -> None:
    row = {"meta": {"team": "red", "feed": 7}, "at_ms": 1_626_806_701_250}
    file = configured.file("a.ndjson", row)
    place = ("--pipeline", "batch", "--stage", "processed", "--at", AT)
    asked = ("--source", "lower(meta.team) || '/meta.team/' || meta.feed", "--time", "at_ms", "--unit", "ms")
    assert configured("count", file, *place, *asked) == 0
    assert counted(configured) == {("red/meta.team/7", "2021-07-20T18:45:00Z"): (1, None)}


def test_rows_beyond_the_span_are_left_out_and_said(configured: Shell) -> None:
    rows = events(300)
    file = written(configured.folder / "a.parquet", rows)
    span = ("--from", "2021-07-20T18:46:00Z", "--until", "2021-07-20T18:48:00Z")
    assert configured("count", file, *ASKED, *span) == 0
    inside = [row for row in rows if row["ts"][14:16] in {"46", "47"}]
    assert sum(count for count, _ in counted(configured).values()) == len(inside)
    assert f"{300 - len(inside)} outside of the span" in configured.err
    assert configured("count", file, *ASKED, "--from", "2021-07-20T18:46:30Z") == 2


def test_what_is_counted_into_the_ledger_can_be_counted_again(shell: Shell, ledger_url: str) -> None:
    file = written(shell.folder / "a.parquet", events(200))
    arguments = ("count", file, *ASKED, "--through", AT, "--import", "--json")
    assert shell(*arguments) == 0
    first = json.loads(shell.out)
    assert first["stored"] == first["cells"] + 1
    assert shell(*arguments) == 0
    assert json.loads(shell.out)["stored"] == 0
    store = open_store(ledger_url)
    try:
        tiles = store.counts_as_of(PIPELINE, "ingress", START, START + 600_000_000)
        assert sum(int(tile.count[tile.count > 0].sum()) for _, tile in tiles) == 200
    finally:
        store.close()


def test_files_of_an_object_store_are_counted(
    configured: Shell, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    rows = events(100)
    bucket = object_store.bucket()
    for name, some in ("x/1.parquet", rows[:50]), ("x/y/2.ndjson.gz", rows[50:]):
        path = Path(written(configured.folder / Path(name).name, some))
        object_store.client.put_object(Bucket=bucket, Key=name, Body=path.read_bytes())
    where = ("--endpoint", object_store.endpoint, "--region", REGION)
    assert configured("count", f"s3://{bucket}/x/**/*", *ASKED, "--id", "id", *where) == 0
    assert counted(configured) == expected(rows)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none-*.csv", *ASKED), "none-*.csv: there is no such file"),
        (("odd.txt", *ASKED), "odd.txt: has no ending of a format that is known"),
        (("odd.txt", *ASKED, "--stage", "elsewhere"), "--stage: 'elsewhere' is no stage of batch; known: ingress"),
        (("odd.txt", *ASKED, "--format", "csv", "--through", "2022-01-01"), "--through: 2022-01-01T00:00:00Z lies"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(
    configured: Shell, arguments: tuple[str, ...], says: str
) -> None:
    configured.file("odd.txt", "who,ts")
    assert configured("count", *arguments) == 2
    assert says in configured.err


def test_lines_may_end_in_different_ways_in_ndjson_and_of_csv_it_is_said_how_to_mend_it(configured: Shell) -> None:
    row = '{"who":"a","ts":"2021-07-20T18:45:01Z"}'
    for number, ends in enumerate(("\n\r\n\n", "\r\n\n\r\n")):
        file = configured.folder / f"mixed-{number}.ndjson"
        file.write_bytes("".join(row + end for end in ends.splitlines(keepends=True)).encode() + b"{}\n")
        assert configured("count", str(file), *ASKED) == 3
        assert counted(configured) == {("a", "2021-07-20T18:45:00Z"): (3, None)}
        assert f"{file}:4: time: is missing" in configured.err
    table = configured.folder / "mixed.csv"
    table.write_bytes(b"who,ts\na,2021-07-20T18:45:01Z\r\na,2021-07-20T18:45:01Z\n")
    assert configured("count", str(table), *ASKED) == 3
    assert f"{table}:0: (file): cannot be read: some of its lines end with CR LF and some with LF" in configured.err
    assert "give all lines the same end" in configured.err
