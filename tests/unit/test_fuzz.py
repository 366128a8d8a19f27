"""No bytes make the readers of observations, settings and stories end in anything but their own errors.

Short here; `FUZZ=100000 make test ARGS=tests/unit/test_fuzz.py` draws so many examples of each.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.observations import Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.errors import ConfigError
from reconciler.reading import RefusedLine, read
from reconciler.scenarios import loading
from reconciler.scenarios.sections import StoryError
from reconciler.settings import parse

EXAMPLES = int(os.environ.get("FUZZ", "40"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="FUZZ" not in os.environ,  # what is found by chance is found in the long runs, not in somebody's way
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.long

PIPELINES = {"batch": Pipeline("batch", ("ingress", "processed"))}
GOOD: dict[str, dict[str, Any]] = {
    "count": {
        "type": "count", "at": "2021-07-20T18:46:10Z", "pipeline": "batch", "stage": "ingress", "source": "segment",
        "bucket": "2021-07-20T18:45:00Z", "count": 1234, "outcome": "accepted", "reporter": "a", "digest": "7",
        "error": 0.5, "replay": None,
    },
    "progress": {
        "type": "progress", "at": "2021-07-20T18:46:10Z", "pipeline": "batch", "stage": "ingress", "reporter": "a",
        "through": "2021-07-20T18:46:00Z", "final": False,
    },
    "queue": {
        "type": "queue", "at": "2021-07-20T18:46:00Z", "pipeline": "batch", "queue": "q", "partition": 0,
        "start_offset": 100, "end_offset": 5100, "committed_offset": 4100, "oldest_at": "2021-07-20T18:26:00Z",
        "retention_seconds": 1200, "retention_bytes": None, "replicas": 2, "in_sync_replicas": 2, "exact": True,
    },
    "capacity": {
        "type": "capacity", "at": "2021-07-20T18:46:00Z", "resource": "r", "used": 7, "limit": 9,
        "pipelines": ["batch"],
    },
}  # fmt: skip
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.just(2**63), st.just(10**400))
TIMES = st.one_of(
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.sampled_from(
        ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2021-07-20T18:45:60Z", "2021-02-30T00:00:00Z"]
    ),
)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TIMES, st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def observations(draw: st.DrawFn) -> bytes:
    """A good observation with one field or two that are anything, or bytes out of place."""
    record = dict(draw(st.sampled_from(list(GOOD.values()))))
    for _ in range(draw(st.integers(0, 2))):
        record[draw(st.one_of(st.sampled_from(sorted(record)), st.text(max_size=8)))] = draw(PLAIN)
    text = json.dumps(record, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.binary(max_size=4)) + text[place + draw(st.integers(0, 4)) :]
    return text


LINES = st.lists(st.one_of(observations(), st.just(b""), st.binary(max_size=40)), max_size=12)


@fuzzed
@given(LINES)
def test_of_any_lines_each_is_kept_refused_or_blank(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "observations.ndjson"
    first = json.dumps(GOOD["count"]).encode()  # so that it is no table
    whole = b"\n".join([first, *lines])
    path.write_bytes(whole)
    texts = whole.split(b"\n")
    blank = sum(not text.strip(b" \t\r") for text in texts)
    found = list(read(str(path), PIPELINES))
    assert len(found) == len(texts) - blank
    refused = [one.line for one in found if isinstance(one, RefusedLine)]
    assert refused == sorted(set(refused))


@fuzzed
@given(st.one_of(st.binary(max_size=200), observations().map(lambda text: b"\x1f\x8b" + text)))
@pytest.mark.parametrize("name", ["observations", "observations.csv", "observations.csv.gz"])
def test_any_file_is_read_to_its_end(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    list(read(str(path), PIPELINES))


ROWS = st.lists(
    st.lists(st.one_of(TIMES, st.text(max_size=8), NUMBERS.map(str), st.just('"')), max_size=8).map(",".join),
    max_size=6,
)


@fuzzed
@given(ROWS)
def test_any_rows_of_a_table_are_read_to_the_end(tmp_path: Path, rows: list[str]) -> None:
    path = tmp_path / "observations.csv"
    good = "2021-07-20T18:46:10Z,batch,ingress,segment,2021-07-20T18:45:00Z,1234"
    text = "\n".join(["at,pipeline,stage,source,bucket,count", good, *rows])
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    found = list(read(str(path), PIPELINES))
    assert not isinstance(found[0], RefusedLine | Refusal)


CONFIG = yaml.safe_load("""
ledger: sqlite:///x.db
pipelines:
  batch:
    stages: [ingress, processed]
    bucket: 1m
    objective: 99.9%
    queues: {q: {from: ingress, to: processed, policy: {retention: 7d}}}
    volume: {timezone: UTC, holidays: [2024-12-25]}
    reporters: {ingress: {expect: [a]}}
connectors:
  a: {kind: sql, pipeline: batch, stage: ingress, url: "sqlite:///y.db", query: select}
schedule: {tick: 1m}
service: {listen: "127.0.0.1:0"}
senders: [{pattern: "*", way: reread}]
sources: {"*": {owner: x}}
""")
STORY = yaml.safe_load((loading._SHIPPED / "sc-10.yaml").read_text())


@st.composite
def changed(draw: st.DrawFn, whole: Any) -> Any:
    """The same with something in it replaced by anything."""
    if isinstance(whole, dict) and whole and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(list(whole)))
        return whole | {key: draw(changed(whole[key]))}
    if isinstance(whole, list) and whole and draw(st.integers(0, 9)):
        place = draw(st.integers(0, len(whole) - 1))
        return [*whole[:place], draw(changed(whole[place])), *whole[place + 1 :]]
    return draw(
        st.one_of(PLAIN, st.sampled_from(["${X}", "${", "1x", "-1m", "999999d", "http://[", "sqlite://", "\0"]))
    )


def _as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True)


TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="{}[]:,-&*!|>'\"#%@`? \n\tab1", max_size=60),
    changed(CONFIG).map(_as_yaml),
    st.sampled_from(["pipelines: {b: {stages: [a, b], bucket: ~}}", "pipelines: {b: {stages: [a, b], bucket: 5}}"]),
    st.sampled_from(["[" * 5000, "{a: " * 3000, "- " * 4000, "a: &a [*a]", "!!python/object/apply:os.system [x]"]),
)


@fuzzed
@given(TEXTS)
def test_any_configuration_is_sound_or_told_to_be_wrong(text: str) -> None:
    with suppress(ConfigError):
        parse(text, Path("reconciler.yaml"), {"X": "y"})


def test_a_small_file_that_unfolds_into_a_huge_one_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="unfolds"):
        parse("\n".join(lines), Path("reconciler.yaml"), {})


@fuzzed
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
        changed(STORY).map(lambda story: _as_yaml(story).encode("utf-8", "surrogatepass")),
        st.sampled_from([b"[" * 5000, b"t0: 2024-13-45", b"t0: 0001-01-01T00:00:00+23:59", b"{a: " * 3000]),
    )
)
def test_any_story_is_sound_or_told_to_be_wrong(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "story.yaml"
    path.write_bytes(content)
    with suppress(StoryError):
        loading.load(path)
