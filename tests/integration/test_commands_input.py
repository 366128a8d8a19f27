"""`check-config`, `import` and `migrate`, as a person or a script calls them."""

import gzip
import json
import sqlite3

import pytest

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import parse_time
from reconciler.store import current_revision, open_store
from tests.integration.shell import Shell
from tests.lines import COUNT

PIPELINE = Pipeline("batch", ("ingress", "processed"))
BUCKET = parse_time("2021-07-20T18:45:00Z")


def counted(url: str) -> int:
    store = open_store(url)
    try:
        tiles = store.counts_as_of(PIPELINE, "ingress", BUCKET, BUCKET)
        return sum(int(tile.count[tile.count > 0].sum()) for _, tile in tiles)
    finally:
        store.close()


def test_a_file_is_imported_once_however_often_it_is_read(shell: Shell, ledger_url: str) -> None:
    file = shell.file("counts.ndjson", COUNT, COUNT | {"source": "b", "count": 6})
    assert shell("import", file) == 0
    assert (shell.out, shell.err) == ("1 file: 2 kept, 0 unchanged, 0 refused\n", "")
    assert shell("import", file, file) == 0
    assert shell.out == "2 files: 0 kept, 4 unchanged, 0 refused\n"
    assert counted(ledger_url) == 1240


def test_a_refusal_is_said_with_file_line_field_and_reason_and_the_rest_is_kept(shell: Shell, ledger_url: str) -> None:
    file = shell.file("counts.ndjson", COUNT, COUNT | {"count": -1}, "{", COUNT | {"source": "b"})
    assert shell("import", file) == 3
    assert shell.out == "1 file: 2 kept, 0 unchanged, 2 refused\n"
    first, second = shell.err.splitlines()
    assert first == f"{file}:2: count: is -1, not between 0 and 2^63 - 1"
    assert second.startswith(f"{file}:3: (line): is not JSON")
    assert counted(ledger_url) == 2468


def test_no_refusal_is_silent_however_many_there_are(shell: Shell) -> None:
    file = shell.file("counts.ndjson", *[COUNT | {"count": -number} for number in range(1, 31)])
    assert shell("import", file) == 3
    assert len(shell.err.splitlines()) == 21
    assert shell.err.splitlines()[-1] == "10 more refusals are not shown; --refusals FILE writes all of them."
    assert shell("import", file, "--refusals", "refused.txt", "--json") == 3
    written = (shell.folder / "refused.txt").read_text().splitlines()
    assert len(written) == 30
    assert written[:20] == shell.err.splitlines()
    record = json.loads(shell.out)
    assert (record["kept"], record["unchanged"], record["refused"], len(record["refusals"])) == (0, 0, 30, 20)
    assert record["refusals"][0] == {
        "file": file,
        "line": 1,
        "field": "count",
        "reason": "is -1, not between 0 and 2^63 - 1",
    }


def test_a_hostile_file_does_not_steer_the_terminal(shell: Shell) -> None:
    file = shell.file("counts.ndjson", COUNT | {"\x1b[31mred\n": 1}, COUNT | {"stage": "x" * 100_000})
    assert shell("import", file) == 3
    assert "\x1b" not in shell.err
    assert len(shell.err.splitlines()) == 2
    assert len(shell.err) < 2000


def test_packed_tables_are_imported_too(shell: Shell, ledger_url: str) -> None:
    row = ",".join(str(COUNT[name]) for name in ("at", "pipeline", "stage", "source", "bucket", "count"))
    packed = shell.folder / "counts"
    packed.write_bytes(gzip.compress(f"at,pipeline,stage,source,bucket,count\n{row}\n".encode()))
    assert shell("import", str(packed)) == 0
    assert counted(ledger_url) == 1234


def test_more_than_one_transaction_holds_all_of_a_file(shell: Shell, ledger_url: str) -> None:
    lines = [COUNT | {"source": f"s{number % 7_000}", "reporter": f"{number}", "count": 1} for number in range(20_001)]
    assert shell("import", shell.file("counts.ndjson", *lines)) == 0
    assert shell.out == "1 file: 20,001 kept, 0 unchanged, 0 refused\n"
    assert counted(ledger_url) == 20_001


