"""The engine of one pipeline: judges all its hops at an instant and keeps what it must remember in between."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from reconciler.core import advice, telling, volume_incidents
from reconciler.core.acts import Act
from reconciler.core.changes import Changes
from reconciler.core.conditions import capacities, crowd, queue_policies
from reconciler.core.incidents import KINDS, CellChange, Incident, Register
from reconciler.core.judge import HopJudge
from reconciler.core.lanes import Lane, lanes_of
from reconciler.core.ledger import Ledger
from reconciler.core.looked import MARGIN, SETTLED, WORTH, Looked
from reconciler.core.objectives import Objectives
from reconciler.core.pipelines import Pipeline
from reconciler.core.queues import QueueLedger
from reconciler.core.rejects import EndShares, ended
from reconciler.core.replays import alarms
from reconciler.core.rules import VERSION
from reconciler.core.scene import Scene
from reconciler.core.sheets import PART
from reconciler.core.silence import silent_reporters, silent_samplers
from reconciler.core.stages import stage_now
from reconciler.core.stakes import Stakes, severity
from reconciler.core.steps import steps
from reconciler.core.tiles import CHUNK, SPAN, TileKey, VerdictTile
from reconciler.core.times import NEVER, Micros, format_time
from reconciler.core.titles import title
from reconciler.core.verdicts import DIRECT, Evidence, Verdict
from reconciler.core.volume_history import Tiles
from reconciler.core.volume_watch import Watch


@dataclass(frozen=True, slots=True)
class Findings:
    """What one judgement of a pipeline has to say."""

    changes: list[tuple[str, Changes]]
    """By hop (``from>to``), in the pipeline's order."""
    incidents: list[dict[str, Any]]
    """Lines of the contract for incidents opened, updated or resolved, by id."""
    dirty: list[TileKey]
    """Verdict tiles that differ from before."""
    looked: Looked | None = None
    """What many looks at queues have come to, to be kept for the next judgement."""


