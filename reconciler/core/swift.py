"""Counts out of JSON lines, fast: whatever is a sound count beyond doubt, and nothing else.

`parse` decides what an observation is, and words every refusal. Nearly all lines are counts of the same few stages and
instants, though, and those are read here in a tenth of the time. A line is left to `parse` wherever the two could
differ, so that what is taken and what is refused stays the same.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from reconciler.core.observations import LIMIT, OUTCOMES, Count, Refusal, read_digest
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, parse_time

_EXACT = 2**53
"""Below it a float holds every whole number."""
_REMEMBERED = 50_000
"""Different places that are remembered at once; few lines have more, and anybody may send anything."""
_QUOTES = 26
"""Quotation marks in a count with its seven required fields, each said once, and no escapes."""


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """A line as it is written."""

    type: Literal["count"]
    at: str
    pipeline: str
    stage: str
    source: str
    bucket: str
    count: int | float
    outcome: str = ""
    reporter: str = ""
    digest: str = ""
    error: float = 0.0
    replay: str = ""


_Place = tuple[str, str, str, str, str]
"""Pipeline, stage, outcome, at and bucket as written."""
_Known = tuple[Micros, str, str, Micros, str]
"""At, pipeline, stage, bucket and outcome as they are meant."""


class CountReader:
    """Reads counts of these pipelines, and remembers the places it has seen."""

    def __init__(self, pipelines: Mapping[str, Pipeline]) -> None:
        self._pipelines = pipelines
        self._places: dict[_Place, _Known] = {}
        self._decode = msgspec.json.Decoder(_Row).decode

    def read(self, lines: Sequence[bytes]) -> list[Count | None]:
        """For each line the count that it surely is, or `None`: to be read with care."""
        found, quotes = self._read(lines)
        text = b"\n".join(lines)
        if text.count(b'"') == sum(quotes) and b"\\" not in text:
            return found
        return [
            count if line.count(b'"') == needed and b"\\" not in line else None
            for line, count, needed in zip(lines, found, quotes, strict=True)
        ]

    def _read(self, lines: Sequence[bytes]) -> tuple[list[Count | None], list[int]]:
        """The same, as far as no field is said twice and nothing is escaped; and how many quotation marks each line has
        if that is so, for the fields that were found need as many.
        """
        decode, places = self._decode, self._places
        found: list[Count | None] = []
        quotes: list[int] = []
        for line in lines:
            try:
                row = decode(line)
            except ValueError:  # no JSON, no UTF-8, no count
                found.append(None)
                quotes.append(0)
                continue
            count, outcome, reporter = row.count, row.outcome, row.reporter
            written = (row.pipeline, row.stage, outcome, row.at, row.bucket)
            known = places.get(written) or self._look_up(row, written)
            seen: Count | None = None
            if known is not None and type(count) is int and 0 <= count < LIMIT and row.source:
                at, pipeline, stage, bucket, meant = known
                seen = Count(at, pipeline, stage, row.source, bucket, count, meant, reporter)
            needed = _QUOTES + (4 if outcome else 0) + (4 if reporter else 0)
            if row.digest or row.error or row.replay:
                seen, needed = _with_more(row, seen, needed)
            found.append(seen)
            quotes.append(needed)
        return found, quotes

    def _look_up(self, row: _Row, written: _Place) -> _Known | None:
        """Where the count belongs; `None` where that is not sound."""
        pipeline = self._pipelines.get(row.pipeline)
        if pipeline is None or row.stage not in pipeline.stages:
            return None
        try:
            at, bucket = parse_time(row.at), parse_time(row.bucket)
        except ValueError:
            return None
        if bucket % pipeline.width or bucket > at + pipeline.clock_allowance:
            return None
        outcome = row.outcome or ("accepted" if row.stage == pipeline.stages[0] else "processed")
        if outcome not in OUTCOMES:
            return None
        if len(self._places) >= _REMEMBERED:
            self._places.clear()
        known = self._places[written] = (at, pipeline.name, row.stage, bucket, outcome)
        return known


def _with_more(row: _Row, seen: Count | None, quotes: int) -> tuple[Count | None, int]:
    """A count with a digest, an error or a replay, and the quotation marks that it needs."""
    quotes += (4 if row.digest else 0) + (4 if row.replay else 0) + (2 if row.error else 0)
    try:
        digest = read_digest(row.digest or None)
    except Refusal:
        return None, quotes
    if seen is None or not 0 <= row.error < _EXACT:
        return None, quotes
    return msgspec.structs.replace(seen, digest=digest, error=row.error, replay=row.replay or None), quotes
