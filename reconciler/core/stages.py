"""How far the counts of a stage reach, and whose are missing."""

from dataclasses import dataclass

import numpy as np

from reconciler.core.ledger import Ledger, Reporter
from reconciler.core.pipelines import HEARD_WITHIN, Reporters
from reconciler.core.tiles import CHUNK, Bools
from reconciler.core.times import NEVER, Micros


@dataclass(frozen=True, slots=True)
class Missing:
    """A reporter that should have reported by now."""

    stage: str
    name: str
    through: Micros
    """How far it had reported; 0: it was never heard."""
    sources: frozenset[int] | None
    """Ordinals of the sources that it has ever counted; `None`: any, for all that is known."""

    until: Micros = NEVER
    """It can have counted only buckets that began before; `NEVER`: it may still count."""

    def hits(self, chunk: int, rows: int) -> Bools:
        """Which sources of a chunk it could have counted."""
        hit = np.full(rows, self.sources is None)
        first = chunk * CHUNK
        for source in self.sources or ():
            if first <= source < first + rows:
                hit[source - first] = True
        return hit


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage as of now."""

    name: str
    through: Micros
    """Every reporter that is not missing has reported until here."""
    progressed: bool
    """Progress has been sent; if not, the stage is judged by its counts alone and never proven."""
    missing: tuple[Missing, ...]
    lapsed: tuple[Missing, ...] = ()
    """Silent for so long that nobody waits for them: what they had begun to count and never told stays unknown."""


def stage_now(ledger: Ledger, name: str, now: Micros) -> Stage:
    """How far the stage has reported at `now`."""
    settings, width = ledger.pipeline.reporters.get(name, Reporters()), ledger.pipeline.width
    heard = [reporter for reporter in ledger.reporters.values() if reporter.stage == name]
    waited = [r for r in heard if not r.final and (r.name in settings.expect or now - r.heard_at <= HEARD_WITHIN)]
    late = [reporter for reporter in waited if _overdue(reporter, settings, width, now)]
    missing = [Missing(name, r.name, r.through, _sources(ledger, name, r.name)) for r in late]
    unheard = set(settings.expect) - {reporter.name for reporter in heard}
    missing += [Missing(name, reporter, 0, None) for reporter in sorted(unheard)]
    present = [reporter.through for reporter in waited if reporter not in late]
    ended = [reporter.through for reporter in heard if reporter.final]
    if present:
        through = min(present)
    elif heard:
        through = max((reporter.through for reporter in late), default=max(ended, default=0))
    else:
        through = ledger.counted_at.get(name, 0)
    # Had it lived on, it would have reported once more within its usual interval.
    lapsed = tuple(
        Missing(name, r.name, r.through, _sources(ledger, name, r.name), r.heard_at + max(width, r.usual_interval))
        for r in heard
        if not r.final and r not in waited
    )
    return Stage(name, through, bool(heard), tuple(sorted(missing, key=lambda absent: absent.name)), lapsed)


def _overdue(reporter: Reporter, settings: Reporters, width: Micros, now: Micros) -> bool:
    patience = settings.missing_after or 3 * max(width, reporter.usual_interval)
    return now - reporter.advanced_at >= patience


def _sources(ledger: Ledger, stage: str, reporter: str) -> frozenset[int] | None:
    counted = {key.source for key in ledger.directory.series if key.stage == stage and key.reporter == reporter}
    return frozenset(counted) or None
