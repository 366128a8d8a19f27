"""The time line: what happened, as the records show it in hindsight; and what was known, as it was said at the time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from reconciler.core.observations import Capacity, Progress
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros, format_duration, format_time, parse_time, time_of
from reconciler.forensics.losses import Losses
from reconciler.forensics.offsets import Move, Range
from reconciler.forensics.standing import Standing

GROWN = 2
"""A loss is told again when it is so many times what was told last."""
SILENT = 5
"""So many of its usual intervals without a word, and a reporter was silent."""
LEAST_SILENCE: Micros = 5 * MINUTE
FULL = 0.9
"""Share of a capacity from which its use is told."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the time line."""

    at: Micros
    """When it happened; of what was known: when it was said."""
    what: Literal["happened", "known"]
    pipeline: str
    kind: str
    text: str
    severity: str = ""
    """Of an incident."""
    incident: str = ""
    """Its id."""
    seen_at: Micros | None = None
    """Of what happened: the first record that shows it."""

    def record(self) -> dict[str, Any]:
        """For programs."""
        return {
            "at": format_time(self.at),
            "what": self.what,
            "pipeline": self.pipeline,
            "kind": self.kind,
            "text": self.text,
            "severity": self.severity or None,
            "incident": self.incident or None,
            "seen_at": time_of(self.seen_at),
        }


