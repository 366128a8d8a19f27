"""What every connector must do, against its real counterpart.

A connector's own file gives a fixture `counterpart` and subclasses one of the two contracts; see
`reconciler/connectors/README.md`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from reconciler import registry
from reconciler.cli import group, run
from reconciler.collect import collect, connectors_of
from reconciler.core.observations import OUTCOMES, Count, Observation, Progress, QueueSample, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, floor_to, format_time, parse_time
from reconciler.ports import Connector, ConnectorFailed, Store
from reconciler.service import judge_all
from reconciler.settings import Settings, parse

NAME = "the-connector"
SECRET = "hush-hush"  # noqa: S105  a password that no message may show
WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|DROP|CREATE|ALTER|TRUNCATE|WRITE|ALL)\b", re.IGNORECASE)


class Counterpart(Protocol):
    """The real thing that a connector reads, started and filled for one test."""

    kind: str
    options: dict[str, Any]
    """As in the configuration file; the pipeline is `batch`, with the stages ingress and processed."""
    away: dict[str, Any]
    """The options that differ where nobody answers. They name `SECRET` wherever the kind takes a secret."""
    pipeline: dict[str, Any]
    """Settings of the pipeline beyond its stages."""
    now: Micros
    """The instant as of which it is asked."""

    def fill(self) -> Any:
        """Put something there; returns what the connector must say of it (see the contracts)."""


class Bench:
    """A counterpart, and a configuration that has the connector in it."""

    def __init__(self, counterpart: Counterpart, folder: Path) -> None:
        self.counterpart, self.folder = counterpart, folder
        self.now = counterpart.now

    def settings(self, **changes: Any) -> Settings:
        """The configuration as it would be written, read back."""
        return parse(self.write(**changes).read_text(), self.folder / "reconciler.yaml", {})

    def write(self, **changes: Any) -> Path:
        """The configuration as a file."""
        theirs = self.counterpart
        options = {"kind": theirs.kind, "pipeline": "batch"} | theirs.options | changes
        pipeline = {"stages": ["ingress", "processed"]} | theirs.pipeline
        path = self.folder / "reconciler.yaml"
        path.write_text(yaml.safe_dump({"pipelines": {"batch": pipeline}, "connectors": {NAME: options}}))
        return path

    def connector(self, **changes: Any) -> Connector:
        (found,) = connectors_of(self.settings(**changes))
        return found

    def pipeline(self) -> Pipeline:
        return self.settings().pipelines["batch"]

    def ask(self, connector: Connector, back: int = 10) -> list[Observation | Refusal]:
        """Ask for so many whole buckets and the present one, or for the present only where it takes samples."""
        width = self.pipeline().width
        here = floor_to(self.now, width)
        start = here if connector.stage is None else here - back * width
        return list(connector.collect(start, here + width, self.now))

    def told(self) -> list[Observation]:
        """What it says when all is well; nothing may be refused."""
        said = self.ask(self.connector())
        assert [str(entry) for entry in said if isinstance(entry, Refusal)] == []
        return [entry for entry in said if not isinstance(entry, Refusal)]


class ConnectorContract:
    """What holds for every connector."""

    def test_it_is_found_by_its_kind_and_says_who_it_is(self, bench: Bench) -> None:
        connector = bench.connector()
        assert bench.counterpart.kind in registry.kinds("connectors")
        assert (connector.name, connector.pipeline) == (NAME, "batch")
        assert connector.every > 0
        assert (connector.window > 0) == (connector.stage is not None), "who takes samples has no past"

    def test_an_unknown_setting_stops_the_start(self, bench: Bench) -> None:
        with pytest.raises(Exception, match="colour: is no setting that is known here"):
            bench.settings(colour="blue")

    def test_all_that_it_says_bears_its_names_and_the_instant(self, bench: Bench) -> None:
        bench.counterpart.fill()
        said = bench.told()
        assert said
        assert {entry.at for entry in said} == {bench.now}
        assert {getattr(entry, "pipeline", "batch") for entry in said} == {"batch"}
        assert {entry.reporter for entry in said if isinstance(entry, Count | Progress)} <= {NAME}

    def test_asked_twice_it_says_the_same(self, bench: Bench) -> None:
        bench.counterpart.fill()
        assert Counter(map(repr, bench.told())) == Counter(map(repr, bench.told()))

    def test_it_connects_to_nothing_before_it_is_asked(self, bench: Bench) -> None:
        connector = bench.connector(**bench.counterpart.away)
        assert connector.name == NAME

    def test_out_of_reach_is_a_failure_with_what_where_and_what_to_do_and_without_secrets(self, bench: Bench) -> None:
        with pytest.raises(ConnectorFailed) as caught:
            bench.ask(bench.connector(**bench.counterpart.away))
        what, where, remedy = caught.value.message.splitlines()
        assert what.startswith(f"connector {NAME} (batch")
        assert where.startswith("  at ")
        assert remedy.endswith(".")
        assert SECRET not in caught.value.message
        assert SECRET not in repr(bench.connector(**bench.counterpart.away))

    def test_out_of_reach_it_says_nothing_into_the_ledger(self, bench: Bench, store: Store) -> None:
        (done,) = collect(store, [bench.connector(**bench.counterpart.away)], bench.settings().pipelines, bench.now)
        assert done.failure is not None
        assert done.kept == 0
        assert store.cursor(NAME) is None

    def test_what_it_says_is_kept_once(self, bench: Bench, store: Store) -> None:
        bench.counterpart.fill()
        pipelines = bench.settings().pipelines
        (first,) = collect(store, [bench.connector()], pipelines, bench.now)
        assert (first.failure, first.refused) == (None, ())
        assert first.kept > 0
        (again,) = collect(store, [bench.connector()], pipelines, bench.now, only_due=False)
        assert (again.kept, again.withdrawn, again.failure) == (0, 0, None)
        assert collect(store, [bench.connector()], pipelines, bench.now) == [], "it is not due again"

    def test_the_rights_that_it_needs_are_named_and_only_read(self, bench: Bench) -> None:
        rights = bench.connector().permissions()
        assert rights
        assert [right for right in rights if WRITES.search(right)] == []
        assert SECRET not in "".join(rights)

    def test_it_can_be_tried_by_hand(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        bench.counterpart.fill()
        ask = ["--connect", "--now", format_time(bench.now)]
        assert run(group, ["check-config", str(bench.write()), *ask]) == 0
        assert f"{NAME} answers: " in capsys.readouterr().out
        assert run(group, ["check-config", str(bench.write(**bench.counterpart.away)), *ask]) == 4
        assert f"{NAME} cannot be read: " in capsys.readouterr().out
        assert run(group, ["check-config", str(bench.write()), "--permissions"]) == 0
        assert f"# {NAME}" in capsys.readouterr().out


class CountingContract(ConnectorContract):
    """What holds for a connector that counts; `Counterpart.fill` returns the counts by (source, bucket)."""

    def test_it_counts_what_is_there(self, bench: Bench) -> None:
        expected = bench.counterpart.fill()
        counts = [entry for entry in bench.told() if isinstance(entry, Count)]
        found = {(entry.source, entry.bucket): entry for entry in counts if entry.count}
        assert found.keys() == expected.keys()
        assert all(abs(found[cell].count - number) <= found[cell].error for cell, number in expected.items())

    def test_its_counts_fit_the_contract(self, bench: Bench) -> None:
        bench.counterpart.fill()
        connector, pipeline = bench.connector(), bench.pipeline()
        counts = [entry for entry in bench.told() if isinstance(entry, Count)]
        cells = [(entry.source, entry.bucket, entry.outcome) for entry in counts]
        assert len(set(cells)) == len(cells), "a cell is counted once"
        for entry in counts:
            assert entry.stage == connector.stage
            assert entry.bucket % pipeline.width == 0
            assert bench.now - 10 * pipeline.width < entry.bucket + pipeline.width <= bench.now + pipeline.width
            assert entry.outcome in OUTCOMES
            assert entry.count >= 0

    def test_it_never_claims_to_know_what_lies_ahead(self, bench: Bench) -> None:
        bench.counterpart.fill()
        through = [entry.through for entry in bench.told() if isinstance(entry, Progress)]
        assert through, "without progress nothing that it counts is ever whole"
        assert max(through) <= bench.now

    def test_when_it_dies_its_counts_are_missing_by_name_and_nothing_is_good_or_lost(
        self, bench: Bench, store: Store
    ) -> None:
        bench.counterpart.fill()
        settings, now = bench.settings(), bench.now
        pipeline = settings.pipelines["batch"]
        other = "processed" if bench.connector().stage == "ingress" else "ingress"

        def tick(connector: Connector, now: Micros) -> list[dict[str, Any]]:
            collect(store, [connector], settings.pipelines, now)
            store.record([Progress(now, "batch", other, now, "other-1")], settings.pipelines)
            return judge_all(store, settings.pipelines, now, every=True)

        step = max(bench.connector().every, pipeline.width)
        tick(bench.connector(), now)
        dead = bench.connector(**bench.counterpart.away)
        lines = [line for turn in range(1, 5) for line in tick(dead, now + turn * step)]
        (opened,) = [line for line in lines if line["type"] == "incident" and line["kind"] == "missing_counts"][:1]
        assert NAME in opened["summary"]
        said = told_of(lines, after=now)
        assert said, "the cells that it should have counted are judged"
        assert said <= {"unknown", "open"}


class SamplingContract(ConnectorContract):
    """What holds for a connector that takes samples of queues; `Counterpart.fill` returns (start, end, committed) by
    (queue, partition).
    """

    def test_it_sees_what_is_there(self, bench: Bench) -> None:
        expected = bench.counterpart.fill()
        samples = [entry for entry in bench.told() if isinstance(entry, QueueSample)]
        assert {
            (entry.queue, entry.partition): (entry.start_offset, entry.end_offset, entry.committed_offset)
            for entry in samples
        } == expected

    def test_its_queues_are_those_of_the_pipeline(self, bench: Bench) -> None:
        bench.counterpart.fill()
        queues = {entry.queue for entry in bench.told() if isinstance(entry, QueueSample)}
        assert queues <= bench.pipeline().queues.keys()


def told_of(lines: Sequence[dict[str, Any]], after: Micros) -> set[str]:
    """Verdicts that were said of buckets that begin at or after an instant."""
    return {line["verdict"] for line in lines if line["type"] == "verdict" and parse_time(line["bucket"]) >= after}
