"""Findings as the lines of the contract: plain dicts in a stated order, ready to be written as NDJSON."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from reconciler.core.changes import Changes
from reconciler.core.directory import Directory
from reconciler.core.tiles import PARTS
from reconciler.core.times import Micros, format_time
from reconciler.core.verdicts import Evidence, Verdict
from reconciler.core.volume_watch import UNTRAINED, Watch

_WORDS = [verdict.word for verdict in Verdict]


@lru_cache(maxsize=1024)
def _reasons(evidence: int) -> tuple[str, ...]:
    return tuple(Evidence(evidence).words())


def verdict_lines(
    pipeline: str, hop: str, changes: Changes, directory: Directory, now: Micros, volume: Watch | None = None
) -> Iterator[dict[str, Any]]:
    """One line a changed cell, by source name and bucket; `volume` knows what should have been accepted."""
    from_stage, to_stage = hop.split(">")
    names = [directory.sources[source] for source in changes.source.tolist()]
    at = format_time(now)
    amounts = changes.parts.T.tolist()
    sources, buckets, losses, evidence, proven, codes = (
        column.tolist()
        for column in (changes.source, changes.bucket, changes.loss_at, changes.evidence, changes.proven, changes.code)
    )
    for position in sorted(range(len(names)), key=lambda at: (names[at], buckets[at])):
        word, expected, band = UNTRAINED
        if volume is not None:
            word, expected, band = volume.of_cell(sources[position], buckets[position])
        loss_at = losses[position]
        yield {
            "type": "verdict",
            "at": at,
            "pipeline": pipeline,
            "from_stage": from_stage,
            "to_stage": to_stage,
            "source": names[position],
            "bucket": format_time(buckets[position]),
            "verdict": _WORDS[codes[position]],
            **dict(zip(PARTS, amounts[position], strict=True)),
            "proven": proven[position],
            "loss_at": format_time(loss_at) if loss_at else None,
            "evidence": list(_reasons(evidence[position])),
            "volume": word,
            "expected": expected,
            "band": band,
        }
