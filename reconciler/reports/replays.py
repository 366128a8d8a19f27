"""Plans of replays out of what the ledger holds, and the proof of what came of them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from reconciler.core.directory import Directory
from reconciler.core.observations import LEGAL_ENDS, QueueSample
from reconciler.core.pipelines import Pipeline
from reconciler.core.replays import Part, Proof, Replay, Window, plan
from reconciler.core.senders import Sender
from reconciler.core.tiles import CHUNK, PARTS, SPAN, Bools, Ints
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.verdicts import Verdict
from reconciler.ports import Store
from reconciler.reports.holes import ranges

AROUND: Micros = DAY
"""What was sent again is looked for so far on either side of the windows: it is often sent too wide."""
LATELY: Micros = HOUR
"""Samples of this time tell what a queue keeps now."""
_EVERYWHERE = ("recovered", "duplicated")
_GONE = ("lost", "passed_over")
"""Parts of a gap that do not come back by themselves."""
_WAITING = ("retained", "in_flight", "unproven")
_INSIDE = (*_GONE, *_WAITING, "accepted", "processed", "recovered", "duplicated")


def planned(
    store: Store, pipeline: Pipeline, senders: Sequence[Sender], span: tuple[Micros, Micros], now: Micros,
    sources: Collection[str] | None = None,
) -> Replay:  # fmt: skip
    """A plan for what was lost of buckets in [from, to); of these sources, or of all."""
    names = store.directory(pipeline).sources
    found: dict[tuple[str, str], list[Window]] = defaultdict(list)
    for hop in pipeline.hops:
        for source, window in _gone(store, pipeline, hop.part, names, span):
            if sources is None or source in sources:
                found[hop.part, source].append(window)
    windows = [window for own in found.values() for window in own]
    return plan(pipeline, found, senders, _samples(store, pipeline, windows, now), now)


def _gone(
    store: Store, pipeline: Pipeline, hop: str, names: list[str], span: tuple[Micros, Micros]
) -> Iterator[tuple[str, Window]]:
    """What is lost or passed over by the consumer, in ranges of neighbouring buckets, in order."""
    cells = {name: [np.zeros((4, 0), np.int64)] for name in _GONE}
    for key, tile in store.verdict_tiles(pipeline, hop, span[0], span[1] - pipeline.width):
        gone = np.sum([tile.parts[name] for name in _GONE], axis=0)
        row, column = np.nonzero(gone)
        for name in _GONE:
            place = np.stack([row + key.chunk * CHUNK, np.full_like(row, Verdict.LOST), column + key.span * SPAN])
            cells[name].append(np.concatenate([place, [tile.parts[name][row, column]]]))
    of = [ranges(np.concatenate(cells[name], axis=1), hop, names, pipeline.width, span) for name in _GONE]
    for lost, kept in zip(*of, strict=True):  # the same cells, so the same ranges
        yield lost.source, Window(lost.start, lost.end, lost.events + kept.events, kept.events)


def _samples(store: Store, pipeline: Pipeline, found: Sequence[Window], now: Micros) -> list[QueueSample]:
    """Of late, and of the time of the holes, each sample once."""
    if not found:
        return []
    first, last = min(window.start for window in found) - LATELY, max(window.end for window in found) + LATELY
    then = store.samples(pipeline, first, min(last, now))
    return then + [one for one in store.samples(pipeline, max(first, now - LATELY), now) if one.at > last]


def prove(
    store: Store, pipeline: Pipeline, replay: Replay, as_of: Micros | None = None
) -> list[tuple[Part, Proof]]:  # fmt: skip
    """What came of each part of a replay, as last judged, or as it was known at `as_of`."""
    by_hop = groupby(replay.parts, key=lambda part: part.hop)
    return [pair for _, own in by_hop for pair in _prove(store, pipeline, list(own), as_of)]


@dataclass(slots=True)
class _Account:
    """What is summed up for one part of a replay."""

    part: Part
    ordinal: int
    """Of the source."""
    starts: Ints
    """Ordinals of the first buckets of its windows."""
    ends: Ints
    sums: Counter[str] = field(default_factory=Counter)

    def judge(self, code: NDArray[np.uint8], parts: Ints, span: int) -> None:
        """Take what was last said of the source's cells in one span: `(SPAN,)` and `(len(PARTS), SPAN)`."""
        inside = self._inside(span)
        self.sums["known"] += int(np.count_nonzero(inside & (code != Verdict.NONE) & (code != Verdict.UNKNOWN)))
        for name in _INSIDE:
            own = parts[PARTS.index(name)]
            self.sums[f"{name} inside"] += int(own[inside].sum())
            if name in _EVERYWHERE:
                self.sums[name] += int(own.sum())

    def _inside(self, span: int) -> Bools:
        ordinals = span * SPAN + np.arange(SPAN, dtype=np.int64)
        window = np.searchsorted(self.starts, ordinals, side="right") - 1
        inside: Bools = (window >= 0) & (ordinals < self.ends[window])
        return inside

    def proof(self) -> Proof:
        """What came of it."""
        sums = self.sums
        again = sums["recovered inside"] + sums["duplicated inside"]
        return Proof(
            sums["sent"], sums["recovered"], sums["already_there"], sums["dropped"], sums["duplicated"],
            sum(sums[f"{name} inside"] for name in _GONE), sum(sums[f"{name} inside"] for name in _WAITING),
            int((self.ends - self.starts).sum()) - sums["known"],
            sums["accepted inside"], sums["processed inside"] - again,
        )  # fmt: skip


