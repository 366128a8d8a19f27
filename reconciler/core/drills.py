"""A loss that did not happen: what would have been observed of it, and how people are told that nothing is lost.

It is the origin incident in small: a consumer stands still, and its queue deletes what it has not read. It has a
pipeline of its own, like the one that it pretends to be about and of no configuration: nothing that is said of
pipelines is touched by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.core.notices import Notice, Step
from reconciler.core.observations import Count, Observation, Progress, QueueSample
from reconciler.core.pipelines import Pipeline, Queue, Tolerance
from reconciler.core.times import MINUTE, SECOND, Micros
from reconciler.core.volume_plan import VolumePlan

PREFIX = "(drill "
"""How the names of such pipelines begin; no configuration may have one."""
SOURCE, QUEUE = "drill/source", "drill-events"
RATE = 100
"""Events a minute."""
STOPS, KEPT, LASTS = 5, 3, 12
"""Minute in which the consumer stops; minutes that the queue keeps; minutes that it all lasts."""
ENDS = 17
"""Minutes after all has come again at which it is over."""
NOTHING = "Nothing happened: somebody called `reconciler drill`"


@dataclass(frozen=True, slots=True)
class Drill:
    """One of them, in the minutes before it begins, so that nothing of it lies in the future."""

    about: Pipeline
    """What it pretends to be about."""
    began: Micros
    severity: str

    @property
    def start(self) -> Micros:
        """When the first event was accepted, as it pretends."""
        return self.began // MINUTE * MINUTE - (LASTS + ENDS + 1) * MINUTE

    @property
    def pipeline(self) -> Pipeline:
        """Judged by the rules of the real one; with a queue, and a name that is a new one each time."""
        hop = self.about.hops[0]
        return replace(
            self.about, name=f"{PREFIX}{self.began // SECOND})", stages=(hop.from_stage, hop.to_stage), hops=(hop,),
            width=MINUTE, queues={QUEUE: Queue(QUEUE, hop)}, reporters={}, limits=(), objectives=(), alert=True,
            tolerance=Tolerance(), stamped_by_broker=False, volume=VolumePlan(),
        )  # fmt: skip

    def minutes(self) -> Iterator[tuple[Micros, list[Observation]]]:
        """Minute by minute, from the first to the last: when it is, and what is observed then."""
        for minute in range(1, LASTS + 1):
            at = self.start + minute * MINUTE
            yield at, list(self._seen(at, minute))

    def _seen(self, at: Micros, minute: int) -> Iterator[Observation]:
        pipeline = self.pipeline
        for stage in pipeline.stages:
            if stage == pipeline.stages[0] or minute <= STOPS:
                outcome = pipeline.usual_outcome(stage)
                yield Count(at, pipeline.name, stage, SOURCE, at - MINUTE, RATE, outcome, "drill")
            yield Progress(at, pipeline.name, stage, at, "drill")
        read, first = min(minute, STOPS), max(0, minute - KEPT)
        yield QueueSample(
            at, pipeline.name, QUEUE, 0, first * RATE, minute * RATE, read * RATE, None, self.start + first * MINUTE,
            self.start + max(read, first) * MINUTE, KEPT * MINUTE,
        )  # fmt: skip

    def again(self) -> tuple[Micros, list[Observation]]:
        """All of it comes again, and the consumer has read the rest."""
        at, pipeline = self.start + (LASTS + 1) * MINUTE, self.pipeline
        stage, end = pipeline.stages[1], LASTS * RATE
        buckets = (self.start + minute * MINUTE for minute in range(STOPS, LASTS))
        return at, [
            *(Count(at, pipeline.name, stage, SOURCE, one, RATE, "processed", "drill") for one in buckets),
            *(Progress(at, pipeline.name, one, at, "drill", final=True) for one in pipeline.stages),
            QueueSample(at, pipeline.name, QUEUE, 0, end, end, end, None, None, None, KEPT * MINUTE),
        ]

    @property
    def over(self) -> Micros:
        """When it is over."""
        return self.start + (LASTS + ENDS) * MINUTE

    def told(self, judged: Notice, at: Micros) -> Notice:
        """What was judged, as people are told of it: whose drill it is, and that nothing is lost."""
        over = judged.status == "resolved"
        kept = (fact for fact in judged.facts if fact[0] not in {"Next", "Objective"})
        facts = tuple(("Would be lost" if label == "Lost" else label, value) for label, value in kept)
        beside = (("Drill", NOTHING),) if over else (("Drill", NOTHING), ("Next", "this message says when it is over"))
        title = judged.title.replace(self.pipeline.name, self.about.name)
        todo = Step("If you were woken by this, the channel works. There is nothing to do.")
        return replace(
            judged, id=f"drill-{judged.id}", pipeline=self.about.name, severity=self.severity, at=at,
            opened_at=self.began, title=f"DRILL, nothing is lost: {title}", facts=(*facts, *beside),
            steps=() if over else (todo,), link="", drill=True, kept=False, changed="the drill is over" if over else "",
        )  # fmt: skip
