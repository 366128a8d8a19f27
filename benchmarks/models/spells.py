"""What befalls a pipeline in a year though nothing is lost, and when: drawn with a fixed seed."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

A_DAY = 24 * 60
"""Minutes."""
FIRST_DAY = date(2024, 1, 1)
"""A Monday."""
PEACE = 3
"""Days before anything befalls it, so that lag is known."""
REST = 3 * 60
"""Minutes at least between two of them."""
CONTROL_EVERY = 60
"""Days from one real loss to the next: they show that nobody has gone deaf."""
CONTROL_LASTS = 180
RESTART = "reporters start anew"
LOSS = "a real loss"
HOLIDAYS = frozenset(FIRST_DAY + timedelta(days) for days in (37, 88, 92, 121, 142, 185, 227, 276, 305, 330, 359, 360))


@dataclass(frozen=True, slots=True)
class Spell:
    """One harmless thing that is under way. Times in minutes since the beginning of the year."""

    kind: str
    since: float
    until: float
    source: int = -1
    """The one that it befalls, by position; -1: all."""
    amount: float = 0.0
    """How strong it is; what that means goes with the kind."""
    reporter: int = 0
    """Who is late, of the two of a stage."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A harmless thing, how long it may last, and how strong it may be."""

    name: str
    lasts: tuple[float, float]
    """Minutes, from and to; evenly by their logarithm."""
    amount: tuple[float, ...] = (0.0,)
    sources: tuple[int, ...] = (-1,)


KINDS = (
    Kind("outage", (15, 540)),
    Kind("slow consumer", (60, 300), (0.5, 0.7, 0.9)),
    Kind("late tail", (120, 720), (0.03, 0.05, 0.1), (2,)),
    Kind("ingress clock off", (60, 720), (-1.5, 1.5)),
    Kind("stage clock 90 s ahead", (60, 720), (0.3, 1.0), (0, 1, 3, 5)),
    Kind("stage clock 90 s behind", (60, 720), (0.3, 1.0), (0, 1, 3, 5)),
    Kind("late reporter downstream", (20, 480)),
    Kind("late reporter at ingress", (20, 480)),
    Kind("filter switched on", (600, 4000), (0.1, 0.6), (0, 1, 2, 3)),
    Kind(RESTART, (1, 2)),
)
"""`amount` is in turn: nothing; what is read of what comes; share of events that come later than usual; minutes that
the clock is off; share of events that are stamped so (twice); nothing (twice); share that is filtered; nothing."""


def spells(days: int, seed: int, only: str = "") -> list[Spell]:
    """One a day on most days; each kind (with `only` in its name) once before any comes a second time."""
    draw = np.random.default_rng(seed)
    kinds = [kind for kind in KINDS if only in kind.name]
    found: list[Spell] = []
    bag: list[Kind] = []
    free = float(PEACE * A_DAY)
    for day in range(PEACE, days if kinds else PEACE):
        if day % CONTROL_EVERY == CONTROL_EVERY - 1:
            begins = day * A_DAY + 10 * 60
            found.append(Spell(LOSS, begins, begins + CONTROL_LASTS, 0, 0.05))
            continue
        since = max(day * A_DAY + draw.uniform(0, A_DAY), free)
        bag = bag or [kinds[position] for position in draw.permutation(len(kinds)).tolist()]
        one = bag[-1]
        lasts = float(np.exp(draw.uniform(*np.log(one.lasts))))
        source, amount = int(draw.choice(one.sources)), float(draw.choice(one.amount))
        spell = Spell(one.name, since, since + lasts, source, amount, int(draw.integers(2)))
        # The day of a real loss, and an evening before it, are left in peace.
        control = (day // CONTROL_EVERY + 1) * CONTROL_EVERY - 1
        if spell.since >= (day + 1) * A_DAY or spell.until > (control - 0.5) * A_DAY:
            continue
        bag.pop()
        found.append(spell)
        free = spell.until + REST
    return found