def _prove(
    store: Store, pipeline: Pipeline, parts: Sequence[Part], as_of: Micros | None
) -> Iterator[tuple[Part, Proof]]:  # fmt: skip
    directory, width = store.directory(pipeline), pipeline.width
    first = min(part.windows[0].start for part in parts) - AROUND
    last = max(part.windows[-1].end for part in parts) + AROUND
    accounts = [
        _Account(
            part, directory.source(part.source),
            np.array([window.start // width for window in part.windows], np.int64),
            np.array([window.end // width for window in part.windows], np.int64),
        )
        for part in parts
    ]  # fmt: skip
    for stage in dict.fromkeys((pipeline.stages[0], parts[0].hop.split(">")[1])):
        wanted = dict(_labelled(directory, accounts, stage, first=stage == pipeline.stages[0]))
        for _, tile in store.counts_as_of(pipeline, stage, first, last, as_of):
            for row in np.flatnonzero(np.isin(tile.series, list(wanted))).tolist():
                account, name = wanted[int(tile.series[row])]
                account.sums[name] += int(np.maximum(tile.count[row], 0).sum())
    by_chunk: dict[int, list[_Account]] = defaultdict(list)
    for account in accounts:
        by_chunk[account.ordinal // CHUNK].append(account)
    if as_of is None:
        tiles = store.verdict_tiles(pipeline, parts[0].hop, first, last)
    else:
        tiles = store.verdicts_as_of(pipeline, parts[0].hop, first, last, as_of)
    for key, verdicts in tiles:
        for account in by_chunk[key.chunk]:
            row = account.ordinal % CHUNK
            account.judge(verdicts.code[row], verdicts.parts.row(row), key.span)
    yield from ((account.part, account.proof()) for account in accounts)


def _labelled(
    directory: Directory, accounts: Sequence[_Account], stage: str, *, first: bool
) -> Iterator[tuple[int, tuple[_Account, str]]]:
    """The series of a stage that count what was sent again, and what each of them tells."""
    known = {(account.ordinal, account.part.label): account for account in accounts}
    for number, series in enumerate(directory.series):
        account = known.get((series.source, series.replay or ""))
        if account is None or series.stage != stage:
            continue
        if series.outcome in LEGAL_ENDS:
            yield number, (account, "already_there" if series.outcome == "deduplicated" else "dropped")
        elif first:
            yield number, (account, "sent")
