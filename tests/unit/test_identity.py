"""What holds of every cell after every judgement, whatever a pipeline's history was."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import example, given, settings

from reconciler.core.changes import Changes
from reconciler.core.engine import Engine, Findings
from reconciler.core.ledger import Ledger
from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.tiles import PARTS, Ints
from reconciler.core.times import DAY, HOUR, MINUTE, NEVER, Micros
from reconciler.core.verdicts import Evidence, Verdict
from tests.unit.histories import History, Plan, plans

PART = {name: at for at, name in enumerate(PARTS)}
DELETED = int(Evidence.QUEUE_EXPIRED | Evidence.PURGED)
PASSED = int(Evidence.PASSED_EXPIRED)
checked = settings(max_examples=40, deadline=None, derandomize=True)


@dataclass(slots=True)
class Heard:
    """What a reporter of a stage has said so far."""

    at: Micros
    through: Micros
    grew_at: Micros
    final: bool = False


@dataclass(slots=True)
class Witness:
    """Reads the same observations and keeps, in the plainest way, what the promises are held against."""

    plan: Plan
    heard: dict[tuple[str, str], Heard] = field(default_factory=dict)
    counted: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    """By (stage, reporter): sources that it has counted."""
    known: set[tuple[str, str, Micros]] = field(default_factory=set)
    """(stage, source, bucket) with a count, of whatever size."""
    samples: dict[int, QueueSample] = field(default_factory=dict)
    unread_deleted: int = 0
    """Records that lay before the consumer at the last look and that have been deleted."""
    deleted: int = 0
    """Records of which a sample shows that they are gone."""

    def see(self, observations: Iterable[Observation]) -> None:
        for seen in observations:
            match seen:
                case Count():
                    self.counted[seen.stage, seen.reporter].add(seen.source)
                    self.known.add((seen.stage, seen.source, seen.bucket))
                case Progress():
                    self._progress(seen)
                case QueueSample():
                    self._sample(seen)
                case _:
                    raise AssertionError(seen)

    def _progress(self, seen: Progress) -> None:
        known = self.heard.setdefault((seen.stage, seen.reporter), Heard(seen.at, seen.through, seen.at))
        if seen.at < known.at:
            return
        known.grew_at = seen.at if seen.through > known.through else known.grew_at
        known.at, known.through, known.final = seen.at, max(known.through, seen.through), seen.final

    def _sample(self, seen: QueueSample) -> None:
        assert seen.start_offset is not None
        assert seen.end_offset is not None
        before = self.samples.get(seen.partition)
        if before is not None and seen.at <= before.at:
            return
        self.samples[seen.partition] = seen
        if before is None:
            self.deleted += seen.start_offset
            return
        if seen.epoch != before.epoch or seen.end_offset < (before.end_offset or 0):
            self.deleted += seen.start_offset
            return
        start = before.start_offset or 0
        positions = [start if one.committed_offset is None else one.committed_offset for one in (before, seen)]
        self.deleted += seen.start_offset - start
        self.unread_deleted += max(0, seen.start_offset - max(start, min(positions)))

    def absent(self, stage: str, source: str, now: Micros) -> list[Heard]:
        """Reporters of the stage that are overdue and may have counted this source."""
        return [
            heard
            for (where, reporter), heard in self.heard.items()
            if where == stage
            and not heard.final
            and now - heard.at <= DAY
            and now - heard.grew_at >= 3 * self.plan.width
            and (source in self.counted[where, reporter] or not self.counted[where, reporter])
        ]

    def behind(self, stage: str, source: str, end: Micros, now: Micros) -> bool:
        """Whether a reporter that has not ended might still count this source before the instant `end`."""
        waited = [
            heard
            for (where, reporter), heard in self.heard.items()
            if where == stage and not heard.final and now - heard.at <= DAY and heard.through < end
        ]
        overdue = [heard for heard in waited if now - heard.grew_at >= 3 * self.plan.width]
        return len(waited) > len(overdue) or any(heard.through < end for heard in self.absent(stage, source, now))


class Watch:
    """Judges a history tick by tick and holds every cell against the promises."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.engine, self.ledger = Engine(plan.pipeline), Ledger(plan.pipeline)
        self.witness = Witness(plan)

    def judge(self, now: Micros, observations: list[Observation]) -> Findings:
        self.ledger.apply(observations)
        self.witness.see(observations)
        return self.engine.tick(self.ledger, now)

    def cells(self, hop: str) -> tuple[Ints, Ints, Ints]:
        """All cells of a hop that exist: their parts `(len(PARTS), n)`, their evidence, and their source."""
        parts, evidence, sources = [], [], []
        for key, tile in sorted(self.ledger.verdicts.items()):
            if key.part == hop:
                row, column = np.nonzero(tile.code)
                parts.append(tile.parts.take(row, column))
                evidence.append(tile.evidence[row, column].astype(np.int64))
                sources.append(row)
        none = np.zeros(0, np.int64)
        return (
            np.concatenate(parts, axis=1) if parts else np.zeros((len(PARTS), 0), np.int64),
            np.concatenate(evidence) if evidence else none,
            np.concatenate(sources) if sources else none,
        )

    def hops(self) -> list[str]:
        return [hop.part for hop in self.plan.pipeline.hops]