class Engine:
    """Judges a pipeline. Same ledger and same `now`, same findings."""

    def __init__(self, pipeline: Pipeline, version: str = VERSION) -> None:
        self.pipeline = pipeline
        self.version = version
        """Of the rules; when it changes, what is settled stands."""
        self.upgraded = 0
        """Ordinal of the first bucket that the rules of this version may judge again where nothing has changed."""
        self.queues: dict[str, QueueLedger] = {}
        self.judges = [
            HopJudge(hop, [Lane(hop, names) for names in lanes_of(pipeline, hop)]) for hop in pipeline.hops
        ]  # fmt: skip
        self.shares = [EndShares() for _ in pipeline.hops]
        self.register = Register(pipeline.name, pipeline.width)
        self.volume = Watch(pipeline)
        self.objectives = Objectives(pipeline)
        self.judged_at: Micros | None = None

    def tick(self, ledger: Ledger, now: Micros, acts: Sequence[Act] = ()) -> Findings:
        """Judge all that has changed or may have changed by time, take what people said, and say what is new."""
        looked = self._look(ledger, now)
        changes: list[tuple[str, Changes]] = []
        dirty: list[TileKey] = []
        self.objectives.move(now)
        for position, judge in enumerate(self.judges):
            judged = judge.judge(ledger, self.queues, now, self.judged_at)
            name = judge.hop.part
            changes.append((name, judged.changes))
            dirty += judged.dirty
            self.register.take(name, _cells(judged.changes, ledger), now)
            self.objectives.take(name, judged.changes, ledger.directory.sources)
            self._foretell(name, ledger)
            self._doubt(name, ledger, now)
            self.register.unplaced(name, sum(judged.unplaced.values()), now)
            self._rejects(position, name, judged.changes, ledger, now)
        self._volume(ledger, now)
        self.register.hold(queue_policies(self.pipeline, self.queues.values()), now)
        self.register.hold(crowd(self.pipeline, ledger.directory), now)
        self.register.hold(capacities(ledger.capacities.values(), self.pipeline, now), now)
        self.register.hold(alarms(self.pipeline, ledger.dues(ledger), now), now)
        self.register.hold(silent_samplers(self.pipeline, self.queues, now), now)
        for hop in self.pipeline.hops:
            self.register.explain(hop.part, "missing_counts", partial(silent_reporters, ledger, hop, now))
        ledger.touched.clear()
        self.judged_at = now
        self.register.hear(acts, now)
        self._weigh(now)
        told = self.register.settle(now)
        self._forget(ledger)
        return Findings(changes, [self._tell(incident, ledger, now) for incident in told], dirty, looked)

    def _look(self, ledger: Ledger, now: Micros) -> Looked | None:
        """Go through the samples; returns what they come to, where they are so many that it is worth being kept."""
        before, ledger.looked = ledger.looked, None
        for name, (known, arrays) in before.queues.items() if before else ():
            self._queue(name).restore(known, arrays)
        settled = bisect_right(ledger.samples, now - SETTLED, key=lambda sample: sample.at)
        for sample in ledger.samples[:settled]:
            self._queue(sample.queue).observe(sample)
        looked = None
        if ledger.samples_since and settled > WORTH:
            since = max(before.since if before else ledger.samples_since, ledger.samples_since - MARGIN)
            queues = {name: queue.dump(since // self.pipeline.width) for name, queue in self.queues.items()}
            looked = Looked(since, now - SETTLED, queues)
        for sample in ledger.samples[settled:]:
            self._queue(sample.queue).observe(sample)
        ledger.samples.clear()
        return looked

    def _queue(self, name: str) -> QueueLedger:
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = QueueLedger(self.pipeline.queue(name), self.pipeline.width)
        return queue

    def _weigh(self, now: Micros) -> None:
        """How severe each incident is that is not over."""
        going_on = [one for one in self.register.incidents.values() if one.status != "resolved" or one.alive]
        burning = bool(going_on) and self.objectives.burning()
        for incident in going_on:
            stakes = Stakes(self.pipeline.paging, self._reaction(incident.hop), burning)
            incident.severity = severity(incident, stakes, now)

    def _reaction(self, hop: str) -> Micros:
        """The time that people need to act where events of this hop are about to be deleted."""
        queues = [queue for queue in self.pipeline.queues.values() if queue.hop.part == hop]
        return max((self.pipeline.reaction_for(queue, None) for queue in queues), default=0)

    def _foretell(self, hop: str, ledger: Ledger) -> None:
        """Let the incidents of what is at risk say when the first of it is deleted."""
        for incident in self.register.at_risk(hop):
            tiles = [(key.span, ledger.verdicts[key]) for key in ledger.open if key.part == hop]
            soonest = min((_soonest(incident, span, tile, self.pipeline.width) for span, tile in tiles), default=NEVER)
            incident.loss_at = soonest if soonest < NEVER else incident.loss_at

    def _doubt(self, hop: str, ledger: Ledger, now: Micros) -> None:
        """Let no incident of what is at risk end because nobody looks."""
        if not any(one.status in {"open", "updated"} for one in self.register.at_risk(hop)):
            return
        tiles = [(key, tile) for key in ledger.open if key.part == hop and (tile := ledger.verdicts.get(key))]
        names, width = ledger.directory.sources, self.pipeline.width

        def waits(incident: Incident) -> bool:
            return any(_waits(incident, key, tile, names, width) for key, tile in tiles)

        unseen = Scene(self.pipeline, now, self.queues).unseen(hop)
        self.register.doubt(hop, waits if unseen else None, now)

    def _rejects(self, position: int, hop: str, changes: Changes, ledger: Ledger, now: Micros) -> None:
        """Hold the legal ends of newly settled cells against their usual share; the usual ones train it."""
        complete = int(Verdict.COMPLETE)
        settled = (changes.code == complete) & (changes.parts[PART["accepted"]] > 0)
        at = np.flatnonzero(settled & (changes.old_code != complete))
        source, bucket, fed = changes.source[at], changes.bucket[at], changes.parts[PART["accepted"]][at]
        names, width, stage = ledger.directory.sources, self.pipeline.width, self.judges[position].hop.to_stage
        some = bool(changes.parts[PART["accounted"]][at].any())
        amounts = ended(ledger.counts, ledger.directory, stage, source, bucket // width) if some else {}
        found = self.shares[position].take(source, fed, amounts)
        odd = found.cells
        unusual = [(names[one], start) for one, start in zip(source[odd].tolist(), bucket[odd].tolist(), strict=True)]
        self.register.rejects(
            hop, unusual, lambda: {names[one] for one in np.unique(source[~odd]).tolist()}, width, now
        )
        self.register.explain(hop, "rejects", lambda: found.detail)

    def _volume(self, ledger: Ledger, now: Micros) -> None:
        """Hold the accepted volume of buckets that have become whole against what should have come."""
        if self.volume.model is None:
            return
        stage, hop = stage_now(ledger, self.volume.stage, now), self._accepting
        known = volume_incidents.in_incident(self.register, ledger.directory)
        found = self.volume.advance(ledger, stage, hop, known, now)
        volume_incidents.report(self.register, hop, found, ledger.directory, self.pipeline.width, now)

    @property
    def _accepting(self) -> str:
        """The first hop that begins where events are accepted."""
        return next(judge.hop.part for judge in self.judges if judge.hop.from_stage == self.volume.stage)

    def learn(self, ledger: Ledger, tiles: Tiles, now: Micros) -> bool:
        """Once a day: learn the volume anew from the weeks behind. `False`: there is nothing to learn yet."""
        if not self.volume.due(ledger, now):
            return False
        self.volume.learn(ledger, tiles, stage_now(ledger, self.volume.stage, now), now)
        return True

    def _forget(self, ledger: Ledger) -> None:
        """Drop the detail of buckets long before the oldest open one, and never of one of two that were netted."""
        if not ledger.open:
            return
        first = min(key.span for key in ledger.open)
        tiles = [ledger.verdicts[key] for key in ledger.open if key.span == first]
        oldest = first * SPAN + min(int(np.argmax(tile.active.any(axis=0))) for tile in tiles)
        before = oldest - -(-self.pipeline.looks_back // self.pipeline.width)
        least = before - SPAN
        while before > least and self._netted_around(ledger, before):
            before -= 1
        for judge in self.judges:
            for lane in judge.lanes:
                lane.forget(before)
        for queue in self.queues.values():
            queue.forget(before)

    def _netted_around(self, ledger: Ledger, ordinal: int) -> bool:
        """Whether a cell before this bucket may have been netted with one from it on."""
        reach = self.pipeline.reach
        parts = [TileKey(hop.part, chunk, 0) for hop in self.pipeline.hops for chunk in range(ledger.directory.chunks)]
        return any(
            all(_misplaced(ledger, key, range(first, first + reach)) for first in (ordinal - reach, ordinal))
            for key in parts
        )

    def _tell(self, incident: Incident, ledger: Ledger, now: Micros) -> dict[str, Any]:
        """The line of an incident that is told now."""
        line = self.line(incident, self._scene(ledger, incident, now))
        incident.said = telling.mark(incident)
        return line

    def _scene(self, ledger: Ledger, incident: Incident, now: Micros) -> Scene:
        """What the text of an incident is made from."""
        stages = [stage_now(ledger, name, now) for name in incident.hop.split(">") if name in self.pipeline.stages]
        silent = [(absent.stage, absent.name) for stage in stages for absent in stage.missing]
        return Scene(
            self.pipeline, now, self.queues, silent, self.objectives.standings()[0], self._lost_beside(incident)
        )

    def _lost_beside(self, incident: Incident) -> str:
        """The incident of events of the same hop and time that are lost, by what is known now; empty: none is."""
        return next(
            (
                one.id for one in self.register.incidents.values()
                if one.kind == "loss" and one.hop == incident.hop and one.lost and one.id != incident.id
                and one.since < incident.until and incident.since < max(one.until, one.since + 1)
            ), "",
        )  # fmt: skip

    def line(self, incident: Incident, scene: Scene) -> dict[str, Any]:
        """The incident as the contract writes it."""
        now = scene.now
        hop = incident.hop.split(">") if ">" in incident.hop else None
        line: dict[str, Any] = {
            "type": "incident",
            "at": format_time(now),
            "id": incident.id,
            "kind": incident.kind,
            "status": incident.status,
            "severity": incident.severity,
            "pipeline": incident.pipeline,
            "sources": sorted(incident.shares),
            "from": format_time(incident.since),
            "to": format_time(incident.until),
            "opened_at": format_time(incident.opened_at),
            "lost": incident.lost,
            "accepted": incident.accepted,
            "events": incident.events,
            "proven": bool(incident.evidence & DIRECT),
            "safe": bool(incident.shares) and not incident.unsafe and incident.kind != "loss" and not scene.lost_beside,
            "evidence": incident.evidence.words(),
            "summary": advice.summary(incident),
            "advice": advice.advice(incident, self.pipeline, now),
            "facts": [list(fact) for fact in telling.facts(incident, scene)],
            "steps": [asdict(step) for step in steps(incident, scene)],
            "title": title(incident, scene),
            "changed": telling.changed(incident, incident.said),
            "mode": "alert" if self.pipeline.alert else "observe",
        }
        if incident.loss_at:
            line["loss_at"] = format_time(incident.loss_at)
        told = ("acknowledged", "confirmed", "closed", "muted", "reopened")
        line |= {name: value for name in told if (value := getattr(incident, name))}
        runbook = self.pipeline.runbooks.get(incident.kind) or self.pipeline.runbooks.get("default")
        if runbook:
            line["runbook"] = runbook
        if incident.follows:
            line["follows"] = incident.follows
        if hop:
            line |= {"from_stage": hop[0], "to_stage": hop[1]}
        else:
            line["subject"] = incident.hop
        return line

    def incidents(self) -> list[Incident]:
        """All incidents to be stored; what came to nothing is `resolved` and was never opened."""
        for incident in self.register.dropped:
            incident.status = "resolved"
        kept = [*self.register.incidents.values(), *self.register.dropped]
        self.register.dropped = []
        return kept

    def dump(self) -> dict[str, Any]:
        """What must be remembered until the next judgement, as plain values; incidents apart."""
        lanes = [[lane.dump() for lane in judge.lanes] for judge in self.judges]
        own = {"lanes": lanes, "shares": [shares.dump() for shares in self.shares]}
        return own | {"objectives": self.objectives.dump()} | self.volume.dump()

    def restore(
        self, state: Mapping[str, Any], incidents: Iterable[Incident], judged_at: Micros | None, week: bytes = b"",
    ) -> None:  # fmt: skip
        """Take up what an earlier judgement remembered, and the usual week that was learned last."""
        self.volume.restore(state, week)
        self.objectives.restore(state.get("objectives", {}))
        for judge, lanes in zip(self.judges, state.get("lanes", []), strict=False):
            for lane, stored in zip(judge.lanes, lanes, strict=False):
                lane.restore(stored)
        self.shares = [EndShares.restore(stored) for stored in state.get("shares", [])] or self.shares
        for incident in incidents:
            if incident.opened_at or incident.status == "pending":  # the others came to nothing
                self.register.incidents[incident.id] = incident
        self.judged_at = judged_at
        rules = state.get("rules", {"version": "", "from": 0})
        same = rules["version"] == self.version or judged_at is None
        self.upgraded = rules["from"] if same else (judged_at or 0) // self.pipeline.width
        for judge in self.judges:
            judge.stands_before = self.upgraded

    def rules(self) -> dict[str, Any]:
        """By which rules was judged, to be remembered with the rest of `dump`."""
        return {"rules": {"version": self.version, "from": self.upgraded}}


def _soonest(incident: Incident, span: int, tile: VerdictTile, width: Micros) -> Micros:
    """When the first event at risk of an incident is deleted, as far as a tile shows."""
    starts = (span * SPAN + np.arange(SPAN, dtype=np.int64)) * width
    mine = (
        (tile.code == int(Verdict.AT_RISK))
        & (tile.loss_at > 0)
        & (starts >= incident.since)
        & (starts < incident.until)
    )
    return int(tile.loss_at[mine].min(initial=NEVER))


def _waits(incident: Incident, key: TileKey, tile: VerdictTile, names: Sequence[str], width: Micros) -> bool:
    """Whether a cell that the incident covers is neither well nor lost, as far as a tile shows."""
    starts = (key.span * SPAN + np.arange(SPAN, dtype=np.int64)) * width
    missing = np.isin(tile.code, [int(verdict) for verdict in (Verdict.PENDING, Verdict.DELAYED, Verdict.UNKNOWN)])
    rows = np.flatnonzero((missing & (starts >= incident.since) & (starts < incident.until)).any(axis=1))
    return any(names[key.chunk * CHUNK + row] in incident.shares for row in rows.tolist())


def _misplaced(ledger: Ledger, where: TileKey, ordinals: range) -> bool:
    for ordinal in ordinals:
        tile = ledger.verdicts.get(where._replace(span=ordinal // SPAN))
        if tile is None or tile.parts.is_blank("misplaced"):
            continue
        if tile.parts["misplaced"][:, ordinal % SPAN].any():
            return True
    return False


_BAD = np.isin(np.arange(len(Verdict)), [int(verdict) for verdict in KINDS])
"""By code of a verdict: it is told in an incident."""


def _cells(changes: Changes, ledger: Ledger) -> list[CellChange]:
    """The changes that concern an incident, before or after."""
    at = np.flatnonzero(_BAD[changes.code] | _BAD[changes.old_code])
    if not len(at):
        return []
    changes = changes.take(at)
    names, parts = ledger.directory.sources, changes.parts
    columns = (
        changes.source, changes.bucket, changes.code, changes.evidence, parts[PART["lost"]], np.abs(changes.gap),
        changes.old_code, changes.old_evidence, changes.old_lost,
        parts[PART["accepted"]], np.abs(changes.old_gap), changes.old_accepted, changes.proven,
    )  # fmt: skip
    return [
        CellChange(
            names[source], bucket, Verdict(code), Evidence(why), lost, events, Verdict(old), Evidence(old_why), *before
        )
        for source, bucket, code, why, lost, events, old, old_why, *before in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]  # fmt: skip
