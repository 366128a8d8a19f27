"""Reading files: what is kept, what is refused and why, and that a file of any shape needs little memory."""

import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.observations import Count, Observation, QueueSample, parse
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import parse_time
from reconciler.errors import ConfigError
from reconciler.reading import RefusedLine, read
from reconciler.reading.lines import LONGEST_LINE
from tests.lines import COUNT

PIPELINES = {"batch": Pipeline("batch", ("ingress", "processed"))}
AT = parse_time("2021-07-20T18:46:10Z")
BUCKET = parse_time("2021-07-20T18:45:00Z")
HEADER = "at,pipeline,stage,source,bucket,count\n"
ROW = "2021-07-20T18:46:10Z,batch,ingress,segment,2021-07-20T18:45:00Z,1234\n"


def count(source: str = "segment", number: int = 1234) -> Count:
    return Count(AT, "batch", "ingress", source, BUCKET, number, "accepted")


def line(**changes: object) -> str:
    return json.dumps(COUNT | changes)


@pytest.fixture
def found(tmp_path: Path) -> Any:
    """What is read of a file of these bytes, whose name says nothing."""

    def take(content: str | bytes, name: str = "observations") -> list[Observation | RefusedLine]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read(str(path), PIPELINES))

    return take


def test_each_line_becomes_an_observation(found: Any) -> None:
    assert found(line() + "\n" + line(source="b") + "\n") == [count(), count("b")]


def test_the_last_line_needs_no_end(found: Any) -> None:
    assert found(line() + "\n" + line(source="b")) == [count(), count("b")]


def test_blank_lines_a_byte_order_mark_and_foreign_line_ends_change_nothing(found: Any) -> None:
    assert found("\ufeff\r\n  \n" + line() + "\r\n\n" + line(source="b") + "\r\n") == [count(), count("b")]


def test_an_empty_file_holds_nothing(found: Any) -> None:
    assert found("") == []
    assert found("\n \n") == []
    assert found(HEADER) == []


def test_a_refused_line_is_named_and_the_good_ones_around_it_are_kept(found: Any) -> None:
    text = "\n".join([line(), line(count=-1), line(colour="blue"), line(source="b", x_colour="blue")])
    assert found(text) == [
        count(),
        RefusedLine(2, "count", "is -1, not between 0 and 2^63 - 1"),
        RefusedLine(3, "colour", "is not a field of count; fields of your own begin with x_"),
        count("b"),
    ]


BROKEN = {
    "no JSON": (b"{'at': 1}", "(line)", "is not JSON: Expecting property name enclosed in double quotes (column 2)"),
    "half a line": (b'{"type": "count"', "(line)", "is not JSON: Expecting ',' delimiter (column 17)"),
    "two objects": (b"{}{}", "(line)", "is not JSON: Extra data (column 3)"),
    "a list": (b"[]", "(line)", "is not a JSON object"),
    "a field twice": (b'{"count": 1, "count": 2}', "count", "is said twice"),
    "not a number": (line(count=float("nan")).encode(), "(line)", "has NaN, which is no number of JSON"),
    "an infinity": (line(count=float("inf")).encode(), "(line)", "has Infinity, which is no number of JSON"),
    "other letters": (b'{"source": "\xe9"}', "(line)", "is not UTF-8 (byte 13)"),
    "endless digits": (b'{"count": ' + b"9" * 5000 + b"}", "(line)", "has a number of more digits than can be read"),
    "a deep nest": (b"[" * 100_000, "(line)", "is nested too deeply"),
    "half a letter": (line(source="\ud800").encode(), "source", "holds a NUL or half a surrogate pair"),
    "a NUL": (line(source="a\x00").encode(), "source", "holds a NUL or half a surrogate pair"),
}


