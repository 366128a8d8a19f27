"""The passes: gather what is known, decide, write it in one transaction. Arguments are ports and `now`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reconciler.core.engine import Engine
from reconciler.core.judge import Changes
from reconciler.core.lines import verdict_lines
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros
from reconciler.ports import Said, Store


def judge(store: Store, pipeline: Pipeline, now: Micros) -> list[dict[str, Any]]:
    """Judge one pipeline as of `now` and write what is new; returns it as lines of the contract.

    Work comes from the ledger: all that was recorded since the last judgement, all that is still open, and every
    bucket that has begun meanwhile, however long that is ago. At or before the last judgement there is nothing to do.
    """
    with store.judging(pipeline, now) as work:
        if work.judged_at >= now:
            return []
        engine = Engine(pipeline)
        engine.restore(work.state, work.incidents, work.judged_at or None)
        found = engine.tick(work.ledger, now)
        said = [_said(hop, changes) for hop, changes in found.changes]
        work.save(now, found.dirty, said, engine.incidents(), found.incidents, engine.dump())
        lines: list[dict[str, Any]] = []
        for hop, changes in found.changes:
            lines += verdict_lines(pipeline.name, hop, changes, work.ledger.directory, now)
        return lines + sorted(found.incidents, key=lambda line: str(line["id"]))


def judge_all(store: Store, pipelines: Mapping[str, Pipeline], now: Micros) -> list[dict[str, Any]]:
    """Judge every pipeline, each in a transaction of its own."""
    return [line for name in sorted(pipelines) for line in judge(store, pipelines[name], now)]


def _said(hop: str, changes: Changes) -> Said:
    return Said(
        hop,
        changes.source,
        changes.bucket,
        changes.code.astype(np.uint8),
        changes.evidence.astype(np.uint32),
        changes.parts,
        changes.loss_at,
        changes.proven,
    )
