"""An investigation as tables: for CSV and Parquet files, and for the data frames of a notebook."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.times import Micros, format_time, time_of
from reconciler.core.verdicts import Evidence, Verdict
from reconciler.errors import ConfigError
from reconciler.forensics.inquiry import Found, Investigation
from reconciler.forensics.standing import WAYS

if TYPE_CHECKING:
    import pandas

    from reconciler.forensics.whatif import WhatIf


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; instants are `Micros` in the columns named in `times`."""

    name: str
    heads: tuple[str, ...]
    times: frozenset[str]
    rows: list[list[Any]]

    def written(self) -> Iterator[list[Any]]:
        """The rows with instants as text."""
        at = [head in self.times for head in self.heads]
        for row in self.rows:
            yield [
                format_time(one) if is_time and one is not None else one for one, is_time in zip(row, at, strict=True)
            ]

    def frame(self) -> "pandas.DataFrame":
        """As a data frame; instants are in UTC."""
        try:
            import pandas
        except ImportError as error:
            raise ConfigError("a data frame needs pandas: pip install pandas") from error
        made = pandas.DataFrame(self.rows, columns=list(self.heads))
        for head in self.times:
            made[head] = pandas.to_datetime(made[head], unit="us", utc=True)
        return made


def _table(name: str, heads: str, times: str, rows: Iterator[list[Any]]) -> Table:
    return Table(name, tuple(heads.split()), frozenset(times.split()), list(rows))


def timeline(looked: Investigation) -> Table:
    """What happened and what was known, in order."""
    rows = (
        [one.at, one.what, one.pipeline, one.kind, one.severity or None, one.incident or None, one.seen_at, one.text]
        for one in looked.timeline
    )
    return _table("timeline", "at what pipeline kind severity incident seen_at text", "at seen_at", rows)


def sources(looked: Investigation) -> Table:
    """By source that is not whole: how much is lost, with bounds, and who can send it again."""
    heads = "pipeline hop source entry_point way accepted proven inferred upper unknown_cells first_bucket end buckets"
    return _table("sources", f"{heads} send_again_until contact", "first_bucket end send_again_until", _sources(looked))


def _sources(looked: Investigation) -> Iterator[list[Any]]:
    for found in looked.found:
        for hop in found.losses:
            for number in hop.sources:
                source, bounds = hop.names[number], hop.bounds([number])
                own = hop.where(hop.cells["source"] == number)
                window = own.window or (None, None)
                way = next(one for one in found.entrances if source in one.sources)
                contact = None if way.sender is None else way.sender.contact or None
                until = None if window[0] is None else way.deadline(window[0])
                figures = (bounds.accepted, bounds.proven, bounds.inferred, bounds.upper, bounds.unknown)
                yield [found.pipeline.name, hop.hop, source, way.name, None if way.way is None else str(way.way),
                       *figures, *window, own.buckets, until, contact]  # fmt: skip


def buckets(looked: Investigation) -> Table:
    """By bucket: the sums of the cells that are not well."""
    heads = "pipeline hop bucket accepted processed lost lost_proven waiting recovered"
    rows = (
        [found.pipeline.name, hop.hop, bucket, *sums.values()]
        for found in looked.found
        for hop in found.losses
        for bucket, sums in hop.by_bucket()
    )
    return _table("buckets", heads, "bucket", rows)


def cells(looked: Investigation) -> Table:
    """Every cell that is not well."""
    heads = "pipeline hop source bucket verdict accepted processed accounted lost lost_proven waiting recovered"
    return _table("cells", f"{heads} duplicated surplus loss_at evidence", "bucket loss_at", _cells(looked))


def _cells(looked: Investigation) -> Iterator[list[Any]]:
    words = {int(one): one.word for one in Verdict}
    for found in looked.found:
        for hop in found.losses:
            columns = [column.tolist() for column in hop.cells.values()]
            for source, bucket, code, evidence, *figures, loss_at in zip(*columns, strict=True):
                why = " ".join(Evidence(evidence).words())
                yield [found.pipeline.name, hop.hop, hop.names[source], bucket, words[code], *figures, loss_at or None,
                       why]  # fmt: skip


