"""A detector that knows the truth. What it says keeps to the contract, so no story may find fault with it."""

from collections.abc import Iterator
from typing import Any

from reconciler.scenarios import Story, Truth
from reconciler.scenarios.cells import Parts
from reconciler.scenarios.counters import rfc3339


def foresee(story: Story, facts: Truth) -> Iterator[dict[str, Any]]:
    """Verdict lines of every cell of a story, in the order of their time."""
    lines = [line for name in facts.changes for line in _cell(story, facts, *name)]
    return iter(sorted(lines, key=lambda line: str(line["at"])))


def _cell(story: Story, facts: Truth, source: str, bucket: int) -> Iterator[dict[str, Any]]:
    queue = story.queues[story.sources[source].queue]
    reaction = min(720, queue.policy // 4)
    changes = facts.changes[(source, bucket)]
    end = changes[-1][1]
    deleted = bucket // queue.segment * queue.segment + queue.segment + queue.retention
    alarm = max(bucket + 1, deleted - reaction)
    moments = dict(changes)
    before = [parts for when, parts in changes if when <= alarm]
    if before and before[-1].retained and alarm not in moments:
        moments[alarm] = before[-1]
    for when in sorted(moments):
        parts = moments[when]
        doomed = parts.retained > 0 and end.lost > parts.lost and when >= alarm
        yield _line(story, source, bucket, when, parts, _verdict(parts, doomed))


def _verdict(parts: Parts, doomed: bool) -> str:
    if parts.lost:
        return "lost"
    if parts.passed_over or doomed:
        return "at_risk"
    if parts.surplus:
        return "surplus"
    return "delayed" if parts.retained or parts.working else "complete"


def _line(story: Story, source: str, bucket: int, when: int, parts: Parts, verdict: str) -> dict[str, Any]:
    return {
        "type": "verdict",
        "at": rfc3339(story.t0 + 60 * when),
        "pipeline": story.sources[source].queue,
        "from_stage": "ingress",
        "to_stage": "processed",
        "source": source,
        "bucket": rfc3339(story.t0 + 60 * bucket),
        "verdict": verdict,
        **vars(parts),
        "evidence": ["not_enqueued"] if verdict == "lost" else [],
        "proven": parts.retained > 0 and not parts.working,
    }
