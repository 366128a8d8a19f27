"""Holds the output of a detector against a story: what it must say, must never say, by when, and sums at the end."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconciler.scenarios import Story, Truth
from reconciler.scenarios.checks import VERDICTS
from reconciler.scenarios.expressions import Expression
from reconciler.scenarios.story import Expectation, Never, Soonest
from tests.scenario.board import UNSAID, Board, Event

_GRACE = 2  # minutes after `soonest` that are still in time
_HOP_END = "processed"


@dataclass
class Report:
    """Empty violations: the story is kept."""

    violations: list[str]
    left_out: list[str]  # what no observation of the contract can show, or no model is there for


def check(
    story: Story,
    events: Iterable[Event],
    *,
    facts: Truth,
    tick: Callable[[int], int],
) -> Report:
    """Events as in the contract's §6, in their order. `tick`: minutes from one of the story's to the next look."""
    return _Check(story, facts, tick).run(list(events), story.until)


@dataclass
class _Broken:
    first: str
    more: int = 0
    last: int = 0


@dataclass
class _Incident:
    kind: str
    pipeline: str
    opened: float
    sources: set[str] = field(default_factory=set)
    statuses: list[tuple[float, str]] = field(default_factory=list)


class _Check:
    def __init__(self, story: Story, facts: Truth, tick: Callable[[int], int]) -> None:
        self.story, self.tick = story, tick
        self.board = Board(story, facts)
        self.broken: dict[tuple[Any, ...], _Broken] = {}
        self.reached: dict[int, int] = {}  # by place in `soonest`: the minute
        self.incidents: dict[str, _Incident] = {}
        self._masks: dict[int, NDArray[np.bool_]] = {}

    def run(self, events: list[Event], until: int) -> Report:
        coming = iter(events)
        event = next(coming, None)
        for now in range(self.story.first + 1, until + 1):
            self.board.move_to(now)
            while event is not None and self.board.minute(event["at"]) <= now:
                self._hear(event)
                event = next(coming, None)
            if now % self.tick(now) == 0:
                self._look(now)
        self._sums(until)
        self._late(until)
        return Report([self._told(found) for found in self.broken.values()], self._left_out())

    def _hear(self, event: Event) -> None:
        if event["type"] == "verdict" and event["to_stage"] == _HOP_END and event["source"] in self.board.said:
            self.board.hear(event)
        elif event["type"] == "incident":
            at = self.board.minute(event["at"])
            found = self.incidents.setdefault(event["id"], _Incident(event["kind"], event["pipeline"], at))
            found.sources |= set(event.get("sources", ()))
            found.statuses.append((at, event["status"]))

    def _look(self, now: int) -> None:
        self._masks = {}
        for place, expected in enumerate(self.story.expect):
            if expected.needs is None and expected.start <= now and (expected.end is None or now < expected.end):
                self._expect(place, expected, now)
        for place, never in enumerate(self.story.never):
            in_range = (never.start is None or never.start <= now) and (never.end is None or now < never.end)
            if in_range and never.verdict is not None:
                self._never(place, never, now)
        for place, soonest in enumerate(self.story.soonest):
            if place not in self.reached and soonest.verdict is not None and self._is_said(soonest, now):
                self.reached[place] = now
        for total in self.story.totals:
            if total.t == now:
                self._sum(total.part, total.match, total.where, total.equals, now)

    def _expect(self, place: int, expected: Expectation, now: int) -> None:
        allowed = np.array([False, *(verdict in expected.verdicts for verdict in VERDICTS)])
        for source in self.board.sources(expected.match):
            said = self.board.said[source]
            chosen = self._chosen(expected.where, source, now)
            wrong = chosen & ~allowed[said.verdict + 1]
            if "complete" in expected.verdicts:  # a cell in which nothing ever happened needs no line
                wrong &= (said.verdict != UNSAID) | (self.board.true[source]["accepted"] > 0)
            for cell in _places(wrong):
                what = f"expected {' or '.join(expected.verdicts)}, was {_name(said.verdict[cell])}"
                self._note(("expect", place, source, said.verdict[cell]), now, source, cell, what)
            held = chosen & ~wrong
            if expected.proven is not None:
                for cell in _places(held & (said.proven != expected.proven)):
                    what = f"expected proven to be {expected.proven}"
                    self._note(("proven", place, source), now, source, cell, what)
            if expected.evidence:
                for cell in _places(held & ~said.shows(expected.evidence)):
                    what = f"expected evidence {' or '.join(expected.evidence)}"
                    self._note(("evidence", place, source), now, source, cell, what)
            if expected.incident and now >= expected.start + _GRACE and not self._open(expected.incident, source, now):
                self._say(("incident", place, source), now, f"{source}: expected an incident {expected.incident}")

    def _never(self, place: int, never: Never, now: int) -> None:
        for source in self.board.sources(never.match):
            said = self.board.said[source]
            wrong = said.verdict == VERDICTS.index(never.verdict or "")
            if not wrong.any():
                continue
            wrong = wrong & self._chosen(never.where, source, now)
            if never.proven is not None:
                wrong &= said.proven == never.proven
            for cell in _places(wrong):
                what = f"was {never.verdict}{' (proven)' if never.proven else ''}, which must never be said"
                self._note(("never", place, source), now, source, cell, what)

    def _is_said(self, soonest: Soonest, now: int) -> bool:
        wanted = VERDICTS.index(soonest.verdict or "")
        return any(
            bool(((self.board.said[source].verdict == wanted) & self.board.choose(soonest.where, source, now)).any())
            for source in self.board.sources(soonest.match)
        )

    def _late(self, until: int) -> None:
        """Whatever was due and did not come in time, and incidents that must not be."""
        for place, soonest in enumerate(self.story.soonest):
            grace = max(_GRACE, self.tick(soonest.t))
            what = soonest.verdict or f"incident {soonest.incident}"
            reached: float | None = self.reached.get(place)
            if soonest.incident is not None:
                opened = [
                    one.opened for one in self.incidents.values() if self._is_of(one, soonest.incident, soonest.match)
                ]
                reached = min(opened, default=None)
            if soonest.t + grace <= until and (reached is None or reached > soonest.t + grace):
                when = "never" if reached is None else f"at t={reached:g}"
                self._say(
                    ("soonest", place), until, f"{what} for {','.join(soonest.match)} due at t={soonest.t}, came {when}"
                )
        for place, never in enumerate(self.story.never):
            for name, one in self.incidents.items():
                if never.incident is not None and self._is_of(one, never.incident, never.match):
                    self._forbid(place, never, name, one, until)

    def _forbid(self, place: int, never: Never, name: str, one: _Incident, until: int) -> None:
        for at, status in one.statuses:
            in_range = (never.start is None or never.start <= at) and (never.end is None or at < never.end)
            if at <= until and in_range and never.status in (None, status):
                what = f"incident {name} ({one.kind}, {', '.join(sorted(one.sources))}) was {status}"
                self._say(("never", place, name), int(at), f"{what}, which must never be")

    def _open(self, kind: str, source: str, now: int) -> bool:
        """Such an incident was opened by now, and names the source, or nobody yet."""
        return any(one.opened <= now and self._is_of(one, kind, (source,)) for one in self.incidents.values())

    def _is_of(self, one: _Incident, kind: str, match: tuple[str, ...]) -> bool:
        sources = self.board.sources(match)
        pipelines = {self.story.sources[source].queue for source in sources}
        return one.kind == kind and (
            bool(one.sources & set(sources)) or (not one.sources and one.pipeline in pipelines)
        )

    def _sums(self, until: int) -> None:
        for total in self.story.totals:
            if total.t is None and until >= self.story.until:
                self._sum(total.part, total.match, total.where, total.equals, until)

    def _sum(self, part: str, match: tuple[str, ...], where: Expression, equals: int, now: int) -> None:
        found = 0
        for source in self.board.sources(match):
            chosen = self.board.choose(where, source, now)
            found += sum(int(line.get(part, 0)) for cell, line in self.board.said[source].line.items() if chosen[cell])
        if found != equals:
            self._say(
                ("sum", part, match, where.text),
                now,
                f"{part} of {','.join(match)} ({where.text}): {found}, should be {equals}",
            )

    def _chosen(self, where: Expression, source: str, now: int) -> NDArray[np.bool_]:
        """The judged cells that the expression means; where it does not speak of parts, the same for each source."""
        shared = where.names <= {"b", "t"}
        if shared and id(where) in self._masks:
            return self._masks[id(where)]
        mask = self.board.choose(where, source, now) & self.board.judged(now)
        if shared:
            self._masks[id(where)] = mask
        return mask

    def _note(self, key: tuple[Any, ...], now: int, source: str, cell: int, what: str) -> None:
        self._say(key, now, f"{source} b={self.board.buckets[cell]}: {what}")

    def _say(self, key: tuple[Any, ...], now: int, what: str) -> None:
        found = self.broken.get(key)
        if found is None:
            self.broken[key] = _Broken(f"t={now} {what}", last=now)
        else:
            found.more, found.last = found.more + 1, now

    def _told(self, found: _Broken) -> str:
        return found.first + (f" (and {found.more} more until t={found.last})" if found.more else "")

    def _left_out(self) -> list[str]:
        told = []
        for expected in self.story.expect:
            if expected.needs is not None:
                told.append(f"{self.story.id} {expected.text}: needs {expected.needs}")
            elif expected.volume is not None:
                told.append(f"{self.story.id} {expected.text}: volume {expected.volume} needs a trained volume model")
        return told


def _places(cells: NDArray[np.bool_]) -> list[int]:
    found: list[int] = np.flatnonzero(cells).tolist()
    return found


def _name(code: int) -> str:
    return "not judged" if code == UNSAID else VERDICTS[code]