@pytest.mark.parametrize(
    ("arguments", "said"),
    {
        "no file": (["import"], "Missing argument"),
        "a file that is not there": (["import", "nowhere.ndjson"], "nowhere.ndjson: cannot be read"),
        "no configuration": (["import", "x", "-c", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        "refusals into a folder": (["import", "x", "--refusals", "."], "--refusals .: cannot be written"),
        "no configuration to tick by": (["tick", "-c", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        "no time": (["tick", "--now", "soon"], "not a time such as"),
        "no day": (["report", "--day", "yesterday"], "not a date such as"),
        "no pipeline to report of": (["report", "--pipeline", "x"], "there is no pipeline 'x'; configured: batch"),
        "no such incident": (["incidents", "show", "loss-0"], "'loss-0'; `reconciler incidents --all` lists"),
        "no such pipeline": (["incidents", "--pipeline", "x"], "there is no pipeline 'x'; configured: batch"),
        "no such command": (["incidents", "shew"], "No such command 'shew'"),
    }.values(),
)
def test_a_wrong_call_does_nothing_and_says_why(shell: Shell, arguments: list[str], said: str) -> None:
    assert shell(*arguments) == 2
    assert said in shell.err


def test_a_ledger_out_of_reach_is_said_without_its_password(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_LEDGER", "postgresql://user:hush@127.0.0.1:1/ledger")
    assert shell("import", shell.file("counts.ndjson", COUNT)) == 4
    assert "hush" not in shell.err
    assert shell("migrate") == 4
    assert shell("migrate", "--unless-away") == 0, "the service starts without it"
    assert "cannot be reached" in shell.err
    assert "hush" not in shell.err


def test_a_ledger_goes_up_and_down_and_up(shell: Shell, ledger_url: str) -> None:
    assert shell("migrate") == 0
    assert shell.out == "The ledger is at revision 0001.\n"
    assert shell("migrate", "--to", "base") == 2
    assert "removes data" in shell.err
    assert current_revision(ledger_url) == "0001"
    assert shell("migrate", "--to", "base", "--yes") == 0
    assert shell.out == "The ledger is at revision none (it was at 0001).\n"
    assert shell("migrate") == 0
    assert shell.out == "The ledger is at revision 0001 (it was at none).\n"
    assert shell("migrate", "--to", "nowhere") == 2


def test_what_follows_from_a_configuration_is_printed(shell: Shell) -> None:
    shell.file(
        "reconciler.yaml",
        "pipelines: {batch: {stages: [ingress, processed], mode: alert, tolerance: {events: 2}, queues: {",
        "q: {from: ingress, to: processed, policy: {retention: 4h}}, r: {from: ingress, to: processed}}}}",
        "sources: {'p/*': {owner: Partners, replay: partner}}",
    )
    assert shell("check-config") == 0
    assert shell.out.splitlines() == [
        "reconciler.yaml is sound.",
        "It looks every 1 min.",
        "",
        "pipeline batch",
        "  mode         alert: people are told",
        "  stages       ingress, processed; events are accepted at ingress",
        "  hops         ingress to processed",
        "  bucket       1 min, at most 5 min ahead",
        "  objective    99.99%: 100 of a million events may be missing",
        "  tolerance    2 events or 0% of a cell",
        "  pages        unread events that a queue has deleted, or is about to delete",
        "  pages        1,000 events that the consumer passed over, or fewer when a warning is due",
        "  pages        a loss of 1,000 events, whatever share of the source it is",
        "  pages        a loss of 100 events while the budget burns too fast: "
        "14.4 over 1 h and 5 min or 6 over 6 h and 30 min",
        "  pages        a capacity that ends within 3 d at its present pace, or is used up",
        "  tickets      smaller losses, delays, policies that are not kept; a capacity that ends within 30 d",
        "  over         after 15 min without a bad minute, twice as long whenever it is back, at most 4 h;",
        "               a loss once all has come again, or somebody closes it",
        "  budget       over 30 d",
        "  queue        q (ingress to processed) keeps 4 h; a warning comes 1 h before a loss",
        "  queue        r (ingress to processed) promises no retention; "
        "a warning comes a quarter of what it is seen to keep, at most 12 h, before a loss",
        "  reporters    at ingress: whoever was heard in the last 24 h; "
        "missing after 3 min or three usual intervals, the longer",
        "  reporters    at processed: whoever was heard in the last 24 h; "
        "missing after 3 min or three usual intervals, the longer",
        "  level        3 of 4 (an accept time) from ingress to processed",
        "    proves     source by source and minute by minute, that as many events came out as were accepted",
        "    cannot     see a loss that a duplicate hides in the same minute",
        "    cannot     prove where late events are: no connector looks at a queue between these stages",
        "    higher     give `id` (or a digest) at both ends (now: ingress and processed)",
        "",
        "senders p/*: Partners, partner",
        "",
        "channels: none; nobody is told of anything (see notifiers)",
        "",
        "sources p/*: Partners",
    ]


def test_what_follows_can_be_read_by_programs_and_holds_no_secret(shell: Shell) -> None:
    query = "SELECT source, at AS time, 1 AS count FROM t WHERE at >= :start AND at < :end"
    body = f"{{kind: sql, pipeline: batch, stage: ingress, url: 'postgresql://u:hush@h/d', query: {query!r}}}"
    file = shell.file("x.yaml", f"pipelines: {{batch: {{stages: [ingress, processed]}}}}\nconnectors: {{t: {body}}}")
    assert shell("check-config", file, "--json") == 0
    assert "hush" not in shell.out
    record = json.loads(shell.out)
    assert record["connectors"] == [{"name": "t", "kind": "sql", "pipeline": "batch", "stage": "ingress"}]
    assert record["pipelines"][0]["reporters"] == {"ingress": {"expect": ["t"], "missing_after_seconds": None}}
    assert shell("check-config", file) == 0
    assert "hush" not in shell.out
    assert "t (sql) counts at ingress every 1 min, 1 d back" in shell.out


def test_all_that_is_wrong_is_printed_and_the_exit_code_says_so(shell: Shell) -> None:
    file = shell.file("x.yaml", "pipelines: {batch: {stages: [ingress, processed], bucket: 7m}}", "colour: blue")
    assert shell("check-config", file) == 2
    assert shell.err.splitlines() == [
        f"error: {file}: 2 things are wrong",
        "  line 1: pipelines.batch.bucket: 7 min does not divide a day into a whole number of buckets",
        "  line 2: colour: is no setting that is known here",
    ]


def test_the_schema_is_printed(shell: Shell) -> None:
    assert shell("check-config", "--schema") == 0
    assert json.loads(shell.out)["required"] == ["pipelines"]


TWO_TABLES = """
pipelines: {{batch: {{stages: [ingress, processed]}}}}
connectors:
  accepted-table:
    kind: sql
    pipeline: batch
    stage: ingress
    url: sqlite:///{database}
    query: SELECT source, bucket, count FROM accepted WHERE bucket >= :start AND bucket < :end
"""


def test_every_connector_can_be_asked_before_anything_is_stored(shell: Shell) -> None:
    (shell.folder / "events.db").touch()
    config = shell.file("asked.yaml", TWO_TABLES.format(database="events.db"))
    assert shell("check-config", config) == 0
    assert "answers" not in shell.out, "nothing is connected to unless it is asked for"
    assert shell("check-config", config, "--connect") == 4
    assert "accepted-table cannot be read: " in shell.out
    assert "no such table" in shell.out
    with sqlite3.connect(shell.folder / "events.db") as events:
        events.execute("CREATE TABLE accepted AS SELECT 'a' AS source, '2021-07-20 18:44:00' AS bucket, 7 AS count")
    events.close()
    assert shell("check-config", config, "--connect", "--now", "2021-07-20T18:45:30Z") == 0
    assert "7 events in the bucket 2021-07-20T18:44:00Z" in shell.out
    assert shell("check-config", config, "--connect", "--now", "2021-07-20T18:45:30Z", "--json") == 0
    (answer,) = json.loads(shell.out)["answers"]
    assert (answer["connector"], answer["events"], answer["failure"]) == ("accepted-table", 7, None)
    with sqlite3.connect(shell.folder / "events.db") as events:
        events.execute("UPDATE accepted SET count = -1")
    events.close()
    assert shell("check-config", config, "--connect", "--now", "2021-07-20T18:45:30Z") == 3
    assert "refused: count: of row 1 of the query is -1" in shell.out


def test_the_rights_of_all_connectors_are_printed_without_connecting(shell: Shell) -> None:
    config = shell.file("asked.yaml", TWO_TABLES.format(database="nowhere.db"))
    assert shell("check-config", config, "--permissions") == 0
    assert shell.out.startswith("# accepted-table\n")
    assert shell("check-config", config, "--permissions", "--json") == 0
    assert list(json.loads(shell.out)) == ["accepted-table"]
