"""The configuration file: what it means, and how everything that is wrong with it is said at once."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler import registry
from reconciler.core.pipelines import Hop, Pipeline, Policy, Queue, Reporters, Tolerance
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND
from reconciler.errors import ConfigError
from reconciler.settings import Settings, json_schema, load, parse
from reconciler.settings.published import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [ROOT / "config" / "reconciler.yaml", *sorted((ROOT / "config" / "examples").glob("*.yaml"))]

KINDS = ", ".join(registry.kinds("connectors"))
MINIMAL = "pipelines: {batch: {stages: [ingress, processed]}}\n"
CONTRACT = """
pipelines:
  batch:
    stages: [ingress, processed]
    bucket: 1m
    queues:
      batch-events: {from: ingress, to: processed, policy: {retention: 7d, replicas: 2}}
    objective: 99.99%
    tolerance: {events: 0, ratio: 0}
    mode: alert
    reaction: 12h
    reporters: {ingress: {expect: [], missing_after: 3m}}
"""
SQL = (
    "kind: sql, url: 'sqlite:///events.db', query: 'select source, bucket, count from t where b >= :start and b < :end'"
)


def read(text: str, **environment: str) -> Settings:
    return parse(text, Path("reconciler.yaml"), environment)


def faults(text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, **environment)
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def test_the_example_of_the_contract_is_read_word_for_word() -> None:
    hop = Hop("ingress", "processed")
    assert read(CONTRACT).pipelines == {
        "batch": Pipeline(
            name="batch",
            stages=("ingress", "processed"),
            width=MINUTE,
            hops=(hop,),
            queues={"batch-events": Queue("batch-events", hop, Policy(7 * DAY, 2))},
            objective=0.9999,
            tolerance=Tolerance(0, 0.0),
            alert=True,
            reaction=12 * HOUR,
            reporters={"ingress": Reporters((), 3 * MINUTE)},
        )
    }


def test_a_pipeline_needs_nothing_but_its_stages_and_then_only_observes() -> None:
    settings = read(MINIMAL)
    assert settings.pipelines["batch"] == Pipeline("batch", ("ingress", "processed"))
    assert settings.pipelines["batch"].alert is False
    assert settings.tick == MINUTE


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.stem))
def test_every_shipped_configuration_loads_as_it_is(path: Path) -> None:
    assert load(path, {}).pipelines


def test_the_configuration_to_start_from_mentions_every_setting() -> None:
    text = SHIPPED[0].read_text()
    schema = json_schema()
    kinds = [kind for family in FAMILIES for kind in schema["properties"][family]["additionalProperties"]["oneOf"]]
    sections = [schema, *schema["$defs"].values(), *kinds]
    names = {name for section in sections for name in section.get("properties", {})}
    assert {name for name in names if f"{name}:" not in text} == set()


def test_the_json_schema_can_be_written_and_names_every_kind_of_connector() -> None:
    schema = json.loads(json.dumps(json_schema()))
    kinds: list[dict[str, Any]] = schema["properties"]["connectors"]["additionalProperties"]["oneOf"]
    assert "sql" in [kind["properties"]["kind"]["const"] for kind in kinds]


def test_the_ledger_is_a_file_beside_the_configuration_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "reconciler.yaml"
    path.write_text(MINIMAL)
    assert load(path, {}).ledger == f"sqlite:///{tmp_path}/reconciler.db"
    assert load(path, {"RECONCILER_LEDGER": "sqlite:////var/x.db"}).ledger == "sqlite:////var/x.db"
    path.write_text(f"ledger: postgresql://user@host/reconciler\n{MINIMAL}")
    assert load(path, {}).ledger == "postgresql://user@host/reconciler"


def test_everything_that_is_wrong_is_said_at_once_with_line_and_place() -> None:
    text = """
pipelines:
  batch:
    stages: [ingress, processed]
    bucket: 7m
    queus: {}
    queues:
      batch-events: {from: ingress, to: processed, policy: {retention: forever}}
    objective: 101%
    mode: loud
  empty: {}
connectors:
  table: {kind: abacus}
