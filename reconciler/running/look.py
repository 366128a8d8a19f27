"""The main duty: collect what is due, judge every pipeline, say that it is alive."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.collect import Collected
from reconciler.core.directory import Directory
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, floor_to, format_time
from reconciler.errors import OutOfReach, ReconcilerError
from reconciler.ports import LeaseLost
from reconciler.reports.objectives import standings
from reconciler.running import heartbeat
from reconciler.running.readers import Readers
from reconciler.running.turns import Turn
from reconciler.service import NOBODY, Telling, judge

log = logging.getLogger(__name__)

CATCH_UP = 4
"""Ticks that are judged one by one after a pause, as if there had been none: after a restart, or the death of the
process that did the work. So few that a connector which nobody asked meanwhile does not look silent. After a longer
pause only the latest tick is judged, which sees all that was recorded meanwhile."""

After = Callable[[Turn], None]
"""Something that follows each judging, such as sending what is to be said. What it raises is noted as its failure."""


def ticks(judged_at: Micros | None, now: Micros, tick: Micros) -> list[Micros]:
    """The ticks that are to be judged at `now`, oldest first."""
    last = floor_to(now, tick)
    first = last if judged_at is None else floor_to(judged_at, tick) + tick
    missed = range(first, last + 1, tick)
    return list(missed) if len(missed) <= CATCH_UP else [last]


@dataclass(frozen=True, slots=True)
class Look:
    """One whole run of the service."""

    readers: Readers
    after: Sequence[tuple[str, After]] = ()
    """What follows the judging, by name."""
    telling: Telling = NOBODY
    """Who is told of what is found."""

    def __call__(self, turn: Turn) -> bool:
        """Do all of it. One pipeline that cannot be judged is its own affair. Raises `OutOfReach` at the end."""
        for done in self.readers.read(turn.store, turn.now, turn.settings.deadline):
            self._tell(turn, done)
        wrong = [
            name
            for name, pipeline in sorted(turn.settings.pipelines.items())
            if not _judged(turn, pipeline, self.telling)
        ]
        turn.meters.standing(turn.store.standing())
        turn.meters.outbox(turn.store.outbox.backlogs(), turn.now)
        for name, pipeline in sorted(turn.settings.pipelines.items()):
            _crowd(turn, name, turn.store.directory(pipeline))
        for name, work in self.after:
            _part(turn, name, "", work)
        if turn.stopping.is_set():
            return True
        if wrong:
            raise OutOfReach(f"not judged: {', '.join(wrong)}")
        heartbeat.call(turn.settings.service.heartbeat)
        return True

    def _tell(self, turn: Turn, done: Collected) -> None:
        turn.meters.collected(done, turn.now)
        failure = None if done.failure is None else done.failure.message
        turn.note("collect", done.connector, 0, failure)
        fields = {"connector": done.connector, "kept": done.kept, "unchanged": done.unchanged, "gone": done.withdrawn}
        if failure is not None:
            log.error("a connector could not be read", extra={"connector": done.connector, "failure": failure})
        else:
            log.info("collected", extra=fields | {"too_old": done.too_old, "until": format_time(done.until)})
        for refusal in done.refused:
            log.warning("refused", extra={"connector": done.connector, "what": str(refusal)})
        for note in done.notes:
            log.warning("noted", extra={"connector": done.connector, "what": str(note)})


def _crowd(turn: Turn, pipeline: str, directory: Directory) -> None:
    turn.meters.sources(pipeline, len(directory.sources), directory.beyond)
    if directory.beyond:
        told = {"pipeline": pipeline, "sources": len(directory.sources), "beyond": directory.beyond}
        log.warning("more sources than max_sources: those beyond are judged together, as (overflow)", extra=told)


def _judged(turn: Turn, pipeline: Pipeline, telling: Telling) -> bool:
    """Judge all that is due of one pipeline; whether that went well."""

    def work(turn: Turn) -> None:
        for tick in ticks(turn.store.judged_at(pipeline), turn.now, turn.settings.tick):
            if turn.stopping.is_set():
                return
            lines = judge(turn.store, pipeline, tick, telling=telling)
            turn.meters.judged(pipeline.name, tick, lines)
            turn.meters.objectives(standings(turn.store, pipeline))
            log.info("judged", extra={"pipeline": pipeline.name, "tick": format_time(tick), "said": len(lines)})
            for line in lines:
                if line["type"] == "incident":
                    told = {key: line[key] for key in ("id", "kind", "status", "severity", "summary")}
                    log.warning("incident", extra={"pipeline": pipeline.name} | told)

    return _part(turn, "judge", pipeline.name, work)


def _part(turn: Turn, duty: str, subject: str, work: After) -> bool:
    """Do one part of a look and note how it went."""
    began, failure = time.monotonic(), None
    try:
        work(turn)
    except LeaseLost:
        raise
    except ReconcilerError as error:
        failure = error.message
        log.error("a part of the look failed", extra={"duty": duty, "subject": subject, "failure": failure})
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        log.exception("a part of the look broke", extra={"duty": duty, "subject": subject})
    took = time.monotonic() - began
    turn.meters.ran(duty, turn.now, took, well=failure is None)
    turn.note(duty, subject, took, failure)
    return failure is None
