"""The passes: gather what is known, decide, write it in one transaction. Arguments are ports and `now`."""

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from reconciler.core.acts import Act
from reconciler.core.changes import Changes
from reconciler.core.engine import Engine
from reconciler.core.lines import verdict_lines
from reconciler.core.notices import notice_of, quiet
from reconciler.core.outbox import Post, Route, posts
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, NEVER, Micros
from reconciler.core.verdicts import Verdict
from reconciler.core.volume_plan import Planned
from reconciler.ports import Portion, Said, Store
from reconciler.serving import ServiceStore

NOTHING = Portion(1, 0, -1, is_last=False)
"""No tile at all: for a pass that only needs what is remembered."""
WELL = (Verdict.COMPLETE, Verdict.OPEN)


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told of what is found, and what they need beside it."""

    routes: tuple[Route, ...] = ()
    public_url: str = ""
    """Where people see the pages, without a slash at its end; empty: nowhere."""

    def posts(self, pipeline: Pipeline, lines: Iterable[Mapping[str, Any]]) -> list[Post]:
        """What goes to which channel of incident lines. A pipeline that is only observed is told to nobody."""
        if not self.routes or not pipeline.alert:
            return []
        told = [notice_of(line, public_url=self.public_url) for line in lines if not quiet(line)]
        return posts(self.routes, told)


NOBODY = Telling()


def judge(
    store: Store, pipeline: Pipeline, now: Micros, *, every: bool = False, telling: Telling = NOBODY
) -> list[dict[str, Any]]:
    """Judge one pipeline as of `now` and write what is new; returns it as lines of the contract.

    Work comes from the ledger: all that was recorded since the last judgement, all that is still open, and every
    bucket that has begun meanwhile, however long that is ago. At or before the last judgement there is nothing to do.
    A large backlog is judged in portions, oldest first. Cells that are well are written and not returned, for there
    are many of them; `every` returns those of the last portion too. Who is to be told is put into the outbox with it.
    """
    return [
        line
        for portion in store.portions(pipeline, now)
        for line in _judge(store, pipeline, now, portion, telling, every=every and portion.is_last)
    ]


def _judge(
    store: Store, pipeline: Pipeline, now: Micros, portion: Portion, telling: Telling, *, every: bool
) -> Iterator[dict[str, Any]]:
    with store.judging(pipeline, now, portion) as work:
        if work.judged_at >= now:
            return
        engine = Engine(with_planned(pipeline, work.acts))
        engine.restore(work.state, work.incidents, work.judged_at or None, work.week)
        found = engine.tick(work.ledger, now, work.acts)
        said = [_said(hop, changes) for hop, changes in found.changes]
        posts = telling.posts(pipeline, found.incidents)
        state = engine.dump() | engine.rules()
        work.save(now, found.dirty, said, engine.incidents(), found.incidents, state, posts)
        if found.looked:
            work.keep_looked(found.looked)
    for hop, changes in found.changes:
        told = changes if every else changes.take(~np.isin(changes.code, WELL))
        yield from verdict_lines(pipeline.name, hop, told, work.ledger.directory, now, engine.volume)
    yield from sorted(found.incidents, key=lambda line: str(line["id"]))


def judge_all(
    store: Store, pipelines: Mapping[str, Pipeline], now: Micros, *, every: bool = False, telling: Telling = NOBODY
) -> list[dict[str, Any]]:
    """Judge every pipeline, each in transactions of its own."""
    lines = (judge(store, pipelines[name], now, every=every, telling=telling) for name in sorted(pipelines))
    return [line for told in lines for line in told]


def introduce(store: ServiceStore, pipelines: Mapping[str, Pipeline], telling: Telling, now: Micros) -> int:
    """Tell channels what is open and they were never told: they are new, or were asked for something else before.

    Only once it changes would they hear of it otherwise. Returns to how many that is news.
    """
    lines = store.standing()
    posts = [
        post
        for name, pipeline in sorted(pipelines.items())
        for post in telling.posts(pipeline, (one for one in lines if one["pipeline"] == name))
    ]
    return store.outbox.introduce(posts, now)


def learn(store: Store, pipeline: Pipeline, now: Micros) -> bool:
    """Once a day: learn what volume is usual, from the weeks in the ledger. `False`: there was nothing to learn.

    It goes by what is recorded, like the judgement: late, twice or never, the next time makes up for it.
    """
    learned = store.learned_at(pipeline)
    if learned is not None and learned // DAY >= now // DAY:
        return False
    with store.judging(pipeline, now, NOTHING) as work:
        confirmed = {act.incident for act in store.acts.all() if act.kind == "confirm" and act.at <= now}
        incidents = [one for one in store.incidents(pipeline.name) if one["id"] in confirmed]
        engine = Engine(without(incidents, with_planned(pipeline, work.acts)))
        engine.restore(work.state, work.incidents, work.judged_at or None, work.week)
        stage = engine.volume.stage
        found = engine.learn(
            work.ledger, lambda first, last: store.counts_as_of(pipeline, stage, first, last, now), now
        )
        work.keep(now, work.state | engine.volume.dump(), engine.volume.dump_week())
    return found


def with_planned(pipeline: Pipeline, acts: Sequence[Act]) -> Pipeline:
    """The pipeline with the work that people announced beside that of the configuration."""
    ended = {act.ends for act in acts if act.kind == "unmute"}
    work = [
        Planned(act.since, act.until or NEVER, (act.sources,))
        for act in acts
        if act.kind == "planned" and act.id not in ended and fnmatchcase(pipeline.name, act.pipeline or "*")
    ]
    return _planned(pipeline, work)


def without(confirmed: Sequence[Mapping[str, Any]], pipeline: Pipeline) -> Pipeline:
    """The pipeline as what is usual may be learned of it: not from what people confirmed to be an incident."""
    work = [
        Planned(one["since"], one["until"], tuple(glob.escape(name) for name in one["shares"]) or ("*",))
        for one in confirmed
    ]
    return _planned(pipeline, work)


def _planned(pipeline: Pipeline, work: Sequence[Planned]) -> Pipeline:
    return replace(pipeline, volume=replace(pipeline.volume, planned=(*pipeline.volume.planned, *work)))


def _said(hop: str, changes: Changes) -> Said:
    return Said(
        hop,
        changes.source,
        changes.bucket,
        changes.code,
        changes.evidence,
        changes.parts,
        changes.loss_at,
        changes.proven,
    )