sources: {a: {replay: them}}
colour: blue
"""
    assert faults(text) == [
        "line 5: pipelines.batch.bucket: 7 min does not divide a day into a whole number of buckets",
        "line 6: pipelines.batch.queus: is no setting that is known here; did you mean queues?",
        "line 8: pipelines.batch.queues.batch-events.policy.retention: is 'forever', not a duration: "
        "a whole number and a unit of s, m, h or d, such as 5m",
        "line 9: pipelines.batch.objective: is 1.01, not above 0 and at most 1 (100%)",
        "line 10: pipelines.batch.mode: is not observe or alert",
        "line 11: pipelines.empty.stages: is missing",
        f"line 13: connectors.table.kind: is 'abacus', which is not known; there are: {KINDS}",
        "line 14: sources.a.replay: is not own, partner or customer",
        "line 15: colour: is no setting that is known here",
    ]


CONTRADICTIONS = {
    "a stage twice": ("stages: [a, b, a]", "stages[2]: the stage a is there already"),
    "one stage": ("stages: [a]", "stages: has fewer than 2 items"),
    "a hop to an unknown stage": (
        "stages: [a, b], hops: [{from: a, to: b}, {from: a, to: c}]",
        "hops[1].to: 'c' is no stage of the pipeline; there are: a, b",
    ),
    "a hop to itself": (
        "stages: [a, b], hops: [{from: a, to: b}, {from: b, to: b}]",
        "hops[1]: leads from b to itself",
    ),
    "a hop twice": (
        "stages: [a, b], hops: [{from: a, to: b}, {from: a, to: b}]",
        "hops[1]: a to b is there already",
    ),
    "a hop that feeds the first stage": (
        "stages: [a, b, c], hops: [{from: b, to: a}, {from: b, to: c}]",
        "hops[0].to: a is the first stage: events are accepted there, nothing feeds it",
    ),
    "hops in a circle": (
        "stages: [a, b, c], hops: [{from: a, to: b}, {from: b, to: c}, {from: c, to: b}]",
        "hops: go in a circle: b to c to b",
    ),
    "a stage that no hop has": (
        "stages: [a, b, c], hops: [{from: a, to: b}]",
        "hops: none has the stage c, so its counts would be compared with nothing",
    ),
    "a queue that lies on no hop": (
        "stages: [a, b, c], queues: {q: {from: a, to: c}}",
        "queues.q: lies between a and c, which is no hop; the hops are: a to b, b to c",
    ),
    "a queue from an unknown stage": (
        "stages: [a, b], queues: {q: {from: x, to: b}}",
        "queues.q.from: 'x' is no stage of the pipeline; there are: a, b",
    ),
    "a bucket of no width": ("stages: [a, b], bucket: 0s", "bucket: is zero; it needs a length"),
    "a bucket longer than a day": (
        "stages: [a, b], bucket: 2d",
        "bucket: 2 d does not divide a day into a whole number of buckets",
    ),
    "more time to react than the policy leaves": (
        "stages: [a, b], reaction: 12h, queues: {q: {from: a, to: b, policy: {retention: 4h}}}",
        "reaction: 12 h is longer than the 4 h that the policy of q leaves: no warning could come in time",
    ),
    "an objective without its percent sign": (
        "stages: [a, b], objective: 99.99",
        "objective: is 99.99, not above 0 and at most 1 (100%); 99.99% needs its percent sign",
    ),
    "an objective of nothing": ("stages: [a, b], objective: 0", "objective: is 0, not above 0 and at most 1 (100%)"),
    "a tolerance of everything": (
        "stages: [a, b], tolerance: {ratio: 100%}",
        "tolerance.ratio: is 1, not between 0 and 1 (100%), 1 left out",
    ),
    "reporters of an unknown stage": (
        "stages: [a, b], reporters: {c: {}}",
        "reporters.c: 'c' is no stage of the pipeline; there are: a, b",
    ),
    "a number that is a truth": (
        "stages: [a, b], tolerance: {events: true}",
        "tolerance.events: is True, not a whole number",
    ),
    "a stage whose name is a hop": (
        "stages: [a, b>c]",
        "stages[1]: is 'b>c'; > stands between the two stages of a hop and cannot be part of a name",
    ),
    "a section that is left empty": ("stages: [a, b], queues: ", "queues: is not a mapping of names to values"),
}


@pytest.mark.parametrize(("body", "fault"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_pipeline_that_contradicts_itself_is_refused(body: str, fault: str) -> None:
    assert f"line 1: pipelines.batch.{fault}" in faults(f"pipelines: {{batch: {{{body}}}}}")


def test_a_fault_in_a_pipeline_does_not_hide_its_contradictions() -> None:
    found = faults("pipelines: {batch: {stages: [a, b], mode: 7, reporters: {c: {expect: [1]}}}}")
    assert [fault.partition(": ")[2].partition(":")[0] for fault in found] == [
        "pipelines.batch.mode",
        "pipelines.batch.reporters.c.expect[0]",
        "pipelines.batch.reporters.c",
    ]


WRONG_CONNECTORS = {
    "no kind": ("{}", f"kind: is missing; there are: {KINDS}"),
    "an unknown pipeline": (
        f"{{{SQL}, pipeline: x, stage: a}}",
        "pipeline: 'x' is no pipeline of this file; there are: batch",
    ),
    "an unknown stage": (
        f"{{{SQL}, pipeline: batch, stage: a}}",
        "stage: 'a' is no stage of the pipeline; there are: ingress, processed",
    ),
    "read more seldom than its window": (
        f"{{{SQL}, pipeline: batch, stage: ingress, every: 2h, window: 1h}}",
        "every: 2 h is longer than the window of 1 h that each reading covers",
    ),
    "a window shorter than a bucket": (
        f"{{{SQL}, pipeline: batch, stage: ingress, every: 1s, window: 30s}}",
        "window: 30 s is shorter than one bucket of 1 min",
    ),
    "a query without its ends": (
        "{kind: sql, url: 'sqlite:///x', pipeline: batch, stage: ingress, query: select 1}",
        "query: does not use :end and :start, so it would count all of the table each time",
    ),
    "a query that wants more": (
        "{kind: sql, url: 'sqlite:///x', pipeline: batch, stage: ingress, query: 'select :start, :end, :now'}",
        "query: has :now, but only :start and :end are bound; a colon that is meant is written \\:",
    ),
    "no database": (
        "{kind: sql, url: nowhere, pipeline: batch, stage: ingress, query: 'select :start, :end'}",
        "url: is no database URL such as postgresql://user@host/database",
    ),
    "an unknown zone": (
        f"{{{SQL}, pipeline: batch, stage: ingress, timezone: Mars/Base}}",
        "timezone: is 'Mars/Base', no time zone such as UTC or Europe/Berlin",
    ),
}


@pytest.mark.parametrize(("body", "fault"), WRONG_CONNECTORS.values(), ids=WRONG_CONNECTORS.keys())
def test_a_connector_that_cannot_work_is_refused(body: str, fault: str) -> None:
    assert f"line 2: connectors.table.{fault}" in faults(f"{MINIMAL}connectors: {{table: {body}}}")


def test_two_connectors_of_one_name_are_refused() -> None:
    body = f"{{{SQL}, pipeline: batch, stage: ingress}}"
    text = f"{MINIMAL}connectors:\n  table: {body}\n  table: {body}\n"
    assert faults(text) == ["line 3: connectors.table: is said twice, on line 3 and on line 4"]


def test_a_connector_is_expected_to_report_without_being_named_again() -> None:
    options = "pipeline: batch, stage: ingress"
    settings = read(f"{MINIMAL}connectors: {{table: {{{SQL}, {options}}}, slow: {{{SQL}, {options}, every: 1h}}}}")
    assert settings.pipelines["batch"].reporters == {"ingress": Reporters(("table", "slow"), 3 * HOUR)}


def test_a_connectors_sqlite_file_lies_beside_the_configuration() -> None:
    settings = read(f"{MINIMAL}connectors: {{table: {{{SQL}, pipeline: batch, stage: ingress}}}}")
    assert settings.connectors["table"].options.model_dump()["url"] == f"sqlite:///{Path.cwd()}/events.db"


def test_environment_variables_stand_in_for_values() -> None:
    text = "pipelines: {'${PIPE}': {stages: ['${FIRST}', '${SECOND:-processed}'], tolerance: {events: '${N:-3}'}}}"
    pipeline = read(text, FIRST="in").pipelines["${PIPE}"]
    assert (pipeline.stages, pipeline.tolerance.events) == (("in", "processed"), 3)
    assert read(f"ledger: 'sqlite:////a$$b'\n{MINIMAL}").ledger == "sqlite:////a$b"


@pytest.mark.parametrize(
    ("value", "fault"),
    {
        "unset": ("${NOPE}", "needs the environment variable NOPE, which is not set"),
        "empty": ("${EMPTY}", "needs the environment variable EMPTY, which is empty"),
        "open": ("${NOPE", "has ${NOPE, which is neither ${NAME} nor ${NAME:-default}"),
        "odd": ("${A B}", "has ${A B}, which is neither ${NAME} nor ${NAME:-default}"),
    }.values(),
)
def test_a_variable_that_gives_nothing_is_a_fault(value: str, fault: str) -> None:
    assert faults(f"ledger: '{value}'\n{MINIMAL}", EMPTY="") == [f"line 1: ledger: {fault}"]


def test_words_that_old_yaml_takes_for_truths_and_times_stay_words() -> None:
    pipeline = read("pipelines: {on: {stages: [yes, 12:30, 2021-07-20, off]}}").pipelines["on"]
    assert pipeline.stages == ("yes", "12:30", "2021-07-20", "off")


def test_a_key_said_twice_is_refused_wherever_it_stands() -> None:
    text = "pipelines:\n  batch:\n    stages: [a, b]\n    bucket: 1m\n    bucket: 5m\n"
    assert faults(text) == ["line 4: pipelines.batch.bucket: is said twice, on line 4 and on line 5"]


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "nothing": ("", "is empty; it needs pipelines at least"),
        "a list": ("[]", "is no mapping of settings; it needs pipelines at least"),
        "no pipeline": ("pipelines: {}", "pipelines: is empty"),
        "no YAML": ("pipelines: {", "is not YAML"),
        "two documents": ("a: 1\n---\nb: 2\n", "is not YAML"),
        "a circle": ("pipelines: &a {b: *a}", "pipelines.b: holds itself"),
        "a tag": ("pipelines: !!python/object:os.system {}", "which means nothing here"),
        "a forgetful ledger": (f"ledger: 'sqlite://'\n{MINIMAL}", "in memory only"),
        "a forgetful ledger by name": (f"ledger: 'sqlite:///:memory:'\n{MINIMAL}", "in memory only"),
        "another database": (f"ledger: mysql://root@host/x\n{MINIMAL}", "ledger: is no database URL"),
    }.values(),
)
def test_a_file_that_is_no_configuration_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="reconciler.yaml") as caught:
        read(text)
    assert said in caught.value.message


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "nowhere.yaml", {})
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path, {})
    (tmp_path / "latin.yaml").write_bytes("pipelines: {é: {}}".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.yaml", {})


def test_the_first_pattern_that_fits_a_source_says_who_sends() -> None:
    settings = read(f"{MINIMAL}sources: {{'p/a': {{owner: A, replay: own}}, 'p/*': {{owner: P}}}}")
    assert (settings.source("p/a").owner, settings.source("p/b").owner, settings.source("x").owner) == ("A", "P", None)
    assert settings.source("p/a").replay == "own"


def test_a_password_is_not_shown_with_the_options() -> None:
    body = SQL.replace("sqlite:///events.db", "postgresql://u:hush@h/d")
    settings = read(f"{MINIMAL}connectors: {{table: {{{body}, pipeline: batch, stage: ingress, every: 90s}}}}")
    assert "hush" not in repr(settings.connectors)
    assert settings.connectors["table"].options.model_dump()["every"] == 90 * SECOND
