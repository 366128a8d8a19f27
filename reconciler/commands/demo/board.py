"""What the lines of a run come to: where every event stands, and the turns that the incidents take."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.times import Micros, parse_time, to_datetime

Line = Mapping[str, Any]
Cell = tuple[str, str, str]
"""Pipeline, source, bucket."""
SEVERITIES = ("page", "ticket", "info")
WORST_FIRST = ("lost", "at risk", "surplus", "unknown", "delayed", "delayed, proven", "pending", "waiting")


def day(at: Micros) -> str:
    """``20 Jul``"""
    moment = to_datetime(at)
    return f"{moment.day} {moment:%b}"


def clock(at: Micros) -> str:
    """``18:45``"""
    return f"{to_datetime(at):%H:%M}"


def when(at: Micros) -> str:
    """``20 Jul 18:45``"""
    return f"{day(at)} {clock(at)}"


@dataclass(frozen=True, slots=True)
class Turn:
    """Something about an incident that people are told at once: it opened, it became worse, it is over."""

    at: Micros
    line: Line
    """The incident as it was said then; of incidents that say the same of several pipelines, the first."""
    pipelines: tuple[str, ...]
    """Of which the same was said in the same tick."""
    became: str = ""
    """Of a warning that is over: the loss that it has become."""

    @property
    def over(self) -> bool:
        """Whether this is the end of the incident."""
        return bool(self.line["status"] == "resolved")

    @property
    def what(self) -> str:
        """Its summary without the pipeline; of one that is over, which it was and since when."""
        if self.over:
            name = self.line.get("subject", self.line["kind"].replace("_", " "))
            opened = f"{name}, open since {when(parse_time(self.line['opened_at']))} ({self.line['id']})"
            return f"{opened}: it has come true as {self.became}" if self.became else opened
        return str(self.line["summary"]).partition(": ")[2]


@dataclass(slots=True)
class Board:
    """All that was said, brought up to date tick by tick."""

    cells: dict[Cell, Line] = field(default_factory=dict)
    """The last line of each."""
    standing: dict[str, Counter[str]] = field(default_factory=dict)
    """By pipeline: missing events by what is said of them."""
    said: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    """Verdict lines so far by pipeline, verdict and `proven`."""
    incidents: dict[str, Line] = field(default_factory=dict)
    """The last line of each."""
    turns: list[Turn] = field(default_factory=list)
    past: list[tuple[Micros, dict[str, Counter[str]]]] = field(default_factory=list)
    """The standing at each tick."""

    def hear(self, now: Micros, lines: Iterable[Line]) -> list[Turn]:
        """Take what a tick said; returns the turns in it."""
        changed: list[Line] = []
        for line in lines:
            if line["type"] == "verdict":
                self._verdict(line)
            elif self._turns(line):
                changed.append(line)
        became = {line["follows"]: line["id"] for line in self.incidents.values() if "follows" in line}
        turns = list(_together(now, changed, became))
        self.turns += turns
        self.past.append((now, {pipeline: +events for pipeline, events in self.standing.items()}))
        return turns

    def _verdict(self, line: Line) -> None:
        cell = (line["pipeline"], line["source"], line["bucket"])
        standing = self.standing.setdefault(line["pipeline"], Counter())
        if cell in self.cells:
            standing.subtract(missing(self.cells[cell]))
        standing.update(missing(line))
        self.cells[cell] = line
        self.said[line["pipeline"], line["verdict"], line["proven"]] += 1

    def _turns(self, line: Line) -> bool:
        """Whether more has changed than numbers."""
        before = self.incidents.get(line["id"])
        self.incidents[line["id"]] = line
        if before is None or line["status"] == "resolved":
            return True
        return bool(before["status"] == "resolved" or before["severity"] != line["severity"])

    def standing_at(self, now: Micros) -> dict[str, Counter[str]]:
        """The standing as of an instant; before the first tick nothing is missing."""
        return next((standing for at, standing in reversed(self.past) if at <= now), {})

    def sum(self, part: str, *, by: str = "source", **only: str) -> dict[str, int]:
        """Events by source (or another field of the line), over the cells whose fields are as asked."""
        total: Counter[str] = Counter()
        for line in self.cells.values():
            if all(line[name] == value for name, value in only.items()):
                total[line[by]] += line[part]
        return dict(sorted(total.items()))


def missing(line: Line) -> Counter[str]:
    """The missing events of a cell, by what is said of them."""
    rest = line["retained"] + line["in_flight"] + line["passed_over"] + line["unproven"]
    word = str(line["verdict"]).replace("_", " ")
    if word in {"lost", "complete", "open"}:
        word = "waiting"
    elif word == "delayed" and line["proven"]:
        word = "delayed, proven"
    return Counter({"lost": line["lost"], word: rest})


def told(standing: Counter[str]) -> str:
    """``150,000 lost, 600,000 at risk``: the worst first."""
    found = [f"{standing[word]:,} {word}" for word in WORST_FIRST if standing[word]]
    return " · ".join(found) or "complete"


def _together(now: Micros, lines: Iterable[Line], became: Mapping[str, str]) -> Iterator[Turn]:
    """Turns, those that say the same of several pipelines as one."""
    found: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        key = (line["severity"], line["status"], str(line["summary"]).partition(": ")[2])
        found.setdefault(key, []).append(line)
    for same in sorted(found.values(), key=lambda lines: SEVERITIES.index(lines[0]["severity"])):
        yield Turn(now, same[0], tuple(sorted({line["pipeline"] for line in same})), became.get(same[0]["id"], ""))
