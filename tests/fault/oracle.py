"""What must be in the ledger, and what must be said, from what was answered with success."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from reconciler.core.observations import Count, parse
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import PARTS
from reconciler.core.times import Micros
from reconciler.core.verdicts import Verdict
from reconciler.store import SqlStore, tables
from reconciler.store.packing import unpack
from tests.fault.load import SOURCES, Line, fate

Reading = tuple[str, str, str, Micros, Micros, int]
"""Stage, source, reporter, bucket, at, count."""
Cells = dict[tuple[str, int], tuple[Any, ...]]
"""By source and bucket: the word, then the parts, those that age moves events between as one sum."""
LAG = ("in_flight", "unproven", "lost", "lost_proven")
"""Which of them a missing event is in depends on how late events usually are; under faults they do come late."""
WORDS = {
    "complete": {"complete"},
    "late": {"complete"},
    "surplus": {"surplus"},
    "swapped": {"lost", "surplus"},
    "short": {"pending", "delayed"},
}
"""What may be said of a source. While lag may still explain that an event is missing, it is not called lost."""


def told(lines: Iterable[Line], pipeline: Pipeline) -> list[Any]:
    """The observations that were answered with success, each once, in the order of their instants.

    Of two of a cell with one instant the later line counts.
    """
    known: dict[tuple[Any, ...], Any] = {}
    for line in lines:
        seen = parse(line, {pipeline.name: pipeline})
        place = (line["type"], line["stage"], line["reporter"], line.get("source"), line.get("bucket"), line["at"])
        known[place] = seen
    return sorted(known.values(), key=lambda seen: seen.at)


def expected(observations: Iterable[Any]) -> "Counter[Reading]":
    """Each reading once."""
    return Counter(
        (seen.stage, seen.source, seen.reporter, seen.bucket, seen.at, seen.count)
        for seen in observations
        if isinstance(seen, Count)
    )


def history(store: SqlStore, pipeline: Pipeline) -> "Counter[Reading]":
    """Every reading that the ledger holds, as often as it holds it."""
    directory = store.directory(pipeline)
    found: Counter[Reading] = Counter()
    with store.database.reading() as connection:
        for stage, payload in connection.execute(sa.select(tables.reading.c.stage, tables.reading.c.payload)):
            block = unpack(payload)
            lines = zip(*(block[name].tolist() for name in ("series", "column", "at", "count")), strict=True)
            for series, column, at, count in lines:
                key = directory.series[series]
                source = directory.sources[key.source]
                found[stage, source, key.reporter, column * pipeline.width, at, count] += 1
    return found


def cells(store: SqlStore, pipeline: Pipeline, end: Micros) -> Cells:
    """What was last said of each cell."""
    names, found = store.directory(pipeline).sources, Cells()
    kept = [PARTS.index(name) for name in PARTS if name not in LAG]
    by_age = [PARTS.index(name) for name in LAG[:3]]
    for key, tile in store.verdict_tiles(pipeline, "ingress>processed", 0, end):
        rows, columns = np.nonzero(tile.parts["accepted"] > 0)
        taken = tile.parts.take(rows, columns)
        for number, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            word, parts = Verdict(int(tile.code[row, column])).word, taken[:, number]
            place = (names[key.chunk * tile.code.shape[0] + row], key.span * tile.code.shape[1] + column)
            found[place] = (word, int(parts[by_age].sum()), *parts[kept].tolist())
    return found


def by_construction(found: Cells, buckets: Sequence[int]) -> list[str]:
    """Cells of which something else is said than what was done to them; empty: none."""
    wrong = []
    for source in range(SOURCES):
        for bucket in buckets:
            word = found.get((f"s{source:02}", bucket), ("nothing",))[0]
            if word not in WORDS[fate(source)]:
                wrong.append(f"s{source:02} is {fate(source)}, bucket {bucket}: {word}")
    return wrong


def unlike(cells: Cells, calm: Cells) -> list[str]:
    """Cells of which other numbers are said than in an undisturbed run over the same observations; empty: none."""
    return [
        f"{place}: {cells.get(place)}, calm {calm.get(place)}"
        for place in sorted(cells.keys() | calm.keys())
        if cells.get(place, ())[1:] != calm.get(place, ())[1:]
    ]
