"""Counts out of JSON lines, fast: whatever is a sound count beyond doubt, and nothing else.

`parse` decides what an observation is, and words every refusal. Nearly all lines are counts of the same few stages and
instants, though, and those are read here in a tenth of the time. A line is left to `parse` wherever the two could
differ, so that what is taken and what is refused stays the same.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from reconciler.core.observations import LIMIT, OUTCOMES, Count, Refusal, read_digest
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, parse_time

_EXACT = 2**53
"""Below it a float holds every whole number."""
_REMEMBERED = 50_000
"""Different places that are remembered at once; few lines have more, and anybody may send anything."""
_LONGEST = 2_000
"""Bytes; longer lines are read with care."""
_REQUIRED_QUOTES = 26
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

    def read(self, line: bytes) -> Count | None:
        """The count that the line surely is, or `None`: to be read with care."""
        try:
            row = self._decode(line)
        except ValueError:  # no JSON, no UTF-8, no count
            return None
        written, count = (row.pipeline, row.stage, row.outcome, row.at, row.bucket), row.count
        known = self._places.get(written) or self._look_up(row, written)
        if known is None or type(count) is not int or not 0 <= count < LIMIT or not _plain(row, line):
            return None
        at, pipeline, stage, bucket, outcome = known
        if row.digest or row.error or row.replay:
            return _with_more(row, known, count)
        return Count(at, pipeline, stage, row.source, bucket, count, outcome, row.reporter)

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


def _plain(row: _Row, line: bytes) -> bool:
    """Whether no field is said twice and no text has an escape or is empty: then the quotation marks are as many as
    the fields that were found need.
    """
    quotes = _REQUIRED_QUOTES
    if row.outcome:
        quotes += 4
    if row.reporter:
        quotes += 4
    if row.digest:
        quotes += 4
    if row.replay:
        quotes += 4
    if row.error:
        quotes += 2
    return line.count(b'"') == quotes and b"\\" not in line and len(line) < _LONGEST and bool(row.source)


def _with_more(row: _Row, known: _Known, count: int) -> Count | None:
    """A count with a digest, an error or a replay."""
    try:
        digest = read_digest(row.digest or None)
    except Refusal:
        return None
    if not 0 <= row.error < _EXACT:
        return None
    at, pipeline, stage, bucket, outcome = known
    return Count(
        at, pipeline, stage, row.source, bucket, count, outcome, row.reporter, digest, row.error, row.replay or None
    )
