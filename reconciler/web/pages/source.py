"""A source bucket by bucket, and one cell with all that was ever counted and said of it."""

from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reconciler.core import volume_dump
from reconciler.core.pipelines import Hop, Pipeline
from reconciler.core.tiles import PARTS
from reconciler.core.times import HOUR, NEVER, Micros, floor_to
from reconciler.core.verdicts import Verdict
from reconciler.core.volume_glance import Usual, usual
from reconciler.reports.history import History, history, stretches
from reconciler.web.pages import charts, words
from reconciler.web.pages.view import Looking, View

router = APIRouter()
COLUMNS = 120
"""At most so many columns in a picture."""
LISTED = 60
"""Stretches in the table."""
CELLS = 120
"""So many buckets are listed one by one."""
HEAD = 2048
"""Bytes of a dump of the usual week in which its head surely is."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The source that a page is about."""

    pipeline: Pipeline
    hop: Hop
    part: str
    """``from>to``."""
    name: str
    number: int
    """Its ordinal in the ledger."""


def chosen(view: View) -> Chosen:
    """`?pipeline=`, `?hop=`, `?source=` or `?number=`. Raises 404 and says what there is."""
    pipeline = view.pipeline()
    hops = {hop.part: hop for hop in pipeline.hops}
    part = view.asked("hop") or next(iter(hops))
    if part not in hops:
        raise HTTPException(404, f"{pipeline.name} has no hop {words.name(part)!r}; there are: {', '.join(hops)}.")
    names, asked, number = view.store.directory(pipeline).sources, view.asked("source"), view.asked("number")
    if number.isascii() and number.isdigit() and len(number) < 10 and int(number) < len(names):
        return Chosen(pipeline, hops[part], part, names[int(number)], int(number))
    if asked in names:
        return Chosen(pipeline, hops[part], part, asked, names.index(asked))
    near = [name for name in sorted(names) if asked and name.startswith(asked[:3])][:5] or sorted(names)[:5]
    known = "; ".join(words.name(name, 60) for name in near) or "none yet"
    raise HTTPException(
        404, f"{pipeline.name} has no source {words.name(asked or number)!r}. It has {len(names):,}, such as: {known}."
    )


@router.get("/source")
def source(view: Looking) -> Response:
    """What was accepted and processed, and what every gap consists of."""
    one = chosen(view)
    span = view.span(one.pipeline)
    found = history(view.store, one.pipeline, one.hop, one.number, (span.start, span.end), view.as_of)
    told = stretches(found)
    bad = sorted((each for each in told if each.verdict > Verdict.OPEN), key=lambda each: (-each.verdict, each.start))
    cells = [each for each in _cells(found) if each[1]] if len(found.code) <= CELLS else []
    through = view.library.through(one.pipeline, view.as_of)[0].get(one.name)
    expected = _usual(view, one, charts.middles(found, COLUMNS))
    told_usual = {} if expected is None else dict(zip(charts.middles(found, COLUMNS), _ranges(expected), strict=True))
    return view.page(
        "source.html", words.name(one.name, 120), one=one, span=span, found=found, sums=found.sums(), cells=cells,
        picture=charts.gaps(found, COLUMNS, expected), usual=told_usual, bad=bad[:LISTED],
        more=max(0, len(bad) - LISTED), through=through, known=view.settings.source(one.name),
        incidents=_incidents(view, one), fine=len(told) - len(bad),
    )  # fmt: skip


def _usual(view: View, one: Chosen, buckets: list[Micros]) -> Usual | None:
    """What is usually accepted of these buckets, by what is learned now; none where nothing is."""
    warm = view.store.state(one.pipeline.name).get("volume.warm")
    if warm is None or one.hop.from_stage != one.pipeline.stages[0]:
        return None
    row, name = one.number + 1, one.pipeline.name
    places = volume_dump.places(view.store.usual_week(name, 0, HEAD), row)
    week = [view.store.usual_week(name, start, length) for start, length in places]
    plan = one.pipeline.volume
    return usual(warm, week, row, buckets, plan.zone_of(one.name), plan.holidays)


def _ranges(found: Usual) -> list[tuple[int, int, int]]:
    """Expected, low and high, bucket by bucket."""
    rounded = (np.rint(part).astype(np.int64).tolist() for part in (found.expected, found.low, found.high))
    return list(zip(*rounded, strict=True))


def _cells(found: History) -> list[tuple[Micros, Verdict, dict[str, int]]]:
    """Bucket by bucket."""
    names = PARTS[: PARTS.index("misplaced")]
    return [
        (found.start + at * found.width, Verdict(int(code)), {name: int(found.part(name)[at]) for name in names})
        for at, code in enumerate(found.code)
    ]


def _incidents(view: View, one: Chosen) -> list[dict[str, object]]:
    lines = view.library.incidents({one.pipeline.name: one.pipeline}, view.as_of, everything=False)
    return [line for line in reversed(lines) if one.name in line["sources"]][:10]


@router.get("/cell")
def cell(view: Looking) -> Response:
    """All that was ever counted and said of one bucket of one source."""
    one, bucket = chosen(view), view.instant("bucket")
    if bucket is None:
        raise HTTPException(422, "Say which bucket: bucket=2021-07-20T18:45:00Z.")
    bucket, as_of = floor_to(bucket, one.pipeline.width), NEVER if view.as_of is None else view.as_of
    told = view.store.judgements(one.pipeline, one.part, one.number, bucket, as_of)
    stages = [one.hop.from_stage, one.hop.to_stage]
    counted = {stage: view.store.readings(one.pipeline, stage, one.number, bucket, as_of) for stage in stages}
    forgotten = bucket < view.store.horizon(one.pipeline).detail
    last = told[-1] if told else None
    queues = [queue.name for queue in one.pipeline.queues.values() if queue.hop == one.hop and queue.carries(one.name)]
    around = {"from_": words.iso(max(0, bucket - HOUR)), "to": words.iso(bucket + HOUR)}
    said = [(each.verdict, each.evidence, each.parts) for each in told]
    changed = [each for at, each in enumerate(told) if at == 0 or said[at] != said[at - 1]]
    return view.page(
        "cell.html", f"{words.name(one.name, 60)}, {words.instant(bucket)}", one=one, bucket=bucket, told=told,
        last=last, counted=counted, forgotten=forgotten, queues=queues, around=around,
        changed=changed, width=one.pipeline.width, explain=words.explain, gap=_gap(last),
    )  # fmt: skip


def _gap(last: object) -> int:
    parts = getattr(last, "parts", None)
    return 0 if parts is None else int(np.int64(parts["accepted"] - parts["processed"] - parts["accounted"]))