def watched(plan: Plan) -> Iterable[tuple[Watch, Findings, Micros]]:
    watch = Watch(plan)
    for now, observations in History(plan).ticks():
        yield watch, watch.judge(now, observations), now


def said(watch: Watch, changes: Changes, *verdicts: Verdict) -> Iterable[tuple[str, Micros]]:
    """(source, bucket) of the cells of which this is newly said."""
    for at in np.flatnonzero(np.isin(changes.code, verdicts)):
        yield watch.ledger.directory.sources[int(changes.source[at])], int(changes.bucket[at])


@checked
@given(plans())
def test_the_numbers_of_every_cell_add_up_after_every_tick(plan: Plan) -> None:
    for watch, _, _ in watched(plan):
        for hop in watch.hops():
            parts = dict(zip(PARTS, watch.cells(hop)[0], strict=True))
            total = parts["processed"] + parts["accounted"] + parts["retained"] + parts["in_flight"]
            total += parts["passed_over"] + parts["unproven"] + parts["lost"] - parts["surplus"] + parts["misplaced"]
            assert (total == parts["accepted"]).all()
            assert all((amount >= 0).all() for name, amount in parts.items() if name != "misplaced")
            assert (parts["lost_proven"] <= parts["lost"]).all()


NEXT_TO_A_TILE_THAT_IS_FINAL = Plan(seed=5, steps=33, sources=1, partitions=0, width=HOUR, faults=frozenset({"clock"}))


@checked
@given(plans())
@example(NEXT_TO_A_TILE_THAT_IS_FINAL)
def test_what_is_misplaced_sums_to_nothing_over_each_source(plan: Plan) -> None:
    for watch, _, _ in watched(plan):
        for hop in watch.hops():
            parts, _, sources = watch.cells(hop)
            for source in np.unique(sources):
                assert parts[PART["misplaced"], sources == source].sum() == 0


@checked
@given(plans())
def test_nothing_is_lost_or_surplus_while_a_reporter_that_could_have_counted_is_missing(plan: Plan) -> None:
    for watch, findings, now in watched(plan):
        for hop, changes in findings.changes:
            for source, bucket in said(watch, changes, Verdict.LOST, Verdict.SURPLUS):
                end = bucket + plan.width
                for stage in hop.split(">"):
                    absent = watch.witness.absent(stage, source, now)
                    assert all(reporter.through >= end for reporter in absent), (stage, source, bucket)


@checked
@given(plans())
def test_no_cell_is_complete_before_all_who_count_there_have_reported(plan: Plan) -> None:
    for watch, findings, now in watched(plan):
        for hop, changes in findings.changes:
            for source, bucket in said(watch, changes, Verdict.COMPLETE):
                assert not watch.witness.behind(hop.split(">")[0], source, bucket + plan.width, now)


@checked
@given(plans())
def test_a_cell_whose_count_was_never_reported_is_never_complete(plan: Plan) -> None:
    for watch, findings, _ in watched(plan):
        progressed = {stage for stage, _ in watch.witness.heard}
        for hop, changes in findings.changes:
            fed, done = hop.split(">")
            for source, bucket in said(watch, changes, Verdict.COMPLETE):
                assert fed in progressed or (fed, source, bucket) in watch.witness.known
            accepted = changes.parts[PART["accepted"]] > 0
            for source, bucket in said(watch, replace_code(changes, accepted), Verdict.COMPLETE):
                assert done in progressed or (done, source, bucket) in watch.witness.known