def standing(looked: Investigation) -> Table:
    """How the window stood at each judgement: events that were said to be safe, late, at risk and lost."""
    rows = (
        [one.at, found.pipeline.name, one.hop, *(one.events[way] for way in WAYS), one.unknown]
        for found in looked.found
        for one in found.standing
    )
    return _table("standing", f"at pipeline hop {' '.join(WAYS)} unknown_cells", "at", rows)


def offsets(looked: Investigation) -> Table:
    """Which offsets were deleted, passed over, or belong to what is lost."""
    rows = (
        [found.pipeline.name, one.queue, one.partition, one.kind, one.first, one.last, one.last - one.first, one.since,
         one.until, one.exact]
        for found in looked.found
        for one in found.offsets
    )  # fmt: skip
    heads = "pipeline queue partition kind first last_exclusive records since until exact"
    return _table("offsets", heads, "since until", rows)


def queues(looked: Investigation) -> Table:
    """What the queues held when they were last looked at, and until when they keep the first of it."""
    rows = (
        [found.pipeline.name, one.queue, one.partition, one.at, one.start, one.end, one.committed, one.unread,
         one.behind, one.oldest_at, one.kept_until]
        for found in looked.found
        for one in found.holdings
    )  # fmt: skip
    heads = "pipeline queue partition at start_offset end_offset committed_offset unread behind oldest_at kept_until"
    return _table("queues", heads, "at oldest_at kept_until", rows)


TABLES: Sequence[Callable[[Investigation], Table]] = (
    timeline, sources, buckets, cells, standing, offsets, queues,
)  # fmt: skip


def record(looked: Investigation, otherwise: "WhatIf | None" = None) -> dict[str, Any]:
    """For programs, with what other settings would have said; cells one by one are in the tables alone."""
    return {
        "from": format_time(looked.start),
        "to": format_time(looked.end),
        "as_of": time_of(looked.as_of),
        "made_by": looked.made_by,
        "timeline": [entry.record() for entry in looked.timeline],
        "what_if": None if otherwise is None else otherwise.record(),
        "pipelines": [_pipeline(one) for one in looked.found],
        **{name: _records(table(looked)) for name, table in (("sources", sources), ("offsets", offsets),
                                                             ("queues", queues))},
    }  # fmt: skip


def _records(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.heads, row, strict=True)) for row in table.written()]


def _pipeline(found: Found) -> dict[str, Any]:
    return {
        "pipeline": found.pipeline.name,
        "hops": [
            {
                "hop": hop.hop,
                **hop.bounds().record(),
                "windows": [
                    {"from": format_time(start), "to": format_time(end), "lost": amount}
                    for start, end, amount in hop.ranges()
                ],
                "buckets": hop.buckets,
                "evidence": hop.evidence(),
            }
            for hop in found.losses
        ],
        "entry_points": [
            {
                "name": way.name,
                "way": None if way.way is None else str(way.way),
                "sources": list(way.sources),
                "lost": lost_by(found, way.sources),
            }
            for way in found.entrances
        ],
        "incidents": [changes[-1] for changes in found.incidents],
    }


def lost_by(found: Found, names: Sequence[str]) -> int:
    """Events of these sources that are lost, over all hops."""
    wanted = set(names)
    total = 0
    for hop in found.losses:
        total += hop.bounds([number for number in hop.sources if hop.names[number] in wanted]).inferred
    return total


def window_of(found: Found, names: Sequence[str]) -> tuple[Micros, Micros] | None:
    """From the first to the end of the last bucket in which one of these sources has lost something."""
    wanted = set(names)
    spans = [
        (start, end)
        for hop in found.losses
        for start, end, _ in hop.ranges([number for number in hop.sources if hop.names[number] in wanted])
    ]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None
