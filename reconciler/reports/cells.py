"""Verdicts cell by cell, a page at a time, as the lines that were said of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

import numpy as np

from reconciler.core.changes import Changes
from reconciler.core.directory import Directory
from reconciler.core.lines import verdict_lines
from reconciler.core.pipelines import Pipeline
from reconciler.core.tiles import CHUNK, SPAN, Bools, Ints, TileKey, VerdictTile
from reconciler.core.times import NEVER, Micros, format_time, parse_time
from reconciler.core.verdicts import Verdict
from reconciler.ports import Store

Told = tuple[TileKey, VerdictTile, Ints]
"""A tile, and when its cells were last spoken of."""
Mark = tuple[str, int, Micros, str]
"""Where a page ended: pipeline, position of the hop, bucket, source."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cells are asked for."""

    hop: str | None = None
    """``from>to``; `None`: all."""
    prefix: str = ""
    """What names of sources begin with."""
    verdicts: tuple[Verdict, ...] = ()
    """None: all."""
    first: Micros = 0
    """Buckets that start at or after it."""
    end: Micros = NEVER
    """Buckets that start before it."""
    as_of: Micros = NEVER
    """What had been said by then."""


@dataclass(frozen=True, slots=True)
class _Hop:
    """One hop of one pipeline, and its sources in order of their names."""

    pipeline: Pipeline
    position: int
    part: str
    directory: Directory
    rank: Ints
    """By source: its place among all names."""
    wanted: Bools
    """By source: whether it is asked for."""


def cells(
    store: Store, pipelines: Mapping[str, Pipeline], asked: Asked, after: Mark | None, limit: int
) -> tuple[list[dict[str, Any]], Mark | None]:
    """The first lines after a mark, in order of pipeline, hop, bucket and source; and the mark to go on from."""
    page: list[dict[str, Any]] = []
    for hop in _hops(store, pipelines, asked, after):
        here = after is not None and after[:2] == (hop.pipeline.name, hop.position)
        first = max(asked.first, after[2]) if here and after is not None else asked.first
        told = store.said(hop.pipeline, hop.part, first, asked.end - 1, asked.as_of)
        with closing(told):  # its transaction ends with it
            for _, span in groupby(told, key=lambda one: one[0].span):
                room = limit + 1 - len(page)
                page += _lines(hop, list(span), asked, after if here else None, room)
                if len(page) > limit:
                    last = page[limit - 1]
                    mark = (hop.pipeline.name, hop.position, parse_time(last["bucket"]), last["source"])
                    return page[:limit], mark
    return page, None


def _hops(store: Store, pipelines: Mapping[str, Pipeline], asked: Asked, after: Mark | None) -> Iterator[_Hop]:
    for name in sorted(pipelines):
        pipeline = pipelines[name]
        hops = [(number, hop.part) for number, hop in enumerate(pipeline.hops)]
        hops = [one for one in hops if asked.hop in (None, one[1]) and (after is None or (name, one[0]) >= after[:2])]
        if not hops:
            continue
        directory = store.directory(pipeline)
        order = sorted(range(len(directory.sources)), key=directory.sources.__getitem__)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        wanted = np.array([source.startswith(asked.prefix) for source in directory.sources], np.bool_)
        for number, part in hops:
            yield _Hop(pipeline, number, part, directory, rank, wanted)


def _lines(hop: _Hop, span: Sequence[Told], asked: Asked, after: Mark | None, most: int) -> list[dict[str, Any]]:
    """The first lines of the cells of one span that are asked for, after the mark."""
    found = [_find(hop, told, asked) for told in span]
    source, bucket = (np.concatenate([one[part] for one in found]) for part in (0, 1))
    which = np.repeat(np.arange(len(found)), [len(one[0]) for one in found])
    order = np.lexsort((hop.rank[source], bucket))
    if after is not None:
        names = hop.directory.sources
        at_mark = [n for n in order[bucket[order] == after[2]].tolist() if names[source[n]] > after[3]]
        order = np.array([*at_mark, *order[bucket[order] > after[2]].tolist()], np.int64)
    order = order[:most]
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for number in np.unique(which[order]).tolist():
        chosen = order[which[order] == number]
        lines |= _written(hop, span[number], source[chosen], bucket[chosen])
    sources = hop.directory.sources
    return [lines[sources[source[n]], format_time(int(bucket[n]))] for n in order.tolist()]


def _find(hop: _Hop, told: Told, asked: Asked) -> tuple[Ints, Ints]:
    """Source and bucket of the cells of a tile that are asked for."""
    key, tile, _ = told
    mine = hop.wanted[key.chunk * CHUNK : (key.chunk + 1) * CHUNK]
    buckets = (key.span * SPAN + np.arange(SPAN, dtype=np.int64)) * hop.pipeline.width
    code = tile.code[: len(mine)]
    shown = np.isin(code, asked.verdicts) if asked.verdicts else code != Verdict.NONE
    shown &= mine[:, np.newaxis] & (buckets >= asked.first) & (buckets < asked.end)
    rows, columns = np.nonzero(shown)
    return rows + key.chunk * CHUNK, buckets[columns]


def _written(hop: _Hop, told: Told, source: Ints, bucket: Ints) -> dict[tuple[str, str], dict[str, Any]]:
    """The lines of some cells of a tile, by source and bucket; each was said at its own instant."""
    _, tile, when = told
    cell = source % CHUNK, bucket // hop.pipeline.width % SPAN
    arrays = {part.name: getattr(tile, part.name)[cell] for part in fields(tile) if part.name != "parts"}
    blank = np.zeros(len(source), np.int64)
    arrays |= {"source": source, "bucket": bucket, "parts": tile.parts.take(*cell)}
    changes = Changes(**{part.name: arrays.get(part.name, blank) for part in fields(Changes)})
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for at in np.unique(when[cell]).tolist():
        spoken = changes.take(when[cell] == at)
        for line in verdict_lines(hop.pipeline.name, hop.part, spoken, hop.directory, at):
            lines[line["source"], line["bucket"]] = line
    return lines
