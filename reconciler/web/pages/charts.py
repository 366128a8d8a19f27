"""Pictures that the server draws as SVG: no script is needed to see them, and none of them says what no text says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.core.times import Micros
from reconciler.core.verdicts import Verdict
from reconciler.web.pages import words


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring columns of a strip with the same verdict."""

    x: int
    width: int
    verdict: Verdict
    start: Micros
    end: Micros

    @property
    def label(self) -> str:
        """For people: ``20 Jul 18:45 to 19:30: lost``."""
        return f"{words.clock(self.start)} to {words.clock(self.end, self.start)}: {VERDICTS[self.verdict].word}"


def runs(strip: Sequence[int], start: Micros, step: Micros) -> list[Run]:
    """The stretches of a strip; columns without cells are left out."""
    found: list[Run] = []
    first = 0
    for at in range(1, len(strip) + 1):
        if at == len(strip) or strip[at] != strip[first]:
            if strip[first]:
                ends = (start + first * step, start + at * step)
                found.append(Run(first, at - first, Verdict(strip[first]), *ends))
            first = at
    return found


def spoken(found: Sequence[Run]) -> str:
    """What a strip shows, for those who do not see it: its bad stretches, the worst first."""
    bad = sorted((one for one in found if one.verdict > Verdict.PENDING), key=lambda one: (-one.verdict, one.x))
    if not bad:
        return "nothing is wrong" if found else "no counts"
    more = f", and {len(bad) - 3} more" if len(bad) > 3 else ""
    return "; ".join(one.label for one in bad[:3]) + more


@dataclass(frozen=True, slots=True)
class Meaning:
    """A verdict for people."""

    word: str
    means: str


VERDICTS = {
    Verdict.NONE: Meaning("nothing", "the source has no counts here"),
    Verdict.COMPLETE: Meaning("complete", "nothing is missing"),
    Verdict.OPEN: Meaning("open", "not all counts are in yet"),
    Verdict.PENDING: Meaning("pending", "missing for no longer than usual"),
    Verdict.DELAYED: Meaning("delayed", "late, and all of it may still arrive"),
    Verdict.UNKNOWN: Meaning("unknown", "counts are missing: nothing can be said, and nothing is good"),
    Verdict.SURPLUS: Meaning("surplus", "more came out than went in"),
    Verdict.AT_RISK: Meaning("at risk", "will be deleted or passed over unless somebody acts"),
    Verdict.LOST: Meaning("lost", "gone: nowhere on its way and in no queue"),
}


def ticks(start: Micros, end: Micros, most: int = 8) -> list[tuple[float, Micros]]:
    """Instants that divide a stretch evenly, on round times, each with its place between 0 and 1."""
    steps = [
        60,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        10800,
        21600,
        43200,
        86400,
        172800,
        604800,
        1209600,
        2592000,
        31536000,
    ]
    length = max(end - start, 1)
    step = next((one * 1_000_000 for one in steps if length <= most * one * 1_000_000), length)
    first = -(-start // step) * step
    return [((at - start) / length, at) for at in range(first, end + 1, step)]


def marks(start: Micros, end: Micros, most: int = 6) -> list[Micros]:
    """Where parts of equal length begin: what stands above a strip."""
    return [start + (end - start) * part // most for part in range(most)]


GLOBALS: dict[str, Any] = {"VERDICTS": VERDICTS, "runs": runs, "spoken": spoken, "ticks": ticks, "marks": marks}
"""For the templates."""