@pytest.mark.parametrize(("bad", "field", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_line_that_is_no_observation_is_refused(found: Any, bad: bytes, field: str, reason: str) -> None:
    first, refused, last = found(line().encode() + b"\n" + bad + b"\n" + line(source="b").encode())
    assert (first, last) == (count(), count("b"))
    assert (refused.line, refused.field) == (2, field)
    assert refused.reason.startswith(reason)


def test_a_table_says_the_same_as_lines(found: Any) -> None:
    assert found(HEADER + ROW) == [count()]


def test_a_table_is_known_by_its_header_and_not_by_its_name(found: Any) -> None:
    assert found(HEADER + ROW, "observations.ndjson") == [count()]
    assert found(line(), "observations.csv") == [count()]


def test_an_empty_cell_is_an_absent_field_and_null_is_null(found: Any) -> None:
    header = "type,at,pipeline,queue,start_offset,end_offset,committed_offset,replicas,exact\n"
    sample = QueueSample(AT, "batch", "q", start_offset=1, end_offset=2, exact=False)
    assert found(header + "queue,2021-07-20T18:46:10Z,batch,q,1,2,null,,FALSE\n") == [sample]
    assert found(header + "queue,2021-07-20T18:46:10Z,batch,q,1,2,,,\n") == [
        RefusedLine(2, "committed_offset", "is missing; give null where no consumer is known")
    ]


def test_every_kind_of_observation_can_stand_in_a_table(found: Any) -> None:
    header = "type,at,pipeline,stage,reporter,through,final,resource,used,limit,pipelines\n"
    rows = [
        "progress,2021-07-20T18:46:10Z,batch,ingress,a,2021-07-20T18:46:00Z,true,,,,\n",
        "capacity,2021-07-20T18:46:10Z,,,,,,disk,1,2,batch;batch\n",
    ]
    time, through = "2021-07-20T18:46:10Z", "2021-07-20T18:46:00Z"
    progress = {"type": "progress", "at": time, "pipeline": "batch", "stage": "ingress", "reporter": "a"}
    capacity = {"type": "capacity", "at": time, "resource": "disk", "used": 1, "limit": 2, "pipelines": ["batch"] * 2}
    assert found(header + "".join(rows)) == [
        parse(progress | {"through": through, "final": True}, PIPELINES),
        parse(capacity, PIPELINES),
    ]


def test_a_cell_that_is_no_number_is_refused_by_name(found: Any) -> None:
    assert found(HEADER + ROW.replace("1234", "1.5") + ROW.replace("1234", " 7") + ROW) == [
        RefusedLine(2, "count", "is '1.5', not a whole number"),
        RefusedLine(3, "count", "is ' 7', not a whole number"),
        count(),
    ]


def test_a_quoted_cell_may_hold_commas_and_lines_and_the_row_is_named_by_its_first(found: Any) -> None:
    odd = ROW.replace("segment", '"a,b\n\nc ""d"""')
    assert found(HEADER + odd + ROW.replace("1234", "x") + ROW) == [
        count('a,b\n\nc "d"'),
        RefusedLine(5, "count", "is 'x', not a whole number"),
        count(),
    ]


def test_a_row_of_another_length_than_the_header_is_refused(found: Any) -> None:
    assert found(HEADER + "1,2\n" + ROW.replace("\n", ",7\n") + ROW) == [
        RefusedLine(2, "(line)", "has 2 cells where the header has 6"),
        RefusedLine(3, "(line)", "has 7 cells where the header has 6"),
        count(),
    ]


def test_a_header_that_cannot_be_right_refuses_the_file_once(found: Any) -> None:
    reason = "names no field in the header; nothing of this file was read"
    assert found("at,colour,pipeline\n" + ROW + ROW) == [RefusedLine(1, "colour", reason)]
    reason = "stands twice in the header; nothing of this file was read"
    assert found("at,count,count\n" + ROW) == [RefusedLine(1, "count", reason)]


def test_a_quotation_mark_that_is_never_closed_costs_rows_but_not_the_memory(found: Any) -> None:
    first, *refused = found(HEADER + ROW + '"' + ROW * 20_000)
    assert first == count()
    assert refused[0].line == 3
    assert "is not CSV" in refused[0].reason
    assert [entry for entry in refused if isinstance(entry, Count)], "what follows the fault is read again"


@pytest.mark.parametrize("text", [line() + "\n" + line(source="b"), HEADER + ROW + ROW.replace("segment", "b")])
def test_a_packed_file_is_known_by_what_it_begins_with(found: Any, text: str) -> None:
    assert found(gzip.compress(text.encode()), "no-ending") == [count(), count("b")]
    two = [gzip.compress(part.encode()) for part in text.splitlines(keepends=True)]
    assert found(b"".join(two), "two-members.gz") == [count(), count("b")]


def test_a_file_that_is_not_packed_is_read_whatever_its_name_says(found: Any) -> None:
    assert found(line(), "observations.gz") == [count()]


def test_a_packed_file_that_is_cut_off_gives_what_it_has_and_says_so(found: Any) -> None:
    packed = gzip.compress("".join(line(source=f"s{n}", x_n=n * 7919) + "\n" for n in range(5000)).encode())
    *kept, refused = found(packed[: len(packed) // 2])
    assert kept == [count(f"s{n}") for n in range(len(kept))]
    assert 0 < len(kept) < 5000
    assert refused.line == len(kept) + 1
    assert refused.reason.startswith("is cut off")


def test_a_packed_file_that_is_damaged_says_where(found: Any) -> None:
    packed = bytearray(gzip.compress((line() + "\n").encode()))
    packed[-8] ^= 0xFF  # the checksum
    assert [type(entry) for entry in found(bytes(packed))][-1] is RefusedLine
    assert "damaged" in found(bytes(packed))[-1].reason
    assert "damaged" in found(gzip.compress((line() + "\n").encode()) + b"rubbish")[-1].reason


def test_a_line_longer_than_the_limit_is_passed_over_and_named(found: Any) -> None:
    long = line(source="a" * LONGEST_LINE)
    reason = f"is longer than {LONGEST_LINE} bytes"
    refused = RefusedLine(2, "(line)", reason)
    assert found(f"{line()}\n{long}\n{line(source='b')}\n") == [count(), refused, count("b")]
    assert found(f"{line()}\n{long * 3}\n{line(source='b')}\n") == [count(), refused, count("b")]
    assert found(f"{line()}\n{long * 3}") == [count(), refused]
    assert found(f"{long}\n{line()}") == [RefusedLine(1, "(line)", reason), count()]


def test_memory_does_not_grow_with_the_file_nor_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "big.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        for _ in range(40):
            packed.write(b"x" * 1_000_000)
        packed.write(b"\n" + (line() + "\n").encode() * 20_000)
    tracemalloc.start()
    try:
        kinds = [0, 0]
        for entry in read(str(path), PIPELINES):
            kinds[isinstance(entry, Count)] += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kinds == [1, 20_000]
    assert peak < 8_000_000


def test_standard_input_is_named_by_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    class Piped:
        buffer = io.BytesIO(gzip.compress(line().encode()))

    monkeypatch.setattr(sys, "stdin", Piped())
    assert list(read("-", PIPELINES)) == [count()]
    assert not Piped.buffer.closed


def test_how_much_was_read_is_told_in_bytes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "observations.gz"
    path.write_bytes(gzip.compress((line() + "\n").encode() * 1000))
    told: list[int] = []
    assert len(list(read(str(path), PIPELINES, told.append))) == 1000
    assert sum(told) == path.stat().st_size


def test_a_file_that_is_not_there_is_a_fault_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        list(read(str(tmp_path / "nowhere"), PIPELINES))
    with pytest.raises(ConfigError, match="Is a directory"):
        list(read(str(tmp_path), PIPELINES))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_whatever_break_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    for start in (b"", b"\x1f\x8b", HEADER.encode(), b"{"):
        path.write_bytes(start + content)
        for entry in read(str(path), PIPELINES):
            assert not isinstance(entry, RefusedLine) or (entry.line > 0 and entry.field and entry.reason)
