"""What really became of every event of a story, at every instant: the answer that a detector is held against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from reconciler.scenarios.cells import Name, Parts
from reconciler.scenarios.options import Options
from reconciler.scenarios.simulator import run
from reconciler.scenarios.story import Minute, Story


@dataclass
class Truth:
    """Cells by source and accept minute, each with the instants at which it changed; times rise."""

    changes: dict[Name, list[tuple[Minute, Parts]]] = field(default_factory=dict)

    def at(self, source: str, bucket: Minute, now: Minute) -> Parts | None:
        """The cell as it truly is at this instant; None before its first event."""
        found = None
        for when, parts in self.changes.get((source, bucket), ()):
            if when > now:
                break
            found = parts
        return found

    def by_time(self) -> Mapping[Minute, list[tuple[Name, Parts]]]:
        """The same, by instant."""
        found: dict[Minute, list[tuple[Name, Parts]]] = {}
        for name, changes in self.changes.items():
            for when, parts in changes:
                found.setdefault(when, []).append((name, parts))
        return found

    def learn(self, now: Minute, changed: list[tuple[Name, Parts]]) -> None:
        for name, parts in changed:
            known = self.changes.setdefault(name, [])
            if not known or known[-1][1] != parts:
                known.append((now, parts))


def truth(story: Story, **options: Any) -> Truth:
    """Run the story for its truth alone; the options are those of `simulate`."""
    if "scale" in options:
        options["scale"] = Fraction(str(options["scale"]))
    found = Truth()
    for _ in run(story, Options(**options), found.learn):
        pass
    return found