def as_lines(entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Each entry with the names of its pipelines: what is the same for several is told once."""
    told: dict[tuple[Micros, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        told[entry.at, entry.what, entry.text.removeprefix(f"{entry.pipeline}: ")].append(entry)
    for own in told.values():
        yield own[0], ", ".join(dict.fromkeys(entry.pipeline for entry in own))


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """What happened stands before what was known at the same instant."""
    return sorted(entries, key=lambda one: (one.at, one.what != "happened", one.pipeline, one.kind, one.text))


_MOVES = {
    "stands_still": "is read no more: the committed offset stands still",
    "moves_again": "is read again",
    "caught_up": "is read to its end at once: the lag is 0, which proves nothing of what was passed over or deleted",
    "rewound": "is read again from an earlier offset",
    "restarted": "begins a new ledger of offsets",
}


def of_queues(pipeline: Pipeline, moves: Sequence[Move], deleted: Sequence[Range]) -> Iterator[Entry]:
    """What the samples of the queues show; partitions that moved together are told together."""
    together: dict[tuple[str, str, Micros, Micros], list[Move]] = defaultdict(list)
    for move in moves:
        if move.kind in (*_MOVES, "retention"):
            together[move.queue, move.kind, move.since, move.at].append(move)
    for (queue, kind, since, at), own in together.items():
        where = f"queue {queue}{_partitions(own)}"
        if kind == "retention":
            value = own[0].value
            now = "has no known retention any more" if value is None else f"now keeps {format_duration(value)}"
            yield Entry(at, "happened", pipeline.name, kind, f"{where} {now}", seen_at=at)
            continue
        text = f"{where} {_MOVES[kind]}"
        kept = [move.value for move in own if move.value is not None]
        if kept:
            text += f"; its first unread record is kept until {format_time(min(kept))}"
        yield Entry(since if kind == "stands_still" else at, "happened", pipeline.name, kind, text, seen_at=at)
    yield from _deletions(pipeline, deleted)


def _partitions(own: Sequence[Move]) -> str:
    numbers = sorted({move.partition for move in own})
    if numbers == [0]:
        return ""
    shown = ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5:,} more" if len(numbers) > 5 else "")
    return f" (partition{'s' if len(numbers) > 1 else ''} {shown})"


def _deletions(pipeline: Pipeline, deleted: Sequence[Range]) -> Iterator[Entry]:
    own: dict[str, list[Range]] = defaultdict(list)
    for one in deleted:
        if one.kind == "expired":
            own[one.queue].append(one)
    for queue, found in own.items():
        first, last = min(one.since for one in found), max(one.until for one in found)
        amount = sum(one.last - one.first for one in found)
        yield Entry(
            first, "happened", pipeline.name, "expired",
            f"queue {queue} begins to delete records that were never read; by {format_time(last)} they are {amount:,}",
            seen_at=min(one.until for one in found),
        )  # fmt: skip


def of_retention(pipeline: Pipeline, first: dict[str, tuple[Micros, Micros | None]]) -> Iterator[Entry]:
    """Queues that kept less than their policy from the first look on; `first`: when they were looked at, and what they
    keep."""
    for name, (at, kept) in first.items():
        policy = pipeline.queue(name).policy.retention
        if kept is not None and policy is not None and kept < policy:
            text = f"queue {name} keeps {format_duration(kept)} where its policy is {format_duration(policy)}"
            yield Entry(at, "happened", pipeline.name, "retention", text, seen_at=at)


def of_capacities(pipeline: Pipeline, readings: Iterable[Capacity]) -> Iterator[Entry]:
    """When something finite was nearly used up, was, and was no more."""
    own: dict[str, list[Capacity]] = defaultdict(list)
    for reading in readings:
        own[reading.resource].append(reading)
    for resource, found in own.items():
        before = ""
        for reading in found:
            share = reading.used / reading.limit if reading.limit else 1.0
            state = "used up" if share >= 1 else f"more than {FULL:.0%} used" if share >= FULL else ""
            if state != before:
                text = f"{resource} is {state or 'far from its limit again'} ({reading.used:,} of {reading.limit:,})"
                if state or before:
                    yield Entry(reading.at, "happened", pipeline.name, "capacity", text, seen_at=reading.at)
                before = state


def of_reporters(pipeline: Pipeline, lines: Iterable[Progress]) -> Iterator[Entry]:
    """Reporters that fell silent and spoke again."""
    own: dict[tuple[str, str], list[Progress]] = defaultdict(list)
    for line in lines:
        own[line.stage, line.reporter].append(line)
    for (stage, name), found in own.items():
        gaps = sorted(after.at - before.at for before, after in pairwise(found))
        usual = gaps[len(gaps) // 2] if gaps else 0
        for before, after in pairwise(found):
            if after.at - before.at > max(SILENT * usual, LEAST_SILENCE) and not before.final:
                text = f"nothing is heard of reporter {name!r} of {stage} until {format_time(after.at)}"
                yield Entry(before.at, "happened", pipeline.name, "silent", text, seen_at=after.at)


def of_losses(pipeline: Pipeline, found: Losses) -> Iterator[Entry]:
    """The first and the last of the events that were lost, by when they were accepted."""
    window = found.window
    if window is not None:
        bounds = found.bounds()
        text = f"the first of {bounds.inferred:,} events is accepted that are known to be lost by now"
        yield Entry(window[0], "happened", pipeline.name, "lost", text)
        yield Entry(window[1], "happened", pipeline.name, "lost", "from here on nothing that is accepted is lost")


def of_standing(pipeline: Pipeline, told: Iterable[Standing]) -> Iterator[Entry]:
    """The first time that events were said to be late, at risk or lost, and when none were any more."""
    before = {"safe": 0, "late": 0, "at_risk": 0, "lost": 0}
    for one in told:
        for way, amount in one.events.items():
            if bool(amount) != bool(before[way]):
                text = _SAID[way].format(amount=amount) if amount else _OVER[way]
                if amount and one.until and way in ("safe", "at_risk"):
                    text += f"; the first of them is deleted at {format_time(one.until)}"
                yield Entry(one.at, "known", pipeline.name, way, text)
        before = one.events


_SAID = {
    "safe": "{amount:,} events are late, and the queue is seen to hold them: none is lost",
    "late": "{amount:,} events are late, and nothing shows where they are",
    "at_risk": "{amount:,} events are at risk",
    "lost": "{amount:,} events are lost",
}
_OVER = {
    "safe": "no event is late any more of which the queue was seen to hold it",
    "late": "no event is late any more of which nothing shows where it is",
    "at_risk": "no event is at risk any more",
    "lost": "no event is lost any more",
}


def of_incidents(pipeline: str, changes: Iterable[Sequence[dict[str, Any]]]) -> Iterator[Entry]:
    """What was said of each incident: when it was opened, grew much, got worse, and was over."""
    for lines in changes:
        last: dict[str, Any] = {}
        for line in lines:
            grown = line["lost"] >= GROWN * max(last.get("lost", 0), 1)
            news = ("status", "severity", "loss_at") if line["status"] != "updated" else ("severity",)
            if not last or grown or any(line.get(name) != last.get(name) for name in news):
                state = {"open": "", "updated": "", "resolved": "over: "}[line["status"]]
                yield Entry(
                    parse_time(line["at"]), "known", pipeline, line["kind"], f"{state}{line['summary']}",
                    line["severity"], line["id"],
                )  # fmt: skip
                last = line