def replace_code(changes: Changes, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Changes:
    """The changes with only these cells left in view."""
    return replace(changes, code=np.where(which, changes.code, 0))


SAMPLER_DIES = Plan(seed=7, steps=4, sources=1, partitions=1, width=MINUTE, faults=frozenset({"gap", "swallow"}))
LOSS_REMEMBERED = Plan(
    seed=0, steps=4, sources=2, partitions=2, width=MINUTE, faults=frozenset({"retention", "swallow"})
)


@checked
@given(plans())
@example(SAMPLER_DIES)
@example(LOSS_REMEMBERED)
def test_no_more_is_lost_to_deletion_than_the_samples_show_as_deleted(plan: Plan) -> None:
    for watch, _, _ in watched(plan):
        parts, evidence, _ = watch.cells("ingress>processed")
        direct = (evidence != 0) & ((evidence & ~DELETED) == 0)
        assert parts[PART["lost_proven"], direct].sum() <= watch.witness.unread_deleted
        either = (evidence != 0) & ((evidence & ~(DELETED | PASSED)) == 0)
        assert parts[PART["lost_proven"], either].sum() <= watch.witness.deleted


SURPLUS_ELSEWHERE = Plan(seed=3, steps=32, sources=3, partitions=1, width=HOUR, faults=frozenset({"noise"}))
NETTED_WITH_WHAT_IS_FORGOTTEN = Plan(
    seed=174, steps=33, sources=1, partitions=0, width=HOUR,
    faults=frozenset({"approximate", "noise", "purge", "stored"}),
)  # fmt: skip
REWOUND = Plan(seed=0, steps=22, sources=1, partitions=1, width=HOUR, faults=frozenset({"rewind"}))


@checked
@given(plans())
@example(SURPLUS_ELSEWHERE)
@example(REWOUND)
@example(NETTED_WITH_WHAT_IS_FORGOTTEN)
def test_a_second_look_at_the_same_instant_says_nothing_new(plan: Plan) -> None:
    for watch, _, now in watched(plan):
        again = watch.engine.tick(watch.ledger, now)
        assert [len(changes.bucket) for _, changes in again.changes] == [0] * len(again.changes)
        assert again.incidents == []
        assert again.dirty == []


WITHIN_TOLERANCE = Plan(
    seed=4, steps=6, sources=1, partitions=2, width=MINUTE, faults=frozenset({"epoch", "stall", "tolerance"})
)


@checked
@given(plans())
@example(WITHIN_TOLERANCE)
def test_no_more_is_retained_or_passed_over_than_the_queue_holds(plan: Plan) -> None:
    for watch, _, _ in watched(plan):
        parts, _, _ = watch.cells("ingress>processed")
        ahead, behind = 0, 0
        for sample in watch.witness.samples.values():
            start, end = sample.start_offset or 0, sample.end_offset or 0
            read = max(start, start if sample.committed_offset is None else sample.committed_offset)
            ahead, behind = ahead + end - read, behind + read - start
        assert parts[PART["retained"]].sum() <= ahead
        assert parts[PART["passed_over"]].sum() <= behind


FIRST_DEADLINES_PASS = Plan(
    seed=34, steps=12, sources=2, partitions=2, width=MINUTE, faults=frozenset({"retention", "stall", "skip"})
)


@checked
@given(plans())
@example(FIRST_DEADLINES_PASS)
def test_a_risk_says_when_the_first_of_what_is_still_at_risk_is_deleted(plan: Plan) -> None:
    for watch, _, _ in watched(plan):
        for hop in watch.hops():
            tiles = [tile for key, tile in watch.ledger.verdicts.items() if key.part == hop]
            deadlines = [tile.loss_at[(tile.code == Verdict.AT_RISK) & (tile.loss_at > 0)] for tile in tiles]
            soonest = np.concatenate(deadlines).min(initial=NEVER) if deadlines else NEVER
            said = [incident.loss_at for incident in watch.engine.register.at_risk(hop) if incident.bad]
            if soonest < NEVER:
                assert min(said) == soonest
