"""How things stood at every judgement: what had been said by then of the events of a window, added up."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reconciler.core.pipelines import Pipeline
from reconciler.core.sheets import PART
from reconciler.core.tiles import Ints
from reconciler.core.times import Micros
from reconciler.core.verdicts import Verdict
from reconciler.ports import Said
from reconciler.serving import ServiceStore

WAYS = ("safe", "late", "at_risk", "lost")
"""Events that are missing. `safe`: late, and the queue was seen to hold them; `late`: late, and nothing shows where
they are."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one hop, at one judgement that said something new of the window."""

    at: Micros
    hop: str
    events: dict[str, int]
    """By the names of `WAYS`."""
    unknown: int
    """Cells of which counts were missing."""
    until: Micros
    """Of the cells that were spoken of: when the first event that a queue still held is deleted; 0: nobody can say."""


def standings(
    store: ServiceStore, pipeline: Pipeline, hop: str, span: tuple[Micros, Micros], as_of: Micros
) -> Iterator[Standing]:
    """How the window [from, to) stood, judgement by judgement until `as_of`."""
    size = len(store.directory(pipeline).sources), -(-(span[1] - span[0]) // pipeline.width)
    amounts = np.zeros((len(WAYS), *size), np.int64)
    unknown = np.zeros(size, np.bool_)
    sums, blind = np.zeros(len(WAYS), np.int64), 0
    told: Standing | None = None
    for at, said in store.spoken(pipeline, hop, span[0], span[1] - pipeline.width, as_of):
        if told is not None and at != told.at:
            yield told
        here = said.source, (said.bucket - span[0]) // pipeline.width
        new = _ways(said)
        sums += (new - amounts[:, here[0], here[1]]).sum(axis=1)
        amounts[:, here[0], here[1]] = new
        blind += int((said.code == Verdict.UNKNOWN).sum()) - int(unknown[here].sum())
        unknown[here] = said.code == Verdict.UNKNOWN
        held = said.loss_at[said.loss_at > 0]
        events = dict(zip(WAYS, sums.tolist(), strict=True))
        told = Standing(at, hop, events, blind, int(held.min()) if len(held) else 0)
    if told is not None:
        yield told


def _ways(said: Said) -> Ints:
    """`(len(WAYS), n)`: where the missing events of each cell were said to be."""
    waiting = sum(said.parts[PART[name]] for name in ("retained", "in_flight", "unproven"))
    passed = said.parts[PART["passed_over"]]
    threatened, delayed = said.code == Verdict.AT_RISK, said.code == Verdict.DELAYED
    safe = np.where(delayed & said.proven, waiting, 0)
    late = np.where(delayed & ~said.proven, waiting, 0)
    risk = passed + np.where(threatened, said.parts[PART["retained"]], 0)
    found: Ints = np.stack([safe, late, risk, said.parts[PART["lost"]]])
    return found
